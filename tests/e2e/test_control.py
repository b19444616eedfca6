# SPDX-License-Identifier: MIT
"""What operations of the control plane do: to the traffic, to the files, to what is kept."""

import threading

import pytest

from weirtest import admin, conf
from weirtest.backend import Holding
from weirtest.load import Load
from weirtest.wait import wait_for

SERVERS = "/api/v1/pools/web/servers"


def text(servers, pool_options="", **how):
    """A pool, the admin plane and a store."""
    return admin.one_pool(servers, pool_options, **how) + 'module "store_sqlite" {}\n'


def ids(root):
    return [server["id"] for server in root.get(SERVERS).json["entries"]]


def test_servers_come_and_go_under_load(start_weir, http_server):
    """Not a request fails while servers are added, weighed, drained and removed."""
    a, b = http_server("a"), http_server("b")
    weir = start_weir(text({"a": a}))
    root = admin.browser(weir)
    with Load(weir.client, threads=4) as load:
        load.wait_requests(20)
        for _ in range(10):
            before = b.served
            added = root.post(SERVERS, {"url": b.url, "id": "b", "weight": 5})
            assert added.status == 201, added.text
            assert added.headers.get("Location") == f"{SERVERS}/b"
            wait_for(lambda: b.served > before, "the new server to serve")
            assert root.patch(f"{SERVERS}/b", {"weight": 1}).json["weight"] == 1
            assert root.delete(f"{SERVERS}/b").status == 202
            wait_for(lambda: ids(root) == ["a"], "the server to be drained and removed")
    load.assert_clean()


def test_sessions_of_each_server_are_counted(start_weir, http_server):
    """Visitors, not requests; over both workers; and what a drain still has to wait for."""
    a, b = http_server("a", keep=False), http_server("b", keep=False)
    weir = start_weir(text({"a": a, "b": b}, 'sticky "cookie" { ttl = 1h }'), workers=2)
    root = admin.browser(weir)
    visitors = {"a": [], "b": []}
    for _ in range(12):
        first = weir.get("/")
        visitors[first.server].append(first.headers.get("Set-Cookie").partition(";")[0])

    def sessions():
        return {one["id"]: one["sessions"] for one in root.get(SERVERS).json["entries"]}

    a_sessions, b_sessions = len(visitors["a"]), len(visitors["b"])
    assert sessions() == {"a": a_sessions, "b": b_sessions}
    assert min(a_sessions, b_sessions) >= 4, "two workers take turns on their own"
    root.patch(f"{SERVERS}/a", {"state": "drain"})
    for name, cookies in visitors.items():
        for cookie in cookies * 3:  # each time on a connection, and so a worker, of its own
            again = weir.get("/", [("Cookie", cookie)])
            assert again.server == name and again.headers.get("Set-Cookie") is None
    assert weir.get("/").server == "b"
    assert sessions() == {"a": a_sessions, "b": b_sessions + 1}


def test_no_sessions_where_nobody_is_kept(start_weir, http_server):
    weir = start_weir(text({"a": http_server("a")}))
    assert weir.get("/").status == 200
    assert admin.browser(weir).get(f"{SERVERS}/a").json["sessions"] is None


def test_removal_waits_for_running_requests(start_weir, http_server):
    gate = Holding()
    a, b = http_server("a"), http_server("b", gate)
    weir = start_weir(text({"a": a, "b": b}))
    root = admin.browser(weir)
    root.patch(f"{SERVERS}/a", {"state": "maintenance"})
    answers = []

    def visit():
        with weir.client() as client:
            answers.append(client.get("/").status)

    visitor = threading.Thread(target=visit)
    visitor.start()
    wait_for(lambda: root.get(f"{SERVERS}/b").json["in_flight"] == 1, "the request to be there")
    assert root.patch(f"{SERVERS}/a", {"state": "ready"}).status == 200
    leaving = root.delete(f"{SERVERS}/b")
    assert leaving.status == 202
    assert leaving.json["state"] == "drain" and leaving.json["drain_deadline"]
    with weir.client() as client:
        assert all(client.get("/").headers.get("X-Server", "a") == "a" for _ in range(5))
    assert ids(root) == ["a", "b"]
    gate.release()
    visitor.join()
    assert answers == [200]
    wait_for(lambda: ids(root) == ["a"], "the server to go")


