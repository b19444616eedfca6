# SPDX-License-Identifier: MIT
"""HTTP/2 towards servers that do what they may, and what they may not."""

import threading
import time

import pytest

from weirtest import conf, wire
from weirtest.backend import Holding, Reply
from weirtest.h2peer import Codes, frame, server_script
from weirtest.wait import DEADLINE, SANITIZED, wait_for

H2 = 'protocol = "h2"'


def weir_on(start_weir, servers, options="", **how):
    """A weir in front of servers that speak HTTP/2, and nothing else."""
    return start_weir(conf.one_pool(servers, f"{H2}\n{options}"), **how)


def first_request(session):
    """Waits for a whole request; its stream."""
    session.until(lambda: any(flow.ended for flow in session.flows.values()), "a request")
    return max(number for number, flow in session.flows.items() if flow.ended)


def answer(session, stream, body=b"ok", end=True, **fields):
    session.h2.send_headers(stream, [(":status", "200")] + list(fields.items()))
    session.h2.send_data(stream, body, end_stream=end)
    session.flush()


def serve(session):
    """Answers whatever comes."""
    done = set()
    while session.pump():
        for number, flow in list(session.flows.items()):
            if flow.ended and number not in done:
                done.add(number)
                answer(session, number)


def test_the_first_request_does_not_wait_for_settings(start_weir, scripted_server):
    """A server may be slow to say anything."""
    def script(peer):
        data = b""
        while b"\x01\x05\x00\x00\x00\x01" not in data:  # HEADERS with END_STREAM, on stream 1
            data += peer.some()
        peer.send(frame(4, 0, 0) + frame(4, 1, 0) + frame(1, 5, 1, b"\x88"))
        peer.rest()

    weir = weir_on(start_weir, {"a": scripted_server(script)})
    assert weir.get("/").status == 200


def test_limits_of_streams_are_kept(start_weir, h2_server):
    """With room for two at once, more requests open more connections, and nothing is refused."""
    release = threading.Event()

    def handler(request):
        if request.target == "/held":
            assert release.wait(DEADLINE)
        return b"ok"

    server = h2_server("a", handler, session={"settings": {3: 2}})
    weir = weir_on(start_weir, {"a": server}, workers=1)
    assert weir.get("/").status == 200  # the limit is known from here
    clients = [weir.client() for _ in range(5)]
    for client in clients:
        client.request(target="/held")
    wait_for(lambda: server.accepted >= 3, "three connections")
    release.set()
    for client in clients:
        assert client.response().status == 200
        client.close()
    assert server.accepted == 3


@pytest.mark.parametrize("how", ["refused", "goaway", "goaway_first"])
def test_what_the_server_has_not_looked_at_goes_elsewhere(start_weir, scripted_server, h2_server,
                                                          how):
    """Even a POST, since no byte of it was read (RFC 9113 section 8.7)."""
    def script(session):
        stream = first_request(session)
        if how == "refused":
            while not session.over:
                for number in [n for n, flow in session.flows.items() if flow.ended]:
                    session.reset_stream(number, Codes.REFUSED_STREAM)
                    session.flows.pop(number)
                session.pump()
        else:
            last = 0 if how == "goaway_first" else stream - 2 if stream > 2 else 0
            session.send(frame(7, 0, 0, last.to_bytes(4, "big") + bytes(4)))
            session.until_over()

    bad = scripted_server(server_script(script))
    good = h2_server("good")
    weir = weir_on(start_weir, {"bad": bad, "good": good}, "retry_budget = 100%")
    for _ in range(4):
        with weir.client() as client:
            assert client.get("/", method="POST", body=b"abc").text == "good"
    assert all(request.body == b"abc" for request in good.requests)


def test_goaway_lets_running_requests_end(start_weir, scripted_server):
    """Those up to its last stream are answered; the next request takes a new connection."""
    def script(session):
        stream = first_request(session)
        session.send(frame(7, 0, 0, stream.to_bytes(4, "big") + bytes(4)))
        answer(session, stream)
        session.until_over()

    server = scripted_server(server_script(script))
    weir = weir_on(start_weir, {"a": server}, workers=1)
    for count in range(1, 4):
        assert weir.get("/").body == b"ok"
        assert server.accepted == count


