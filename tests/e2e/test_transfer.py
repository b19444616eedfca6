# SPDX-License-Identifier: MIT
"""Large bodies: intact, in bounded memory, whichever side is slow."""

import hashlib
import threading

import pytest

from weirtest import conf
from weirtest.backend import Reply
from weirtest.wait import DEADLINE, SANITIZED, wait_for
from weirtest.wire import encode_chunk

MIB = 1 << 20
SIZE = 64 * MIB
BLOCKS = [hashlib.sha256(b"%d" % i).digest() * 2048 for i in range(64)]  # 64 KiB each
COUNT = SIZE // len(BLOCKS[0])
# ASan's redzones and quarantine are not what is measured.
MEMORY_KIB = (200 if SANITIZED else 20) * 1024


def blocks():
    """64 MiB in which a lost or displaced piece changes the sum."""
    for i in range(COUNT):
        yield BLOCKS[(i * 7 + i // 64) % 64]


def digest(pieces):
    """Sum and length of what comes."""
    total, length = hashlib.sha256(), 0
    for piece in pieces:
        total.update(piece)
        length += len(piece)
    return total.hexdigest(), length


WHOLE = digest(blocks())


class Server:
    """Sends the 64 MiB at /down, and answers the sum of what it gets at /up."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.sent = 0

    def __call__(self, request):
        if request.target.startswith("/down"):
            framing = request.target.rpartition("/")[2]
            return Reply(self.counted(), framing=framing, length=SIZE)
        assert self.gate.wait(DEADLINE)
        return "%s %d" % digest(request.pieces)

    def counted(self):
        self.sent = 0
        for block in blocks():
            yield block
            self.sent += len(block)


@pytest.fixture
def big(start_weir, http_server, certs):
    """A weir with a plain and a TLS listener before that server."""
    server = Server()
    text = (conf.listener() + conf.listener(f"tls {{ {certs.block('localhost')} }}", name="tls") +
            conf.modules() + conf.routes(web='"/"') +
            conf.pool("web", {"a": http_server("a", server)}))
    weir = start_weir(text)
    assert weir.get("/up").text.endswith(" 0")
    return weir, server


def client_of(weir, certs, name, **how):
    return weir.client(name, tls=certs.client() if name == "tls" else None, **how)


@pytest.mark.parametrize("name", ["main", "tls"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_down(big, certs, framing, name):
    weir, _ = big
    before = weir.memory_kib()
    with client_of(weir, certs, name) as client:
        client.request("GET", f"/down/{framing}")
        response = client.begin()
        assert digest(client.body(response)) == WHOLE
    assert weir.memory_kib() - before < MEMORY_KIB


@pytest.mark.parametrize("name", ["main", "tls"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_up(big, certs, framing, name):
    weir, _ = big
    before = weir.memory_kib()
    with client_of(weir, certs, name) as client:
        send_up(client, framing)
        assert client.response().text == "%s %d" % WHOLE
    assert weir.memory_kib() - before < MEMORY_KIB


def send_up(client, framing):
    """The 64 MiB as a request."""
    if framing == "length":
        client.send(f"POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n")
        for block in blocks():
            client.send(block)
    else:
        client.send("POST /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for block in blocks():
            client.send(encode_chunk(block))
        client.send("0\r\n\r\n")


def stable(read):
    """Waits until a number stays as it is over some looks, and returns it."""
    seen = [None] * 12

    def still():
        seen.pop(0)
        seen.append(read())
        return seen[0] is not None and len(set(seen)) == 1

    wait_for(still, "a number to stand still")
    return seen[-1]


@pytest.mark.parametrize("name", ["main", "tls"])
def test_slow_reader_stops_the_server(big, certs, name):
    """A client that does not read: the server is held back, Weir keeps next to nothing."""
    weir, server = big
    before = weir.memory_kib()
    with client_of(weir, certs, name, receive_buffer=65536) as client:
        client.request("GET", "/down/length")
        response = client.begin()
        held = stable(lambda: server.sent)
        assert held < SIZE // 2, "the server could send on although nobody reads"
        assert weir.memory_kib() - before < MEMORY_KIB
        assert digest(client.body(response)) == WHOLE
    assert weir.memory_kib() - before < MEMORY_KIB


def test_slow_server_stops_the_client(big):
    """A server that does not read: the client is held back."""
    weir, server = big
    server.gate.clear()
    before = weir.memory_kib()
    sent = [0]
    with weir.client() as client:
        def send():
            client.send(f"POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n")
            for block in blocks():
                client.send(block)
                sent[0] += len(block)

        sender = threading.Thread(target=send)
        sender.start()
        held = stable(lambda: sent[0])
        assert held < SIZE // 2
        assert weir.memory_kib() - before < MEMORY_KIB
        server.gate.set()
        assert client.response().text == "%s %d" % WHOLE
        sender.join()
    assert weir.memory_kib() - before < MEMORY_KIB


def test_many_at_once(big):
    """Eight downloads side by side: each is whole, memory stays bounded."""
    weir, _ = big
    before = weir.memory_kib()
    results = []

    def download():
        with weir.client() as client:
            client.request("GET", "/down/length")
            response = client.begin()
            # A part is enough: what is checked is that streams do not mix.
            total = hashlib.sha256()
            left = 4 * MIB
            for piece in client.body(response):
                total.update(piece[:left])
                left -= len(piece[:left])
                if left == 0:
                    break
            results.append(total.hexdigest())

    threads = [threading.Thread(target=download) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = hashlib.sha256(b"".join(block for block, _ in zip(blocks(), range(64))))
    assert results == [expected.hexdigest()] * 8
    assert weir.memory_kib() - before < 2 * MEMORY_KIB


def test_idle_connections_hold_little(start_weir, http_server):
    """500 keep-alive connections that have had their answers."""
    weir = start_weir(conf.one_pool({"a": http_server("a", lambda request: b"x" * 20000)}))
    for _ in range(50):
        weir.get("/")
    before = weir.memory_kib()
    clients = [weir.client() for _ in range(500)]
    for client in clients:
        client.get("/")
    grown = weir.memory_kib() - before
    for client in clients:
        client.close()
    assert grown < (40 if SANITIZED else 4) * 1024, f"{grown / 500:.1f} KiB a connection"