@pytest.mark.parametrize("how", ["members", "reload"])
def test_who_comes_back_still_has_his_requests(start_weir, http_server, how):
    """A server that is removed and added again while a request runs there: its limit counts that one."""
    gate = Holding()
    a, b = http_server("a", gate), http_server("b")
    limited = (a, "max_connections = 1")
    weir = start_weir(text({"a": limited, "b": (b, "weight = 0")}, "queue_timeout = 60s"))
    root = admin.browser(weir)
    answers = []

    def visit():
        with weir.client() as client:
            answers.append(client.get("/").server)

    visitors = [threading.Thread(target=visit) for _ in range(2)]
    visitors[0].start()
    wait_for(lambda: a.active == 1, "the request to be there")
    if how == "members":
        assert root.delete(f"{SERVERS}/a?now=1&force=1").status in (202, 204)
        assert ids(root) == ["b"]
        assert root.post(SERVERS, {"url": a.url, "id": "a", "max_connections": 1}).status == 201
    else:
        weir.reload(text({"b": (b, "weight = 0")}))
        weir.reload(text({"a": limited, "b": (b, "weight = 0")}, "queue_timeout = 60s"))
    assert root.get(f"{SERVERS}/a").json["in_flight"] == 1
    visitors[1].start()
    wait_for(lambda: root.get("/api/v1/pools/web").json["queued"] == 1, "the second one to wait")
    assert a.active == 1
    gate.release()
    for visitor in visitors:
        visitor.join()
    assert answers == ["a", "a"]
    wait_for(lambda: root.get(f"{SERVERS}/a").json["in_flight"] == 0, "nothing to run there")


def test_a_start_waits_for_no_probe_of_an_added_server(start_weir, http_server):
    """While it runs, a newcomer is probed before it serves; after a start it serves like all others."""
    gate = Holding(path="/health")
    a, b = http_server("a"), http_server("b", gate)
    weir = start_weir(text({"a": a}, 'health "http" { path = "/health"  timeout = 60s }'))
    root = admin.browser(weir)
    assert root.post(SERVERS, {"url": b.url, "id": "b"}).status == 201
    wait_for(lambda: b.active == 1, "the probe of the newcomer")
    assert {weir.get("/").server for _ in range(8)} == {"a"}
    weir.stop()
    weir.start()
    assert {weir.get("/").server for _ in range(16)} == {"a", "b"}
    gate.release()


def test_drift_and_contradictions(start_weir, http_server):
    """A reload keeps runtime changes, and says which of them the files contradict."""
    a, b = http_server("a"), http_server("b")
    weir = start_weir(text({"a": (a, "weight = 2"), "b": b}))
    root = admin.browser(weir)
    assert root.get(f"{SERVERS}/a").json["drift"] == []
    root.patch(f"{SERVERS}/a", {"weight": 7})
    shown = root.get(f"{SERVERS}/a").json
    assert shown["drift"] == ["weight"] and shown["configured_weight"] == 2
    weir.configure(text({"a": (a, "weight = 3"), "b": b}))
    answer = root.post("/api/v1/config/reload", None)
    assert answer.status == 200, answer.text
    assert answer.json["contradictions"] == [
        {"pool": "web", "server": "a", "field": "weight", "file": 3, "runtime": 7}]
    assert root.get(f"{SERVERS}/a").json["weight"] == 7
    # What equals the files again is no change any more.
    root.patch(f"{SERVERS}/a", {"weight": 3})
    assert root.get(f"{SERVERS}/a").json["drift"] == []
    weir.configure("nonsense {")
    refused = root.post("/api/v1/config/reload", None)
    assert refused.status == 422 and refused.json["mistakes"]
    checked = root.post("/api/v1/config/check", None).json
    assert checked["ok"] is False and checked["mistakes"] == refused.json["mistakes"]
    weir.configure(text({"a": (a, "weight = 3"), "b": b}))


