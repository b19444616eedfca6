# SPDX-License-Identifier: MIT
"""HTTP/1.1 and HTTP/2 on either side: each pairing passes the same tests."""

import hashlib
import signal
import threading

import pytest

from weirtest import conf, wire
from weirtest.backend import Reply
from weirtest.h2peer import Codes, H2Client, RawClient, ResetStream
from weirtest.wait import DEADLINE, wait_for

PAIRS = [(down, up, tls) for down in (1, 2) for up in (1, 2) for tls in (False, True)]


class Pair:
    """A weir between a client's protocol and a server's."""

    def __init__(self, down, up, tls, start_weir, servers, certs):
        self.down, self.up, self.tls = down, up, tls
        self._start_weir, self._servers, self.certs = start_weir, servers, certs
        self.server = self.second = None
        self.weir = None
        self.config = None
        self._clients = []

    def start(self, handler, pool_options="", listener_options="", second=None, **how):
        """A server with that handler, maybe a second one, and the weir."""
        servers = {}
        for name, handles in (("a", handler), ("b", second)):
            if handles is not None:
                tls = {"tls": self.certs.server()} if self.tls else {}
                servers[name] = self._servers[self.up](name, handles, **tls, **how)
        self.server, self.second = servers["a"], servers.get("b")
        options = f'protocol = "{"h2" if self.up == 2 else "http/1.1"}"\n{pool_options}'
        listening = f"h2c = on\n{listener_options}"
        if self.tls:
            options += f'\ntls {{ ca = "{self.certs.ca}" }}'
            listening += f'\ntls {{ {self.certs.block("localhost")} }}'
        self.config = conf.one_pool(servers, options, listening)
        self.weir = self._start_weir(self.config)
        return self

    def client(self, **how):
        tls = self.certs.client() if self.tls else None
        if self.down == 2:
            return H2Client(self.weir.address(), tls=tls, **how)
        return self.weir.client(tls=tls, **how)

    def ask(self, targets, client=None):
        """Requests at once, on one connection of HTTP/2, or each on its own of HTTP/1.1. Returns the
        connections, and for each request what waits for its response."""
        if self.down == 2:
            client = client or self.client()
            self._clients.append(client)
            streams = [client.request(target=target) for target in targets]
            return [client], [lambda stream=stream: client.response(stream) for stream in streams]
        clients = [self.client() for _ in targets]
        self._clients += clients
        for one, target in zip(clients, targets):
            one.request(target=target)
        return clients, [one.response for one in clients]

    def close(self):
        for client in self._clients:
            client.close()

    def cut(self):
        """What a handler raises to end its answer: the stream, or the connection."""
        return ResetStream() if self.up == 2 else ConnectionResetError()


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]}to{pair[1]}{'s' if pair[2] else ''}")
def pair(request, start_weir, http_server, h2_server, certs):
    made = Pair(*request.param, start_weir, {1: http_server, 2: h2_server}, certs)
    yield made
    made.close()


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


def test_a_slow_reader_stalls_no_other(pair):
    """Requests on the same connections go on."""
    def handler(request):
        if request.target == "/small":
            return b"small"
        return Reply((b"x" * 10000 for _ in range(3000)), framing="chunked")

    pair.start(handler)
    slow = pair.client(receive_buffer=8192, **({"take": False} if pair.down == 2 else {}))
    if pair.down == 2:
        stream = slow.ask(target="/large")
        slow.until(lambda: len(slow.flows[stream].body) > 60000)
        slow.h2.increment_flow_control_window(1 << 20)  # the connection's, which is not the stream's
        slow.flush()
    else:
        slow.request(target="/large")
        slow.begin()
    for _ in range(3):
        _, answers = pair.ask(["/small"] * 20, slow if pair.down == 2 else None)
        assert [answer().body for answer in answers] == [b"small"] * 20
    if pair.down == 1:
        slow.reset()


def test_a_reset_before_the_answer(pair):
    """Is 502 where a request may not be repeated; the client's connection and other requests go on."""
    def handler(request):
        if request.method == "POST":
            raise pair.cut()
        return b"ok"

    pair.start(handler)
    with pair.client() as client:
        assert client.get("/", method="POST", body=b"x").status == 502
        assert client.get("/").body == b"ok"
    assert pair.weir.access(2)[0]["reason"] == "upstream_reset"


def test_a_reset_within_the_answer(pair):
    """Is one for the client: INTERNAL_ERROR on its stream, while others go on, or the connection's end."""
    cut = threading.Event()

    def pieces():
        yield b"x" * 5000
        assert cut.wait(DEADLINE)
        raise pair.cut()

    pair.start(lambda request: Reply(pieces(), framing="chunked") if request.target == "/cut" else b"ok")
    with pair.client() as client:
        if pair.down == 2:
            stream = client.ask(target="/cut")
            client.until(lambda: len(client.flows[stream].body) == 5000)
            cut.set()
            flow = client.finish(stream)
            assert not flow.ended and flow.reset == Codes.INTERNAL_ERROR
            assert client.get("/").body == b"ok"
        else:
            client.request(target="/cut")
            body = client.body(client.begin())
            assert len(next(body)) > 0
            cut.set()
            with pytest.raises((wire.Cut, OSError)):
                list(body)


