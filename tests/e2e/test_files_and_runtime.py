# SPDX-License-Identifier: MIT
"""What was changed at run time and what the files say: exported it is theirs; a refused reload is seen; what is
taken back is what was meant; and the last server does not go by accident."""

import os
import pty
import re
import shutil
import subprocess

import pytest

from weirtest import admin, conf
from weirtest.wait import DEADLINE, wait_for
from weirtest.weir import run_weir
from weirtest.weirctl import weirctl, weirctl_path

SERVERS = "/api/v1/pools/web/servers"


def text(servers, extra="", **how):
    return (admin.one_pool(servers, **how) +
            'module "store_sqlite" {}\n' + extra)


def reload(root):
    answer = root.post("/api/v1/config/reload", None)
    assert answer.status == 200, answer.text
    return answer.json


def ids(root):
    return [server["id"] for server in root.get(SERVERS).json["entries"]]


def exported(root):
    """The main file of an export."""
    return root.get("/api/v1/config/export").json["files"][0]["text"]


def again(weir):
    """Stopped and started."""
    weir.stop()
    weir.stopped = False
    weir.start()
    return admin.browser(weir)


# ---- two names of one limit ----

def limit_of(root):
    shown = root.get(f"{SERVERS}/a").json
    assert shown["max_requests"] == shown["max_connections"]
    return shown["max_requests"], shown["drift"]


@pytest.mark.parametrize("name", ["max_requests", "max_connections",
                                  "max_requests = 7  max_connections"])
def test_the_limit_has_two_names(start_weir, http_server, name):
    a = http_server("a")
    weir = start_weir(text({"a": (a, f"{name} = 7")}), workers=1)
    root = admin.browser(weir)
    assert limit_of(root) == (7, [])
    assert root.patch(f"{SERVERS}/a", {"max_requests": 8}).status == 200
    assert limit_of(root) == (8, ["max_requests"])
    assert root.patch(f"{SERVERS}/a", {"max_requests": 9, "max_connections": 8}).status == 422
    assert root.patch(f"{SERVERS}/a", {"max_requests": 9, "max_connections": 9}).status == 200
    assert limit_of(root) == (9, ["max_requests"])
    assert root.patch(f"{SERVERS}/a", {"max_connections": 7}).status == 200
    assert limit_of(root) == (7, [])
    added = {"url": "http://127.0.0.1:9", "id": "b", "max_requests": 5}
    assert root.post(SERVERS, {**added, "max_connections": 4}).status == 422
    assert root.post(SERVERS, added).json["max_connections"] == 5


# ---- exported ----

@pytest.mark.parametrize("by", ["reload", "restart"])
def test_what_was_exported_is_the_files(make_weir, http_server, by):
    """The weight, a state, a server that was added and one that was removed; later edits of files rule."""
    a, b, c, d = (http_server(name) for name in "abcd")
    weir = make_weir(workers=1)
    weir.configure(text({"a": a, "b": b, "c": c}))
    weir.start()
    root = admin.browser(weir)
    root.patch(f"{SERVERS}/a", {"weight": 4, "max_connections": 9})
    root.patch(f"{SERVERS}/b", {"state": "maintenance"})
    root.delete(f"{SERVERS}/c?now=1")
    root.post(SERVERS, {"url": d.url, "id": "d", "weight": 2, "backup": True})
    weir.conf_path.write_text(exported(root), encoding="utf-8")
    if by == "reload":
        answer = reload(root)
        assert answer["contradictions"] == []
        assert sorted(answer["settled"]) == ["web/a", "web/b", "web/c", "web/d"]
    else:
        root = again(weir)
    assert reload(root)["settled"] == []
    shown = {s["id"]: s for s in root.get(SERVERS).json["entries"]}
    assert [(s["id"], s["origin"], s["drift"]) for s in shown.values()] == \
        [("a", "file", []), ("b", "file", []), ("d", "file", [])]
    # From now on the files rule.
    edited = weir.conf_path.read_text(encoding="utf-8").replace("weight = 4", "weight = 6") \
        .replace('state = "maintenance"', "").replace("  backup = on", "")
    edited = edited.replace('server "d"', f'server "c" {{ url = "{c.url}" }}\n  server "d"')
    weir.conf_path.write_text(edited, encoding="utf-8")
    assert reload(root)["contradictions"] == []
    shown = {s["id"]: (s["weight"], s["state"], s["backup"])
             for s in root.get(SERVERS).json["entries"]}
    assert shown == {"a": (6, "ready", False), "b": (1, "ready", False),
                     "c": (1, "ready", False), "d": (2, "ready", False)}
    root = again(weir)
    assert root.get(f"{SERVERS}/a").json["weight"] == 6


