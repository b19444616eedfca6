# SPDX-License-Identifier: MIT
"""The REST API as HTTP: methods, bodies, statuses, conditions, limits. What operations do is told in
test_control_*.py."""

import json
import pathlib
import subprocess

import pytest

from weirtest import admin, wire
from weirtest.load import Load
from weirtest.wait import wait_for

SERVERS = "/api/v1/pools/web/servers"


@pytest.fixture
def weir(start_weir, http_server):
    return start_weir(admin.one_pool({"a": http_server("a")}))


def assert_problem(response, status):
    assert response.status == status, (response.status, response.text)
    assert response.headers.get("Content-Type") == "application/problem+json"
    assert response.json["status"] == status and response.json["title"] and response.json["detail"]
    return response.json


@pytest.mark.parametrize("target", [
    "/api/v1/pools/%ff", "/api/v1/pools/web/servers/%c3", "/api/v1/users/%ed%a0%80",
    "/api/v1/%ff", "/api/%ff%fe", "/%ff",
    "/api/v1/stats/history?series=%ff",
    "/api/v1/pools/" + "%c3%bc" * 40,
])
def test_answers_are_utf8(weir, target):
    """RFC 8259 section 8.1, whatever bytes the request brought, and wherever a message cut them."""
    response = admin.browser(weir).get(target)
    assert response.status in (400, 404, 405, 422)
    response.body.decode("utf-8")
    assert response.headers.get("Content-Type") != "application/problem+json" or \
        json.loads(response.body)["detail"]


@pytest.mark.parametrize("method, target, body, status", [
    ("GET", "/api/v1/pools/nothing", None, 404),
    ("GET", "/api/v1/pools/web/servers/nothing", None, 404),
    ("GET", "/api/v1/nothing", None, 404),
    ("GET", "/api/v2/pools", None, 404),
    ("GET", "/api", None, 404),
    ("POST", "/api/v1/pools/nothing/servers", {"url": "http://127.0.0.1:2"}, 404),
    ("POST", SERVERS, {"url": "http://127.0.0.1:2", "id": "a"}, 409),
    ("POST", SERVERS, {"url": "127.0.0.1:2"}, 422),
    ("POST", SERVERS, {"url": "ftp://127.0.0.1:2"}, 422),
    ("POST", SERVERS, {"url": "http://127.0.0.1:99999"}, 422),
    ("POST", SERVERS, {"url": "http://127.0.0.1:2", "weight": 1001}, 422),
    ("POST", SERVERS, {"url": "http://127.0.0.1:2", "weight": "3"}, 422),
    ("POST", SERVERS, {"url": "http://127.0.0.1:2", "wait": 3}, 422),
    ("POST", SERVERS, {}, 422),
    ("POST", SERVERS, [], 422),
    ("POST", SERVERS, b"", 422),
    ("POST", SERVERS, b"{", 400),
    ("POST", SERVERS, b"[" * 10000, 400),
    ("POST", SERVERS, b'{"url": "\xff"}', 400),
    ("POST", SERVERS, b'{"url": "http://127.0.0.1:2\\u0000/"}', 422),
    ("POST", SERVERS, b'{"url": "http://127.0.0.1:2\n"}', 400),
    ("POST", SERVERS, b" " * 65537, 413),
    ("PATCH", "/api/v1/users/nobody", {}, 404),
    ("POST", "/api/v1/users", {"name": "weir", "role": "admin"}, 422),
    ("PATCH", f"{SERVERS}/a", {"weight": -1}, 422),
    ("PATCH", f"{SERVERS}/a", {"state": "asleep"}, 422),
    ("PUT", f"{SERVERS}/a", {"weight": 1}, 405),
    ("POST", "/api/v1/pools", {}, 405),
    ("DELETE", "/api/v1/status", None, 405),
    ("POST", "/api/v1/events", {}, 405),
    ("POST", "/api/v1/journal/999999/undo", None, 404),
])
def test_bad_input(weir, method, target, body, status):
    root = admin.browser(weir)
    before = root.get(SERVERS).json
    response = root.call(method, target, body)
    assert_problem(response, status)
    if status == 405:
        allowed = response.headers.get("Allow").split(", ")
        assert method not in allowed and ("GET" in allowed) == ("HEAD" in allowed or
                                                                "events" in target)
    after = root.get(SERVERS).json
    keys = ("id", "url", "weight", "state", "max_connections")
    assert [[entry[key] for key in keys] for entry in after["entries"]] == \
        [[entry[key] for key in keys] for entry in before["entries"]]
    assert root.get("/api/v1/journal").json["entries"] == []


def test_bodies_are_json(weir):
    root = admin.browser(weir)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
        response = root.call("POST", SERVERS, '{"url": "http://127.0.0.1:2"}',
                             [("Content-Type", kind)])
        assert_problem(response, 415)
    made = root.call("POST", SERVERS, '{"url": "http://127.0.0.1:2"}',
                     [("Content-Type", "Application/JSON; charset=utf-8")])
    assert made.status == 201


def test_a_large_body_is_refused_before_it_comes(weir):
    with weir.client("admin") as client:
        client.send((f"POST {SERVERS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     f"Authorization: Bearer {admin.token(weir)}\r\nContent-Length: 1000000\r\n"
                     "Expect: 100-continue\r\n\r\n").encode())
        response = client.response()
        assert response.status == 413 and response.interim == []
    pieces = [b" " * 8192] * 20
    response = admin.browser(weir).call("POST", SERVERS)
    with weir.client("admin") as client:
        client.send((f"POST {SERVERS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     f"Authorization: Bearer {admin.token(weir)}\r\nTransfer-Encoding: chunked\r\n"
                     "\r\n").encode())
        for piece in pieces[:9]:
            client.send(wire.encode_chunk(piece))
        assert client.response().status == 413


