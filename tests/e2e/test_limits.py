# SPDX-License-Identifier: MIT
"""Limits on what clients can take: connections, time, memory."""

import signal as signals
import threading

import pytest

from weirtest import conf, proxy_header
from weirtest.backend import Holding, Reply
from weirtest.wait import DEADLINE, SANITIZED, Stopwatch, pass_time, wait_for
from weirtest.wire import Cut, encode_chunk


@pytest.fixture
def server(http_server):
    return http_server("a")


def start(start_weir, server, options, **how):
    return start_weir(conf.one_pool({"a": server}, listener_options=options), **how)


# ---- connections of a listener ----

def unanswered(client):
    """Nothing comes, while others are being served."""
    client.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.some()
    client.sock.settimeout(20)


@pytest.mark.parametrize("workers", [1, 2])
def test_connection_limit(start_weir, server, workers):
    """What is above it waits, and gets its turn when others go."""
    weir = start(start_weir, server, "connection_limit = 8", workers=workers)
    clients = [weir.client() for _ in range(8)]
    for client in clients:
        assert client.get("/").status == 200
    waiting = [weir.client() for _ in range(4)]
    for client in waiting:
        client.request()
    unanswered(waiting[0])
    weir.wait_log(r"connection_limit \(8\) is reached")
    for client in clients:
        assert client.get("/").status == 200, "those that are in are served on"
    for client in clients[:4]:
        client.close()
    for client in waiting:
        assert client.response().status == 200
    wait_for(lambda: server.served == 8 + 8 + 4, "all answers")
    for client in clients + waiting:
        client.close()


def test_connection_limit_idles(start_weir, server):
    """At the limit nothing spins."""
    weir = start(start_weir, server, "connection_limit = 2")
    clients = [weir.client() for _ in range(2)]
    assert [client.get("/").status for client in clients] == [200, 200]
    waiting = weir.client()
    waiting.request()
    weir.wait_log("connection_limit")
    before = weir.cpu_seconds()
    unanswered(waiting)
    unanswered(waiting)
    unanswered(waiting)
    assert weir.cpu_seconds() - before < 0.15
    clients[0].close()
    assert waiting.response().status == 200


def test_connection_limit_counts_those_that_reset(start_weir, server):
    weir = start(start_weir, server, "connection_limit = 4")
    for _ in range(5):
        clients = [weir.client() for _ in range(4)]
        for client in clients:
            client.request()
            client.reset()
    with weir.client() as client:
        assert client.get("/").status == 200


def test_connection_limit_is_reloaded(start_weir, server):
    text = conf.one_pool({"a": server}, listener_options="connection_limit = 2")
    weir = start_weir(text)
    clients = [weir.client() for _ in range(2)]
    assert [client.get("/").status for client in clients] == [200, 200]
    waiting = weir.client()
    waiting.request()
    weir.wait_log("connection_limit")
    weir.reload(text.replace("= 2", "= 3"))
    assert waiting.response().status == 200


def test_end_of_a_full_listener(start_weir, server):
    """Workers that wait for a place have nothing left to wait for."""
    weir = start(start_weir, server, "connection_limit = 1")
    with weir.client() as client:
        assert client.get("/").status == 200
        waiting = [weir.client() for _ in range(16)]
        weir.wait_log("connection_limit")
        unanswered(client)
        weir.stop(signals.SIGINT)
    for client in waiting:
        client.close()


def test_descriptors_are_shared_with_servers(start_weir, http_server):
    """By default clients can have half of the descriptors, so that each of them finds a server."""
    holding = Holding(b"done")
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": web}), files=128, workers=1)
    clients = [weir.client() for _ in range(100)]
    for client in clients:
        client.request(headers=[("Connection", "close")])
    weir.wait_log(r"connection_limit \(36\) is reached")
    wait_for(lambda: web.active >= 36, "requests to reach the server")
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()
    assert "no file descriptor" not in weir.log()


# ---- connections of an address ----

