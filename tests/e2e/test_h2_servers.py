# SPDX-License-Identifier: MIT
"""Servers of HTTP/2 that end connections, refuse streams or speak something else, and how many connections
and requests they get."""

import contextlib
import threading

import h2.events
import h2.settings
import hpack
import pytest

from weirtest import conf
from weirtest.backend import Holding, Reply
from weirtest.h2peer import Codes, H2Client, RawClient, Session, frame, server_script
from weirtest.wait import DEADLINE, wait_for

H2 = 'protocol = "h2"'
H2C = "h2c = on"


def whole(session, done):
    """Requests that are whole, and were not looked at yet."""
    new = [number for number, flow in session.flows.items() if flow.ended and number not in done]
    done.update(new)
    return sorted(new)


def answer(session, number, body=b"ok"):
    session.h2.send_headers(number, [(":status", "200")])
    session.h2.send_data(number, body, end_stream=True)
    session.flush()


def goaway(last):
    return frame(7, 0, 0, last.to_bytes(4, "big") + bytes(4))


def statuses(client, streams):
    """None where a stream was reset."""
    flows = [client.finish(stream) for stream in streams]
    return [int(flow.value(":status")) if flow.ended else None for flow in flows]


# ---- what is sent again, and what is not ----


@pytest.fixture(params=["refused", "goaway"])
def refuser(request, scripted_server):
    """Servers that answer the first request of each connection, or none, and refuse all the others. The
    number of requests that have come to them is in `seen`."""

    def start(seen, good=0):
        def script(session):
            done, answered = set(), 0
            while session.pump():
                numbers = whole(session, done)
                seen.extend(numbers)
                for number in numbers:
                    if answered < good:
                        answered += 1
                        answer(session, number)
                    elif request.param == "refused":
                        session.reset_stream(number, Codes.REFUSED_STREAM)
                    else:
                        session.send(goaway(0))
                        session.until_over()
                        seen.extend(whole(session, done))
                        return

        return scripted_server(server_script(script))

    return start


def test_who_refuses_all_gets_no_more_than_the_budget(start_weir, refuser):
    """On connections that were used before, too."""
    seen = []
    servers = {"a": refuser(seen), "b": refuser(seen)}
    weir = start_weir(conf.one_pool(servers, f"{H2}\nretry_budget = 10%", H2C), workers=1)
    with H2Client(weir.address()) as client:
        got = []
        for _ in range(20):  # turn by turn: connections are used again
            got += statuses(client, [client.ask("POST") for _ in range(10)])
    assert got == [502] * 200
    # A tenth, the ten that are there at the start, and one a second.
    assert 200 <= len(seen) <= 200 + 20 + 10 + 60, len(seen)
    entries = weir.access(200)
    assert {entry["reason"] for entry in entries} == {"upstream_reset"}
    assert {entry["detail"] for entry in entries} == {"request_refused"}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_goaway_after_a_few_requests_loses_none(start_weir, scripted_server, method):
    """A server ends each connection while more requests are on their way; it has not looked at them."""
    served = []

    def script(session):
        done = set()
        while len(done) < 5 and session.pump():
            whole(session, done)
        for number in sorted(done)[:5]:
            served.append(number)
            answer(session, number)
        session.send(goaway(sorted(done)[4]))
        session.until_over()

    server = scripted_server(server_script(script))
    weir = start_weir(conf.one_pool({"a": server}, H2, H2C), workers=1)
    with H2Client(weir.address()) as client:
        assert statuses(client, [client.ask(method) for _ in range(20)]) == [200] * 20
    assert len(served) == 20
    assert all(entry["retries"] == 0 for entry in weir.access(20))


def test_goaway_of_a_server_that_shuts_down(start_weir, scripted_server):
    """First the notice, then the last stream, as servers do; what came between is served elsewhere."""
    def script(session):
        done = set()
        while len(done) < 10 and session.pump():
            whole(session, done)
        numbers = sorted(done)
        session.send(goaway(0x7fffffff))
        for number in numbers[:4]:
            answer(session, number)
        session.send(goaway(numbers[6]))
        for number in numbers[4:7]:
            answer(session, number)
        session.until_over()

    def serve(session):
        done = set()
        while session.pump():
            for number in whole(session, done):
                answer(session, number)

    server = scripted_server(server_script(script), server_script(serve))
    weir = start_weir(conf.one_pool({"a": server}, H2, H2C), workers=1)
    with H2Client(weir.address()) as client:
        assert statuses(client, [client.ask("POST") for _ in range(10)]) == [200] * 10
        assert statuses(client, [client.ask("POST")]) == [200]
    assert server.accepted == 2