def test_a_server_that_is_exported_is_the_files(start_weir, http_server):
    """Added at run time, then written into the files: it is theirs, and who removes it removes it."""
    a, b, c = http_server("a"), http_server("b"), http_server("c")
    weir = start_weir(text({"a": a}))
    root = admin.browser(weir)
    assert root.post(SERVERS, {"url": b.url, "id": "b", "weight": 3}).status == 201
    weir.configure(text({"a": a, "b": b}))
    answer = root.post("/api/v1/config/reload", None).json
    assert answer["contradictions"] == [
        {"pool": "web", "server": "b", "field": "weight", "file": 1, "runtime": 3}]
    shown = root.get(f"{SERVERS}/b").json
    assert (shown["origin"], shown["drift"], shown["weight"]) == ("file", ["weight"], 3)
    assert root.delete(f"{SERVERS}/b?now=1").status == 204
    assert ids(root) == ["a"]
    weir.reload()
    assert ids(root) == ["a"]
    undone = root.get("/api/v1/journal").json["entries"]
    number = next(e["id"] for e in undone if e["command"] == "server.remove")
    assert root.post(f"/api/v1/journal/{number}/undo", None).status == 200
    assert root.get(f"{SERVERS}/b").json["weight"] == 3
    # It is theirs: what they say of it later rules, but for what was set at run time.
    weir.configure(text({"a": a, "b": c}))
    answer = root.post("/api/v1/config/reload", None).json
    assert answer["contradictions"] == [
        {"pool": "web", "server": "b", "field": "weight", "file": 1, "runtime": 3}]
    shown = root.get(f"{SERVERS}/b").json
    assert (shown["origin"], shown["url"]) == ("file", c.url)
    assert root.delete(f"{SERVERS}/b?now=1").status == 204
    assert ids(root) == ["a"]


def test_the_files_have_another_server_of_that_name(start_weir, http_server):
    """What was added stays, and they are told to differ."""
    a, b, c = http_server("a"), http_server("b"), http_server("c")
    weir = start_weir(text({"a": a}))
    root = admin.browser(weir)
    assert root.post(SERVERS, {"url": b.url, "id": "b"}).status == 201
    weir.configure(text({"a": a, "b": c}))
    answer = root.post("/api/v1/config/reload", None).json
    assert answer["contradictions"] == [
        {"pool": "web", "server": "b", "field": "url", "file": c.url, "runtime": b.url}]
    assert root.get(f"{SERVERS}/b").json["origin"] == "runtime"
    assert root.delete(f"{SERVERS}/b?now=1").status == 204
    assert ids(root) == ["a"]


def test_undo_says_when_the_files_are_others(start_weir, http_server):
    """What it would not bring back, it does not say to have brought back."""
    a, b, c = http_server("a"), http_server("b"), http_server("c")
    weir = start_weir(text({"a": a, "b": b}))
    root = admin.browser(weir)
    removed = root.delete(f"{SERVERS}/b?now=1").headers.get("Weir-Journal")
    added = root.post(SERVERS, {"url": c.url, "id": "c"}).headers.get("Weir-Journal")
    weir.configure(text({"a": a, "c": c}))
    assert root.post("/api/v1/config/reload", None).status == 200
    refused = root.post(f"/api/v1/journal/{removed}/undo", None)
    assert refused.status == 409 and "add it with its URL" in refused.json["detail"]
    refused = root.post(f"/api/v1/journal/{added}/undo", None)
    assert refused.status == 409 and "remove it instead" in refused.json["detail"]
    weir.configure(text({"a": a, "b": b}))
    assert root.post("/api/v1/config/reload", None).status == 200
    assert root.post(f"/api/v1/journal/{removed}/undo", None).status == 200
    assert root.post(f"/api/v1/journal/{added}/undo", None).status == 200
    assert ids(root) == ["a", "b"]


def test_a_server_in_maintenance_is_removed_without_serving_again(start_weir, http_server):
    """Its sessions have gone elsewhere; they do not come back for the time of a drain."""
    a, b = http_server("a"), http_server("b")
    weir = start_weir(text({"a": a, "b": b}, 'sticky "cookie" {}'))
    root = admin.browser(weir)
    assert root.patch(f"{SERVERS}/b", {"state": "maintenance"}).status == 200
    leaving = root.delete(f"{SERVERS}/b")
    assert leaving.status == 202 and leaving.json["state"] == "maintenance"
    wait_for(lambda: ids(root) == ["a"], "the server to be removed")


def test_states_of_the_files(start_weir, http_server):
    """A server may begin in maintenance; what operators say of it comes before that."""
    a, b = http_server("a"), http_server("b")
    weir = start_weir(text({"a": a, "b": (b, 'state = "maintenance"')}))
    root = admin.browser(weir)
    shown = root.get(f"{SERVERS}/b").json
    assert shown["state"] == "maintenance" and shown["drift"] == []
    with weir.client() as client:
        assert all(client.get("/").status == 200 for _ in range(6))
    assert not b.served
    assert root.patch(f"{SERVERS}/b", {"state": "ready"}).json["drift"] == ["state"]
    with weir.client() as client:
        wait_for(lambda: client.get("/").status == 200 and b.served, "b to serve")