def test_undo_brings_back_what_was_whatever_the_files_say(start_weir, http_server):
    weir = start_weir(text({"a": http_server("a")}))
    root = admin.browser(weir)
    changed = root.patch(f"{SERVERS}/a", {"weight": 4}).headers.get("Weir-Journal")
    weir.conf_path.write_text(exported(root), encoding="utf-8")
    assert reload(root)["settled"] == ["web/a"]
    assert root.post(f"/api/v1/journal/{changed}/undo", None).status == 200
    shown = root.get(f"{SERVERS}/a").json
    assert (shown["weight"], shown["drift"]) == (1, ["weight"])


def test_undo_does_not_go_behind_the_files(start_weir, http_server):
    """What was exported is the files'; when they have changed it since, what an undo would bring back is not
    what was before it."""
    weir = start_weir(text({"a": http_server("a")}))
    root = admin.browser(weir)
    changed = root.patch(f"{SERVERS}/a", {"weight": 4}).headers.get("Weir-Journal")
    files = exported(root)
    weir.conf_path.write_text(files, encoding="utf-8")
    assert reload(root)["settled"] == ["web/a"]
    later = re.sub(r"weight( *)= 4", r"weight\1= 6", files)
    assert later != files
    weir.conf_path.write_text(later, encoding="utf-8")
    reload(root)
    refused = root.post(f"/api/v1/journal/{changed}/undo", None)
    assert refused.status == 409 and "the files have changed it since" in refused.json["detail"]
    assert root.get(f"{SERVERS}/a").json["weight"] == 6


def test_a_server_of_the_files_is_theirs_again_when_it_is_added_again(start_weir, http_server):
    a, b = http_server("a"), http_server("b")
    weir = start_weir(text({"a": a, "b": (b, "weight = 3")}))
    root = admin.browser(weir)
    assert root.delete(f"{SERVERS}/b?now=1").status == 204
    added = root.post(SERVERS, {"url": b.url, "id": "b", "weight": 3})
    assert added.status == 201 and added.json["origin"] == "file" and added.json["drift"] == []
    assert root.delete(f"{SERVERS}/b?now=1").status == 204
    added = root.post(SERVERS, {"url": b.url, "id": "b"})
    assert (added.json["weight"], added.json["drift"]) == (1, ["weight"])


