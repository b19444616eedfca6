# SPDX-License-Identifier: MIT
"""What many requests on one connection of HTTP/2 share: its certificate, its place among connections, and
the places at servers."""

import threading

from weirtest import conf
from weirtest.h2peer import H2Client
from weirtest.wait import DEADLINE, wait_for


def statuses(client, requests):
    """Of requests that are all sent before the first answer is awaited: pairs of authority and status."""
    streams = [(name, client.ask(authority=name)) for name in requests]
    return [(name, client.response(stream).status) for name, stream in streams]


# ---- names (RFC 9113 section 9.1.1, RFC 9110 section 15.5.20) ----

def test_misdirected_requests(start_weir, http_server, certs):
    """A client that joins connections asks for names that another certificate is for: 421, after which it
    asks on a connection of its own; the others on this one go on."""
    server = http_server("a")
    tls = f"tls {{ {certs.block('one')} {certs.block('two')} {certs.block('wildcard')} }}"
    weir = start_weir(conf.one_pool({"a": server}, listener_options=tls))
    with H2Client(weir.address(), tls=certs.client(), server_name="one.example") as client:
        assert statuses(client, ["one.example", "two.example", "one.example", "x.wild.example"]) == [
            ("one.example", 200), ("two.example", 421), ("one.example", 200), ("x.wild.example", 421)]
        assert client.get("/", authority="ONE.example:443").status == 200
        assert client.get("/", [("host", "two.example")], authority=None).status == 421
        assert client.goaway is None
    with H2Client(weir.address(), tls=certs.client(), server_name="two.example") as client:
        assert statuses(client, ["two.example", "two.test"]) == [
            ("two.example", 200), ("two.test", 200)], "names of one certificate"
    with H2Client(weir.address(), tls=certs.client(), server_name="a.wild.example") as client:
        assert statuses(client, ["a.wild.example", "b.wild.example", "one.example"]) == [
            ("a.wild.example", 200), ("b.wild.example", 200), ("one.example", 421)]
    reasons = [entry["reason"] for entry in weir.access(11)]
    assert reasons.count("misdirected") == 4 and len(server.requests) == 7


def test_one_certificate_is_for_all_names(start_weir, http_server, certs):
    """Nobody else would answer: as in HTTP/1."""
    weir = start_weir(conf.one_pool({"a": http_server("a")},
                                    listener_options=f"tls {{ {certs.block('localhost')} }}"))
    with H2Client(weir.address(), tls=certs.client()) as client:
        assert statuses(client, ["localhost", "else.example"]) == [("localhost", 200), ("else.example", 200)]


# ---- places ----

def answers(weir, source="127.0.0.1"):
    """A client whose requests were answered; None: its connection was closed."""
    client = H2Client(weir.address(), source=(source, 0))
    try:
        client.request()
        client.until(lambda: client.flows[1].ended)
        return client
    except (AssertionError, ConnectionError):
        client.close()
        return None


def test_connections_are_counted_not_streams(start_weir, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a")},
                                    listener_options="h2c = on  connections_per_address = 2"))
    clients = [answers(weir) for _ in range(2)]
    assert all(clients)
    for client in clients:
        assert statuses(client, ["localhost"] * 10) == [("localhost", 200)] * 10
    assert answers(weir) is None
    other = answers(weir, "127.0.0.2")
    assert other, "another address has its own"
    clients.pop().close()
    again = wait_for(lambda: answers(weir), "a place after one has gone")
    for client in clients + [other, again]:
        client.close()


def test_a_listeners_connections_are_limited(start_weir, http_server):
    """The next one waits in the socket's queue until a place is free."""
    weir = start_weir(conf.one_pool({"a": http_server("a")},
                                    listener_options="h2c = on  connection_limit = 2"))
    clients = [answers(weir) for _ in range(2)]
    assert all(clients)
    waiting = H2Client(weir.address())
    stream = waiting.ask()
    assert statuses(clients[0], ["localhost"] * 10) == [("localhost", 200)] * 10
    assert waiting.received == 0
    clients.pop().close()
    assert waiting.response(stream).status == 200
    for client in clients + [waiting]:
        client.close()


class Counting:
    """Answers when released; knows how many there were at once."""

    def __init__(self):
        self.lock, self.open = threading.Lock(), threading.Event()
        self.now = self.most = 0

    def __call__(self, request):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        assert self.open.wait(DEADLINE)
        with self.lock:
            self.now -= 1
        return "ok"


def test_a_servers_requests_are_limited(start_weir, http_server):
    """Streams of one connection wait in the pool's queue like requests of many; those that are reset
    there give their places to the others."""
    counting = Counting()
    server = http_server("a", counting)
    weir = start_weir(conf.one_pool({"a": (server, "max_requests = 2")}, "queue_timeout = 60s",
                                    listener_options="h2c = on"), workers=1)
    with H2Client(weir.address()) as client:
        streams = [client.ask() for _ in range(8)]
        wait_for(lambda: counting.now == 2, "two requests at the server")
        for stream in streams[4:6]:
            client.reset_stream(stream)
        counting.open.set()
        for stream in streams[:4] + streams[6:]:
            assert client.response(stream).status == 200
    assert counting.most == 2 and len(server.requests) == 6
