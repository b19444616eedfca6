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