def test_an_export_runs_in_another_folder(make_weir, http_server, certs, tmp_path):
    """Relative paths hold there: in settings, lists and includes."""
    weir = make_weir(workers=1)
    for name in ("one.crt", "one.key"):
        shutil.copy(certs.folder / name, weir.folder / name)
    (weir.folder / "conf.d").mkdir()
    (weir.folder / "parts").mkdir()
    (weir.folder / "parts" / "tls.conf").write_text(
        conf.listener('tls { certificate "one" { chain = "../one.crt"  key = "../one.key" } }',
                      "secure").replace("@secure@", str(weir.port("secure"))), encoding="utf-8")
    (weir.folder / "conf.d" / "10.conf").write_text(
        f'include "../parts/tls.conf"\nlistener "admin" {{ handler "admin" {{}}\n'
        f'  bind = {{ # of the control plane\n   "127.0.0.1:{weir.port("admin")}", '
        '"unix:../admin.sock" } }\n', encoding="utf-8")
    other = tmp_path / "shared.conf"
    other.write_text('module "rate_limit" {}\n', encoding="utf-8")
    weir.configure(f'include "{weir.folder}/parts/more.conf"\ninclude "../shared.conf"\n'
                   'module "admin" { web_dir = "" }\nmodule "store_sqlite" { path = "own.db" }\n' +
                   conf.one_pool({"a": http_server("a")}))
    (weir.folder / "parts" / "more.conf").write_text("# nothing\n", encoding="utf-8")
    weir.start()
    out = tmp_path / "deeper" / "out"
    out.parent.mkdir()
    done = weirctl("--socket", weir.folder / "admin.sock", "export", out)
    assert "shared.conf is not below" in done.stderr  # and is included where it is
    main = (out / "weir.conf").read_text(encoding="utf-8")
    assert 'include "parts/more.conf"' in main and f'include "{other}"' in main
    assert f'path = "{weir.folder}/own.db"' in main
    assert 'include "../parts/tls.conf"' in (out / "conf.d" / "10.conf").read_text(encoding="utf-8")
    weir.stop()
    checked = run_weir("-t", "-c", out / "weir.conf")
    assert checked.returncode == 0, checked.stderr
    # In its place it is as it was.
    assert weir.conf_path.read_text(encoding="utf-8").count("own.db") == 1


@pytest.mark.parametrize("gap", [" ", "\n"], ids=["one line", "lines"])
def test_blocks_of_one_line_are_told_apart(make_weir, http_server, certs, tmp_path, gap):
    """Each certificate's path, each pool's servers, each secret is its own block's."""
    weir = make_weir(workers=1)
    for name in ("localhost", "one"):
        shutil.copy(certs.folder / f"{name}.crt", weir.folder)
        shutil.copy(certs.folder / f"{name}.key", weir.folder)
    (weir.folder / "web").mkdir()
    for page in ("index", "login"):
        (weir.folder / "web" / f"{page}.html").write_text("<html></html>", encoding="utf-8")
    servers = gap.join(f'server "{name}" {{ url = "{http_server(name).url}" }}'
                       for name in ("a", "${WEIR_TEST_B:-b}"))
    weir.configure(gap.join([
        'module "store_sqlite" {}', 'module "balance_round_robin" {}',
        'module "route_path" { route "/" { pool = "web" } route "/2" { pool = "p2" } }',
        f'pool "web" {{ balance "round_robin" {{}} {servers} }}',
        f'pool "p2" {{ balance "round_robin" {{}} {servers} }}',
        'module "admin" { web_dir = "web" }',
        f'listener "admin" {{ bind = {{"127.0.0.1:{weir.port("admin")}"}} handler "admin" {{ web_dir = "web" }} }}',
        f'listener "main" {{ bind = {{"127.0.0.1:{weir.port()}",{gap}"unix:x.sock"}} tls {{',
        'certificate "a" { chain = "localhost.crt" key = "localhost.key" }',
        'certificate "b" { chain = "one.crt" key = "one.key" } } }']) + "\n")
    weir.start()
    root = admin.browser(weir)
    p2 = "/api/v1/pools/p2/servers"
    root.patch(f"{p2}/a", {"weight": 3})
    root.patch(f"{p2}/b", {"max_connections": 8, "state": "maintenance"})
    assert root.post(p2, {"url": http_server("new").url, "id": "new"}).status == 201
    assert root.delete(f"{SERVERS}/a?now=1").status == 204
    answer = root.get("/api/v1/config/export?elsewhere=1").json["files"]
    [text] = [file["text"] for file in answer if file["path"] == str(weir.conf_path)]
    for name in ("localhost.crt", "localhost.key", "one.crt", "one.key"):
        assert f'= "{weir.folder}/{name}"' in text, text
    assert text.count(f'web_dir = "{weir.folder}/web"') == 2 and f'"unix:{weir.folder}/x.sock"' in text
    before = root.get(p2).json["entries"]
    out = tmp_path / "out"
    out.mkdir()
    (out / "weir.conf").write_text(text, encoding="utf-8")
    assert run_weir("-t", "-c", out / "weir.conf").returncode == 0
    weir.conf_path.write_text(text, encoding="utf-8")
    assert sorted(reload(root)["settled"]) == ["p2/a", "p2/b", "p2/new", "web/a"]
    after = root.get(p2).json["entries"]
    assert [(s["id"], s["weight"], s["max_connections"], s["state"]) for s in after] == \
        [(s["id"], s["weight"], s["max_connections"], s["state"]) for s in before] == \
        [("a", 3, 0, "ready"), ("b", 1, 8, "maintenance"), ("new", 1, 0, "ready")]
    assert [s["id"] for s in root.get(SERVERS).json["entries"]] == ["b"]