def test_a_burst_above_the_servers_limit_loses_none(start_weir, scripted_server):
    """Requests go out before the server has said how many it takes. It refuses those above."""
    def script(session):
        session.h2.local_settings = h2.settings.Settings(client=False)  # or it would be an error there
        done, running, above = set(), set(), 0
        while session.pump():
            for number in whole(session, done):
                if len(running) < 10 and above == 0:
                    running.add(number)
                else:
                    above += 1
                    session.reset_stream(number, Codes.REFUSED_STREAM)
            if len(running) == 10 or above == 0:
                for number in running:
                    answer(session, number)
                running.clear()
                above = 0

    server = scripted_server(server_script(script, settings={3: 10}))
    weir = start_weir(conf.one_pool({"a": server}, H2, H2C), workers=1)
    with H2Client(weir.address()) as client:
        assert statuses(client, [client.ask("POST") for _ in range(60)]) == [200] * 60
    assert server.accepted <= 7


# ---- the server's side of a client's reset ----


def test_a_clients_reset_ends_the_servers_stream_at_once(start_weir, scripted_server):
    """While nothing else happens, and the connection serves on."""
    begun, reset = threading.Event(), threading.Event()

    def script(session):
        session.until(lambda: 1 in session.flows and session.flows[1].ended)
        begun.set()
        session.until(lambda: session.flows[1].reset is not None)
        assert session.flows[1].reset == Codes.CANCEL
        reset.set()
        done = {1}
        while session.pump():
            for number in whole(session, done):
                answer(session, number)

    server = scripted_server(server_script(script))
    weir = start_weir(conf.one_pool({"a": server}, H2, H2C), workers=1)
    with H2Client(weir.address()) as client:
        stream = client.ask()
        assert begun.wait(DEADLINE)
        client.reset_stream(stream)
        assert reset.wait(DEADLINE)
        assert statuses(client, [client.ask()]) == [200]
    assert server.accepted == 1


def test_a_reset_before_the_request_has_gone_out(start_weir, scripted_server):
    """The server never sees that stream: a reset of an idle one would break the connection."""
    numbers = []

    def script(session):
        done = set()
        while session.pump():
            numbers.extend(session.flows)
            for number in whole(session, done):
                answer(session, number)

    server = scripted_server(server_script(script))
    weir = start_weir(conf.one_pool({"a": server}, H2, H2C), workers=1)
    with RawClient(weir.address()) as client:
        fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
        client.head(1, fields)
        assert client.finish(1).ended
        block = client.encoder.encode(fields)
        for number in range(3, 23, 2):  # in one write, and in the turn in which each request begins
            client.send(frame(1, 4, number, block) + frame(0, 0, number, b"x") +
                        frame(3, 0, number, (8).to_bytes(4, "big")))
        client.head(101, fields)
        flow = client.finish(101)
        assert flow.ended and flow.head.get(":status") == "200"
    assert server.accepted == 1


# ---- heads on the wire ----


@pytest.mark.parametrize("up", [1, 2])
def test_heads_larger_than_a_frame(start_weir, http_server, h2_server, up):
    """They go out in several, both ways."""
    fields = [(f"X-Large-{i}", "v" * 150) for i in range(180)]
    make = h2_server if up == 2 else http_server
    web = make("a", lambda request: Reply(b"ok", headers=fields))
    weir = start_weir(conf.one_pool({"a": web}, H2 if up == 2 else "",
                                    f"{H2C}\nheader_limit = 32k  header_count_limit = 300"))
    lower = [(name.lower(), value) for name, value in fields]
    with H2Client(weir.address()) as client:
        for _ in range(2):
            response = client.get("/", headers=lower)
            assert response.status == 200 and response.body == b"ok"
            assert [pair for pair in response.headers if pair[0].startswith("x-large")] == lower
    for request in web.requests:
        assert [value for name, value in request.headers
                if name.lower().startswith("x-large")] == [value for _, value in fields]


def test_what_is_never_indexed_stays_so(start_weir, h2_server):
    """Marked by the client (RFC 7541 section 6.2.3)."""
    web = h2_server("a")
    weir = start_weir(conf.one_pool({"a": web}, H2, H2C))
    with H2Client(weir.address()) as client:
        marked = hpack.NeverIndexedHeaderTuple("x-secret", "s")
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, [(":method", "GET"), (":scheme", "http"), (":authority", "a"),
                                        (":path", "/"), marked, ("x-open", "o")], end_stream=True)
        client.flush()
        assert statuses(client, [stream]) == [200]
    kinds = {pair[0]: type(pair) for pair in web.requests[0].headers}
    assert issubclass(kinds["x-secret"], hpack.NeverIndexedHeaderTuple)
    assert not issubclass(kinds["x-open"], hpack.NeverIndexedHeaderTuple)