def try_get(weir, source="127.0.0.1", **how):
    """A client whose request was answered; None: its connection was closed."""
    client = weir.client(source=(source, 0), **how)
    try:
        client.request()
        if client.response().status == 200:
            return client
    except (ConnectionError, Cut):
        pass
    client.close()
    return None


@pytest.mark.parametrize("workers", [1, 2])
def test_connections_per_address(start_weir, server, workers):
    weir = start(start_weir, server, "connections_per_address = 5", workers=workers)
    clients = [try_get(weir) for _ in range(5)]
    assert all(clients)
    assert [try_get(weir) for _ in range(3)] == [None, None, None]
    others = [try_get(weir, "127.0.0.2") for _ in range(5)]
    assert all(others), "another address has its own"
    assert try_get(weir, "127.0.0.2") is None
    weir.wait_log(r"127\.0\.0\.1 has 5 connections already")
    clients.pop().close()
    again = wait_for(lambda: try_get(weir), "a place after one has gone")
    assert try_get(weir) is None
    for client in clients + others + [again]:
        assert client.get("/").status == 200
        client.close()


def test_trusted_proxies_are_not_counted_but_their_clients_are(start_weir, server):
    weir = start(start_weir, server, 'connections_per_address = 2  proxy_protocol = accept  '
                 'trusted_proxies = {"127.0.0.1"}')
    clients = [try_get(weir) for _ in range(6)]
    assert all(clients)
    header = proxy_header.v1("192.0.2.9")
    clients += [try_get(weir, preface=header) for _ in range(2)]
    assert all(clients)
    assert try_get(weir, preface=header) is None
    other = try_get(weir, preface=proxy_header.v1("192.0.2.10"))
    assert other
    for client in clients + [other]:
        client.close()


# ---- time ----

def test_request_timeout_of_a_slow_server(start_weir, http_server):
    holding = Holding(b"late")
    web = http_server("a", holding)
    weir = start(start_weir, web, "request_timeout = 300ms")
    with weir.client() as client:
        with Stopwatch() as watch:
            assert client.get("/").status == 504
        assert watch.seconds > 0.28
        holding.release()
        assert client.get("/").status == 200, "the client's connection goes on"
    assert sorted(entry["reason"] for entry in weir.access(2)) == ["", "request_timeout"]


def test_request_timeout_of_a_slow_client(start_weir, http_server):
    web = http_server("a", lambda request: request.body)
    weir = start(start_weir, web, "request_timeout = 300ms")
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
        response = client.response()
        assert response.status == 408 and response.closes
        client.assert_closed()
    assert weir.access(1)[0]["reason"] == "request_timeout"


def test_request_timeout_in_the_response(start_weir, http_server):
    """However steadily it comes: what is cut is seen to be cut."""
    def pieces():
        while not stop.is_set():
            yield b"x"
            stop.wait(0.02)

    stop = threading.Event()
    web = http_server("a", lambda request: Reply(pieces(), framing="chunked"))
    weir = start(start_weir, web, "request_timeout = 400ms")
    with weir.client() as client:
        client.request()
        response = client.begin()
        assert response.status == 200
        with pytest.raises((ConnectionError, Cut)):
            for _ in client.body(response):
                pass
    stop.set()
    assert weir.access(1)[0]["reason"] == "request_timeout"


def test_request_timeout_in_the_queue(start_weir, http_server):
    holding = Holding(b"late")
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": (web, "max_connections = 1")}, "queue_timeout = 10s",
                                    "request_timeout = 400ms"), workers=1)
    with weir.client() as first, weir.client() as second:
        first.request()
        web.wait_active(1)
        second.request()
        assert second.response().status == 504
        assert first.response().status == 504
        holding.release()


