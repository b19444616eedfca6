# SPDX-License-Identifier: MIT
"""No request is lost when something closes: SIGTERM, and a reload that takes a listener away. Each kind runs
until REQUESTS have been sent: WEIR_LAST_REQUESTS=100000 is the figure of the documents."""

import contextlib
import os
import select
import signal
import socket
import ssl

import pytest

from weirtest import admin, conf, proxy_header
from weirtest.backend import Holding
from weirtest.crowd import GET, POST, Crowd, wait_begun
from weirtest.wait import Stopwatch, wait_for

from test_signals import refused

REQUESTS = int(os.environ.get("WEIR_LAST_REQUESTS", "500"))

POOL = "queue_limit = 100000  queue_timeout = 60s"


def few(web):
    """Not many connections to the server, so that Python keeps up; all others wait in the queue."""
    return {"a": (web, "max_connections = 24")}


def routes(hosts):
    """The router's block: pools by host."""
    rules = "".join(f'  route "/" {{ host = "{host}"  pool = "{pool}" }}\n'
                    for host, pool in hosts.items())
    return f'module "route_path" {{\n{rules}}}\n'


class Sigterm:
    """The program's end. All is one listener."""

    def text(self, web, options, bind):
        return conf.one_pool(few(web), POOL, options) if bind is None else \
            conf.listener(options, bind=bind) + conf.modules() + conf.routes(web='"/"') + \
            conf.pool("web", few(web), POOL)

    def come(self, weir):
        weir.signal(signal.SIGTERM)

    def finish(self, weir):
        assert weir.wait_exit() == 0


class Reload(Sigterm):
    """A reload takes the listener away, and the pool and the route that only it used."""

    def text(self, web, options, bind):
        self.after = conf.listener(name="other") + conf.modules() + \
            routes({"other": "other"}) + conf.pool("other", few(web), POOL)
        return conf.listener(options, bind=bind) + conf.listener(name="other") + conf.modules() + \
            routes({"other": "other", "localhost": "web"}) + \
            conf.pool("web", few(web), POOL) + conf.pool("other", few(web), POOL)

    def come(self, weir):
        weir.configure(self.after)
        weir.signal(signal.SIGHUP)

    def finish(self, weir):
        weir.stop()


class Address(Reload):
    """A reload takes one of the listener's addresses away."""

    def text(self, web, options, bind):
        bind = bind or '"127.0.0.1:@main@"'
        self.after = super().text(web, options, '"127.0.0.1:@second@"')
        return super().text(web, options, f'{bind}, "127.0.0.1:@second@"')

    def come(self, weir):
        weir.configure(self.after)
        weir.signal(signal.SIGHUP)


ENDS = {"sigterm": Sigterm, "reload": Reload, "address": Address}


@pytest.fixture
def rounds(make_weir, http_server):
    """Plays `scene(weir, end)` with a new weir each time until its crowds have sent enough."""
    web = http_server("a", keep=False)

    def play(end, scene, options="", bind=None):
        sent = 0
        while sent < REQUESTS:
            weir = make_weir(workers=2, access_log=False)
            weir.configure(end.text(web, options, bind))
            weir.start()
            crowd = scene(weir, end)
            assert not crowd.lost, str(crowd)
            assert set(crowd.statuses) <= {200}, crowd.statuses
            assert crowd.sent == crowd.answered > 0, str(crowd)
            sent += crowd.sent
        print(f"{sent} requests")

    return play


def stands_still(weir, end, address, **how):
    """All connect and send while the program stands still, which goes on only to hear of the end."""
    with weir.standing_still():
        crowd = Crowd(address, 500, total=500, **how).start()
        wait_begun(crowd, 500)
        end.come(weir)
    crowd.join()
    end.finish(weir)
    return crowd


def at_work(weir, end, address, **how):
    """A steady load, and the end comes when it likes."""
    crowd = Crowd(address, 40, **how).start()
    wait_for(lambda: crowd.answered > 300, "requests")
    end.come(weir)
    wait_for(lambda: crowd.refused > 0 or crowd.lost, "the end of the listener")
    crowd.stop()
    end.finish(weir)
    return crowd