def test_a_reset_before_the_answer(start_weir, scripted_server):
    """502, and the connection serves on."""
    def script(session):
        session.reset_stream(first_request(session), Codes.INTERNAL_ERROR)
        session.flows.clear()
        serve(session)

    server = scripted_server(server_script(script))
    weir = weir_on(start_weir, {"a": server}, workers=1)
    with weir.client() as client:
        assert client.get("/", method="POST", body=b"x").status == 502
        assert client.get("/").status == 200
    assert server.accepted == 1
    assert weir.access(1)[0]["reason"] == "upstream_reset"


def test_no_error_behind_a_whole_answer(start_weir, scripted_server):
    """A server that wants no more of the request says so (section 8.1)."""
    def script(session):
        session.until(lambda: any(flow.head for flow in session.flows.values()))
        answer(session, 1)
        session.reset_stream(1, Codes.NO_ERROR)
        session.until_over()

    weir = weir_on(start_weir, {"a": scripted_server(server_script(script))})
    with weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
        response = client.response()
        assert response.status == 200 and response.body == b"ok"
    assert weir.access(1)[0]["reason"] == ""


def test_lengths_are_checked(start_weir, scripted_server):
    """More or less than was announced is no answer."""
    def script(session):
        for stream in (1, 3):
            session.until(lambda number=stream: session.flows[number].ended)
            size = "5" if session.flows[stream].value(":path") == "/less" else "1"
            session.h2.send_headers(stream, [(":status", "200"), ("content-length", size)])
            session.flush()
            session.send(frame(0, 1, stream, b"abc"))
        session.until_over()

    weir = weir_on(start_weir, {"a": scripted_server(server_script(script))}, workers=1)
    for target in ("/less", "/more"):
        with weir.client() as client:
            client.request(target=target)
            with pytest.raises((wire.Cut, ConnectionError)):
                client.response()
    assert {entry["reason"] for entry in weir.access(2)} == {"upstream_malformed"}