def test_unconfirmed_change_is_taken_back_after_a_restart(make_weir, http_server):
    weir = make_weir(workers=1)
    weir.configure(text({"a": http_server("a")}))
    weir.start()
    root = admin.browser(weir)
    changed = root.patch(f"{SERVERS}/a?confirm=3s", {"weight": 9})
    assert changed.status == 200 and changed.json["weight"] == 9
    entry = changed.headers.get("Weir-Journal")
    confirmed = root.patch(f"{SERVERS}/a?confirm=3s", {"max_connections": 50})
    number = confirmed.headers.get("Weir-Journal")
    assert root.post(f"/api/v1/journal/{number}/confirm", None).json["state"] == "done"
    weir.kill()
    weir.stopped = False
    weir.start()
    root = admin.browser(weir)
    assert root.get(f"{SERVERS}/a").json["weight"] == 9
    wait_for(lambda: root.get(f"{SERVERS}/a").json["weight"] == 1, "the change to be taken back")
    shown = root.get(f"{SERVERS}/a").json
    assert shown["max_connections"] == 50
    entries = {e["id"]: e for e in root.get("/api/v1/journal").json["entries"]}
    assert entries[int(entry)]["state"] == "expired"
    again = root.post(f"/api/v1/journal/{number}/confirm", None)
    assert again.status == 409


def test_changes_of_users_are_taken_back(make_weir, http_server):
    """Who was removed comes back as before, over a restart; passwords and tokens stand in no entry."""
    weir = make_weir(workers=1)
    weir.configure(text({"a": http_server("a")}))
    weir.start()
    root = admin.browser(weir)
    users = "/api/v1/users"

    def change(method, target, body=None):
        answer = root.call(method, target, body)
        assert answer.status in (200, 201, 204), answer.text
        return int(answer.headers.get("Weir-Journal")), answer.json

    def undo(number):
        return root.post(f"/api/v1/journal/{number}/undo", None)

    added, _ = change("POST", users, {"name": "ann", "role": "operator", "password": "long enough"})
    given, token = change("POST", f"{users}/ann/token", {})
    ann = admin.Browser(weir.address("admin"), token["token"])
    role, _ = change("PATCH", f"{users}/ann", {"role": "admin"})
    refused = undo(added)
    assert refused.status == 409 and f"entry {given} " in refused.json["detail"], refused.text
    assert undo(role).status == 200
    assert ann.post("/api/v1/explain", {"url": "http://x/"}).status == 200
    assert ann.post(f"/api/v1/journal/{role}/undo", None).status == 403  # an operator
    removed, _ = change("DELETE", f"{users}/ann")
    assert ann.get("/api/v1/status").status == 401
    weir.kill()
    weir.stopped = False
    weir.start()
    root, ann = admin.browser(weir), admin.Browser(weir.address("admin"), token["token"])
    assert undo(removed).status == 200
    assert ann.get("/api/v1/status").status == 200
    assert ann.log_in(name="ann", password="long enough").status == 200
    assert undo(given).status == 200
    assert ann.get("/api/v1/status").status == 401
    secret, _ = change("PATCH", f"{users}/ann", {"password": "another one"})
    assert "set a new one" in undo(secret).json["detail"]
    journal = root.get("/api/v1/journal").text
    assert "scrypt" not in journal and token["token"] not in journal
    # The role takes itself back, and so does somebody who was added.
    change("PATCH", f"{users}/ann?confirm=1s", {"role": "viewer"})
    change("POST", f"{users}?confirm=1s", {"name": "bob", "role": "viewer"})
    wait_for(lambda: [(u["name"], u["role"]) for u in root.get(users).json["entries"]] ==
             [("ann", "operator")], "both changes to be taken back")
    assert root.post(f"{users}/ann/token?confirm=1s", {}).status == 422
    assert root.post("/api/v1/config/reload?confirm=1s", None).status == 422


def test_stale_tags_are_refused(start_weir, http_server):
    weir = start_weir(text({"a": http_server("a")}))
    root = admin.browser(weir)
    tag = root.get(f"{SERVERS}/a").headers.get("ETag")
    first = root.call("PATCH", f"{SERVERS}/a", {"weight": 2}, [("If-Match", tag)])
    assert first.status == 200
    second = root.call("PATCH", f"{SERVERS}/a", {"weight": 3}, [("If-Match", tag)])
    assert second.status == 412
    assert second.headers.get("ETag") == first.headers.get("ETag")
    assert root.get(f"{SERVERS}/a").json["weight"] == 2


