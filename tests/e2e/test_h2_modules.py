# SPDX-License-Identifier: MIT
"""Modules see no protocol: filters, stickiness and balancers do the same on each pairing of HTTP/1.1 and
HTTP/2."""

import zlib

import pytest
from test_h2_pairs import PAIRS, Pair
from weirtest import conf
from weirtest.backend import Reply

MODULES = "".join(f'module "{name}" {{}}\n' for name in ("headers", "rate_limit", "compress"))
TEXT = b"".join(b"line %d of a page that repeats itself\n" % number for number in range(4000))
HTML = ("Content-Type", "text/html")


class ModulesPair(Pair):
    """A pair with servers a and b that answer alike, and more modules."""

    def start(self, handler, pool_options="", listener_options="", balance="round_robin", **how):
        make = self._servers[self.up]
        if self.tls:
            how["tls"] = self.certs.server()
        servers = {name: make(name, handler, **how) for name in ("a", "b")}
        options = f'protocol = "{"h2" if self.up == 2 else "http/1.1"}"\n{pool_options}'
        listening = f"h2c = on\n{listener_options}"
        if self.tls:
            options += f'\ntls {{ ca = "{self.certs.ca}" }}'
            listening += f'\ntls {{ {self.certs.block("localhost")} }}'
        self.weir = self._start_weir(MODULES + conf.one_pool(servers, options, listening, balance))
        return self


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]}to{pair[1]}{'s' if pair[2] else ''}")
def pair(request, start_weir, http_server, h2_server, certs):
    return ModulesPair(*request.param, start_weir, {1: http_server, 2: h2_server}, certs)


def seen(request):
    """What the server got of a request's fields and path."""
    names = ("x-added", "x-protocol", "x-gone", "cookie", "te", "connection")
    fields = [f"{name}={request.headers.get(name)}" for name in names if request.headers.get(name)]
    return Reply(" ".join([request.target, *fields]).encode(),
                 headers=[("X-Secret", "yes"), ("X-Kept", "yes")])


def test_headers(pair):
    pair.start(seen, """filter "headers" { request_set = {"X-Added: {path}"}
        request_add = {"X-Protocol: {protocol}"}  request_remove = {"X-Gone"}
        response_remove = {"X-Secret"}  response_set = {"X-From: {server} by {protocol}"}
        strip_prefix = "/shop" }""")
    spoken = "HTTP/2" if pair.down == 2 else "HTTP/1.1"
    with pair.client() as client:
        response = client.get("/shop/items?n=1", [("X-Gone", "yes")])
        assert response.text.startswith("/items?n=1 x-added=/") and \
            response.text.endswith(f" x-protocol={spoken}")
        assert response.headers.get("x-secret") is None and response.headers.get("x-kept") == "yes"
        assert response.headers.get("x-from") == f"{response.server} by {spoken}"


def test_redirect(pair):
    pair.start(seen, listener_options=
               'filter "headers" { path = {"/old"}  redirect = "https://{host}/new{rest}{query}" }')
    with pair.client() as client:
        for _ in range(2):
            response = client.get("/old/page?n=1")
            assert response.status == 302
            assert response.headers.get("location") == "https://localhost/new/page?n=1"
        response = client.get("/old/upload", method="POST", body=b"x" * 50000)
        assert response.status == 302
    with pair.client() as client:
        assert client.get("/else").text == "/else"


def test_rate_limit(pair):
    pair.start(seen, listener_options='filter "rate_limit" { rate = 1  per = 1h  burst = 3 }')
    with pair.client() as client:
        statuses = [client.get("/").status for _ in range(3)]
        refused = client.get("/")
    assert statuses == [200] * 3 and refused.status == 429
    assert int(refused.headers.get("retry-after")) > 0


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_compress(pair, framing):
    """A body that is transformed: of known length and of none, to its last byte."""
    body = TEXT if framing == "length" else [TEXT[i:i + 7001] for i in range(0, len(TEXT), 7001)]
    pair.start(lambda request: Reply(body, headers=[HTML], framing=framing), 'filter "compress" {}')
    with pair.client() as client:
        plain = client.get("/")
        assert plain.body == TEXT and plain.headers.get("content-encoding") is None
        for _ in range(3):
            packed = client.get("/", [("Accept-Encoding", "gzip")])
            assert packed.headers.get("content-encoding") == "gzip"
            assert packed.headers.get("content-length") is None
            assert zlib.decompressobj(wbits=31).decompress(packed.body) == TEXT
            assert len(packed.body) < len(TEXT) / 4


def test_sticky(pair):
    """Users stay; crumbs of HTTP/2's cookies are one to who looks for a session."""
    pair.start(seen, 'sticky "cookie" { ttl = 1h }')
    servers = set()
    for _ in range(4):
        with pair.client() as client:
            first = client.get("/")
            session = first.headers.get("set-cookie").partition(";")[0]
            crumbs = [("Cookie", "a=1"), ("Cookie", session), ("Cookie", "b=2")] if pair.down == 2 \
                else [("Cookie", f"a=1; {session}; b=2")]
            for _ in range(5):
                again = client.get("/", crumbs)
                assert again.server == first.server
                assert f"cookie=a=1; {session}; b=2" in again.text or "cookie=a=1; b=2" in again.text
            servers.add(first.server)
    assert servers == {"a", "b"}


@pytest.mark.parametrize("balance", ["round_robin", "least_conn"])
def test_balancers(pair, balance):
    """Requests of one connection go to all servers."""
    pair.start(seen, balance=balance)
    with pair.client() as client:
        servers = [client.get("/").server for _ in range(20)]
    assert 8 <= servers.count("a") <= 12