BAD_HEADS = {
    "connection": [(":status", "200"), ("connection", "close")],
    "upper": [(":status", "200"), ("X-Upper", "1")],
    "no_status": [("x-no", "status")],
    "status": [(":status", "99")],
    "switch": [(":status", "101")],
    "length": [(":status", "200"), ("content-length", "x")],
    "lengths": [(":status", "200"), ("content-length", "1"), ("content-length", "2")],
    "coding": [(":status", "200"), ("transfer-encoding", "chunked")],
    "large": [(":status", "200")] + [("x-large", "v" * 8000)] * 10,
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_bad_heads_are_502(start_weir, scripted_server, name):
    def script(session):
        stream = first_request(session)
        data = session.h2.encoder.encode(BAD_HEADS[name])
        first, rest = data[:16000], data[16000:]
        session.send(frame(1, 1 | (0 if rest else 4), stream, first))
        while rest:
            part, rest = rest[:16000], rest[16000:]
            session.send(frame(9, 0 if rest else 4, stream, part))
        session.until_over()

    weir = weir_on(start_weir, {"a": scripted_server(server_script(script))})
    assert weir.get("/").status == 502
    assert weir.access(1)[0]["reason"] == "upstream_malformed"


def test_a_server_that_dies(start_weir, scripted_server):
    """All its requests end: those without an answer by 502, the others visibly cut."""
    def script(session):
        session.until(lambda: sum(flow.ended for flow in session.flows.values()) == 3)
        answer(session, 3, b"part", end=False)

    server = scripted_server(server_script(script))
    weir = weir_on(start_weir, {"a": server}, "retries = 0", workers=1)
    clients = [weir.client() for _ in range(3)]
    for client in clients:
        client.request("POST", body=b"")
    results = []
    for client in clients:
        try:
            results.append(client.response().status)
        except Exception:
            results.append("cut")
    assert sorted(results, key=str) == [502, 502, "cut"]


def test_idle_connections_go(start_weir, h2_server):
    server = h2_server("a")
    weir = weir_on(start_weir, {"a": server}, "keepalive_timeout = 100ms", workers=1)
    assert weir.get("/").status == 200
    wait_for(lambda: server.open_connections == 0, "the idle connection to close")
    assert weir.get("/").status == 200
    assert server.accepted == 2


def test_old_connections_go_when_their_last_request_has_ended(start_weir, h2_server):
    holding = Holding()
    server = h2_server("a", holding)
    weir = weir_on(start_weir, {"a": server}, "connection_age = 300ms", workers=1)
    first = weir.client()
    first.request("GET", "/first")
    wait_for(lambda: server.accepted == 1, "the first connection")
    time.sleep(0.35)
    second = weir.client()
    second.request("GET", "/second")
    wait_for(lambda: server.accepted == 2, "a second connection")
    holding.release()
    for client in (first, second):
        assert client.response().status == 200
        client.close()
    wait_for(lambda: server.open_connections == 1, "the old connection to close")


def test_requests_at_once_on_a_connection_are_bounded(start_weir, h2_server):
    """By `h2_streams`, though the server would take more."""
    holding = Holding()
    server = h2_server("a", holding)
    weir = weir_on(start_weir, {"a": server}, "h2_streams = 2", workers=1)
    clients = [weir.client() for _ in range(6)]
    for client in clients:
        client.request("GET", "/")
    wait_for(lambda: server.accepted == 3, "three connections")
    holding.release()
    for client in clients:
        assert client.response().status == 200
        client.close()
    assert server.accepted == 3


def test_an_end_of_an_idle_connection_is_no_failure(start_weir, h2_server):
    server = h2_server("a")
    weir = weir_on(start_weir, {"a": server}, workers=1)
    for _ in range(3):
        with weir.client() as client:
            assert client.get("/", method="POST", body=b"x").status == 200
        server.drop()
        wait_for(lambda: server.open_connections == 0, "the connection to go")


def test_auto_follows_alpn(start_weir, h2_server, http_server, certs):
    """HTTP/2 where the server wants it, HTTP/1 where it does not."""
    two, one = h2_server("two", tls=certs.server()), http_server("one", tls=certs.server())
    weir = start_weir(conf.one_pool({"two": two, "one": one},
                                    f'protocol = "auto"\ntls {{ ca = "{certs.ca}" }}'))
    assert {weir.get("/").text for _ in range(8)} == {"one", "two"}


def test_a_reload_changes_the_protocol(start_weir, h2_server, http_server):
    """Connections of the old one are not used any more."""
    server = h2_server("a")
    text = conf.one_pool({"a": server}, H2)
    weir = start_weir(text, workers=1)
    assert weir.get("/").text == "a"
    weir.reload(text.replace(H2, 'protocol = "http/1.1"'))
    assert weir.get("/").status == 502
    weir.reload(text)
    assert weir.get("/").text == "a"


PROBED = 'health "http" { path = "/health"  interval = 100ms  fast_interval = 50ms  rise = 1  fall = 1 %s }'


def probes_of(server):
    return [request for request in server.requests if request.target == "/health"]


@pytest.mark.parametrize("protocol,tls", [("h2", False), ("h2", True), ("auto", True)])
def test_probes_speak_what_the_pool_does(start_weir, certs, h2_server, protocol, tls):
    """Servers of HTTP/2 alone; taken out and back by status and body."""
    state = {"status": 200, "body": b"all well"}

    def handler(request):
        return Reply(state["body"], status=state["status"], headers=[("X", "y")])

    server = h2_server("a", handler, tls=certs.server() if tls else None)
    extra = f'tls {{ ca = "{certs.ca}" }}' if tls else ""
    weir = start_weir(conf.one_pool(
        {"a": server}, f'protocol = "{protocol}"\n{extra}\n' + PROBED % 'body = "well"'))
    wait_for(lambda: len(probes_of(server)) > 3, "probes")
    probe = probes_of(server)[0]
    assert probe.method == "GET" and probe.headers.get("user-agent") == "weir-health/1"
    assert probe.headers.get(":authority") == server.url.split("//")[1]
    assert probe.headers.get("connection") is None
    assert " is down" not in weir.log()
    for change, reason in (({"status": 503}, "status 503, expected 200-399"),
                           ({"body": b"ill"}, 'the body lacks "well"'),
                           ({"body": b"x" * 100000 + b"well"}, "in its first 16 KiB"),
                           ({"body": b"", "status": 204}, 'the body lacks "well"')):
        mark = len(weir.log())
        state.update(change)
        weir.wait_log(rf"server web/a is down: [^\n]*{reason}", mark)
        mark = len(weir.log())
        state.update(status=200, body=b"all well")
        weir.wait_log("server web/a is up: probe: status 200", mark)
    mark = len(weir.log())
    server.stop()
    weir.wait_log(r"server web/a is down: [^\n]*refused", mark)


def test_probes_that_find_no_http_2(start_weir, scripted_server):
    """HTTP/1 alone, silence, a reset and a cut answer: bad probes, each with its reason."""
    def refuse(session):
        session.reset_stream(first_request(session))
        while session.pump():
            pass

    def cut(peer):
        while b"\x01\x05\x00\x00\x00\x01" not in peer.some():
            pass
        peer.send(frame(4, 0, 0) + frame(4, 1, 0) + frame(1, 4, 1, b"\x88") + frame(0, 0, 1, b"we"))
        peer.half_close()
        peer.rest()

    def quiet(peer):
        peer.rest()

    def one(peer):
        peer.some()
        peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    servers = {"one": scripted_server(one), "reset": scripted_server(server_script(refuse)),
               "cut": scripted_server(cut), "quiet": scripted_server(quiet)}
    weir = start_weir(conf.one_pool(servers, H2 + "\n" + PROBED % 'timeout = 500ms body = "well"'))
    weir.wait_log("server web/one is down: probe: 1 of 1 failed, last: ")
    weir.wait_log("server web/reset is down: probe: 1 of 1 failed, last: closed without an answer")
    weir.wait_log("server web/cut is down: probe: 1 of 1 failed, last: the answer was cut short")
    weir.wait_log("server web/quiet is down: probe: 1 of 1 timed out")


def test_probes_may_speak_another_protocol(start_weir, certs, http_server):
    """A server that says h2 by ALPN but does not mean it, and one that is asked elsewhere."""
    context = certs.server()
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = http_server("a", lambda request: "well", tls=context)
    weir = start_weir(conf.one_pool(
        {"a": server}, f'protocol = "h2"\ntls {{ ca = "{certs.ca}" }}\n' +
        PROBED % 'protocol = "http/1.1"'))
    wait_for(lambda: len(probes_of(server)) > 3, "probes")
    assert " is down" not in weir.log()


def test_websocket_where_the_server_does_not_take_it(start_weir, h2_server):
    server = h2_server("a")
    weir = weir_on(start_weir, {"a": server})
    with weir.client() as client:
        client.send("GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                    "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    "Sec-WebSocket-Version: 13\r\n\r\n")
        assert client.response().status == 502
    assert server.requests == []


def test_websocket_to_a_server_that_takes_it(start_weir, scripted_server):
    """Extended CONNECT (RFC 8441); the client of HTTP/1 gets the answer to its key."""
    def script(session):
        session.until(lambda: 1 in session.flows and session.flows[1].head)
        head = session.flows[1].head
        assert head.get(":method") == "CONNECT" and head.get(":protocol") == "websocket"
        assert "sec-websocket-key" not in head and head.get("sec-websocket-version") == "13"
        session.h2.send_headers(1, [(":status", "200")])
        session.h2.send_data(1, b"welcome")
        session.flush()
        session.until(lambda: bytes(session.flows[1].body) == b"hello")
        session.h2.send_data(1, b"bye", end_stream=True)
        session.flush()
        session.until(lambda: session.flows[1].ended or session.flows[1].reset is not None)
        session.until_over()

    weir = weir_on(start_weir,
                   {"a": scripted_server(server_script(script, settings={8: 1}))})
    with weir.client() as client:
        client.send("GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                    "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    "Sec-WebSocket-Version: 13\r\n\r\n")
        head = client.begin()
        assert head.status == 101
        assert head.headers.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert head.headers.get("Upgrade") == "websocket"
        client.expect("welcome")
        client.send("hello")
        client.expect("bye")
        client.half_close()
        assert client.at_end()


def test_many_resets_leave_nothing(start_weir, scripted_server):
    """RST_STREAM and GOAWAY, again and again: memory stays."""
    def script(session):
        for _ in range(20):
            before = len(session.flows)
            session.until(lambda: sum(flow.ended for flow in session.flows.values()) > before - 1
                          or session.over)
            for number in [n for n, flow in session.flows.items() if flow.ended]:
                session.reset_stream(number, Codes.REFUSED_STREAM)
                session.flows.pop(number)
        session.send(frame(7, 0, 0, bytes(8)))
        session.until_over()

    server = scripted_server(server_script(script))
    weir = weir_on(start_weir, {"a": server}, "retries = 0", workers=1)
    with weir.client() as client:
        for _ in range(50):
            assert client.get("/").status == 502
        before = weir.memory_kib()
        for _ in range(400):
            assert client.get("/").status == 502
        assert SANITIZED or weir.memory_kib() - before < 1024
