# SPDX-License-Identifier: MIT
"""SIGHUP: a whole new configuration or nothing; no request lost, no unrelated connection closed."""

import os
import pathlib
import signal
import threading

import pytest

from weirtest import conf
from weirtest.backend import Holding, Reply
from weirtest.client import Client
from weirtest.load import Load
from weirtest.wait import DEADLINE, SANITIZED, wait_for
from weirtest.weir import run_weir

from test_upgrade import SWITCHED, UPGRADE


def echo_tunnel(peer):
    """Switches protocols and sends everything back."""
    peer.request()
    peer.send(SWITCHED)
    while True:
        data = peer.some()
        if not data:
            return
        peer.send(data)


def two_pools(web, tunnel, weight=1, extra="", route='"/"'):
    """A pool of three servers, one of them with a weight that changes, and a WebSocket pool."""
    servers = {"a": (web[0], f"weight = {weight}"), "b": web[1], "c": web[2]}
    return (conf.listener() + conf.modules() + conf.routes(web=route, chat='"/chat"') +
            conf.pool("web", servers, "keepalive_timeout = 1s  " + extra) + conf.pool("chat", {"t": tunnel}))


def test_200_reloads_under_load(start_weir, http_server, scripted_server):
    """Not a request fails, not a connection is closed, no memory or descriptor stays behind."""
    web = [http_server(name, keep=False) for name in "abc"]
    tunnel = scripted_server(echo_tunnel)
    texts = [two_pools(web, tunnel), two_pools(web, tunnel, 3, "retries = 1"),
             two_pools(web, tunnel, 0, 'sticky "cookie" {}'), two_pools(web, tunnel, 2)]
    weir = start_weir(texts[0])
    idle = weir.client()
    assert idle.get("/").status == 200
    socket = weir.client()
    socket.send(UPGRADE)
    assert socket.begin().status == 101
    for i in range(20):
        weir.reload(texts[i % len(texts)])
    memory, files = weir.memory_kib(), weir.descriptors()
    with Load(weir.client, threads=4) as load:
        load.wait_requests(50)
        for i in range(200):
            weir.reload(texts[i % len(texts)])
            if i % 20 == 0:
                socket.send(f"ping {i}")
                socket.expect(f"ping {i}")
                load.wait_requests(10)
        assert all(server.served for server in web)
    load.assert_clean()
    assert load.closed == 0, "a keep-alive connection was closed"
    assert idle.get("/").status == 200
    socket.send("still here")
    socket.expect("still here")
    socket.close()
    idle.close()
    wait_for(lambda: weir.descriptors() <= files, "descriptors to be given back")
    assert weir.memory_kib() - memory < (60 if SANITIZED else 6) * 1024


def test_unchanged_reload_keeps_upstream_connections(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}), workers=1)
    with weir.client() as client:
        client.get("/")
        for _ in range(10):
            weir.reload()
            assert client.get("/").status == 200
    assert web.accepted == 1


def test_running_requests_end_on_the_old_configuration(start_weir, http_server):
    """The pool of a request is gone by the time it is answered: it is answered all the same."""
    holding = Holding()
    old, new = http_server("old", holding), http_server("new")
    weir = start_weir(conf.one_pool({"a": old}))
    with weir.client() as client:
        client.request("GET", "/slow")
        old.wait_active(1)
        weir.reload(conf.listener() + conf.modules() + conf.routes(other='"/"') +
                    conf.pool("other", {"x": new}))
        assert weir.get("/").server == "new"
        holding.release()
        response = client.response()
        assert (response.status, response.server) == (200, "old")
        assert client.get("/").server == "new", "the next request on it is of the new one"
    wait_for(lambda: old.open_connections == 0, "connections to servers that are gone to end")


def test_queued_requests_survive(start_weir, http_server):
    """A request that waits for a place gets it under the new configuration."""
    holding = Holding(path="/held")
    web = http_server("a", holding)
    text = conf.one_pool({"a": (web, "max_connections = 1")})
    weir = start_weir(text)
    with weir.client() as first, weir.client() as second:
        first.request("GET", "/held")
        web.wait_active(1)
        second.request("GET", "/queued")
        weir.reload(text.replace("max_connections = 1", "max_connections = 5"))
        assert second.response().status == 200
        holding.release()
        assert first.response().status == 200