def test_one_address_is_one_server(start_weir, http_server):
    a = http_server("a")
    weir = start_weir(text({"a": a}))
    root = admin.browser(weir)
    for url in (a.url, a.url.upper().replace("HTTP", "http"), a.url + "/"):
        assert root.post(SERVERS, {"url": url, "id": "b"}).status == 409
    added = root.post(SERVERS, {"url": "http://LocalHost:9/"})
    assert added.json["id"] == "localhost-9" and added.json["url"] == "http://localhost:9"
    assert root.post(SERVERS, {"url": "http://localhost:9"}).status == 409


def test_explain(start_weir, http_server):
    a, b = http_server("a"), http_server("b")
    weir = start_weir(text({"a": a, "b": b}, 'sticky "cookie" {}'))
    root = admin.browser(weir)
    with weir.client() as client:
        response = client.get("/")
    cookie = response.headers.get("Set-Cookie").split(";")[0]
    home = "a" if a.served else "b"
    how = {"url": "http://www.example/x", "headers": {"Cookie": cookie}}
    told = root.post("/api/v1/explain", how).json
    assert told["pool"] == "web" and told["pick"] == home
    assert told["sticky"] == {"verdict": "known", "server": home}
    root.patch(f"{SERVERS}/{home}", {"state": "maintenance"})
    told = root.post("/api/v1/explain", how).json
    assert told["sticky"]["verdict"] == "lost" and told["pick"] != home
    reasons = {c["id"]: c["why"] for c in told["candidates"]}
    assert reasons[home] == "it is in maintenance"
    assert a.served + b.served == 1, "a dry run asked a server"
    assert root.post("/api/v1/explain", {"url": "/x"}).status == 422


def test_statistics_and_history(start_weir, http_server):
    a = http_server("a")
    weir = start_weir(text({"a": a}))
    root = admin.browser(weir)
    with weir.client() as client:
        for _ in range(20):
            client.get("/")

    def rates():
        return root.get("/api/v1/stats").json["pools"]["web"]["rate"] > 0

    wait_for(rates, "a rate")
    stats = root.get("/api/v1/stats").json
    assert stats["pools"]["web"]["requests"] == 20
    assert stats["pools"]["web"]["servers"]["a"]["health"] in ("up", "unknown")
    query = "series=total.rate,pool:web.p95,server:web/a.requests&seconds=60"
    wait_for(lambda: any(root.get(f"/api/v1/stats/history?{query}").json["series"]["total.rate"]),
             "the history to show it")
    history = root.get(f"/api/v1/stats/history?{query}").json
    assert history["step_ms"] == 1000
    assert {len(values) for values in history["series"].values()} == {60}
    assert sum(v or 0 for v in history["series"]["total.rate"]) == pytest.approx(20, abs=1)
    assert root.get("/api/v1/stats/history?series=pool:web&seconds=60").status == 422
    hour = root.get("/api/v1/stats/history?series=total.rate&seconds=3600").json
    assert hour["step_ms"] == 5000 and len(hour["series"]["total.rate"]) == 720


def test_secrets_are_not_shown(start_weir, http_server):
    weir = start_weir(text({"a": http_server("a")}))
    root = admin.browser(weir)
    for path in ("/api/v1/config", "/api/v1/config/export"):
        files = root.get(path).json["files"]
        assert any('pool "web"' in file["text"] for file in files)
    shown = root.get("/api/v1/users").text
    assert "sha256" not in shown and "scrypt" not in shown


def test_without_a_store_changes_are_made_and_told_as_not_kept(make_weir, http_server):
    weir = make_weir(workers=1)
    weir.configure(admin.one_pool({"a": http_server("a")}))
    weir.start()
    root = admin.browser(weir)
    store = root.get("/api/v1/status").json["store"]
    assert store["kind"] is None and store["state"] == "none" and "not kept" in store["detail"]
    assert root.patch(f"{SERVERS}/a", {"weight": 4}).json["weight"] == 4
    weir.stop()
    weir.stopped = False
    weir.start()
    assert admin.browser(weir).get(f"{SERVERS}/a").json["weight"] == 1
