# SPDX-License-Identifier: MIT
"""Faults that last: clients that hold what they can, descriptors and disks that run out, clocks that jump,
signals in the middle of it. Good traffic goes on beside each, and nothing is left behind."""

import contextlib
import json
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import threading

import pytest

from weirtest import admin, conf
from weirtest.backend import Holding, Reply
from weirtest.load import Load
from weirtest.weir import program, shim
from weirtest.wait import DEADLINE, SANITIZED, Stopwatch, pass_time, wait_for
from weirtest.wire import Cut

MANY = 150 if SANITIZED else 500
PROBES = ('health "http" { interval = 50ms  fast_interval = 50ms  timeout = 5s  fall = 2  rise = 1 }  ')
SIGNALS = [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL]


@pytest.fixture
def server(http_server):
    return http_server("a", keep=False)


@pytest.fixture(autouse=True)
def descriptors():
    """Descriptors for the test's own end of all these connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))


def tls_of(certs, extra=""):
    return f"tls {{ {certs.block('localhost')}  {extra} }}"


def close_all(clients):
    for client in clients:
        with contextlib.suppress(OSError):
            client.close()


def ended(client):
    """The other side has ended the connection; what came before is thrown away."""
    client.sock.settimeout(0)
    try:
        while client.sock.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def strike(weir, number, text):
    """One of SIGNALS; what must come after it comes."""
    if number == signal.SIGHUP:
        weir.reload()
    elif number == signal.SIGTERM:
        with Stopwatch() as watch:
            weir.stop()
        assert watch.seconds < 15
    else:
        weir.process.kill()
        weir.process.wait()
        weir.stopped = True
        weir.configure(text)
        weir.process, weir.stopped = None, False
        weir.log_path.unlink()
        weir.start()
        assert weir.get("/").status == 200


# ---- half-open TLS handshakes ----

HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(40)  # the beginning of a ClientHello


def half_open(weir, count):
    return [weir.client(preface=(b"", HELLO[:3], HELLO)[i % 3]) for i in range(count)]


def test_half_open_tls_handshakes(start_weir, server, certs):
    weir = start_weir(conf.one_pool({"a": server}, listener_options=tls_of(
        certs, "handshake_timeout = 2s")))
    with weir.client(tls=certs.client()) as client:
        assert client.get("/").status == 200
    before, memory = weir.descriptors(), weir.memory_kib()
    with Load(lambda: weir.client(tls=certs.client()), threads=2) as load:
        load.wait_requests(20)
        clients = half_open(weir, MANY)
        load.wait_requests(100)
        if not SANITIZED:
            assert (weir.memory_kib() - memory) / MANY < 60
        wait_for(lambda: all(ended(client) for client in clients), "the handshakes to be given up")
        load.wait_requests(100)
    load.assert_clean()
    close_all(clients)
    wait_for(lambda: weir.descriptors() <= before + 4, "their descriptors to come back")


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_during_half_open_handshakes(start_weir, server, certs, number):
    text = conf.one_pool({"a": server}, listener_options=tls_of(certs, "handshake_timeout = 60s"))
    weir = start_weir(text)
    clients = half_open(weir, 100)
    wait_for(lambda: weir.descriptors() > 100, "the connections to be accepted")
    if number == signal.SIGKILL:
        weir.process.kill()
        weir.process.wait()
        weir.stopped = True
        return close_all(clients)
    strike(weir, number, text)
    if number == signal.SIGHUP:
        with weir.client(tls=certs.client()) as client:
            assert client.get("/").status == 200
        assert not any(ended(client) for client in clients)
    else:
        assert all(ended(client) for client in clients)
    return close_all(clients)


# ---- slowloris ----

class Slow:
    """Clients that send a header a few bytes at a time, as long as their connections last."""

    def __init__(self, weir, count):
        self.clients = [weir.client() for _ in range(count)]
        for client in self.clients:
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            client.sock.settimeout(0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.1):
            for client in self.clients:
                with contextlib.suppress(OSError):
                    client.sock.send(b"a")

    def stop(self):
        self._stop.set()
        self._thread.join()


def test_slowloris(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}, listener_options="header_timeout = 3s"))
    assert weir.get("/").status == 200
    before, memory = weir.descriptors(), weir.memory_kib()
    with Load(weir.client, threads=2) as load:
        load.wait_requests(50)
        slow = Slow(weir, MANY)
        load.wait_requests(200)
        if not SANITIZED:
            assert (weir.memory_kib() - memory) / MANY < 30
        wait_for(lambda: len(weir.access(match=lambda e: e["reason"] == "header_timeout")) >= MANY,
                 "all of them to be given up")
        load.wait_requests(100)
    slow.stop()
    load.assert_clean()
    close_all(slow.clients)
    wait_for(lambda: weir.descriptors() <= before + 4, "their descriptors to come back")
    statuses = {entry["status"] for entry in weir.access() if entry["reason"]}
    assert statuses == {408}


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_during_slowloris(start_weir, server, number):
    text = conf.one_pool({"a": server}, listener_options="header_timeout = 60s")
    weir = start_weir(text)
    weir.configure(text, shutdown_timeout="2s")
    weir.reload()
    slow = Slow(weir, 100)
    wait_for(lambda: weir.descriptors() > 100, "the connections to be accepted")
    strike(weir, number, text)
    if number == signal.SIGHUP:
        assert weir.get("/").status == 200
        assert not any(ended(client) for client in slow.clients)
    slow.stop()
    close_all(slow.clients)


# ---- no file descriptors left ----

def test_no_descriptors_left(start_weir, server):
    """Accepting pauses, nothing spins, those that are in are served, and all is well afterwards."""
    weir = start_weir(conf.one_pool({"a": server}, listener_options="connection_limit = 10000"),
                      files=80, workers=1)
    with weir.client() as good:
        assert good.get("/").status == 200
        clients = [weir.client() for _ in range(120)]
        weir.wait_log("no file descriptor is left")
        before = weir.cpu_seconds()
        pass_time(1)
        assert weir.cpu_seconds() - before < 0.3, "it spins"
        for _ in range(20):
            assert good.get("/").status == 200, "the connection to the server is there"
        close_all(clients)
        wait_for(lambda: weir.descriptors() < 40, "the descriptors to come back")
        with Load(weir.client, threads=2) as load:
            load.wait_requests(100)
        load.assert_clean()


def test_idle_clients_do_not_take_the_last_descriptors(start_weir, http_server):
    """Some are kept back: for servers that have no idle connection, for probes, and for the operator."""
    servers = {name: http_server(name, keep=False) for name in "abc"}
    weir = start_weir(conf.one_pool(servers, PROBES, "connection_limit = 100000") +
                      'module "metrics_prometheus" {}\n' +
                      conf.listener('handler "metrics_prometheus" {}', "metrics"), files=64)
    weir.wait_log(r"100000 connections of clients .* and there are 64; raise the limit")
    clients = [weir.client() for _ in range(3)]
    for client in clients:
        assert client.get("/").status == 200
    clients += [weir.client() for _ in range(200)]
    weir.wait_log("no file descriptor is left")
    served = {name: web.served for name, web in servers.items()}
    for client in clients[:3]:
        for _ in range(6):
            assert client.get("/").status == 200
    wait_for(lambda: all(web.served > served[name] + 10 for name, web in servers.items()), "probes")
    assert weir.get("/metrics", name="metrics").status == 200
    assert " is down" not in weir.log()
    close_all(clients)
    wait_for(lambda: weir.get("/").status == 200, "the descriptors to come back")


def test_the_kernel_has_room_for_all_descriptors_from_the_start(start_weir, server):
    """It makes room by halting the thread that asks for more."""
    def room(weir):
        status = pathlib.Path(f"/proc/{weir.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"FDSize:\s+(\d+)", status).group(1))

    weir = start_weir(conf.one_pool({"a": server}), files=1024)
    assert room(weir) == 1024
    clients = [weir.client() for _ in range(300)]
    assert all(client.get("/").status == 200 for client in clients)
    assert room(weir) == 1024
    close_all(clients)


def test_limits_above_the_descriptors_are_told(make_weir, server):
    """By -t as by a start and a reload; what fits is not."""
    weir = make_weir()

    def check(text):
        weir.configure(conf.one_pool({"a": (server, "max_connections = 10"), "b": server}, "",
                                     text))
        done = subprocess.run([program(), "-t", "-c", weir.conf_path], capture_output=True, text=True,
                              check=False, preexec_fn=lambda: resource.setrlimit(
                                  resource.RLIMIT_NOFILE, (256, 512)))
        assert done.returncode == 0
        return done.stderr

    assert check("") == check("connection_limit = 100") == ""
    assert re.search("warning: 500 connections of clients .connection_limit. and 500 to servers can "
                     "need 10.. file descriptors, and there are 512; raise the limit",
                     check("connection_limit = 500"))
    weir.start(files=512)
    weir.wait_log("500 connections of clients")
    weir.configure(conf.one_pool({"a": server}, "", "connection_limit = 600"))
    weir.reload()
    weir.wait_log("600 connections of clients")


def test_no_descriptors_left_for_servers(start_weir, http_server):
    """A connection to a server cannot be made: 503, and whose fault it is. The next request may have it."""
    holding = Holding(b"held", path="/held")
    servers = {name: http_server(name, holding, keep=False) for name in "ab"}
    weir = start_weir(conf.one_pool(servers, PROBES + 'health "passive" { failures = 1 }',
                                    "connection_limit = 10000") +
                      'module "metrics_prometheus" {}\n' +
                      conf.listener('handler "metrics_prometheus" {}', "metrics"), files=80)
    clients = [weir.client() for _ in range(80)]
    for client in clients:
        client.request("GET", "/held")
    entry = weir.access(1, match=lambda e: e["reason"] == "no_resources")[0]
    assert (entry["status"], entry["retries"]) == (503, 0)
    weir.wait_log(r"cannot connect to server web/\w: no file descriptor is left; raise the limit")
    # What is kept back for the operator can be gone as well: then nobody can be probed.
    limits = resource.prlimit(weir.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(weir.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    for _ in range(10):
        mark = len(weir.log())
        weir.wait_log("no verdict on server web/", mark)
    resource.prlimit(weir.process.pid, resource.RLIMIT_NOFILE, limits)
    holding.release()
    close_all(clients)
    wait_for(lambda: weir.get("/").status == 200, "the descriptors to come back")
    assert " is down" not in weir.log() and "ejected" not in weir.log()


def test_idle_connections_to_servers_make_room(start_weir, http_server):
    """What is kept for later is given up for what is wanted now."""
    names = [http_server(f"s{i}", keep=False) for i in range(30)]
    pools = "".join(conf.pool(f"p{i}", {"s": web}) for i, web in enumerate(names))
    rules = "".join(f'  route "/{i}" {{ pool = "p{i}" }}\n' for i in range(30))
    weir = start_weir(conf.listener() + conf.modules() + f'module "route_path" {{\n{rules}}}\n' +
                      pools, files=44, workers=1)
    with weir.client() as client:
        for turn in range(3):
            for i in range(30):
                response = client.get(f"/{i}")
                assert (response.status, response.server) == (200, f"s{i}"), turn


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_without_descriptors(start_weir, server, number):
    text = conf.one_pool({"a": server}, listener_options="connection_limit = 10000")
    weir = start_weir(text, files=80, workers=1)
    clients = [weir.client() for _ in range(120)]
    weir.wait_log("no file descriptor is left")
    if number == signal.SIGHUP:
        # It cannot even read its files: the reload is refused, and what runs goes on.
        mark = len(weir.log())
        weir.signal(signal.SIGHUP)
        weir.wait_log("reload refused|reload done", mark)
        close_all(clients)
        wait_for(lambda: weir.descriptors() < 40, "the descriptors to come back")
        weir.reload()
        assert weir.get("/").status == 200
    else:
        strike(weir, number, text)
    close_all(clients)


# ---- no ports left ----

@pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first")
def test_no_ports_left(make_weir, server, tmp_path):
    """What is connected is used on; what is not gets 503, until there are ports again."""
    flag = tmp_path / "no-ports"
    weir = make_weir(workers=1)
    weir.configure(conf.one_pool({"a": server}, "retries = 0  " +
                                 'health "passive" { failures = 1  max_ejected = 100% }'))
    weir.start(environment={"WEIR_TEST_PORTS": str(flag)}, preload=shim("ports"))
    with weir.client() as client:
        assert client.get("/").status == 200
        flag.touch()
        for _ in range(50):
            assert client.get("/").status == 200, "the connection that is there"
        server.drop()
        wait_for(lambda: client.get("/").status == 503, "no connection to be left")
        before = weir.cpu_seconds()
        for _ in range(20):
            assert client.get("/").headers.get("Retry-After")
        assert weir.cpu_seconds() - before < 0.5
        flag.unlink()
        assert client.get("/").status == 200
    assert weir.access(1, match=lambda e: e["status"] == 503)[0]["reason"] == "no_resources"
    assert "ejected" not in weir.log()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first")
def test_probes_without_ports_are_no_verdict(make_weir, http_server, tmp_path):
    """Nobody goes down by them, and who is connected is served; a newcomer is told why it has to wait."""
    servers = {name: http_server(name, keep=False) for name in "ab"}
    flag = tmp_path / "no-ports"
    weir = make_weir(workers=1)
    weir.configure(admin.one_pool(servers, PROBES + "retries = 0"))
    weir.start(environment={"WEIR_TEST_PORTS": str(flag)}, preload=shim("ports"))
    operator = admin.browser(weir)

    def states():
        pool = operator.get("/api/v1/pools/web").json
        return {server["id"]: (server["health"]["status"], server["health"]["reason"])
                for server in pool["servers"]}

    wait_for(lambda: all(health == "up" for health, _ in states().values()), "both to be up")
    with weir.client() as client:
        assert {client.get("/").server for _ in range(4)} == {"a", "b"}
        flag.touch()
        added = operator.post("/api/v1/pools/web/servers",
                              {"url": "http://127.0.0.1:1", "id": "new"})
        assert added.status == 201
        for name in ("a", "b", "new"):
            weir.wait_log(f"no verdict on server web/{name}: no local port is free; widen")
        wait_for(lambda: "no verdict yet: no local port is free" in states()["new"][1], "the reason")
        assert all(states()[name][0] == "up" for name in "ab")
        assert {client.get("/").server for _ in range(10)} == {"a", "b"}
        # One of them has no connection: the other has, and that costs no retry.
        servers["a"].drop()
        assert {client.get("/").server for _ in range(10)} == {"b"}
        flag.unlink()
        wait_for(lambda: client.get("/").server == "a", "ports to be there again")
        wait_for(lambda: states()["new"][0] == "down", "the verdict")
    assert not [line for line in weir.log().splitlines() if "is down" in line and "/new" not in line]
    assert {entry["retries"] for entry in weir.access()} == {0}


def test_a_loop_that_stood_still_is_no_verdict(start_weir, scripted_server, certs):
    """The machine slept in the middle of a probe, or the process was stopped: what came meanwhile is read, and
    what would come next has no time left."""
    def script(peer):
        peer.sock.recv(1, socket.MSG_PEEK)  # its ClientHello: it waits for the answer, and its clock runs
        accepted.set()
        assert go.wait(DEADLINE)
        with contextlib.suppress(OSError, Cut):
            peer.sock = certs.server().wrap_socket(peer.sock, server_side=True)
            peer.request()
            assert told.wait(DEADLINE)
            peer.respond(b"well")

    accepted, go, told = threading.Event(), threading.Event(), threading.Event()
    web = scripted_server(script)
    weir = start_weir(conf.one_pool(
        {"a": f"https://127.0.0.1:{web.port}"}, f'tls {{ ca = "{certs.ca}" }}  health "http" {{ '
        'interval = 100ms  fast_interval = 100ms  timeout = 1s  fall = 1  rise = 1 }'))
    assert accepted.wait(DEADLINE)
    with weir.standing_still():
        pass_time(2.1)
        go.set()
        pass_time(0.3)
    weir.wait_log("no verdict on server web/a: Weir itself stood still")
    told.set()
    assert weir.get("/").status == 200
    assert " is down" not in weir.log()


# ---- clients that go away at every stage ----

def stages(weir, context):
    """Each makes a client that is at some stage, and says what it is."""
    def partly(data):
        client = weir.client(tls=context)
        client.send(data)
        return client

    head = "POST /slow HTTP/1.1\r\nHost: localhost\r\n"
    return {
        "connected": lambda: weir.client(),
        "in the handshake": lambda: weir.client(preface=HELLO),
        "after the handshake": lambda: weir.client(tls=context),
        "in the head": lambda: partly(head),
        "in the body": lambda: partly(head + "Content-Length: 100000\r\n\r\nhalf"),
        "in a chunk": lambda: partly(head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"),
        "while it waits": lambda: partly(head + "Content-Length: 2\r\n\r\nok"),
        "with more requests behind": lambda: partly((head + "Content-Length: 2\r\n\r\nok") * 20),
        "in the response": lambda: partly("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    }


@pytest.mark.parametrize("how", ["reset", "close"])
def test_clients_go_at_every_stage(start_weir, http_server, certs, how):
    """Places at the server come back, whatever was under way."""
    holding = Holding(b"slow")
    block = bytes(1 << 16)

    def handler(request):
        if request.target == "/large":
            return Reply((block for _ in range(256)), length=256 * len(block))
        if request.target == "/slow":
            return holding(request)
        return b"good"

    web = http_server("a", handler, keep=False)
    weir = start_weir(conf.one_pool({"a": (web, "max_connections = 4")}, "queue_timeout = 10s",
                                    tls_of(certs)))
    context = certs.client()
    with weir.client(tls=context) as client:
        assert client.get("/").body == b"good"
    before = weir.descriptors()
    for _ in range(3):
        for stage, make in stages(weir, context).items():
            clients = [make() for _ in range(6)]
            if stage in ("while it waits", "in the body"):
                wait_for(lambda: web.active >= 1, stage)
            for client in clients:
                getattr(client, how)()
            if stage == "while it waits":
                holding.release()
                wait_for(lambda: web.active == 0, "the held requests to end")
                holding.hold()
    holding.release()
    # More than its four places at once: all of them are free again.
    clients = [weir.client(tls=context) for _ in range(4)]
    for _ in range(20):
        for client in clients:
            client.request()
        for client in clients:
            assert client.response().body == b"good"
    close_all(clients)
    wait_for(lambda: weir.descriptors() <= before + 8, "the descriptors to come back", seconds=8)


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_while_clients_go(start_weir, http_server, certs, number):
    """Requests that nobody waits for hold up neither a reload nor the end."""
    block = bytes(1 << 16)
    web = http_server("a", lambda request: Reply((block for _ in range(64)), length=64 << 16)
                      if request.target == "/large" else b"good", keep=False)
    text = conf.one_pool({"a": web}, listener_options=tls_of(certs))
    weir = start_weir(text)
    context = certs.client()
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            for make in stages(weir, context).values():
                with contextlib.suppress(OSError, Cut):
                    make().reset()

    threads = [threading.Thread(target=come_and_go, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    with Load(lambda: weir.client(tls=context), threads=2, tolerant=True) as load:
        load.wait_requests(50)
        weir.signal(number)
        if number == signal.SIGHUP:
            weir.wait_log("reload done")
            load.wait_requests(50)
        elif number == signal.SIGTERM:
            assert weir.wait_exit() == 0
        else:
            weir.process.wait()
            weir.stopped = True
    stop.set()
    for thread in threads:
        thread.join()
    if number != signal.SIGKILL:
        load.assert_clean()


# ---- the system clock ----

class Clock:
    """The clock that a weir started with this environment sees."""

    def __init__(self, path):
        self.path = path
        self.path.write_bytes(bytes(8))
        self.environment = {"WEIR_TEST_CLOCK": str(path)}

    def shift(self, seconds):
        with open(self.path, "r+b") as file:
            file.write(struct.pack("=q", seconds))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first")
def test_clock_jumps(make_weir, server, tmp_path):
    """Timeouts, probes, queues and sessions go by a clock that does not jump."""
    clock = Clock(tmp_path / "clock")
    weir = make_weir()
    weir.configure(conf.one_pool(
        {"a": server}, 'response_timeout = 3s  sticky "cookie" {}  '
        'health "http" { path = "/"  interval = 100ms }',
        "header_timeout = 3s  idle_timeout = 3s  request_timeout = 5s"))
    weir.start(environment=clock.environment, preload=shim("clock"))
    day = 86400
    with Load(weir.client, threads=2) as load, weir.client() as idle:
        assert idle.get("/").status == 200
        for jump in (day, -day, 3650 * day, -3650 * day, 0, 3600, 0, -3600, 0):
            clock.shift(jump)
            load.wait_requests(100)
            idle.assert_open()
        cpu = weir.cpu_seconds()
        load.stop()
        with Stopwatch() as watch:
            idle.assert_closed()
        assert 2.5 < watch.seconds < 6, "its own three seconds"
        assert weir.cpu_seconds() - cpu < 1
    load.assert_clean()
    assert all(entry["reason"] == "" for entry in weir.access())
    assert all(entry["total_ms"] < 60000 for entry in weir.access())
    assert " is down" not in weir.log()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first")
@pytest.mark.parametrize("number", SIGNALS)
def test_signal_while_the_clock_jumps(make_weir, server, tmp_path, number):
    clock = Clock(tmp_path / "clock")
    text = conf.one_pool({"a": server})
    weir = make_weir()
    weir.configure(text)
    weir.start(environment=clock.environment, preload=shim("clock"))
    assert weir.get("/").status == 200
    clock.shift(-40 * 365 * 86400)
    assert weir.get("/").status == 200
    strike(weir, number, text)
    if number == signal.SIGHUP:
        clock.shift(10 * 365 * 86400)
        weir.reload()
        assert weir.get("/").status == 200
    elif number == signal.SIGTERM:
        # Nothing of the log was lost on the way out.
        lines = weir.access_path.read_text(encoding="utf-8").splitlines()
        assert len([json.loads(line) for line in lines]) == 2
        assert "is lost" not in weir.log()


# ---- a full disk ----

def full_disk_text(server):
    return ('log_target = "/dev/full"\nmodule "access_log" { path = "/dev/full" }\n' +
            conf.one_pool({"a": server}))


def test_log_disk_full(make_weir, server):
    """Lines are dropped, requests are not; a log that can be written again is."""
    weir = make_weir(access_log=False)
    weir.configure(conf.one_pool({"a": server}))
    weir.start()
    weir.configure(full_disk_text(server))
    weir.signal(signal.SIGHUP)
    with Load(weir.client, threads=2) as load:
        load.wait_requests(500)
        before = weir.cpu_seconds()
        load.stop()
        pass_time(0.5)
        assert weir.cpu_seconds() - before < 0.4, "it spins"
    load.assert_clean()
    weir.with_access_log = True
    weir.configure(conf.one_pool({"a": server}))
    weir.signal(signal.SIGHUP)
    wait_for(lambda: weir.get("/").status == 200 and weir.access(), "the log to be written again")


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_with_a_full_log_disk(make_weir, server, number):
    weir = make_weir(access_log=False)
    text = full_disk_text(server)
    weir.configure(text)
    weir.start(wait=False)
    wait_for(lambda: answers(weir), "it to serve")
    with Load(weir.client, threads=2, tolerant=True) as load:
        load.wait_requests(50)
        weir.signal(number)
        if number == signal.SIGHUP:
            load.wait_requests(200)
        elif number == signal.SIGTERM:
            assert weir.wait_exit() == 0
        else:
            weir.process.wait()
            weir.stopped = True
    if number != signal.SIGKILL:
        load.assert_clean()


def answers(weir):
    with contextlib.suppress(OSError, Cut):
        return weir.get("/").status == 200
    return False
