# SPDX-License-Identifier: MIT
"""No request is lost when something closes: SIGTERM, and a reload that takes a listener away. Each kind runs
until REQUESTS have been sent: WEIR_LAST_REQUESTS=100000 is the figure of the documents."""

import os
import signal
import socket
import ssl

import pytest

from weirtest import conf
from weirtest.crowd import GET, POST, Crowd, wait_begun
from weirtest.wait import wait_for

REQUESTS = int(os.environ.get("WEIR_LAST_REQUESTS", "500"))

POOL = "queue_limit = 100000  queue_timeout = 60s"


def settings(web, listener_options="", extra=""):
    """A few connections to the server, so that Python keeps up; all others wait in the queue."""
    return conf.one_pool({"a": (web, "max_connections = 24")}, POOL, listener_options, extra=extra)


@pytest.fixture
def rounds(make_weir, http_server):
    """Plays `scene(weir)` with a new weir each time until its crowds have sent enough."""
    web = http_server("a", keep=False)

    def play(text, scene, workers=2, requests=REQUESTS):
        sent = 0
        while sent < requests:
            weir = make_weir(workers=workers, access_log=False)
            weir.configure(text(web))
            weir.start()
            crowd = scene(weir)
            assert not crowd.lost, str(crowd)
            assert set(crowd.statuses) <= {200}, crowd.statuses
            assert crowd.sent == crowd.answered > 0, str(crowd)
            sent += crowd.sent
        print(f"{sent} requests")

    return play


def stands_still(how, end):
    """All connect and send while the program stands still, which goes on only to hear of its end."""

    def scene(weir):
        weir.signal(signal.SIGSTOP)
        crowd = Crowd(weir.address("gone" if end is take_away else "main"), 500, total=500, **how)
        crowd.start()
        wait_begun(crowd, 500)
        end(weir)
        weir.signal(signal.SIGCONT)
        crowd.join()
        finish(weir)
        return crowd

    return scene


def at_work(how, end):
    """A steady load, and the end comes when it likes."""

    def scene(weir):
        crowd = Crowd(weir.address("gone" if end is take_away else "main"), 40, **how).start()
        wait_for(lambda: crowd.answered > 300, "requests")
        end(weir)
        wait_for(lambda: crowd.refused > 0 or crowd.lost, "the end of the listener")
        crowd.stop()
        finish(weir)
        return crowd

    return scene


def terminate(weir):
    weir.signal(signal.SIGTERM)


def take_away(weir):
    """The listener "gone", and the pool that only it used."""
    text = weir.conf_path.read_text(encoding="utf-8")
    weir.conf_path.write_text(text[:text.index("# gone")], encoding="utf-8")
    weir.signal(signal.SIGHUP)


def finish(weir):
    if not weir.running() or "stopping:" in weir.log():
        assert weir.wait_exit() == 0
    else:
        weir.stop()


ENDS = {"sigterm": terminate, "reload": take_away}
KINDS = {
    "once": {},
    "keep_alive": {"once": False},
    "posts": {"once": False, "request": POST},
    "tls": {"tls": True},
    "tls_keep_alive": {"tls": True, "once": False},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("scene", [stands_still, at_work], ids=["stands_still", "at_work"])
def test_nobody_is_lost(rounds, certs, kind, end, scene):
    how = dict(KINDS[kind])
    tls = ""
    if how.get("tls"):
        how["tls"] = certs.client()
        tls = f"tls {{ {certs.block('localhost')} }}"

    def text(web):
        if end == "sigterm":
            return settings(web, tls)
        return conf.listener() + conf.modules() + \
            'module "route_path" {\n  route "/" { host = "localhost"  pool = "web" }\n}\n' + \
            conf.pool("web", {"a": (web, "max_connections = 24")}, POOL) + \
            "# gone\n" + conf.listener(tls, name="gone")

    rounds(text, scene(how, ENDS[end]))


def test_one_of_each_worker(make_weir, http_server):
    """Twenty clients have sent while it stood still; not one gets a FIN."""
    for workers in (1, 2, 4):
        weir = make_weir(workers=workers)
        weir.configure(settings(http_server("a")))
        weir.start()
        weir.signal(signal.SIGSTOP)
        clients = [weir.client() for _ in range(20)]
        for client in clients:
            client.send(GET)
        weir.signal(signal.SIGTERM)
        weir.signal(signal.SIGCONT)
        for client in clients:
            assert client.response().status == 200
            client.close()
        assert weir.wait_exit() == 0
