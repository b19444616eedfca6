# SPDX-License-Identifier: MIT
"""Server-sent events: what is told, who missed what, who is too slow, and how streams end."""

import pytest

from weirtest import admin
from weirtest.wait import wait_for

SERVERS = "/api/v1/pools/web/servers"


@pytest.fixture
def weir(start_weir, http_server):
    return start_weir(admin.one_pool({"a": http_server("a")}))


def change(weir, weight):
    response = admin.browser(weir).call("PATCH", f"{SERVERS}/a", {"weight": weight})
    assert response.status == 200, response.text
    return int(response.headers.get("Weir-Journal"))


def test_statistics_and_changes(weir):
    with admin.events(weir) as events:
        assert events.response.headers.get("Content-Type") == "text/event-stream"
        assert events.response.headers.get("Cache-Control") == "no-store"
        for _ in range(3):
            weir.get("/")
        number, _ = events.until("statistics",
                                 lambda data: data["pools"]["web"]["requests"] >= 3)
        assert number is None
        journal = change(weir, 5)
        number, data = events.until("change")
        assert number > 0 and data["id"] == journal and data["after"]["weight"] == 5


def test_who_comes_back_hears_what_it_missed(weir):
    with admin.events(weir) as events:
        change(weir, 2)
        last, _ = events.until("change")
    missed = [change(weir, weight) for weight in (3, 4, 5)]
    with admin.events(weir, last) as events:
        heard = [events.until("change") for _ in missed]
        assert [data["id"] for _, data in heard] == missed
        numbers = [number for number, _ in heard]
        assert numbers == sorted(numbers) and numbers[0] > last
    with admin.events(weir) as events:
        latest = change(weir, 6)
        assert events.until("change")[1]["id"] == latest


def test_many_clients_hear_the_same(weir):
    streams = [admin.events(weir) for _ in range(30)]
    for stream in streams:
        stream.until("statistics")
    journal = change(weir, 9)
    for stream in streams:
        assert stream.until("change")[1]["id"] == journal
        stream.client.close()
    files = weir.descriptors()
    with admin.events(weir) as events:
        events.until("statistics")
    wait_for(lambda: weir.descriptors() <= files, "descriptors to be given back")


def test_number_of_clients_is_limited(start_weir):
    weir = start_weir(admin.one_pool({"a": "http://127.0.0.1:1"}, admin_options="event_clients = 2"))
    first, second = admin.events(weir), admin.events(weir)
    root = admin.browser(weir)
    refused = root.get("/api/v1/events")
    assert refused.status == 503 and refused.headers.get("Retry-After")
    first.client.close()
    wait_for(lambda: admin.events(weir).response.status == 200, "room for another")
    second.client.close()


def test_streams_end_at_a_reload_and_nothing_is_missed(weir):
    with admin.events(weir) as events:
        change(weir, 2)
        last, _ = events.until("change")
        weir.reload()
        assert list(kind for _, kind, _ in events) is not None
        with admin.events(weir, last) as again:
            _, data = again.until("reload")
            assert data["generation"] == 2


def test_streams_do_not_hold_up_the_end(weir):
    with admin.events(weir) as events:
        events.until("statistics")
        weir.stop()
        for _ in events:
            pass


def test_streams_end_with_the_session(weir):
    somebody = admin.browser(weir, False)
    assert somebody.log_in(token=admin.token(weir)).status == 200
    with admin.events(weir, fields=[("Cookie", somebody.cookie)]) as events:
        events.until("statistics")
        assert somebody.call("DELETE", "/api/v1/session").status == 204
        for _ in events:
            pass
    assert somebody.get("/api/v1/events").status == 401


def ends_without(stream, journal):
    """The stream ends, and does not tell of the change that ended it."""
    for _, kind, data in stream:
        assert kind != "change" or data["id"] != journal


def log_in(weir, **how):
    somebody = admin.browser(weir, False)
    assert somebody.log_in(**how).status == 200
    return somebody


def by_token(weir, token):
    return admin.events(weir, fields=[("Authorization", f"Bearer {token}")])


def by_session(weir, somebody):
    return admin.events(weir, fields=[("Cookie", somebody.cookie)])


def add_user(weir, name):
    """A user; and a token of his, and its name."""
    root = admin.browser(weir)
    made = root.post("/api/v1/users", {"name": name, "role": "viewer", "password": "long enough"})
    assert made.status == 201, made.text
    token = root.post(f"/api/v1/users/{name}/token", {}).json
    return token["token"], token["id"]


def end_authority(weir, how, token_id):
    root, ann = admin.browser(weir), "/api/v1/users/ann"
    response = {"removed": lambda: root.delete(ann),
                "password": lambda: root.patch(ann, {"password": "another one"}),
                "revoked": lambda: root.delete(f"{ann}/tokens/{token_id}")}[how]()
    assert response.status in (200, 204), response.text
    return int(response.headers.get("Weir-Journal"))


@pytest.mark.parametrize("how, what_ends", [
    ("removed", {"token", "its session", "password"}),
    ("password", {"token", "its session", "password"}),
    ("revoked", {"token", "its session"}),
])
def test_streams_end_with_the_authority_of_who_listens(weir, how, what_ends):
    token, token_id = add_user(weir, "ann")
    eve, _ = add_user(weir, "eve")
    streams = {
        "token": by_token(weir, token),
        "its session": by_session(weir, log_in(weir, token=token)),
        "password": by_session(weir, log_in(weir, name="ann", password="long enough")),
        "eve": by_token(weir, eve),
        "eve's session": by_session(weir, log_in(weir, token=eve)),
        "root": admin.events(weir),
    }
    for stream in streams.values():
        stream.until("statistics")
    journal = end_authority(weir, how, token_id)
    for name, stream in streams.items():
        if name in what_ends:
            ends_without(stream, journal)
        else:
            stream.until("change", lambda data: data["id"] == journal)
            stream.until("statistics")
        stream.client.close()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_streams_end_with_the_administrators_token(start_weir, tmp_path, method):
    socket = tmp_path / "admin.sock"
    weir = start_weir(admin.one_pool({"a": "http://127.0.0.1:1"},
                                     bind=f'"127.0.0.1:@admin@", "unix:{socket}"'))
    eve, _ = add_user(weir, "eve")
    mine = [admin.events(weir), by_session(weir, log_in(weir, token=admin.token(weir)))]
    others = [by_token(weir, eve), admin.Events(str(socket), [])]
    for stream in mine + others:
        stream.until("statistics")
    response = admin.browser(weir).call(method, "/api/v1/admin-token")
    assert response.status in (201, 204)
    journal = int(response.headers.get("Weir-Journal"))
    for stream in mine:
        ends_without(stream, journal)
    for stream in others:
        stream.until("change", lambda data: data["id"] == journal)
        stream.until("statistics")
        stream.client.close()


def test_streams_and_sessions_end_when_their_token_runs_out(weir):
    add_user(weir, "ann")
    made = admin.browser(weir).post("/api/v1/users/ann/token", {"ttl": "4s"})
    somebody = log_in(weir, token=made.json["token"])
    for stream in by_token(weir, made.json["token"]), by_session(weir, somebody):
        ends_without(stream, None)
    assert somebody.get("/api/v1/session").status == 401


def test_slow_clients_hold_little(weir):
    memory = weir.memory_kib()
    slow = [admin.events(weir, receive_buffer=4096) for _ in range(20)]
    with admin.events(weir) as events:
        for weight in range(1, 60):
            change(weir, weight)
        for _ in range(59):
            events.until("change")
    assert weir.memory_kib() - memory < 40 * 1024
    for stream in slow:
        stream.client.close()
