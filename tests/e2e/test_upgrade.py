# SPDX-License-Identifier: MIT
"""Upgrade to WebSocket: real clients and servers, raw ones that do not play by the rules, long lives."""

import asyncio
import contextlib
import threading

import pytest
import websockets

from weirtest import conf
from weirtest.backend import Reply
from weirtest.ports import free_port
from weirtest.wait import DEADLINE, wait_for

UPGRADE = ("GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
SWITCHED = ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


class WebSocketServer:
    """An echo server on a loop of its own thread."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._stop = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),),
                                        daemon=True)
        self._thread.start()
        assert self._ready.wait(DEADLINE)

    async def _serve(self, connection, _path):
        await connection.send("welcome")
        async for message in connection:
            await connection.send(message)

    async def _run(self):
        self._stop = asyncio.Event()
        async with websockets.serve(self._serve, "127.0.0.1", self.port, max_size=None):
            self._ready.set()
            await self._stop.wait()

    def close(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)


@pytest.fixture
def echo():
    server = WebSocketServer()
    yield server
    server.close()


def run(coroutine):
    """Runs a client to its end."""
    return asyncio.run(asyncio.wait_for(coroutine, DEADLINE))


def test_websocket_echo(start_weir, echo):
    weir = start_weir(conf.one_pool({"a": echo}))

    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{weir.port()}/chat", max_size=None,
                                      compression=None) as socket:
            assert await socket.recv() == "welcome"
            for message in ("hello", "", "x" * 70000, bytes(range(256)) * 4000):
                await socket.send(message)
                assert await socket.recv() == message
            # Both sides at once.
            await asyncio.gather(*(socket.send(f"m{i}") for i in range(100)))
            assert [await socket.recv() for _ in range(100)] == [f"m{i}" for i in range(100)]
        assert socket.close_code == 1000

    run(talk())
    entry = weir.access(1)[0]
    assert entry["status"] == 101 and entry["reason"] == ""
    assert entry["response_bytes"] > 1000000


def test_websocket_over_tls(start_weir, echo, certs):
    weir = start_weir(conf.one_pool({"a": echo},
                                    listener_options=f"tls {{ {certs.block('localhost')} }}"))

    async def talk():
        async with websockets.connect(f"wss://localhost:{weir.port()}/", ssl=certs.client(),
                                      host="127.0.0.1") as socket:
            assert await socket.recv() == "welcome"
            await socket.send("x" * 100000)
            assert await socket.recv() == "x" * 100000

    run(talk())


def test_many_websockets(start_weir, echo):
    weir = start_weir(conf.one_pool({"a": echo}))

    async def one(number):
        async with websockets.connect(f"ws://127.0.0.1:{weir.port()}/") as socket:
            assert await socket.recv() == "welcome"
            for i in range(5):
                await socket.send(f"{number}.{i}")
                assert await socket.recv() == f"{number}.{i}"

    async def all_of_them():
        await asyncio.gather(*(one(i) for i in range(60)))

    run(all_of_them())


def test_bytes_behind_the_switch_pass(start_weir, scripted_server):
    """What either side sends together with its head is part of the tunnel."""
    def script(peer):
        request = peer.request()
        assert request.headers.get("Upgrade") == "websocket"
        assert request.headers.get("Connection").lower() == "upgrade"
        peer.send(SWITCHED + "early from server")
        peer.expect("early from client")
        peer.send("bye")
        assert peer.at_end()

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        client.send(UPGRADE + "early from client")
        response = client.begin()
        assert response.status == 101
        assert response.headers.get("Upgrade") == "websocket"
        assert response.headers.get("Connection").lower() == "upgrade"
        client.expect("early from server")
        client.expect("bye")


def test_tunnel_whose_server_is_gone(start_weir, scripted_server):
    """The server has closed: a client that goes on sending holds neither a connection nor a place there."""
    def script(peer):
        peer.request()
        peer.send(SWITCHED + "bye")

    def next_script(peer):
        peer.request()
        peer.respond(b"next")

    web = scripted_server(script, next_script)
    weir = start_weir(conf.one_pool({"a": (web, "max_connections = 1")}))
    with weir.client() as client, weir.client() as other:
        client.send(UPGRADE)
        assert client.begin().status == 101
        client.expect("bye")
        assert client.at_end()
        other.request()

        def entry():
            with contextlib.suppress(ConnectionError):
                client.send("on and on")
            return weir.access(match=lambda entry: entry["status"] == 101)

        assert wait_for(entry, "the tunnel's end")[0]["reason"] == ""
        assert other.response().body == b"next"


def test_tunnel_ends_side_by_side(start_weir, scripted_server):
    """One side's end reaches the other, which may go on sending."""
    def script(peer):
        peer.request()
        peer.send(SWITCHED)
        assert peer.rest() == b"last words"
        peer.send("heard")

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        client.send(UPGRADE)
        assert client.begin().status == 101
        client.send("last words")
        client.half_close()
        client.expect("heard")
        client.assert_closed()
    assert weir.access(1)[0]["reason"] == ""


def test_refused_upgrade_is_an_answer(start_weir, http_server):
    web = http_server("a", lambda request: Reply(b"no", status=403, reason="Forbidden"))
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        response = client.raw(UPGRADE)
        assert (response.status, response.body) == (403, b"no")
        client.assert_open()


def test_switch_that_was_not_asked_for(start_weir, scripted_server):
    def script(peer):
        peer.request()
        peer.send(SWITCHED)
        assert peer.at_end()

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    with weir.client() as client:
        assert client.get("/").status == 502
        assert client.get("/", [("Connection", "Upgrade"), ("Upgrade", "h2c")]).status == 502
        assert client.get("/", [("Upgrade", "websocket")]).status == 502, "not in Connection"


def test_what_a_server_wants_instead_is_passed_on(start_weir, http_server):
    """RFC 9110 section 15.5.22: 426 says by Upgrade what would have been right, whatever it is."""
    wanted = [("Upgrade", "TLS/1.0, HTTP/1.1"), ("Connection", "Upgrade, X-Own"), ("X-Own", "1"),
              ("Upgrade", "h2c")]
    weir = start_weir(conf.one_pool({"a": http_server("a", lambda request: Reply(
        b"no", status=426, headers=wanted))}))
    with weir.client() as client:
        response = client.get("/", [("Connection", "Upgrade"), ("Upgrade", "h2c")])
        assert response.status == 426 and response.body == b"no"
        assert response.headers.all("Upgrade") == ["TLS/1.0, HTTP/1.1", "h2c"]
        assert response.headers.get("Connection") == "Upgrade"
        assert "X-Own" not in response.headers
        assert client.get("/").status == 426, "the connection goes on"


def test_switch_carries_the_session(start_weir, scripted_server):
    """A WebSocket may be the first that a browser asks for."""
    def script(peer):
        peer.request()
        peer.send(SWITCHED)
        peer.at_end()

    servers = {name: scripted_server(script) for name in "abc"}
    weir = start_weir(conf.one_pool(servers, 'sticky "cookie" {}'), workers=1)
    with weir.client() as client:
        client.send(UPGRADE)
        first = client.begin()
    assert first.status == 101
    cookie = first.headers.get("Set-Cookie").partition(";")[0]
    for _ in range(4):
        with weir.client() as client:
            client.send(UPGRADE.replace("Host:", f"Cookie: {cookie}\r\nHost:"))
            response = client.begin()
        assert response.status == 101 and "Set-Cookie" not in response.headers
    assert len({entry["server"] for entry in weir.access(5)}) == 1


def test_other_upgrades_are_not_passed_on(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}))
    for token in ("h2c", "TLS/1.0", "foo"):
        response = weir.get("/", [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", token),
                                  ("HTTP2-Settings", "AAMAAABkAAQA")])
        assert response.status == 200
        assert "Upgrade" not in web.requests[-1].headers
        assert "HTTP2-Settings" not in web.requests[-1].headers


def test_upgrade_of_http_1_0_is_not_passed_on(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        assert client.raw(UPGRADE.replace("HTTP/1.1", "HTTP/1.0")).status == 200
    assert "Upgrade" not in web.requests[-1].headers


def test_tunnel_counts_as_in_flight(start_weir, scripted_server):
    """A WebSocket holds its place at the server as long as it lives."""
    done = threading.Event()

    def script(peer):
        request = peer.request()
        if request.target != "/chat":
            peer.respond(b"plain")
            return
        peer.send(SWITCHED)
        assert peer.at_end()
        done.set()

    web = scripted_server(script)
    weir = start_weir(conf.one_pool({"a": (web, "max_connections = 1")}, "queue_timeout = 100ms"))
    with weir.client() as client:
        client.send(UPGRADE)
        assert client.begin().status == 101
        assert weir.get("/").status == 503
    assert done.wait(DEADLINE)
    wait_for(lambda: weir.get("/").status == 200, "the place to be free")
