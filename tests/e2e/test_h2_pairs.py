# SPDX-License-Identifier: MIT
"""HTTP/1.1 and HTTP/2 on either side: each pairing passes the same tests."""

import hashlib
import threading

import pytest

from weirtest import conf, wire
from weirtest.backend import Reply
from weirtest.h2peer import H2Client
from weirtest.wait import DEADLINE, wait_for

PAIRS = [(down, up, tls) for down in (1, 2) for up in (1, 2) for tls in (False, True)]


class Pair:
    """A weir between a client's protocol and a server's."""

    def __init__(self, down, up, tls, start_weir, servers, certs):
        self.down, self.up, self.tls = down, up, tls
        self._start_weir, self._servers, self._certs = start_weir, servers, certs
        self.server = None
        self.weir = None

    def start(self, handler, pool_options="", listener_options="", **how):
        """A server with that handler, and the weir."""
        make = self._servers[self.up]
        if self.tls:
            how["tls"] = self._certs.server()
        self.server = make("a", handler, **how)
        options = f'protocol = "{"h2" if self.up == 2 else "http/1.1"}"\n{pool_options}'
        listening = f"h2c = on\n{listener_options}"
        if self.tls:
            options += f'\ntls {{ ca = "{self._certs.ca}" }}'
            listening += f'\ntls {{ {self._certs.block("localhost")} }}'
        self.weir = self._start_weir(conf.one_pool({"a": self.server}, options, listening))
        return self

    def client(self, **how):
        tls = self._certs.client() if self.tls else None
        if self.down == 2:
            return H2Client(self.weir.address(), tls=tls, **how)
        return self.weir.client(tls=tls, **how)


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]}to{pair[1]}{'s' if pair[2] else ''}")
def pair(request, start_weir, http_server, h2_server, certs):
    return Pair(*request.param, start_weir, {1: http_server, 2: h2_server}, certs)


def digest(data):
    return hashlib.md5(data).hexdigest()


def echo(request):
    return Reply(f"{digest(request.body)} {len(request.body)}".encode())