BAD = {
    "syntax": "pool {{{",
    "unknown option": "wokers = 2\n",
    "no pool": 'module "route_path" { route "/" { pool = "nowhere" } }\n',
    "unknown module": 'module "no_such_module" {}\n',
    "no certificate": 'listener "x" { bind = {"127.0.0.1:@x@"} tls { certificate "c" '
                      '{ chain = "missing.crt" key = "missing.key" } } }\n',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_file_changes_nothing(start_weir, http_server, bad):
    web = http_server("a")
    good = conf.one_pool({"a": web})
    if "route_path" in bad:
        broken = good.replace('pool = "web"', 'pool = "nowhere"')
    else:
        broken = good + bad
    weir = start_weir(good, workers=1)
    with weir.client() as client:
        assert client.get("/").status == 200
        log = weir.reload(broken, good=False)
        assert f"{weir.conf_path}:" in log
        assert client.get("/").status == 200
        assert web.accepted == 1
        # And the way back is open.
        weir.reload(good)
        assert client.get("/").status == 200


def test_port_in_use_changes_nothing(start_weir, http_server):
    web, other = http_server("a"), http_server("other")
    weir = start_weir(conf.one_pool({"a": web}))
    broken = (conf.listener() + conf.listener(name="second") +
              conf.listener(name="taken", bind=f'"127.0.0.1:{other.port}"') + conf.modules() +
              conf.routes(web='"/"') + conf.pool("web", {"a": web}))
    log = weir.reload(broken, good=False)
    assert str(other.port) in log
    assert weir.get("/").status == 200
    with pytest.raises(ConnectionRefusedError):
        weir.client("second")


def test_servers_come_and_go(start_weir, http_server):
    web = {name: http_server(name) for name in "abc"}
    weir = start_weir(conf.one_pool({"a": web["a"], "b": web["b"]}), workers=2)
    clients = [weir.client() for _ in range(6)]

    def answers():
        return {client.get("/").server for client in clients for _ in range(6)}

    assert answers() == {"a", "b"}
    weir.reload(conf.one_pool({"b": web["b"], "c": web["c"]}))
    assert answers() == {"b", "c"}
    wait_for(lambda: web["a"].open_connections == 0, "idle connections to a to end")
    # The same id with another address is another server.
    weir.reload(conf.one_pool({"b": web["a"]}))
    assert answers() == {"a"}
    for client in clients:
        client.close()


def test_health_survives_reload(start_weir, http_server):
    """A server that is down stays down: no request is spent on finding out again."""
    web = {name: http_server(name) for name in "ab"}
    health = 'health "http" { interval = 50ms  fast_interval = 50ms  rise = 2  fall = 2 }'
    text = conf.one_pool(web, health)
    weir = start_weir(text)
    mark = len(weir.log())
    web["b"].stop()
    weir.wait_log(r"\bb\b[^\n]* down", mark)
    for weight in (2, 3):
        weir.reload(text.replace('server "a" {', f'server "a" {{ weight = {weight} '))
        for _ in range(6):
            response = weir.get("/")
            assert (response.status, response.server) == (200, "a")
    assert all(entry["retries"] == 0 for entry in weir.access(12))
    mark = len(weir.log())
    web["b"].start()
    weir.wait_log(r"\bb\b[^\n]* up", mark)


def test_new_servers_are_probed(start_weir, http_server):
    """A server that comes by a reload is probed, one that goes is not any more."""
    web = {name: http_server(name) for name in "ab"}
    health = 'health "http" { path = "/health"  interval = 50ms  fast_interval = 50ms }'
    weir = start_weir(conf.one_pool({"a": web["a"]}, health))
    weir.reload(conf.one_pool({"b": web["b"]}, health))
    wait_for(lambda: web["b"].served >= 3, "probes of b")
    wait_for(lambda: web["a"].open_connections == 0, "the last probe of a to end")
    served = web["a"].served
    target = web["b"].served + 10
    wait_for(lambda: web["b"].served >= target, "more probes of b")
    assert web["a"].served == served


def test_routes_change(start_weir, http_server):
    web = {name: http_server(name) for name in "ab"}
    pools = conf.pool("a", {"x": web["a"]}) + conf.pool("b", {"x": web["b"]})
    start = conf.listener() + conf.modules()
    weir = start_weir(start + conf.routes(a='"/"') + pools)
    with weir.client() as client:
        assert client.get("/x").server == "a"
        weir.reload(start + conf.routes(a='"/"', b='"/x"') + pools)
        assert client.get("/x").server == "b"
        assert client.get("/").server == "a"
        weir.reload(start + conf.routes(b='"/x"') + pools)
        assert client.get("/").status == 404


def test_what_is_not_configured_any_more_is_closed(start_weir, http_server):
    """Also where a balancer goes on: the pool's balancer stays the one of the first configuration, its log
    file and the module that is gone do not."""
    def open_files():
        folder = pathlib.Path(f"/proc/{weir.pid}/fd")
        return {os.readlink(entry) for entry in folder.iterdir() if entry.exists()}

    web = {name: http_server(name) for name in "ab"}
    text = conf.one_pool(web, balance="least_conn")
    weir = start_weir(text + 'module "headers" {}\n')
    with weir.client() as client:
        assert client.get("/").status == 200
        before = str(weir.access_path)
        assert before in open_files() and "memfd:headers" in weir.mappings()
        weir.access_path = weir.folder / "other.log"
        weir.reload(text)
        assert client.get("/").status == 200
        wait_for(lambda: before not in open_files(), "the old log file to be closed")
        assert str(weir.access_path) in open_files()
        assert "balance_least_conn" in weir.mappings()
        if not SANITIZED:  # their reports want the names, so that nothing is unmapped
            wait_for(lambda: "memfd:headers" not in weir.mappings(), "the module to be unloaded")
        weir.reload(conf.one_pool(web, balance="round_robin"))
        assert client.get("/").status == 200


@pytest.mark.skipif(SANITIZED, reason="their reports want the names, so that nothing is unmapped")
def test_a_listener_that_goes_slowly_keeps_its_own_configuration_alone(start_weir, http_server):
    """Its last client waits for long; what came and went meanwhile is closed."""
    holding = Holding(b"done")
    web = http_server("a", holding)
    text = conf.one_pool({"a": web})
    weir = start_weir(text + conf.listener(name="extra"))
    with weir.client("extra") as client:
        client.request()
        wait_for(lambda: web.active == 1, "the request")
        weir.reload(text + 'module "headers" {}\n')
        assert "memfd:headers" in weir.mappings()
        weir.reload(text)
        wait_for(lambda: "memfd:headers" not in weir.mappings(), "the module to be unloaded")
        holding.release()
        assert client.response().body == b"done"
    assert weir.get("/").status == 200


def test_balancer_changes_under_load(start_weir, http_server):
    web = {name: http_server(name, keep=False) for name in "abc"}
    weir = start_weir(conf.one_pool(web))
    with Load(weir.client, threads=4) as load:
        for i in range(30):
            load.wait_requests(10)
            weir.reload(conf.one_pool(web, balance=("least_conn", "round_robin")[i % 2]))
    load.assert_clean()
    assert load.closed == 0


def test_listener_comes(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        assert client.get("/").status == 200
        weir.reload(conf.one_pool({"a": web}) + conf.listener(name="second"))
        for _ in range(8):
            assert weir.get("/", name="second").status == 200
        assert client.get("/").status == 200


def test_listener_goes(start_weir, http_server):
    """New connections are refused, what runs is finished, the others do not notice."""
    holding = Holding(path="/held")
    web = http_server("a", holding)
    both = conf.one_pool({"a": web}) + conf.listener(name="second")
    weir = start_weir(both)
    running, idle, other = weir.client("second"), weir.client("second"), weir.client()
    assert idle.get("/").status == 200 and other.get("/").status == 200
    running.request("GET", "/held")
    web.wait_active(1)
    weir.reload(conf.one_pool({"a": web}))
    with pytest.raises(ConnectionRefusedError):
        weir.client("second")
    idle.assert_closed()
    holding.release()
    response = running.response()
    assert response.status == 200
    running.assert_closed()
    assert other.get("/").status == 200
    # And back.
    weir.reload(both)
    assert weir.get("/", name="second").status == 200
    for client in (running, idle, other):
        client.close()


def test_listener_moves(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}))
    weir.reload(conf.one_pool({"a": web}).replace("@main@", "@moved@"))
    assert weir.get("/", name="moved").status == 200
    with pytest.raises(ConnectionRefusedError):
        weir.client("main")