# ---- servers that speak HTTP/1 ----


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_without_http_2_is_named_so(start_weir, http_server, scripted_server, certs, tls):
    """In the log, and by its health."""
    def script(peer):
        peer.some()
        peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            peer.rest()

    web = http_server("a", tls=certs.server()) if tls else scripted_server(script)
    probe = 'health "http" { path = "/health"  interval = 100ms  fall = 1 }'
    text = conf.one_pool({"a": web}, H2 + (f'\ntls {{ ca = "{certs.ca}" }}' if tls else "") + "\n@probe@")
    weir = start_weir(text.replace("@probe@", ""))
    for method in ("GET", "POST"):
        assert weir.get("/", method=method, body=b"" if method == "POST" else None).status == 502
    assert {entry["reason"] for entry in weir.access(2)} == {"not_http2"}
    assert not tls or web.requests == []
    weir.reload(text.replace("@probe@", probe))
    weir.wait_log(r"not_http2: the server speaks HTTP/1")


@pytest.mark.parametrize("protocol", ["http/1.1", "auto"])
def test_a_server_that_agrees_to_nothing_is_not_said_to_speak_http_1(start_weir, certs, http_server, protocol):
    """Over TLS it refuses by ALPN whatever is offered: it may speak HTTP/2 alone."""
    alone = "h2" if protocol == "http/1.1" else "http/1.0"
    server = start_weir(conf.one_pool({"a": http_server("a")}, listener_options=
                                      f'tls {{ {certs.block("localhost")}  alpn = {{"{alone}"}} }}'))
    url = f"https://127.0.0.1:{server.port()}"
    probe = 'health "http" { interval = 100ms  fall = 1 }'
    text = conf.one_pool({"a": url}, f'protocol = "{protocol}"\ntls {{ ca = "{certs.ca}" }}\n@probe@')
    weir = start_weir(text.replace("@probe@", ""))
    assert weir.get("/").status == 502
    entry = weir.access(1)[0]
    assert (entry["reason"], entry["detail"]) == ("upstream_tls", "alpn_refused")
    weir.reload(text.replace("@probe@", probe))
    weir.wait_log(r"is down: .*speaks none of the protocols offered \(ALPN\)")
    assert "not_http2" not in weir.log()


def test_auto_takes_servers_without_http_2(start_weir, http_server, certs):
    """Over TLS as ALPN says; plain servers speak HTTP/1."""
    web = http_server("a", tls=certs.server())
    plain = http_server("b")
    weir = start_weir(conf.one_pool({"a": web, "b": plain}, f'protocol = "auto"\ntls {{ ca = "{certs.ca}" }}'))
    assert {weir.get("/").text for _ in range(6)} == {"a", "b"}


# ---- limits of servers count requests ----


class Pinging(Session):
    """Tells of answered PINGs."""

    pongs = 0

    def _note(self, event):
        if isinstance(event, h2.events.PingAckReceived):
            self.pongs += 1
        super()._note(event)


def test_limits_count_requests_over_both_workers(start_weir, scripted_server):
    """However few connections they share; the others wait in the queue."""
    lock = threading.Lock()
    count = {"now": 0, "most": 0, "all": 0}

    def serve(peer):
        session = Pinging(peer.sock, False)
        done, held, pings = set(), [], 0
        while session.pump():
            for number in whole(session, done):
                with lock:
                    count["now"] += 1
                    count["all"] += 1
                    count["most"] = max(count["most"], count["now"])
                pings += 1
                held.append((number, pings))
                session.h2.ping(number.to_bytes(8, "big"))
                session.flush()
            # A round trip later: what is one too many would be here.
            while held and session.pongs >= held[0][1]:
                with lock:
                    count["now"] -= 1
                answer(session, held.pop(0)[0])

    server = scripted_server(serve)
    weir = start_weir(conf.one_pool({"a": (server, "max_requests = 3")}, H2, H2C), workers=2)
    clients = [H2Client(weir.address()) for _ in range(8)]
    streams = [[client.ask() for _ in range(10)] for client in clients]
    for client, mine in zip(clients, streams):
        assert statuses(client, mine) == [200] * 10
        client.close()
    assert count["all"] == 80 and 1 < count["most"] <= 3
    assert any(entry["queue_ms"] > 0 for entry in weir.access(80))
    assert server.accepted <= 6


# ---- how many connections ----


@pytest.mark.parametrize("most,requests,connections", [(100, 100, 1), (100, 250, 3), (1000, 1000, 10)])
def test_a_burst_shares_connections(start_weir, h2_server, most, requests, connections):
    """Requests that come together, before the server's first SETTINGS, open as many connections as they
    need with 100 at once on each; later ones as many as the server's limit needs."""
    holding = Holding()
    server = h2_server("a", holding, session={"settings": {3: most}})
    weir = start_weir(conf.one_pool({"a": server}, H2, f"{H2C}\nh2_streams = 2000"), workers=1)
    with H2Client(weir.address()) as client:
        streams = [client.ask() for _ in range(requests)]
        holding.release()
        assert statuses(client, streams) == [200] * requests
        assert server.accepted <= connections
        before = server.accepted
        assert statuses(client, [client.ask() for _ in range(min(most, requests))]) \
            == [200] * min(most, requests)
        assert server.accepted == before
