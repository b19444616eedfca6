# SPDX-License-Identifier: MIT
"""SIGTERM drains, SIGINT stops, SIGUSR1 opens the logs again, SIGUSR2 logs the statistics."""

import signal
import threading

import pytest

from weirtest import conf
from weirtest.backend import Holding, Reply
from weirtest.dns import A, AAAA, SILENCE
from weirtest.load import Load
from weirtest.wait import DEADLINE, Stopwatch, wait_for

from test_upgrade import SWITCHED, UPGRADE


def test_sigterm_under_load_cuts_nothing(start_weir, http_server):
    """Responses of some size, on many connections: each that has begun is finished."""
    body = b"x" * 200000
    servers = {name: http_server(name, lambda request: body, keep=False) for name in "ab"}
    for _ in range(3):
        weir = start_weir(conf.one_pool(servers), workers=2)

        def exchange(client):
            response = client.get("/")
            assert response.status == 200 and response.body == body
            return response

        with Load(weir.client, exchange, threads=8, tolerant=True) as load:
            load.wait_requests(60)
            weir.signal(signal.SIGTERM)
            assert weir.wait_exit() == 0
            load.join()
        load.assert_clean()


def refused(weir):
    """Whether a new connection finds nobody. One that is made while the socket closes is reset."""
    try:
        weir.client().close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass
    return False


def test_sigterm_finishes_what_runs(start_weir, http_server):
    holding = Holding(b"late")
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": web}))
    running, idle = weir.client(), weir.client()
    running.request("GET", "/slow")
    web.wait_active(1)
    weir.signal(signal.SIGTERM)
    idle.assert_closed()
    wait_for(lambda: refused(weir), "new connections to be refused")
    assert weir.running()
    holding.release()
    response = running.response()
    assert (response.status, response.body, response.closes) == (200, b"late", True)
    running.assert_closed()
    assert weir.wait_exit() == 0
    running.close()
    idle.close()


def test_sigterm_finishes_a_download(start_weir, http_server):
    """The body goes on after the signal."""
    go = threading.Event()

    def handler(request):
        def pieces():
            yield b"x" * 100000
            assert go.wait(DEADLINE)
            yield b"y" * 1000000
        return Reply(pieces(), length=1100000)

    weir = start_weir(conf.one_pool({"a": http_server("a", handler)}))
    with weir.client() as client:
        client.request()
        response = client.begin()
        pieces = client.body(response)
        got = next(pieces)
        weir.signal(signal.SIGTERM)
        weir.wait_log(r"(?i)drain|stopping|shut")
        go.set()
        got += b"".join(pieces)
        assert got == b"x" * 100000 + b"y" * 1000000
    assert weir.wait_exit() == 0


def test_shutdown_timeout_bounds_the_drain(make_weir, http_server):
    holding = Holding(b"too late")
    web = http_server("a", holding)
    weir = make_weir()
    weir.configure(conf.one_pool({"a": web}), shutdown_timeout="300ms")
    weir.start()
    with weir.client() as client:
        client.request("GET", "/slow")
        web.wait_active(1)
        with Stopwatch() as watch:
            weir.signal(signal.SIGTERM)
            assert weir.wait_exit() == 0
        assert 0.28 <= watch.seconds < 8
        client.assert_closed()
    holding.release()


def test_websocket_at_shutdown(make_weir, scripted_server):
    """A tunnel has no end of its own: it is cut when the time is over."""
    def script(peer):
        peer.request()
        peer.send(SWITCHED)
        assert peer.at_end()

    weir = make_weir()
    weir.configure(conf.one_pool({"a": scripted_server(script)}), shutdown_timeout="300ms")
    weir.start()
    with weir.client() as client:
        client.send(UPGRADE)
        assert client.begin().status == 101
        weir.signal(signal.SIGTERM)
        assert weir.wait_exit() == 0
        client.assert_closed()


def test_sigint_stops_at_once(start_weir, http_server):
    holding = Holding()
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        client.request("GET", "/slow")
        web.wait_active(1)
        with Stopwatch() as watch:
            weir.signal(signal.SIGINT)
            code = weir.wait_exit()
        assert code == 0
        assert watch.seconds < 5
        client.assert_closed()
    holding.release()


def test_sigusr1_opens_the_logs_again(make_weir, http_server):
    """As logrotate does it: moved away, signal, new file; no entry is lost."""
    weir = make_weir()
    own_log = weir.folder / "own.log"
    weir.configure(f'log_target = "{own_log}"\n' + conf.one_pool({"a": http_server("a")}))
    weir.start(wait=False)
    wait_for(lambda: own_log.exists() and "weir: ready" in own_log.read_text(encoding="utf-8"),
             "the log file")
    with weir.client() as client:
        for i in range(5):
            client.get(f"/old/{i}")
        weir.access(5)
        moved = weir.access_path.rename(weir.folder / "access.log.1")
        moved_own = own_log.rename(weir.folder / "own.log.1")
        weir.signal(signal.SIGUSR1)
        wait_for(weir.access_path.exists, "a new access log")
        for i in range(5):
            client.get(f"/new/{i}")
    assert [entry["target"] for entry in weir.access(5)] == [f"/new/{i}" for i in range(5)]
    assert moved.read_text(encoding="utf-8").count("\n") == 5
    wait_for(own_log.exists, "a new log of its own")
    weir.signal(signal.SIGUSR2)
    wait_for(lambda: "web" in own_log.read_text(encoding="utf-8"), "lines in the new log")
    assert "weir: ready" in moved_own.read_text(encoding="utf-8")