def test_bodies_both_ways(pair):
    large = bytes(range(256)) * 12000

    def handler(request):
        if request.method == "GET":
            size = int(request.target[1:])
            return Reply(large[:size]) if size % 2 == 0 else \
                Reply([large[:size]], framing="chunked")
        return echo(request)

    pair.start(handler)
    with pair.client() as client:
        for size in (0, 1, 2, 16383, 16384, 65535, 65536, 70001, 3000000, 3000001):
            response = client.get(f"/{size}")
            assert response.status == 200 and response.body == large[:size], size
        for size in (0, 1, 16384, 70000, 3000000):
            pieces = [piece for piece in (large[:size // 2], large[size // 2:size]) if piece]
            for body in (large[:size], pieces):
                response = client.get("/", method="POST", body=body)
                assert response.text == f"{digest(large[:size])} {size}"


def test_trailers_of_a_response(pair):
    pair.start(lambda request: Reply([b"body"], framing="chunked",
                                     trailers=(("X-Sum", "4"), ("X-Other", "yes"))))
    with pair.client() as client:
        response = client.get("/", [("TE", "trailers")])
        assert response.body == b"body"
        assert response.trailers.get("X-Sum") == "4" and response.trailers.get("X-Other") == "yes"


def test_trailers_of_a_request(pair):
    pair.start(lambda request: Reply(f"{request.body.decode()} "
                                     f"{request.trailers.get('X-Sum')}".encode()))
    with pair.client() as client:
        if pair.down == 2:
            response = client.get("/", method="POST", body=[b"ab", b"cd"],
                                  trailers=[("x-sum", "4")])
        else:
            response = client.raw("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked"
                                  "\r\n\r\n4\r\nabcd\r\n0\r\nX-Sum: 4\r\n\r\n")
        assert response.text == "abcd 4"


def test_heads_without_bodies(pair):
    def handler(request):
        status = int(request.target[1:])
        return Reply(b"x" * 1000 if status == 200 else b"", status=status,
                     headers=(("ETag", '"a"'),))

    pair.start(handler)
    with pair.client() as client:
        response = client.get("/200", method="HEAD")
        assert response.status == 200 and response.body == b""
        assert response.headers.get("Content-Length") == "1000"
        for status in (204, 304, 404, 500):
            response = client.get(f"/{status}")
            assert response.status == status and response.body == b""
        assert client.get("/200").body == b"x" * 1000


def test_interim_responses(pair):
    pair.start(lambda request: Reply(b"ok", interim=(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",) * 2))
    with pair.client() as client:
        response = client.get("/")
        assert response.status == 200 and response.body == b"ok"
        assert [one.status for one in response.interim] == [103, 103]
        assert response.interim[0].headers.get("Link") == "</a>"


def test_fields_pass(pair):
    pair.start(lambda request: Reply(b"ok", headers=(("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
                                                     ("X-Long", "v" * 7000))))
    with pair.client() as client:
        response = client.get("/a%20b?c=d&e", [("X-Mine", "1"), ("X-Mine", "2"), ("Cookie", "k=v"),
                                               ("TE", "trailers")])
        assert response.headers.all("Set-Cookie") == ["a=1", "b=2"]
        assert response.headers.get("X-Long") == "v" * 7000
    request = pair.server.requests[0]
    assert request.target == "/a%20b?c=d&e"
    assert request.headers.all("X-Mine") == ["1", "2"]
    assert request.headers.get("Cookie") == "k=v"
    assert request.headers.get("TE") == "trailers"
    assert request.headers.get("Host" if pair.up == 1 else ":authority") == "localhost"
    assert request.headers.get("Via").startswith("2.0" if pair.down == 2 else "1.1")
    if pair.up == 2:
        assert "Host" not in request.headers and "Connection" not in request.headers


def test_a_cut_response_never_ends_cleanly(pair):
    cut = threading.Event()

    def pieces():
        yield b"x" * 5000
        assert cut.wait(DEADLINE)
        raise ConnectionResetError

    pair.start(lambda request: Reply(pieces(), framing="chunked"))
    with pair.client() as client:
        if pair.down == 2:
            stream = client.ask()
            client.until(lambda: len(client.flows[stream].body) == 5000)
            cut.set()
            flow = client.finish(stream)
            assert not flow.ended and flow.reset is not None
        else:
            client.request()
            body = client.body(client.begin())
            assert len(next(body)) > 0
            cut.set()
            with pytest.raises((wire.Cut, OSError)):
                list(body)
    assert pair.weir.access(1)[0]["reason"] == "upstream_truncated"


def test_a_client_that_leaves_ends_the_servers_side(pair):
    """The server hears of it at once."""
    seen = threading.Event()

    def pieces():
        try:
            for _ in range(100000):
                yield b"x" * 10000
        finally:
            seen.set()

    pair.start(lambda request: Reply(pieces(), framing="chunked"))
    client = pair.client()
    if pair.down == 2:
        stream = client.ask()
        client.head_of(stream)
        client.reset_stream(stream)
    else:
        client.request()
        client.begin()
        client.reset()
    assert seen.wait(DEADLINE)
    if pair.down == 2:
        client.close()
    assert pair.weir.access(1)[0]["reason"] == "client_gone"


def test_many_requests_share_connections(pair):
    pair.start(lambda request: Reply(request.target.encode()))
    clients = [pair.client() for _ in range(4)]
    for _ in range(3):
        if pair.down == 2:
            streams = [(client, number, client.ask(target=f"/{number}"))
                       for number in range(30) for client in clients]
            for client, number, stream in streams:
                assert client.response(stream).text == f"/{number}"
        else:
            for number in range(10):
                for client in clients:
                    assert client.get(f"/{number}").text == f"/{number}"
    for client in clients:
        client.close()
    if pair.up == 2:
        assert pair.server.accepted <= 2 * pair.weir.workers


def test_an_early_answer(pair):
    """The server answers before it has read the request; the client gets it."""
    if pair.up == 2:
        pair.start(lambda request: Reply(b"no", status=403), early=True)
    else:
        def handler(request):
            request._body = b""
            return Reply(b"no", status=403, close=True)
        pair.start(handler)
    with pair.client() as client:
        if pair.down == 2:
            stream = client.ask("POST", end=False)
            client.write(stream, b"x" * 10)
            response = client.response(stream)
        else:
            client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nxxx")
            response = client.response()
        assert response.status == 403 and response.body == b"no"


def test_a_slow_reader_is_not_buffered_for(pair):
    """What it does not read, the server is not asked for."""
    sent = [0]

    def pieces():
        for _ in range(3000):
            sent[0] += 10000
            yield b"x" * 10000

    pair.start(lambda request: Reply(pieces(), framing="chunked") if request.target == "/large"
               else Reply(b"small"))
    client = pair.client(receive_buffer=8192, **({"take": False} if pair.down == 2 else {}))
    if pair.down == 2:
        stream = client.ask(target="/large")
        client.until(lambda: len(client.flows[stream].body) >= 60000)
        before = pair.weir.memory_kib()
        last = [-1]

        def still():
            moved, last[0] = sent[0] != last[0], sent[0]
            return not moved

        wait_for(lambda: still() or threading.Event().wait(0.3), "the server to stand still")
        assert client.get("/small", method="HEAD").status == 200  # others go on
        assert pair.weir.memory_kib() - before < 8192
        client.h2.increment_flow_control_window(1 << 30)
        client.h2.increment_flow_control_window(1 << 30, stream)
        client.take = True
        client.flush()
        assert len(client.response(stream).body) == 30000000
    else:
        client.request(target="/large")
        response = client.begin()
        total = sum(len(piece) for piece in client.body(response))
        assert total == 30000000
    client.close()