def test_less_than_announced_never_ends_cleanly(pair):
    pair.start(lambda request: Reply([b"12345"], length=10, close=True))
    with pair.client() as client:
        try:
            assert client.get("/").status == 502
        except (wire.Cut, OSError):
            pass
    assert pair.weir.access(1)[0]["reason"] in ("upstream_truncated", "upstream_malformed")


def test_a_client_that_leaves_within_its_request(pair):
    """The server's side ends at once, and not as if the request were whole."""
    begun, cut = threading.Event(), threading.Event()

    def handler(request):
        if pair.up == 2:
            begun.set()
            return None
        next(request.pieces)
        begun.set()
        try:
            list(request.pieces)
        except (wire.Cut, OSError):
            cut.set()
            raise
        return b"whole"

    pair.start(handler, **({"early": True} if pair.up == 2 else {}))
    client = pair.client()
    if pair.down == 2:
        stream = client.ask("POST", end=False)
        client.write(stream, b"x" * 10000)
        assert begun.wait(DEADLINE)
        client.reset_stream(stream)
    else:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 10000)
        assert begun.wait(DEADLINE)
        client.reset()
    if pair.up == 2:
        wait_for(lambda: pair.server.resets == [Codes.CANCEL], "the server's stream to end")
    else:
        assert cut.wait(DEADLINE)
    if pair.down == 2:
        client.close()
    assert pair.weir.access(1)[0]["reason"] == "client_gone"


def test_what_a_server_refuses_goes_elsewhere(pair):
    """REFUSED_STREAM, or a connection that ends without an answer."""
    def refuse(request):
        raise ResetStream(Codes.REFUSED_STREAM) if pair.up == 2 else ConnectionResetError

    pair.start(refuse, second=lambda request: b"ok")
    with pair.client() as client:
        for _ in range(4):
            assert client.get("/").body == b"ok"
    assert len(pair.server.requests) > 0
    assert sum(line["retries"] for line in pair.weir.access(4)) == len(pair.server.requests)


def test_a_server_that_leaves_loses_no_request(pair):
    """GOAWAY behind every third answer, or `Connection: close`."""
    counter = iter(range(1, 1000))
    pair.start(lambda request: Reply(b"ok", close=next(counter) % 3 == 0), "retries = 10\nretry_budget = 100%")
    for _ in range(5):
        _, answers = pair.ask(["/"] * 8)
        assert [answer().body for answer in answers] == [b"ok"] * 8
    assert pair.server.accepted > 1


@pytest.mark.parametrize("how", ["SIGTERM", "listener"])
def test_what_runs_ends_well_when_weir_or_the_listener_goes(pair, how):
    held = threading.Event()

    def handler(request):
        assert held.wait(DEADLINE)
        return Reply(b"x" * 100000)

    pair.start(handler, listener_options="lame_duck = 100ms")
    tls = pair.certs.client() if pair.tls else None
    clients = [RawClient(pair.weir.address(), tls=tls) if pair.down == 2 else pair.client()
               for _ in range(3)]
    for client in clients:
        if pair.down == 2:
            client.head(1, [(":method", "GET"), (":scheme", "https" if pair.tls else "http"),
                            (":path", "/"), (":authority", "localhost")])
            client.update(1, 1 << 20)
            client.update(0, 1 << 20)
        else:
            client.request()
    wait_for(lambda: pair.server.requests, "a request at the server")
    if how == "SIGTERM":
        pair.weir.signal(signal.SIGTERM)
        pair.weir.wait_log("stopping")
    else:
        pair.weir.reload(pair.config.replace('listener "main"', 'listener "other"'))
    if pair.down == 2:
        for client in clients:
            client.until(lambda client=client: client.goaways, "GOAWAY")
    held.set()
    for client in clients:
        if pair.down == 2:
            flow = client.finish(1)
            assert flow.ended and len(flow.body) == 100000
            client.until_over()
            assert set(client.goaways) == {0} and not client.torn
        else:
            assert len(client.response().body) == 100000
            client.assert_closed()
        client.close()
    if how == "SIGTERM":
        assert pair.weir.wait_exit() == 0


def test_cookies_are_one_field(pair):
    """Crumbs of HTTP/2 are joined."""
    pair.start(lambda request: b"ok")
    with pair.client() as client:
        crumbs = [("Cookie", "a=1"), ("Cookie", "b=2"), ("Cookie", "c=3")]
        client.get("/", crumbs if pair.down == 2 else [("Cookie", "a=1; b=2; c=3")])
    assert pair.server.requests[0].headers.all("Cookie") == ["a=1; b=2; c=3"]


def test_fields_of_a_connection_stay_on_it(pair):
    """HTTP/1.1's go; HTTP/2 may have none."""
    hop = (("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"))
    pair.start(lambda request: Reply(b"ok", headers=hop if request.target == "/hop" else ()))
    with pair.client() as client:
        if pair.down == 2:
            with pytest.raises(wire.Cut):
                client.get("/", hop)
        else:
            assert client.get("/", hop).body == b"ok"
            names = {name.lower() for name in pair.server.requests[0].headers.names()}
            assert not names & {"x-hop", "keep-alive"}
        response = client.get("/hop")
        assert response.status == (502 if pair.up == 2 else 200)
        assert "X-Hop" not in response.headers and "Keep-Alive" not in response.headers