def test_sigusr1_under_load(start_weir, http_server):
    """Logs are opened again all the time: each request is in one of them, whole."""
    weir = start_weir(conf.one_pool({"a": http_server("a", keep=False)}))
    with Load(weir.client, threads=3) as load:
        for i in range(10):
            load.wait_requests(30)
            weir.access_path.rename(weir.folder / f"access.log.{i}")
            weir.signal(signal.SIGUSR1)
            wait_for(weir.access_path.exists, "a new access log")
    load.assert_clean()

    def entries():
        return sum(path.read_text(encoding="utf-8").count("}\n")
                   for path in weir.folder.glob("access.log*"))

    wait_for(lambda: entries() == load.requests, "all entries")


def test_sigusr2_logs_statistics(start_weir, http_server):
    weir = start_weir(conf.one_pool({"first": http_server("a"), "second": http_server("b")}))
    for _ in range(6):
        weir.get("/")
    weir.get("/", host="")
    weir.access(7)
    mark = len(weir.log())
    weir.signal(signal.SIGUSR2)
    wait_for(lambda: all(word in weir.log()[mark:]
                         for word in ("main", "web", "first", "second", "/")),
             "listener, pool, route and servers in the log")
    text = weir.log()[mark:]
    line = next(line for line in text.splitlines() if "first" in line)
    assert "3" in line, line
    assert weir.get("/").status == 200


def test_sighup_while_draining_is_harmless(start_weir, http_server):
    holding = Holding(b"late")
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        client.request()
        web.wait_active(1)
        weir.signal(signal.SIGTERM)
        wait_for(lambda: refused(weir), "new connections to be refused")
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            weir.signal(number)
        holding.release()
        assert client.response().body == b"late"
    assert weir.wait_exit() == 0


def test_sigkill_leaves_nothing_that_hinders_a_restart(make_weir, http_server):
    weir = make_weir()
    weir.configure(conf.one_pool({"a": http_server("a")}, 'sticky "cookie" {}'))
    weir.start()
    assert weir.get("/").status == 200
    weir.process.kill()
    weir.process.wait()
    mark = len(weir.log())
    weir.start(wait=False)
    weir.wait_log("weir: ready", mark)
    assert weir.get("/").status == 200


def test_sighup_while_starting_is_a_reload_after_it(make_weir, http_server, dns):
    """A start may wait some seconds for names; a reload waits for the start."""
    web = http_server("web")
    dns.faults = {("gone.test", A): SILENCE, ("gone.test", AAAA): SILENCE}
    weir = make_weir()
    weir.configure(dns.option + conf.one_pool({"web": web, "gone": "http://gone.test:81"}))
    weir.start(wait=False)
    wait_for(lambda: dns.count("gone.test", A) > 0, "the question")
    weir.signal(signal.SIGHUP)
    weir.wait_log("ready:")
    weir.wait_log("reload done")
    assert weir.get("/").server == "web"


def connect_and_send(weir, count=20):
    """Clients whose requests lie in the queue of a port that has just been opened."""
    clients = []
    for _ in range(count):
        wait_for(lambda: can_connect(weir, clients), "the port")
    for client in clients:
        client.request()
    return clients


def can_connect(weir, clients):
    try:
        clients.append(weir.client())
    except ConnectionRefusedError:
        return False
    return True


def test_sigterm_while_starting_serves_who_has_connected(make_weir, http_server, dns):
    """The port is open while names are awaited: who has sent is answered, then the program ends well."""
    web = http_server("web")
    dns.faults = {("gone.test", A): SILENCE, ("gone.test", AAAA): SILENCE}
    weir = make_weir()
    weir.configure(dns.option + conf.one_pool({"web": web, "gone": "http://gone.test:81"}))
    weir.start(wait=False)
    wait_for(lambda: dns.count("gone.test", A) > 0, "the question")
    clients = connect_and_send(weir)
    weir.signal(signal.SIGTERM)
    for client in clients:
        assert client.response().server == "web"
        client.close()
    assert weir.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM])
def test_signals_at_once(make_weir, http_server, number):
    """As soon as a client can connect a signal does what it always does, and never ends the program unasked."""
    web = http_server("web")
    for _ in range(4):
        weir = make_weir()
        weir.configure(conf.one_pool({"web": web}))
        weir.start(wait=False)
        clients = connect_and_send(weir, 2)
        weir.signal(number)
        for client in clients:
            assert client.response().server == "web"
            client.close()
        if number == signal.SIGTERM:
            assert weir.wait_exit() == 0
        else:
            assert weir.get("/").status == 200


def test_a_second_sigterm_cuts_nobody(start_weir, http_server):
    """What is running has its shutdown_timeout, however often it is said."""
    gate = Holding()
    web = http_server("web", gate)
    weir = start_weir(conf.one_pool({"web": web}))
    with weir.client() as client:
        client.request()
        wait_for(lambda: web.requests, "the request")
        weir.signal(signal.SIGTERM)
        weir.wait_log("stopping: running requests")
        weir.signal(signal.SIGTERM)
        weir.wait_log("stopping already")
        gate.release()
        assert client.response().status == 200
    assert weir.wait_exit() == 0
