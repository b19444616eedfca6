# SPDX-License-Identifier: MIT
"""Options of HTTP/2 that change by reload, while requests wait, run and stream."""

import threading

import pytest

from weirtest import conf
from weirtest.backend import Holding
from weirtest.h2peer import H2Client
from weirtest.wait import DEADLINE, wait_for

H2 = 'protocol = "h2"'
H1 = 'protocol = "http/1.1"'


# ---- towards servers ----


@pytest.mark.parametrize("before,after", [(H1, H2), (H2, H1), (H1, 'protocol = "auto"')])
def test_what_waits_goes_by_the_new_protocol(start_weir, http_server, h2_server, certs, before, after):
    """A request that has waited for a server through the reload finds others, which speak another protocol."""
    def server(name, protocol, handler=None):
        tls = certs.server()
        return (http_server if protocol == H1 else h2_server)(name, handler, tls=tls)

    def text(servers, options):
        return conf.one_pool(servers, f'{options}\ntls {{ ca = "{certs.ca}" }}')

    holding = Holding()
    first, second = server("first", before, holding), server("second", after)
    weir = start_weir(text({"first": (first, "max_requests = 1")}, before), workers=1)
    running, waiting = weir.client(), weir.client()
    running.request("GET", "/running")
    wait_for(lambda: len(first.requests) == 1, "a request that runs")
    waiting.request("POST", "/waiting", body=b"body")
    assert weir.get("/none", host="").status == 400  # the one before has been read by now
    weir.reload(text({"second": second}, after))
    answer = waiting.response()
    assert (answer.status, second.requests[0].target) == (200, "/waiting")
    holding.release()
    assert running.response().text == "/running"
    assert weir.get("/").text == "second"
    assert second.accepted == 1  # what the one that waited has opened is kept


@pytest.mark.parametrize("option,was,becomes", [("h2_streams", "3", "1"), ("h2_streams", "1", "3"),
                                                ("h2_window", "64k", "128k")])
def test_connections_to_servers_follow_a_reload(start_weir, h2_server, option, was, becomes):
    """Those that were made before take no more requests, and end with their last one; idle ones at once."""
    holding = Holding(path="/held")
    server = h2_server("a", holding)

    def text(value):
        return conf.one_pool({"a": server}, f"{H2}\n{option} = {value}")

    weir = start_weir(text(was), workers=1)
    assert weir.get("/").status == 200
    weir.reload(text(becomes))
    wait_for(lambda: server.open_connections == 0, "the idle connection to close")
    with weir.client() as client:
        client.request("GET", "/held")
        wait_for(lambda: len(server.requests) == 2, "a request that runs")
        weir.reload(text(was))
        assert weir.get("/").status == 200
        holding.release()
        assert client.response().status == 200
    wait_for(lambda: server.open_connections == 1, "the old connection to close")
    assert weir.get("/").status == 200
    assert server.accepted == 3


def test_a_reload_that_changes_nothing_keeps_connections(start_weir, h2_server):
    server = h2_server("a")
    text = conf.one_pool({"a": server}, H2)
    weir = start_weir(text, workers=1)
    assert weir.get("/").status == 200
    weir.reload(text + "# again\n")
    assert weir.get("/").status == 200
    assert server.accepted == 1


def test_the_protocol_changes_under_load(start_weir, http_server, h2_server):
    """Back and forth between servers of either: no request is lost, and none goes to one that cannot read it."""
    one, two = http_server("one"), h2_server("two")
    texts = [conf.one_pool({"one": one}, H1, "h2c = on"), conf.one_pool({"two": two}, H2, "h2c = on")]
    weir = start_weir(texts[0])
    over = threading.Event()
    seen = []

    def ask(make):
        with make() as client:
            while not over.is_set():
                answer = client.get("/")
                seen.append((answer.status, answer.text))

    threads = [threading.Thread(target=ask, args=(make,))
               for make in (weir.client, weir.client, lambda: H2Client(weir.address()))]
    for thread in threads:
        thread.start()
    for turn in range(6):
        count = len(seen)
        wait_for(lambda: len(seen) > count + 20, "requests to be answered")
        weir.reload(texts[(turn + 1) % 2])
    over.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert set(seen) == {(200, "one"), (200, "two")}


# ---- towards clients ----


def test_what_a_listener_offers_changes_while_streams_run(start_weir, http_server, certs):
    """alpn, h2_streams and h2_window hold for new connections; those that are there go on as they began."""
    web = http_server("a", Holding(path="/held"))

    def text(options, alpn=""):
        return conf.one_pool({"a": web}, listener_options=f"{options}\n"
                             f"tls {{ {certs.block('localhost')}  {alpn} }}")

    weir = start_weir(text("h2_streams = 3"), workers=1)
    with H2Client(weir.address(), tls=certs.client()) as client:
        held = [client.ask(target="/held") for _ in range(2)]
        wait_for(lambda: len(web.requests) == 2, "two requests that run")
        weir.reload(text("h2_streams = 1  h2_window = 16k", 'alpn = {"http/1.1"}'))
        assert client.get("/more", body=b"x" * 60000).status == 200
        with weir.client(tls=certs.client(alpn=["h2", "http/1.1"])) as other:
            assert other.sock.selected_alpn_protocol() == "http/1.1"
            assert other.get("/").status == 200
        web.handler.release()
        assert [client.response(stream).status for stream in held] == [200, 200]


def test_h2c_ends_while_streams_run(start_weir, http_server):
    web = http_server("a", Holding(path="/held"))
    text = conf.one_pool({"a": web}, listener_options="h2c = on")
    weir = start_weir(text, workers=1)
    with H2Client(weir.address()) as client:
        held = client.ask(target="/held")
        wait_for(lambda: len(web.requests) == 1, "a request that runs")
        weir.reload(text.replace("h2c = on", ""))
        assert client.get("/more").status == 200
        web.handler.release()
        assert client.response(held).status == 200