def test_listener_settings_change(start_weir, http_server):
    """The next request of an open connection is under the new limits."""
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        assert client.get("/", method="POST", body=b"x" * 100).status == 200
        weir.reload(conf.one_pool({"a": web}, listener_options="body_limit = 50"))
        assert client.get("/", method="POST", body=b"x" * 100).status == 413


def test_unix_listener_stays(start_weir, http_server, tmp_path):
    path = str(tmp_path / "w.sock")
    web = http_server("a")
    text = conf.one_pool({"a": web}) + conf.listener(name="u", bind=f'"unix:{path}"')
    weir = start_weir(text)
    with Client(path) as client:
        assert client.get("/").status == 200
        weir.reload()
        assert client.get("/").status == 200
        with Client(path) as other:
            assert other.get("/").status == 200
    weir.reload(conf.one_pool({"a": web}))
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        Client(path)


def test_tls_to_plain_and_back(start_weir, http_server, certs):
    web = http_server("a")
    plain = conf.one_pool({"a": web})
    tls = conf.one_pool({"a": web}, listener_options=f"tls {{ {certs.block('localhost')} }}")
    weir = start_weir(plain)
    with weir.client() as old:
        assert old.get("/").status == 200
        weir.reload(tls)
        assert old.get("/").status == 200
        with weir.client(tls=certs.client()) as new:
            assert new.get("/").status == 200
            weir.reload(plain)
            assert new.get("/").status == 200
            assert old.get("/").status == 200
        assert weir.get("/").status == 200


