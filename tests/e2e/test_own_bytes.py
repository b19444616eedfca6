# SPDX-License-Identifier: MIT
"""A head that never becomes whole: what is told of it, in the access log and in fields made from templates,
is its client's own, or nothing; never what the worker has read since from somebody else."""

import json

import pytest

from weirtest import conf
from weirtest.backend import Reply


SECRET = "not-for-your-eyes"
STOLEN = (SECRET + " ") * 2000

TARGET = "/mine" + "a" * 400
LINE = f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nX-Own: my own\r\n"

# What a client sends before it stalls; method and target that are known of it.
CUT = {
    "in-a-field": (LINE + "User-Agent: ", "GET", TARGET),
    "behind-an-empty-line": ("\r\n" + LINE + "User-Agent: me\r\n", "GET", TARGET),
    "in-the-version": (f"GET {TARGET} HTT", "GET", TARGET),
    "in-a-long-target": ("GET /mine" + "b" * 4000, "GET", ""),
    "in-the-method": ("GE", "", ""),
}
# What is refused as soon as it is read.
BAD = {
    "bad-field": (LINE + "Bad Field: x\r\n\r\n", "GET", TARGET),
    "no-field": (LINE + "no field\r\n", "GET", TARGET),
    "bad-target": ("GET /mine%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET", "/mine%zz"),
    "too-long": (LINE + "X: " + "y" * 70000, "GET", TARGET),
}

TOLD = ('response_set = {"X-Told: {method} {path} {query} {host} {header:User-Agent} {header:X-Own} '
        '{header:Referer} {header:Accept}"}')


@pytest.fixture
def stage(start_weir, http_server, certs):
    """One worker, with a template on all responses."""
    def handler(request):
        assert request.body is not None
        return Reply(STOLEN.encode(), headers=(("X-Theirs", STOLEN[:4000]),))

    def make(options="", tls=False):
        options += f'\ntls {{ {certs.block("localhost")} }}\n' if tls else "\n"
        options += f'filter "headers" {{ {TOLD} }}'
        weir = start_weir('module "headers" {}\n' +
                          conf.one_pool({"a": http_server(handler=handler)}, "", options), workers=1)
        weir.tls = certs.client() if tls else None
        return weir

    return make


def pass_by(weir):
    """Other clients' requests, and servers' bodies, on the same worker."""
    for _ in range(3):
        with weir.client(tls=weir.tls) as other:
            response = other.get(f"/{SECRET}/{'s' * 3000}",
                                 [("User-Agent", SECRET), ("Referer", STOLEN[:3000])],
                                 method="POST", body=STOLEN[:30000])
            assert response.status == 200


def judge(weir, response, reason, sent, method, target):
    """Everything that is told of the one request that was refused."""
    assert SECRET not in str(response.headers)
    assert SECRET.encode() not in response.body
    entry, = weir.access(1, match=lambda entry: entry["status"] != 200)
    assert SECRET not in json.dumps(entry)
    assert (entry["reason"], entry["method"], entry["target"]) == (reason, method, target)
    known = sent.split("\r\n")
    assert entry["user_agent"] in [""] + [line[12:] for line in known if "User-Agent: " in line]
    assert entry["referer"] == "" and entry["host"] in ("", "localhost")
    if method:
        assert method in response.headers.get("X-Told")
    if "X-Own: my own\r\n" in sent and method:
        assert "my own" in response.headers.get("X-Told")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", CUT)
def test_stalled_head(stage, name, tls):
    weir = stage("header_timeout = 1s", tls)
    sent, method, target = CUT[name]
    with weir.client(tls=weir.tls) as client:
        client.send(sent)
        pass_by(weir)
        response = client.response(method=method or "GET")
        assert response.status == 408
        judge(weir, response, "header_timeout", sent, method, target)


@pytest.mark.parametrize("name", CUT)
def test_head_that_ends(stage, name):
    weir = stage()
    sent, method, target = CUT[name]
    with weir.client(tls=weir.tls) as client:
        client.send(sent)
        pass_by(weir)
        client.half_close()
        response = client.response(method=method or "GET")
        assert response.status == 400
        judge(weir, response, "bad_request", sent, method, target)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", BAD)
def test_refused_head(stage, name, tls):
    """The other request is read in the same turn, before the refused one has ended."""
    weir = stage(tls=tls)
    sent, method, target = BAD[name]
    with weir.client(tls=weir.tls) as client, weir.client(tls=weir.tls) as other:
        assert client.get("/first").status == other.get("/first").status == 200
        with weir.standing_still():
            client.send(sent)
            other.request(target=f"/{SECRET}/{'s' * 3000}",
                          headers=[("User-Agent", SECRET), ("Referer", STOLEN[:3000])])
        assert other.response().status == 200
        response = client.response(method=method)
        assert response.status in (400, 431)
        judge(weir, response, "bad_request" if response.status == 400 else "too_large", sent,
              method, target)


def test_method_of_a_cut_head(stage):
    """HEAD is known, though the head is not: its answer has no body."""
    weir = stage("header_timeout = 500ms")
    with weir.client(tls=weir.tls) as client:
        client.send(f"HEAD {TARGET} HTTP/1.1\r\nHost: localhost\r\nX-Own: my own\r\nAccept: ")
        response = client.response(method="HEAD")
        assert response.status == 408 and int(response.headers.get("Content-Length")) > 0
        client.at_end()


@pytest.mark.parametrize("sent, protocol", [
    (b"GET /qq" + b"q" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", ""),
    (b"GET /i HTTP/3.0\r\nHost: x\r\n\r\n", ""),
    (b"GET /i HTTP/1.1\r\nBad Field: x\r\n\r\n", "HTTP/1.1"),
    (b"GET /i HTTP/1.0\r\nBad Field: x\r\n\r\n", "HTTP/1.0"),
])
def test_a_version_that_was_not_read_is_not_told(start_weir, http_server, sent, protocol):
    weir = start_weir(conf.one_pool({"a": http_server("a")}))
    with weir.client() as client:
        client.raw(sent)
    assert weir.access(1)[0]["protocol"] == protocol