def test_add_change_and_remove(weir, http_server):
    root = admin.browser(weir)
    b = http_server("b")
    made = root.call("POST", SERVERS, {"url": b.url, "id": "b", "weight": 2})
    assert made.status == 201, made.text
    assert made.headers.get("Location") == f"{SERVERS}/b"
    assert int(made.headers.get("Weir-Journal")) > 0
    assert made.json["id"] == "b" and made.json["origin"] == "runtime"
    wait_for(lambda: weir.get("/").server == "b", "a request at the new server")
    shown = root.get(f"{SERVERS}/b")
    etag = shown.headers.get("ETag")
    assert etag
    changed = root.call("PATCH", f"{SERVERS}/b", {"weight": 3}, [("If-Match", etag)])
    assert changed.status == 200 and changed.headers.get("ETag") != etag
    assert_problem(root.call("PATCH", f"{SERVERS}/b", {"weight": 4}, [("If-Match", etag)]), 412)
    assert root.get(f"{SERVERS}/b").json["weight"] == 3
    removed = root.call("DELETE", f"{SERVERS}/b?now=1")
    assert removed.status == 204 and removed.body == b""
    assert_problem(root.get(f"{SERVERS}/b"), 404)
    authors = {entry["author"] for entry in root.get("/api/v1/journal").json["entries"]}
    assert len(authors) == 1


def test_heads_and_connections(weir):
    root = admin.browser(weir)
    head = root.call("HEAD", "/api/v1/status")
    assert head.status == 200 and head.body == b"" and int(head.headers.get("Content-Length")) > 2
    with weir.client("admin") as client:
        for _ in range(3):
            response = client.get("/api/v1/pools", [("Authorization",
                                                     f"Bearer {admin.token(weir)}")])
            assert response.status == 200 and json.loads(response.body)["entries"]
            assert client.get("/api/v1/pools").status == 401
        old = client.get("/api/v1/pools", [("Authorization", f"Bearer {admin.token(weir)}")],
                         version="1.0")
        assert old.status == 200


def test_callers_are_limited(start_weir):
    weir = start_weir(admin.one_pool({"a": "http://127.0.0.1:1"}, admin_options="request_limit = 3"))
    root = admin.browser(weir)
    statuses = [root.get("/api/v1/status").status for _ in range(20)]
    assert statuses[:6] == [200] * 6 and 429 in statuses
    response = admin.browser(weir, False).get("/api/v1/status")
    assert response.status == 401  # another caller has a bucket of its own
    wait_for(lambda: root.get("/api/v1/status").status == 200, "the next request to be heard")


def test_openapi(weir):
    root = admin.browser(weir)
    document = root.get("/openapi.json")
    assert document.status == 200 and document.json["openapi"].startswith("3.1")
    assert root.get("/api/v1/openapi.json").json == document.json
    assert root.call("POST", "/openapi.json", {}).status == 405
    names = []
    for path, item in document.json["paths"].items():
        for method, operation in item.items():
            names.append(operation["operationId"])
            assert operation["summary"] and operation["responses"]["default"], (path, method)
            if method == "get" and "{" not in path and path != "/api/v1/events":
                assert root.get(path).status in (200, 422), path
    assert len(set(names)) == len(names)
    paths = document.json["paths"]
    assert set(paths["/api/v1/session"]) == {"get", "post", "delete"}
    assert {"/api/v1/events", "/openapi.json", "/api/v1/pools"} <= set(paths)


METHODS = ("GET", "POST", "PATCH", "DELETE", "PUT")


def test_openapi_describes_what_is_served(weir):
    """Both ways: what is described is served, and a method that is not is refused, with those that are."""
    root = admin.browser(weir)
    for path, item in root.get("/openapi.json").json["paths"].items():
        described = {method.upper() for method in item}
        target = path.replace("{pool}", "nothing").replace("{server}", "nothing") \
            .replace("{name}", "nobody").replace("{id}", "999999")
        for method in METHODS:
            if path == "/api/v1/events" and method == "GET":
                continue  # a stream; test_admin_events.py
            if path == "/api/v1/admin-token" and method in described:
                continue  # it would end what this test comes in by; test_admin_login.py
            body = None if method in ("GET", "DELETE") else {"no such member": 1}
            response = root.call(method, target, body)
            if method in described:
                assert response.status not in (405, 501), (method, path)
                if response.status == 404:
                    assert "nothing at this path" not in response.json["detail"], (method, path)
            else:
                assert_problem(response, 405)
                allowed = {word.strip() for word in response.headers.get("Allow").split(",")}
                assert allowed - {"HEAD"} == described, (method, path)


def test_traffic_goes_on_while_the_api_is_busy(weir):
    root = admin.browser(weir)
    with Load(weir.client, threads=2) as load:
        for weight in range(1, 30):
            assert root.call("PATCH", f"{SERVERS}/a", {"weight": weight}).status in (200, 429)
        load.wait_requests(100)
    load.assert_clean()


def test_reference_is_what_is_served(weir):
    """docs/API.md is made by tools/api_reference, and is up to date."""
    root = pathlib.Path(__file__).resolve().parents[2]
    document = admin.browser(weir).get("/openapi.json").text
    made = subprocess.run([root / "tools" / "api_reference"], input=document, text=True,
                          capture_output=True, check=True).stdout
    assert made == (root / "docs" / "API.md").read_text(encoding="utf-8"), \
        "make it again: the first lines of tools/api_reference say how"
