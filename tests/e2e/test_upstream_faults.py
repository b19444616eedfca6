# SPDX-License-Identifier: MIT
"""Servers that die, stall and lie. What can be saved is saved; what cannot is answered, or visibly broken."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import traceback

import pytest

from weirtest import conf
from weirtest.backend import Holding, HttpServer, Reply
from weirtest.client import Client
from weirtest.load import Load
from weirtest.ports import free_port
from weirtest.wait import DEADLINE, Stopwatch, pass_time, wait_for
from weirtest.weir import Weir
from weirtest.wire import Cut

# A server in a process of its own, so that SIGKILL takes it as the kernel does: it says on standard output
# what it has come to. /wait: the request is read, nothing is answered; /half: half of the body is sent.
VICTIM = """
import socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    peer, _ = listening.accept()
    data = b""
    while b"\\r\\n\\r\\n" not in data:
        data += peer.recv(65536)
    if b" /wait" in data:
        print("waiting", flush=True)
        peer.recv(1)
    elif b" /half" in data:
        peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nhalf.")
        print("half", flush=True)
        peer.recv(1)
    else:
        peer.sendall(b"HTTP/1.1 200 OK\\r\\nX-Server: victim\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        print("answered", flush=True)
"""


class Victim:
    """A server that can be killed."""

    def __init__(self):
        self.port = free_port()
        self.process = None
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-c", VICTIM, str(self.port)],
                                        stdout=subprocess.PIPE, text=True)
        self.wait("ready")

    def wait(self, word):
        """Until it says so."""
        assert self.process.stdout.readline().strip() == word

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def close(self):
        if self.process.poll() is None:
            self.kill()


@pytest.fixture
def victim():
    """A server that can be killed."""
    made = Victim()
    yield made
    made.close()


def test_killed_before_the_response(start_weir, victim, http_server):
    """An idempotent request goes to another server; any other is answered by 502."""
    weir = start_weir(conf.one_pool({"victim": victim, "x": (http_server("x"), "backup = on")}))
    for method, status in (("GET", 200), ("POST", 502)):
        with weir.client() as client:
            client.request(method, "/wait", [("Content-Length", "0")] if method == "POST" else ())
            victim.wait("waiting")
            victim.kill()
            response = client.response()
            assert response.status == status
            assert status != 200 or response.server == "x"
        victim.start()


def test_killed_during_the_response(start_weir, victim, http_server):
    """What the client has seen stands; that there is no more is plain to see."""
    weir = start_weir(conf.one_pool({"victim": victim, "x": (http_server("x"), "backup = on")}))
    with weir.client() as client:
        client.request("GET", "/half")
        victim.wait("half")
        response = client.begin()
        assert response.status == 200
        victim.kill()
        with pytest.raises((ConnectionError, Cut)):
            for _ in client.body(response):
                pass
    assert weir.access(1)[0]["reason"] == "upstream_truncated"
    assert weir.get("/next").server == "x"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_killed_after_the_response(start_weir, victim, http_server, method):
    """Its idle connection is worth nothing any more; the next request does not notice."""
    weir = start_weir(conf.one_pool({"victim": victim, "x": (http_server("x"), "backup = on")}),
                      workers=1)
    with weir.client() as client:
        for i in range(5):
            assert client.get(f"/{i}").server == "victim"
            victim.wait("answered")
            victim.kill()
            body = b"order" if method == "POST" else None
            response = client.get("/next", method=method, body=body)
            assert (response.status, response.server) == (200, "x")
            victim.start()


def test_killed_and_back_under_load(start_weir, http_server, scripted_server):
    """One of three dies again and again, in every way: no visitor notices."""
    def answer(peer):
        while True:
            peer.request()
            peer.respond(b"ok")

    def close_without_answer(peer):
        peer.request()

    def reset(peer):
        peer.request()
        peer.reset()

    def answer_once_then_reset(peer):
        peer.request()
        peer.respond(b"ok")
        peer.request()
        peer.reset()

    scripts = [answer_once_then_reset, close_without_answer, reset] * 60 + [answer]
    servers = {"a": http_server("a", keep=False), "b": http_server("b", keep=False),
               "c": scripted_server(*scripts)}
    weir = start_weir(conf.one_pool(servers, "retry_budget = 100%  retries = 3"))
    with Load(weir.client, threads=6) as load:
        for _ in range(6):
            load.wait_requests(100)
            servers["c"].stop(reset=True)
            load.wait_requests(50)
            servers["c"].start()
    load.assert_clean()
    assert load.closed == 0


def test_black_hole_among_others(start_weir, black_hole, http_server):
    """It costs those that meet it a connect_timeout, not more, and not the others."""
    servers = {"hole": black_hole(), "a": http_server("a", keep=False),
               "b": http_server("b", keep=False)}
    options = "connect_timeout = 200ms  retry_budget = 100%  " \
        'health "passive" { failures = 3  max_ejected = 40% }'
    weir = start_weir(conf.one_pool(servers, options))
    with Load(weir.client, threads=8) as load:
        weir.wait_log("web/hole is ejected")
        weir.wait_unretried(100)
    load.assert_clean()


def test_accepts_and_never_answers(start_weir, scripted_server, http_server):
    """504 in its time; the place at the server comes back, and others are not held up."""
    done = threading.Event()
    mute = scripted_server(lambda peer: done.wait(DEADLINE))
    other = http_server("other")
    weir = start_weir(conf.listener() + conf.modules() + conf.routes(mute='"/mute"', other='"/"') +
                      conf.pool("mute", {"m": (mute, "max_connections = 2")},
                                "response_timeout = 300ms") +
                      conf.pool("other", {"o": other}))
    clients = [weir.client() for _ in range(4)]
    with Stopwatch() as watch:
        for client in clients:
            client.request("GET", "/mute")
        assert weir.get("/").status == 200
        for client in clients:
            assert client.response().status == 504
            client.close()
        # Two at a time: the second pair had to wait for the first.
        assert watch.running() >= 0.55
    assert weir.get("/mute").status == 504
    done.set()


def test_one_byte_a_second(start_weir, scripted_server):
    """A slow body passes byte by byte as long as it moves; a slow head has the response's time."""
    def body(peer):
        request = peer.request()
        if request.target == "/head":
            with contextlib.suppress(OSError):
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
                    peer.send(bytes([byte]))
                    pass_time(0.2)
            return
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        for byte in b"abc":
            peer.send(bytes([byte]))
            pass_time(1)

    weir = start_weir(conf.one_pool({"a": scripted_server(body)},
                                    "idle_timeout = 2500ms  response_timeout = 1s"))
    with weir.client() as client:
        client.request("GET", "/body")
        response = client.begin()
        with Stopwatch() as watch:
            pieces = [bytes(piece) for piece in client.body(response)]
        assert b"".join(pieces) == b"abc"
        assert len(pieces) == 3 and watch.seconds > 1.5, "each was passed on when it came"
    with weir.client() as client, Stopwatch() as watch:
        assert client.get("/head").status == 504
        assert 0.9 < watch.running() < 10


def test_stalls_in_the_body(start_weir, scripted_server):
    """A body that stands still for idle_timeout is broken off."""
    done = threading.Event()

    def stall(peer):
        peer.request()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.")
        done.wait(DEADLINE)

    weir = start_weir(conf.one_pool({"a": scripted_server(stall)}, "idle_timeout = 300ms"))
    with weir.client() as client:
        client.request("GET", "/")
        response = client.begin()
        with pytest.raises((ConnectionError, Cut)):
            for _ in client.body(response):
                pass
    assert weir.access(1)[0]["reason"] == "idle_timeout"
    done.set()


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_resets_while_the_request_is_sent(start_weir, scripted_server, http_server, method):
    """Too much of the body has gone to send it again: 502, and the client may go on."""
    def reset(peer):
        peer.request_head()
        peer.some()
        peer.reset()

    other = http_server("x", lambda request: str(len(request.body)))
    weir = start_weir(conf.one_pool({"a": scripted_server(reset), "x": (other, "backup = on")},
                                    "retry_budget = 100%"))
    body = os.urandom(3_000_000)
    with weir.client() as client:
        with contextlib.suppress(ConnectionError):
            client.request(method, "/", body=body)
        assert client.response().status == 502
    assert weir.access(1)[0]["reason"] == "upstream_reset"
    # A small body is here still; what is idempotent goes on elsewhere.
    response = weir.get("/", method=method, body=b"x" * 1000)
    assert response.status == (200 if method == "PUT" else 502)


def test_answer_before_the_reset_is_delivered(start_weir, scripted_server):
    """A server that refuses a body answers first, and then resets: the answer counts."""
    def refuse(peer):
        peer.request_head()
        peer.respond(b"too large", status=413, headers=[("Connection", "close")])
        peer.reset()

    weir = start_weir(conf.one_pool({"a": scripted_server(refuse)}))
    got = 0
    for _ in range(10):
        with weir.client() as client:
            with contextlib.suppress(ConnectionError):
                client.request("POST", "/", body=b"x" * 200_000)
            response = client.response()
            assert response.status in (413, 502)
            got += response.status == 413
    # The kernel may throw away what it had received when the reset comes.
    assert got > 0


@pytest.mark.parametrize("garbage", [b"GARBAGE", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"])
def test_garbage_after_a_good_response(start_weir, scripted_server, garbage):
    """It belongs to no response, reaches nobody, and ends the connection."""
    def lie(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood" + garbage)
        with contextlib.suppress(ConnectionError):
            peer.some()

    liar = scripted_server(lie)
    weir = start_weir(conf.one_pool({"a": liar}), workers=1)
    with weir.client() as client:
        for i in range(5):
            assert client.get(f"/{i}").body == b"good"
    assert liar.accepted == 5


def test_garbage_on_an_idle_connection(start_weir, scripted_server):
    """The same when it comes later: the connection is closed before anybody uses it."""
    go = threading.Event()

    def lie_later(peer):
        peer.request()
        peer.respond(b"good")
        assert go.wait(DEADLINE)
        with contextlib.suppress(ConnectionError):
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
            peer.some()

    liar = scripted_server(lie_later)
    weir = start_weir(conf.one_pool({"a": liar}), workers=1)
    with weir.client() as client:
        assert client.get("/1").body == b"good"
        go.set()
        wait_for(lambda: liar.open_connections == 0, "the connection to be closed")
        assert client.get("/2").body == b"good"


def test_all_down_and_back(start_weir, http_server):
    """Errors while all are down, at once and each with its status; all is well when they are back."""
    servers = {name: http_server(name, keep=False) for name in "abc"}
    options = 'health "http" { interval = 50ms  fast_interval = 50ms  rise = 1  fall = 1 }  ' \
        'health "passive" { failures = 5  eject_time = 200ms }'
    weir = start_weir(conf.one_pool(servers, options))
    statuses = set()

    def exchange(client):
        response = client.get("/")
        statuses.add(response.status)
        return response

    with Load(weir.client, exchange, threads=4) as load:
        load.wait_requests(100)
        assert statuses == {200}
        for server in servers.values():
            server.stop(reset=True)
        for name in servers:
            weir.wait_log(rf"web/{name} is down")
        wait_for(lambda: 503 in statuses, "no server to be left")
        load.wait_requests(100)
        mark = len(weir.log())
        for server in servers.values():
            server.start()
        for name in servers:
            weir.wait_log(rf"web/{name} is up", mark)
        wait_for(lambda: weir.get("/").status == 200, "service again")
        wait_for(lambda: all(server.served > 0 for server in servers.values()), "all servers")
    load.assert_clean()
    assert statuses <= {200, 502, 503}
    # Nothing is left behind: no place taken, nobody waiting.
    mark = len(weir.log())
    weir.signal(signal.SIGUSR2)
    weir.wait_log(r'pool "web"[^\n]* waiting=0', mark)
    for name in servers:
        weir.wait_log(rf'server "web/{name}"[^\n]* in_flight=0', mark)


# ---- out of ports ----


def in_own_network(function):
    """Runs it in a child with a network of its own: only loopback, and few ports."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:  # CLONE_NEWNET
                code = 77
                raise OSError(ctypes.get_errno(), "no network of its own")
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as file:
                file.write("40000 40015")
            function()
            code = 0
        except BaseException:  # pylint: disable=broad-except
            os.write(writing, traceback.format_exc().encode()[-60000:])
            code = code if code == 77 else 1
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 77:
        pytest.skip(f"no network of its own: {text.splitlines()[-1]}")
    assert code == 0, text


def test_out_of_ports(tmp_path):
    """No port is left towards one server: another takes what it can, the rest is told, nobody is blamed."""

    def play():
        holding = Holding(path="/held")
        a, b = HttpServer("a", holding, keep=False), HttpServer("b", keep=False)
        weir = Weir(tmp_path, workers=1)
        options = 'retry_budget = 100%  health "passive" { failures = 1 }'
        text = conf.one_pool({"a": a, "b": (b, "backup = on")}, options)
        weir.configure(text.replace('"127.0.0.1:@main@"', f'"unix:{tmp_path}/socket"'))
        weir.start()
        try:
            clients = [Client(f"{tmp_path}/socket") for _ in range(30)]
            for client in clients:
                client.request("GET", "/held")
            wait_for(lambda: a.active == 16, "all ports to be in use")
            # The others went on to the backup, towards which the ports are free.
            wait_for(lambda: b.served == 14, "the backup's answers")
            holding.release()
            servers = sorted(client.response().server for client in clients)
            assert servers == ["a"] * 16 + ["b"] * 14
            for client in clients:
                assert client.get("/again").status == 200
                client.close()
            assert "ejected" not in weir.log()
            weir.stop()
        finally:
            weir.kill()
            a.close()
            b.close()

    in_own_network(play)


def test_out_of_ports_without_another(tmp_path):
    """With nobody else the rest gets 503 at once, and nothing spins; later all is well. The server has done
    nothing wrong: it is Weir that has no port."""

    def play():
        holding = Holding(path="/held")
        a = HttpServer("a", holding, keep=False)
        weir = Weir(tmp_path, workers=1)
        weir.configure(conf.one_pool({"a": a}).replace(
            '"127.0.0.1:@main@"', f'"unix:{tmp_path}/socket"'))
        weir.start()
        try:
            clients = [Client(f"{tmp_path}/socket") for _ in range(20)]
            for client in clients[:16]:
                client.request("GET", "/held")
            wait_for(lambda: a.active == 16, "all ports to be in use")
            for client in clients[16:]:
                assert client.get("/held").status == 503
            before = weir.cpu_seconds()
            pass_time(0.5)
            assert weir.cpu_seconds() - before < 0.2
            holding.release()
            for client in clients[:16]:
                assert client.response().status == 200
            for client in clients:
                assert client.get("/again").status == 200
                client.close()
            weir.stop()
        finally:
            weir.kill()
            a.close()

    in_own_network(play)


def test_limits_hold_while_servers_fail(start_weir, http_server):
    """A server of few places that fails half of what it gets: no place is lost in hundreds of failures."""
    count = 0

    def handler(_request):
        nonlocal count
        count += 1
        return Reply(b"ok", close=count % 3 == 0)

    web = http_server("a", handler, keep=False)
    weir = start_weir(conf.one_pool({"a": (web, "max_connections = 2")}), workers=3)

    def exchange(client):
        response = client.get("/")
        assert response.status in (200, 502)
        return response

    with Load(weir.client, exchange, threads=8) as load:
        for _ in range(6):
            load.wait_requests(150)
            web.drop(reset=True)
    # Cut bodies are Weir's to pass on; none is lost in the queue, which a place that is gone would fill.
    assert not any("503" in failure for failure in load.failures)
    entries = weir.access(900)
    assert not any(entry["reason"].startswith("queue") for entry in entries)
    mark = len(weir.log())
    weir.signal(signal.SIGUSR2)
    weir.wait_log(r'server "web/a"[^\n]* in_flight=0', mark)