def test_the_log_is_beside_the_file_that_names_it(make_weir, http_server):
    """Wherever Weir is started, and an export names it in full; the words stay words."""
    weir = make_weir(workers=1)
    parts = weir.folder / "parts"
    parts.mkdir()
    (parts / "log.conf").write_text('log_target = "rel.log"\n', encoding="utf-8")
    weir.configure('include "parts/log.conf"\n' + admin.one_pool({"a": http_server("a")}))
    weir.start(wait=False)
    log = parts / "rel.log"
    wait_for(lambda: log.exists() and "weir: ready" in log.read_text(encoding="utf-8"),
             "Weir is ready, in its log")
    root = admin.browser(weir)

    def exported_elsewhere():
        files = root.get("/api/v1/config/export?elsewhere=1").json["files"]
        return [file["text"] for file in files if file["path"] == str(parts / "log.conf")]

    assert exported_elsewhere() == [f'log_target = "{log}"\n']
    for word in ("stderr", "-"):
        (parts / "log.conf").write_text(f'log_target = "{word}"\n', encoding="utf-8")
        reload(root)
        assert exported_elsewhere() == [f'log_target = "{word}"\n']
    (parts / "log.conf").write_text('log_target = "journal"\n', encoding="utf-8")
    done = run_weir("-t", "-c", weir.conf_path)
    assert done.returncode == 0 or "cannot log to the journal" in done.stderr
    assert sorted(path.name for path in parts.iterdir()) == ["log.conf", "rel.log"]


# ---- a reload that is refused ----