def test_request_timeout_is_not_for_tunnels(start_weir, scripted_server):
    def script(peer):
        peer.request()
        peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\n\r\n")
        while data := peer.some():
            peer.send(data)

    weir = start(start_weir, scripted_server(script), "request_timeout = 200ms")
    with weir.client() as client:
        client.request("GET", "/", [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                                    ("Sec-WebSocket-Version", "13"),
                                    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
        assert client.begin().status == 101
        with Stopwatch() as watch:
            while watch.running() < 0.6:
                client.send(b"x")
                assert client.exact(1) == b"x"


def test_body_rate(start_weir, http_server):
    """A byte now and then keeps no request alive."""
    web = http_server("a", lambda request: request.body)
    weir = start(start_weir, web, "body_rate = 1k  body_rate_period = 300ms")
    with weir.client(timeout=0.02) as client, Stopwatch() as watch:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        answer = b""
        while not answer:
            assert watch.running() < 10, "the body may take for ever"
            client.send("a")
            try:
                answer = client.some()
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")
    entry = weir.access(1)[0]
    assert (entry["reason"], entry["detail"]) == ("body_timeout", "body_too_slow")


def test_body_rate_that_is_kept(start_weir, http_server):
    web = http_server("a", lambda request: request.body)
    weir = start(start_weir, web, "body_rate = 1k  body_rate_period = 200ms")
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            client.send(encode_chunk(b"x" * 100))
            pass_time(0.03)
        client.send("0\r\n\r\n")
        assert len(client.response().body) == 2000


def test_body_rate_is_the_clients_alone(start_weir, scripted_server):
    """A server that does not read is not the client's fault."""
    def script(peer):
        peer.request_head()
        assert go.wait(DEADLINE)
        while len(peer.buffer) < 8 << 20:
            peer._fill()
        peer.respond(b"all")

    go = threading.Event()
    weir = start(start_weir, scripted_server(script), "body_rate = 10k  body_rate_period = 200ms")
    with weir.client() as client:
        client.send(f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {8 << 20}\r\n\r\n")
        sender = threading.Thread(target=client.send, args=(bytes(8 << 20),))
        sender.start()
        pass_time(0.6)
        go.set()
        assert client.response().body == b"all"
        sender.join()


def test_slow_reader_is_no_dead_one(start_weir, http_server):
    """It takes a little now and then: more often than idle_timeout asks, whatever the kernel holds."""
    size = 16 << 20
    block = bytes(1 << 16)
    web = http_server("a", lambda request: Reply((block for _ in range(size >> 16)), length=size))
    weir = start(start_weir, web, "header_timeout = 2s  idle_timeout = 2s")
    with weir.client() as client:
        client.request()
        response = client.begin()
        got = len(client.buffer)
        with Stopwatch() as watch:
            while watch.running() < 7:
                got += len(client.sock.recv(8192))
                pass_time(0.05)
        client.buffer = b""
        while got < size:
            piece = client.some()
            assert piece, f"cut after {got} bytes"
            got += len(piece)
    assert response.status == 200 and weir.access(1)[0]["reason"] == ""


def test_slow_server_is_no_dead_one(start_weir, scripted_server):
    """The same of a request's body; one that takes nothing at all is."""
    def slow(peer):
        peer.request_head()
        left = size - len(peer.buffer)
        peer.buffer = b""
        with Stopwatch() as watch:
            while left > 0:
                left -= len(peer.sock.recv(8192 if watch.running() < 6 else 1 << 20))
                if watch.running() < 6:
                    pass_time(0.05)
        peer.respond(b"all", headers=[("Connection", "close")])

    def dead(peer):
        peer.request_head()
        assert ended.wait(DEADLINE)

    size, ended = 24 << 20, threading.Event()
    weir = start_weir(conf.one_pool({"a": scripted_server(slow, dead)}, "idle_timeout = 2s"),
                      workers=1)
    for body, status in ((b"all", 200), (None, 504)):
        with weir.client() as client, Stopwatch() as watch:
            client.send(f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n")
            sender = threading.Thread(target=send_all, args=(client, bytes(size)), daemon=True)
            sender.start()
            response = client.response()
            assert (response.status, body in (None, response.body)) == (status, True)
            assert watch.running() < 15
    ended.set()


def send_all(client, data):
    """Sends until the other side wants no more."""
    try:
        client.send(data)
    except OSError:
        pass


# ---- memory: what a slow peer can hold ----

# Documented in docs/LIMITS.md: the program's resident memory, buffers, structs, OpenSSL and the allocator's
# overhead included.
SLOW_PEER_KIB = 80
SLOW_TLS_PEER_KIB = 160


def memory_per(weir, count, before):
    used = (weir.memory_kib() - before) / count
    print(f"{used:.1f} KiB for each of {count} connections")
    return used


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory is not the program's")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("window", [4096, None], ids=["small window", "large window"])
def test_memory_of_slow_readers(start_weir, http_server, certs, window, tls):
    """Clients that ask for a large response and do not read it."""
    count, size = 150, 256 << 20 # more than sockets hold
    context = certs.client() if tls else None
    block = bytes(1 << 16)

    def handler(request):
        return Reply((block for _ in range(size >> 16)), length=size)

    web = http_server("a", handler, keep=False)
    weir = start(start_weir, web, f"tls {{ {certs.block('localhost')} }}" if tls else "",
                 workers=1)
    with weir.client(tls=context) as client:
        client.request("HEAD")
        client.response("HEAD")
    before = weir.memory_kib()
    clients = [weir.client(receive_buffer=window, tls=context) for _ in range(count)]
    for client in clients:
        client.request()
    wait_for(lambda: web.active == count, "all requests at the server")
    for client in clients:
        assert client.begin().status == 200
    wait_settled(weir)
    assert memory_per(weir, count, before) < (SLOW_TLS_PEER_KIB if tls else SLOW_PEER_KIB)
    with weir.client(tls=context) as good:
        good.request("HEAD")
        assert good.response("HEAD").status == 200
    for client in clients:
        client.reset()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory is not the program's")
def test_memory_of_uploads_to_a_slow_server(start_weir, scripted_server):
    """A server that does not read: clients' bodies stay with the clients."""
    def script(peer):
        peer.request_head()
        arrived.append(peer)
        assert done.wait(DEADLINE)

    count, arrived, done = 100, [], threading.Event()
    weir = start(start_weir, scripted_server(script), "", workers=1)
    before = weir.memory_kib()
    clients = [weir.client() for _ in range(count)]
    for client in clients:
        client.send(f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {64 << 20}\r\n\r\n")
        client.sock.settimeout(0)
    block = bytes(1 << 20)
    wait_for(lambda: len(arrived) == count, "all requests at the server")
    full = set()
    while len(full) < count:
        for client in clients:
            try:
                while True:
                    client.sock.send(block)
            except BlockingIOError:
                full.add(client)
    wait_settled(weir)
    assert memory_per(weir, count, before) < SLOW_PEER_KIB
    for client in clients:
        client.reset()
    done.set()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory is not the program's")
def test_memory_of_pipelines(start_weir, http_server):
    """Requests that wait behind one that is being answered stay in the socket, but for 32 KiB."""
    holding = Holding(b"done", path="/slow")
    web = http_server("a", holding)
    count = 100
    weir = start(start_weir, web, "", workers=1)
    before = weir.memory_kib()
    clients = [weir.client() for _ in range(count)]
    many = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20000
    for client in clients:
        client.sock.settimeout(0)
        client.sock.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n" + many)
        with pytest.raises(BlockingIOError):
            while True:
                client.sock.send(many)
    web.wait_active(count)
    wait_settled(weir)
    assert memory_per(weir, count, before) < SLOW_PEER_KIB
    for client in clients:
        client.reset()
    holding.release()


def wait_settled(weir):
    """Until the program does nothing more: it has read what it will read."""
    seen = []

    def quiet():
        seen.append(weir.cpu_seconds())
        return len(seen) > 60 and seen[-1] == seen[-60]

    wait_for(quiet, "the program to come to rest")
