# SPDX-License-Identifier: MIT
"""Where clients connect: IPv4, IPv6, Unix sockets, several at once, ports that the kernel chooses."""

import os
import re
import stat

from weirtest import conf
from weirtest.client import Client


def behind(web):
    return conf.modules() + conf.routes(web='"/"') + conf.pool("web", {"a": web})


def test_ipv6(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.listener(bind='"[::1]:@main@"') + behind(web))
    with Client(("::1", weir.port())) as client:
        assert client.get("/", host=f"[::1]:{weir.port()}").status == 200
    assert web.requests[-1].headers.get("X-Forwarded-For") == "::1"
    assert weir.access(1)[0]["client"] == "::1"


def test_both_families_on_one_port(start_weir, http_server):
    weir = start_weir(conf.listener(bind='"0.0.0.0:@main@", "[::]:@main@"') + behind(http_server()))
    for host in ("127.0.0.1", "::1"):
        with Client((host, weir.port())) as client:
            assert client.get("/").status == 200
    assert sorted(entry["client"] for entry in weir.access(2)) == ["127.0.0.1", "::1"]


def test_unix_socket(make_weir, http_server, tmp_path):
    path = str(tmp_path / "w.sock")
    weir = make_weir()
    weir.configure(conf.listener("socket_mode = 0600", bind=f'"unix:{path}"') +
                   behind(http_server()))
    weir.start()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    clients = [Client(path) for _ in range(8)]
    for client in clients:
        for _ in range(3):
            assert client.get("/").status == 200
        client.close()
    weir.stop()
    assert not os.path.exists(path), "the socket's file goes with the listener"


def test_dead_unix_socket_is_replaced(make_weir, http_server, tmp_path):
    path = str(tmp_path / "w.sock")
    text = conf.listener(bind=f'"unix:{path}"') + behind(http_server())
    first = make_weir()
    first.configure(text)
    first.start()
    first.kill()
    assert os.path.exists(path)
    second = make_weir()
    second.configure(text)
    second.start()
    with Client(path) as client:
        assert client.get("/").status == 200


def test_ready_line_names_ports_that_the_kernel_chose(start_weir, http_server):
    weir = start_weir(conf.listener(bind='"127.0.0.1:0"') + behind(http_server()))
    line = weir.wait_log(r"[^\n]*weir: ready[^\n]*").group(0)
    port = int(re.search(r"127\.0\.0\.1:(\d+)", line).group(1))
    assert port > 0
    for _ in range(8):  # each worker listens there
        with Client(("127.0.0.1", port)) as client:
            assert client.get("/").status == 200


def test_listeners_have_their_own_settings(start_weir, http_server):
    text = (conf.listener("body_limit = 10") + conf.listener("body_limit = 20", name="other") +
            behind(http_server()))
    weir = start_weir(text)
    assert weir.get("/", method="POST", body=b"x" * 15).status == 413
    assert weir.get("/", method="POST", body=b"x" * 15, name="other").status == 200
    assert sorted(entry["listener"] for entry in weir.access(2)) == ["main", "other"]


def timeslices(weir):
    """How often each thread has been on a processor."""
    counts = {}
    for task in os.listdir(f"/proc/{weir.pid}/task"):
        with open(f"/proc/{weir.pid}/task/{task}/schedstat", encoding="ascii") as handle:
            counts[task] = int(handle.read().split()[2])
    return counts


def test_connections_are_spread_over_workers(start_weir, http_server):
    """All workers accept: of forty connections, each of two has some."""
    weir = start_weir(conf.one_pool({"a": http_server("a")}), workers=2, access_log=False)
    before = timeslices(weir)
    clients = [weir.client() for _ in range(40)]
    for client in clients:
        assert client.get("/").status == 200
    after = timeslices(weir)
    busy = [task for task, count in after.items() if count >= before.get(task, 0) + 10]
    assert len(busy) == 2
    for client in clients:
        client.close()