def test_a_refused_reload_leaves_traces(start_weir, http_server):
    """By signal and by the API: status, event, journal, weirctl; and when all is well again."""
    weir = start_weir(text({"a": http_server("a")}, 'module "metrics_prometheus" {}\n' + conf.listener(
        'handler "metrics_prometheus" { }', "metrics")))
    root = admin.browser(weir)
    assert root.get("/api/v1/status").json["reload"] is None
    good = weir.conf_path.read_text(encoding="utf-8")

    def metrics():
        lines = weir.get("/metrics", name="metrics").text.splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if line.startswith("weir_config_"))

    assert metrics()["weir_config_last_reload_successful"] == "1"
    began = float(metrics()["weir_config_last_reload_success_timestamp_seconds"])
    with admin.events(weir) as events:
        weir.conf_path.write_text(good + 'pool "x" {}\nnonsense = 1\n', encoding="utf-8")
        weir.reload(good=False)
        _, told = events.until("reload")
        assert told["result"] == "refused" and told["author"] == "weir"
        assert told["mistake_count"] > 1 and "nonsense" in "".join(told["mistakes"])
        assert "weir.conf:" in told["detail"]
        wait_for(lambda: root.get("/api/v1/journal").json["entries"], "an entry of the journal")
        assert root.get("/api/v1/status").json["reload"] == told
        entry = root.get("/api/v1/journal").json["entries"][0]
        assert (entry["command"], entry["state"]) == ("config.reload", "refused")
        assert entry["after"]["detail"] == told["detail"]
        refused = root.post("/api/v1/config/reload", None)
        assert refused.status == 422 and refused.json["mistakes"] == told["mistakes"]
        _, told = events.until("reload")
        assert told["author"] == "admin.token"
        assert root.get("/api/v1/journal").json["entries"][0]["author"] == "admin.token"
        now = metrics()
        assert now["weir_config_last_reload_successful"] == "0"
        assert now['weir_config_reloads_total{result="refused"}'] == "2"
        assert float(now["weir_config_last_reload_success_timestamp_seconds"]) == began
        token = weir.state / "admin.token"
        where = ("--url", f"http://127.0.0.1:{weir.port('admin')}", "--token-file", token)
        shown = weirctl(*where, "status").stdout
        assert "last reload" in shown and "refused" in shown and told["detail"] in shown
        assert "refused" in weirctl(*where, "journal").stdout
    weir.conf_path.write_text(good, encoding="utf-8")
    weir.reload()
    told = root.get("/api/v1/status").json["reload"]
    assert (told["result"], told["detail"], told["mistakes"]) == ("done", None, [])
    assert metrics()["weir_config_last_reload_successful"] == "1"
    assert "last reload" not in weirctl(*where, "status").stdout
    number = entry["id"]
    assert root.post(f"/api/v1/journal/{number}/undo", None).status == 409


# ---- taken back ----

def test_the_last_change_that_can_be_taken_back(start_weir, http_server):
    weir = start_weir(text({"a": http_server("a"), "b": http_server("b")}))
    root = admin.browser(weir)
    assert root.post("/api/v1/journal/last/undo", None).status == 409
    first = root.patch(f"{SERVERS}/a", {"weight": 2}).headers.get("Weir-Journal")
    second = root.patch(f"{SERVERS}/b", {"weight": 4}).headers.get("Weir-Journal")
    root.post("/api/v1/users", {"name": "ann", "role": "viewer"})
    secret = root.patch("/api/v1/users/ann", {"password": "long enough"}) \
        .headers.get("Weir-Journal")
    reload(root)
    undone = root.post("/api/v1/journal/last/undo", None)
    assert undone.status == 200, undone.text
    # Adding ann cannot be undone before her password, which cannot be at all.
    assert undone.json["undone"]["id"] == int(second)
    assert undone.json["undone"]["command"] == "server.patch"
    assert undone.json["undone"]["state"] == "undone" and undone.json["undo_of"] == int(second)
    assert [one["command"] for one in undone.json["skipped"]] == \
        ["config.reload", "user.patch", "user.add"]
    assert f"entry {secret}" in undone.json["skipped"][2]["why"]
    undone = root.post("/api/v1/journal/last/undo", None).json
    assert undone["undone"]["id"] == int(first)
    assert {s["weight"] for s in root.get(SERVERS).json["entries"]} == {1}
    assert root.post("/api/v1/journal/last/undo", None).status == 409


def test_undo_names_what_was_undone(start_weir, http_server):
    weir = start_weir(text({"a": http_server("a")}))
    root = admin.browser(weir)
    where = ("--url", f"http://127.0.0.1:{weir.port('admin')}", "--token-file",
             weir.state / "admin.token")
    number = root.patch(f"{SERVERS}/a", {"weight": 4}).headers.get("Weir-Journal")
    said = weirctl(*where, "undo", number).stdout
    assert f"{number} (server.patch web/a: weight 1 -> 4)" in said, said
    root.patch(f"{SERVERS}/a", {"weight": 5})
    reload(root)
    said = weirctl(*where, "undo", "last").stdout
    assert "passed by" in said and "config.reload" in said
    assert "(server.patch web/a: weight 1 -> 5)" in said and "weirctl undo" in said, said