KINDS = {
    "once": {},
    "keep_alive": {"once": False},
    "posts": {"once": False, "request": POST},
    "tls": {"tls": True},
    "tls_keep_alive": {"tls": True, "once": False},
    "unix": {"unix": True},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("scene", [stands_still, at_work], ids=["stands_still", "at_work"])
def test_nobody_is_lost(rounds, certs, tmp_path, kind, end, scene):
    how = dict(KINDS[kind])
    options, bind = "", None
    if how.get("tls"):
        how["tls"] = certs.client()
        options = f"tls {{ {certs.block('localhost')} }}"
    if how.pop("unix", False):
        path = str(tmp_path / "s")
        bind = f'"unix:{path}"'
        how["address"] = path

    def play(weir, end):
        return scene(weir, end, **{"address": weir.address(), **how})

    rounds(ENDS[end](), play, options, bind)


def test_one_of_each_worker(make_weir, http_server):
    """Twenty clients have sent while it stood still; not one gets a FIN."""
    for workers in (1, 2, 4):
        weir = make_weir(workers=workers)
        weir.configure(conf.one_pool({"a": http_server("a")}))
        weir.start()
        with weir.standing_still():
            clients = [weir.client() for _ in range(20)]
            for client in clients:
                client.send(GET)
            weir.signal(signal.SIGTERM)
        for client in clients:
            assert client.response().status == 200
            client.close()
        assert weir.wait_exit() == 0


def test_who_waits_for_a_place_gets_one(start_weir, http_server):
    """connection_limit is reached: those in the sockets' queues come in as others end."""
    weir = start_weir(conf.one_pool({"a": http_server("a")}, listener_options="connection_limit = 3"))
    with weir.standing_still():
        clients = [weir.client() for _ in range(30)]
        for client in clients:
            client.send(GET)
        weir.signal(signal.SIGTERM)
    left = {client.sock.fileno(): client for client in clients}
    answers = select.poll()
    for number in left:
        answers.register(number, select.POLLIN)

    def one():
        for number, _ in answers.poll(0):
            answers.unregister(number)
            client = left.pop(number)
            assert client.response().status == 200
            client.close()
        return not left

    wait_for(one, "all answers")
    assert weir.wait_exit() == 0


def test_idle_connections_have_one_request_more(start_weir, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a")}, listener_options="lame_duck = 1h"))
    with weir.client() as client, weir.client() as new:
        assert not client.get("/").closes
        weir.signal(signal.SIGTERM)
        weir.wait_log("stopping")
        wait_for(lambda: refused(weir), "new connections to be refused")
        assert weir.running()
        for each in (client, new):
            response = each.get("/")
            assert (response.status, response.closes) == (200, True)
            each.assert_closed()
    assert weir.wait_exit() == 0


def test_pipelined_requests_that_are_here_are_served(start_weir, http_server):
    holding = Holding()
    web = http_server("a", holding)
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        client.send(GET * 3)
        web.wait_active(1)
        weir.signal(signal.SIGTERM)
        wait_for(lambda: refused(weir), "new connections to be refused")
        holding.release()
        assert [client.response().closes for _ in range(3)] == [False, False, True]
        client.assert_closed()
    assert weir.wait_exit() == 0


@pytest.mark.parametrize("end", [Sigterm, Reload])
def test_a_preamble_under_way(start_weir, http_server, end):
    """Half of a PROXY header has come."""
    end = end()
    options = 'trusted_proxies = {"127.0.0.0/8"}  proxy_protocol = require'
    weir = start_weir(end.text(http_server("a"), options, None))
    header = proxy_header.v1("192.0.2.7", "192.0.2.1", 1234, 80)
    with weir.client(preface=header[:20]) as half, weir.client() as silent:
        end.come(weir)
        wait_for(lambda: refused(weir), "new connections to be refused")
        half.send(header[20:] + GET)
        response = half.response()
        assert (response.status, response.closes) == (200, True)
        silent.assert_closed()
    end.finish(weir)


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("end", [Sigterm, Reload])
def test_a_handshake_under_way(start_weir, http_server, certs, end, asks):
    """Half of a ClientHello has come. Who has shaken hands then has a second for his request, and no more."""
    end = end()
    options = f"tls {{ {certs.block('localhost')} }}  header_timeout = 60s  idle_timeout = 60s"
    weir = start_weir(end.text(http_server("a"), options, None))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certs.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with weir.client() as client, weir.client() as silent:

        def exchange(step):
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    return step()
                client.send(outgoing.read())
                incoming.write(client.some())

        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        client.send(hello[:50])
        end.come(weir)
        wait_for(lambda: refused(weir), "new connections to be refused")
        client.send(hello[50:])
        exchange(tls.do_handshake)
        if asks:
            tls.write(GET)
        client.send(outgoing.read())
        if asks:
            assert exchange(lambda: tls.read(1000)).startswith(b"HTTP/1.1 200 OK\r\n")
        else:
            client.rest()  # until its end: tickets, close_notify
        silent.assert_closed()
    end.finish(weir)
    assert "cut off" not in weir.log()


def test_a_port_is_free_for_the_next_reload(start_weir, http_server):
    """A listener goes and comes back, as fast as reloads can be, while somebody holds its old self."""
    web = http_server("a")
    both, one = (conf.one_pool({"a": web}, extra=conf.listener("lame_duck = 1h", name=name))
                 for name in ("second", "other"))
    weir = start_weir(both)
    with weir.client("second") as client:
        assert client.get("/").status == 200
        for _ in range(10):
            weir.reload(one)
            weir.reload(both)
        assert weir.get("/", name="second").status == 200
        response = client.get("/")
        assert (response.status, response.closes) == (200, True)


def test_the_admin_plane_goes_along(make_weir, http_server, tmp_path):
    """It tells of the drain as long as that lasts, to who has connected; events end. systemd hears once."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.setblocking(False)
    holding = Holding(b"late")
    web = http_server("a", holding)
    weir = make_weir()
    weir.configure(admin.one_pool({"a": web}, extra="lame_duck = 1h"))
    weir.start(environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    bearer = [("Authorization", f"Bearer {admin.token(weir)}")]
    with weir.client() as client, weir.client("admin") as idle, admin.events(weir) as events:
        assert idle.get("/api/v1/status", bearer).status == 200
        client.request()
        web.wait_active(1)
        weir.signal(signal.SIGTERM)
        for _ in events:
            pass  # until their end
        response = idle.get("/api/v1/pools/web", bearer)
        assert (response.status, response.closes) == (200, True)
        holding.release()
        assert client.response().body == b"late"
    assert weir.wait_exit() == 0
    words = []
    with contextlib.suppress(BlockingIOError):
        while True:
            words.append(told.recv(1000))
    told.close()
    if words:  # built with libsystemd
        assert [word for word in words if b"=" in word][-1] == b"STOPPING=1"
        assert words.count(b"READY=1") == words.count(b"STOPPING=1") == 1


def test_shutdown_timeout_bounds_all_of_it(make_weir, http_server, certs):
    """A lame duck, half a handshake and half a PROXY header."""
    weir = make_weir()
    weir.configure(conf.listener("lame_duck = 1h") +
                   conf.listener(f"tls {{ {certs.block('localhost')} }}", name="tls") +
                   conf.listener('trusted_proxies = {"127.0.0.0/8"}  proxy_protocol = require',
                                 name="proxy") +
                   conf.modules() + conf.routes(web='"/"') + conf.pool("web", {"a": http_server("a")}),
                   shutdown_timeout="300ms")
    weir.start()
    with weir.client() as idle, weir.client("tls") as shaking, weir.client("proxy") as half:
        assert idle.get("/").status == 200
        shaking.send(b"\x16\x03\x01\x02\x00")
        half.send("PROXY TCP4 ")
        with Stopwatch() as watch:
            weir.signal(signal.SIGTERM)
            assert weir.wait_exit() == 0
        assert watch.seconds < 6