def test_long_download_through_reloads(start_weir, http_server):
    steps = [threading.Event() for _ in range(5)]

    def handler(request):
        def pieces():
            for step in steps:
                yield b"x" * 1000
                assert step.wait(DEADLINE)
        return Reply(pieces(), framing="chunked")

    web = http_server("a", handler)
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        client.request()
        response = client.begin()
        got = 0
        for piece in client.body(response):
            got += len(piece)
            if got % 1000 == 0:
                weir.reload(conf.one_pool({"a": web}, f"retries = {got // 1000 % 3}"))
                steps[got // 1000 - 1].set()
        assert got == 5000


def test_quick_signals_are_not_lost(start_weir, http_server):
    """The last of many SIGHUPs is followed by a reload that has read the last file."""
    web = {name: http_server(name) for name in "ab"}
    weir = start_weir(conf.one_pool({"a": web["a"]}))
    for i in range(50):
        weir.configure(conf.one_pool({"x": web["ab"[i % 2]]}))
        weir.signal(signal.SIGHUP)
    wait_for(lambda: weir.get("/").server == "b", "the last configuration to be in force")


@pytest.mark.parametrize("kind, name, wrong", [
    ("pool", b"w\xff", "is not text"), ("pool", b"w\x01b", "is not text"),
    ("pool", b"a/b", "cannot name a pool"), ("pool", b"..", "cannot name a pool"),
    ("pool", b"p" * 129, "longer than 128 bytes"),
    ("server", b"\xc3(", "is not text"), ("server", b"a/b", "cannot name a server"),
    ("listener", b"l\xed\xa0\x80", "is not text"), ("listener", b"a/b", "cannot name a listener"),
    ("route", b"/\xff", "is not text"),
])
def test_names_are_checked(make_weir, kind, name, wrong):
    """Names go into paths of the API, JSON, metrics and logs: they are text, and a name alone."""
    names = {"pool": b"web", "server": b"a", "listener": b"main", "route": b"/", kind: name}
    weir = make_weir()
    weir.configure("")
    text = (b'listener "%(listener)b" { bind = {"127.0.0.1:1"} }\n'
            b'module "route_path" { route "%(route)b" { pool = "%(pool)b" } }\n'
            b'module "balance_round_robin" {}\n'
            b'pool "%(pool)b" { balance "round_robin" {}\n'
            b'server "%(server)b" { url = "http://127.0.0.1:2" } }\n' %
            {key.encode(): value for key, value in names.items()})
    path = weir.conf_path.with_name("named.conf")
    path.write_bytes(weir.conf_path.read_bytes() + text)
    done = run_weir("-t", "-c", path)
    assert done.returncode == 1
    assert wrong in done.stderr
    assert done.stderr.count(wrong) == 1, "told once"