# ---- servers that leave ----

@pytest.mark.parametrize("how", ["id", "url", "both"])
def test_adding_one_that_leaves_lets_it_stay(start_weir, http_server, how):
    b = http_server("b")
    weir = start_weir(text({"a": http_server("a")}, pool_options='sticky "cookie" {}'))
    root = admin.browser(weir)
    assert root.post(SERVERS, {"url": b.url, "id": "b", "weight": 2}).status == 201
    assert root.delete(f"{SERVERS}/b").json["leaving"] is True
    body = {"url": b.url, "weight": 3, **({} if how == "url" else {"id": "b"})}
    if how == "id":  # another address: no, and it is said what can be done
        refused = root.post(SERVERS, {"url": "http://127.0.0.1:9", "id": "b"})
        assert refused.status == 409 and "make it ready" in refused.json["detail"]
    stays = root.post(SERVERS, body)
    assert stays.status == 201, stays.text
    shown = stays.json
    assert (shown["id"], shown["state"], shown["leaving"], shown["weight"]) == \
        ("b", "ready", False, 3)
    assert shown["drain_deadline"] is None
    # Taken back, it leaves again.
    number = stays.headers.get("Weir-Journal")
    assert root.post(f"/api/v1/journal/{number}/undo", None).status == 200
    shown = root.get(f"{SERVERS}/b").json
    assert (shown["state"], shown["leaving"], shown["weight"]) == ("drain", True, 2)
    assert shown["drain_deadline"]
    # One that does not leave is there already.
    again_ = root.post(SERVERS, {"url": "http://127.0.0.1:9", "id": "a"})
    assert again_.status == 409 and "make it ready" not in again_.json["detail"]


@pytest.mark.parametrize("other", [{"state": "maintenance"}, {"state": "drain"}, {"weight": 0}],
                         ids=["maintenance", "drain", "weight"])
def test_the_last_server_goes_only_when_that_is_said(start_weir, http_server, other):
    a, b = http_server("a"), http_server("b")
    weir = start_weir(text({"a": a, "b": b}))
    root = admin.browser(weir)
    assert root.patch(f"{SERVERS}/b", other).status == 200
    for query in ("", "?now=1"):
        refused = root.delete(f"{SERVERS}/a{query}")
        assert refused.status == 409 and refused.json["needs"] == "force", refused.text
        assert "force=1" in refused.json["detail"]
    assert root.delete(f"{SERVERS}/b?now=1").status == 204  # it serves nobody
    where = ("--url", f"http://127.0.0.1:{weir.port('admin')}", "--token-file",
             weir.state / "admin.token")
    done = weirctl(*where, "server", "remove", "web/a", "--now")
    assert done.returncode == 1 and "--force" in done.stderr and ids(root) == ["a"]
    assert weirctl(*where, "server", "remove", "web/a", "--now", "--force").returncode == 0
    assert ids(root) == []
    assert weir.get("/").status == 503


@pytest.mark.parametrize("answer, gone", [("n", False), ("y", True)])
def test_weirctl_asks_at_a_terminal(start_weir, http_server, answer, gone):
    weir = start_weir(text({"a": http_server("a")}))
    root = admin.browser(weir)
    main, side = pty.openpty()
    with subprocess.Popen(
            [weirctl_path(), "--url", f"http://127.0.0.1:{weir.port('admin')}", "--token-file",
             str(weir.state / "admin.token"), "server", "remove", "web/a", "--now"],
            stdin=side, stdout=subprocess.PIPE, stderr=side, text=True) as process:
        os.close(side)
        seen = ""
        while "[y/N]" not in seen:
            seen += os.read(main, 1000).decode()
        assert re.search(r"last server of the pool", seen)
        os.write(main, f"{answer}\n".encode())
        process.wait(DEADLINE)
        assert (process.returncode == 0) == gone
    os.close(main)
    assert ids(root) == ([] if gone else ["a"])
