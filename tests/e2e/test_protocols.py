# SPDX-License-Identifier: MIT
"""Which protocol was spoken, wherever Weir tells it: API, statistics, metrics, events, explain, weirctl, logs."""

import json

import grpc
import pytest
from test_grpc import EchoServer, method
from test_metrics import metrics_listener, scrape
from test_weirctl_live import Live
from weirtest import admin, conf
from weirtest.backend import Holding, Reply
from weirtest.h2peer import H2Client
from weirtest.ports import free_port
from weirtest.wait import DEADLINE, wait_for

API = "/api/v1"


def start(start_weir, servers, pool_options="", options="h2c = on", **how):
    weir = start_weir(conf.one_pool(servers, pool_options, options, extra=metrics_listener() +
                                    admin.listener()), **how)
    return weir, admin.browser(weir)


def listener_of(root, name="main"):
    return next(one for one in root.get(API + "/listeners").json["entries"] if one["name"] == name)


def of_main(line):
    return line["listener"] == "main"


def http2(connections, streams, opened):
    return {"connections": connections, "streams": streams, "opened": opened}


def test_clients(start_weir, http_server):
    """Each version by itself; connections and requests of HTTP/2 while they are there."""
    holding = Holding(path="/held")
    weir, root = start(start_weir, {"a": http_server("a", holding)})
    with weir.client() as one, H2Client(weir.address()) as two:
        one.raw(b"GET / HTTP/1.0\r\n\r\n")
        for _ in range(2):
            assert weir.get("/").status == 200
        for _ in range(3):
            assert two.get("/").status == 200
        streams = [two.request("GET", "/held") for _ in range(4)]
        wait_for(lambda: listener_of(root)["http2"] == http2(1, 4, 1), "the streams")
        samples = scrape(weir)
        label = 'listener="main"'
        assert samples[("weir_http2_connections_open", label)] == 1
        assert samples[("weir_http2_streams_open", label)] == 4
        assert samples[("weir_http2_connections_total", label)] == 1
        holding.release()
        for stream in streams:
            assert two.response(stream).status == 200
    wait_for(lambda: listener_of(root)["http2"] == http2(0, 0, 1), "the end of the connection")
    expected = {"HTTP/1.0": 1, "HTTP/1.1": 2, "HTTP/2": 7}
    shown = listener_of(root)
    assert shown["protocols"] == expected and shown["requests"] == 10
    assert shown["alpn"] == [] and shown["h2c"] is True
    pool = root.get(API + "/pools/web").json
    assert pool["totals"]["protocols"] == expected
    assert pool["servers"][0]["protocols"] == {"HTTP/1.1": 10}
    assert pool["servers"][0]["http2"] == http2(0, 0, 0)
    assert root.get(API + "/routes").json["entries"][0]["protocols"] == expected
    stats = root.get(API + "/stats").json
    assert stats["total"]["protocols"] == stats["pools"]["web"]["protocols"] == expected
    assert root.get(API + "/status").json["protocols"] == expected
    samples = scrape(weir)
    for prefix, label in (("weir_", 'listener="main"'), ("weir_route_", 'route="/"'),
                          ("weir_pool_", 'pool="web"')):
        for protocol, count in expected.items():
            key = (prefix + "protocol_requests_total", f'{label},protocol="{protocol}"')
            assert samples[key] == count
    assert sorted(line["protocol"] for line in weir.access(10, of_main)) == \
        ["HTTP/1.0"] + ["HTTP/1.1"] * 2 + ["HTTP/2"] * 7
    with admin.events(weir) as events:
        assert events.until("statistics")[1]["total"]["protocols"] == expected


def test_heads_that_are_refused(start_weir, http_server):
    """A version that never came is told as none; HTTP/2 is known even of a head that is refused."""
    weir = start_weir(conf.one_pool({"a": http_server("a")}, "", "h2c = on") +
                      conf.listener(name="plain") + admin.listener())
    root = admin.browser(weir)
    with weir.client("plain") as one:
        assert one.raw(b"\x01\x02 nonsense\r\n\r\n").status == 400
    with H2Client(weir.address()) as two:
        two.ask("GET", "/", [("x-large", "x" * 60000)])
        two.until(lambda: two.flows[1].head is not None or two.flows[1].reset is not None)
    wait_for(lambda: listener_of(root, "plain")["protocols"] == {"none": 1}, "the nonsense")
    wait_for(lambda: listener_of(root)["protocols"] == {"HTTP/2": 1}, "the large head")


def test_servers(start_weir, h2_server):
    """What is spoken to servers, and how many of its connections and streams there are now."""
    holding = Holding(path="/held")
    server = h2_server("a", holding)
    weir, root = start(start_weir, {"a": server},
                       'protocol = "h2"  h2_streams = 50  h2_window = 1m  connection_age = 90s',
                       workers=1)
    label = 'pool="web",server="a"'

    def shown():
        return root.get(API + "/pools/web/servers/a").json

    clients = [weir.client() for _ in range(3)]
    for client in clients:
        client.request("GET", "/held")
    wait_for(lambda: shown()["http2"]["streams"] == 3, "the streams")
    opened = shown()["http2"]["opened"]
    assert shown()["http2"]["connections"] == opened >= 1
    assert scrape(weir)[("weir_server_http2_streams_open", label)] == 3
    holding.release()
    for client in clients:
        assert client.response("GET").status == 200
        client.close()
    wait_for(lambda: shown()["http2"] == http2(opened, 0, opened), "the end of the streams")
    samples = scrape(weir)
    assert samples[("weir_server_http2_connections_total", label)] == opened
    assert samples[("weir_server_http2_connections_open", label)] == opened
    assert samples[("weir_server_protocol_requests_total", label + ',protocol="HTTP/2"')] == 3
    assert shown()["protocols"] == {"HTTP/2": 3}
    server.stop()
    wait_for(lambda: shown()["http2"]["connections"] == 0, "the end of the connections")
    pool = root.get(API + "/pools/web").json
    assert pool["totals"]["protocols"] == {"HTTP/1.1": 3}
    assert (pool["protocol"], pool["h2_streams"], pool["h2_window"], pool["connection_age"]) == \
        ("h2", 50, 1 << 20, 90000)


@pytest.mark.parametrize("version", [1, 2])
def test_connections_that_are_one_clients(start_weir, http_server, version):
    """With a PROXY header: all requests of a client share one, those of others never."""
    holding = Holding(path="/held")
    behind, root = start(start_weir, {"a": http_server("a", holding)}, options="h2c = on\nproxy_protocol = require"
                         "\ntrusted_proxies = {\"127.0.0.1\"}")
    weir = start_weir(conf.one_pool({"a": f"http://127.0.0.1:{behind.port()}"}, 'protocol = "h2"\n'
                                    f"send_proxy_protocol = v{version}", "h2c = on"), workers=1)
    with H2Client(weir.address()) as one, H2Client(weir.address()) as other:
        streams = [(client, client.ask("GET", "/held")) for _ in range(20) for client in (one, other)]
        wait_for(lambda: listener_of(root)["http2"]["streams"] == len(streams), "all requests")
        assert listener_of(root)["http2"] == http2(2, len(streams), 2)
        holding.release()
        assert {client.response(stream).status for client, stream in streams} == {200}
        for _ in range(3):
            assert one.get("/").status == other.get("/").status == 200
        assert listener_of(root)["http2"]["opened"] == 2
    wait_for(lambda: listener_of(root)["http2"]["connections"] == 0, "the end of what was pinned")


def test_streams_that_are_reset(start_weir, h2_server):
    """Counts come back to nothing whoever ends a stream: the client, the server, a lost connection."""
    server = h2_server("a", lambda request: None)
    weir, root = start(start_weir, {"a": server}, 'protocol = "h2"  retries = 0')

    def now():
        here, there = listener_of(root)["http2"], root.get(API + "/pools/web/servers/a").json["http2"]
        return here["connections"], here["streams"], there["streams"]

    with H2Client(weir.address()) as client:
        streams = [client.request("GET", "/held") for _ in range(6)]
        wait_for(lambda: now() == (1, 6, 6), "the streams")
        wait_for(lambda: len(server.requests) == 6, "the server to read them")  # else they are sent again
        for stream in streams[:3]:
            client.reset_stream(stream)
        wait_for(lambda: now() == (1, 3, 3), "the end of those that were reset")
        server.drop(reset=True)
        for stream in streams[3:]:
            client.finish(stream)
        wait_for(lambda: now() == (1, 0, 0), "the end of those whose server is gone")
    wait_for(lambda: now() == (0, 0, 0), "the end of the connection")


@pytest.mark.parametrize("options,offers,h2c", [
    ("", [], False), ("h2c = on", [], True),
    ("TLS", ["h2", "http/1.1", "http/1.0"], False),
    ('TLS alpn = {"http/1.1"}', ["http/1.1"], False)])
def test_explain(start_weir, http_server, certs, options, offers, h2c):
    if options.startswith("TLS"):
        options = f"tls {{ {certs.block('localhost')} {options[3:]} }}"
    weir, root = start(start_weir, {"a": http_server("a"), "b": "https://127.0.0.1:9"},
                       'protocol = "auto"', options)
    told = root.post(API + "/explain", {"url": "http://any.example/", "listener": "main"}).json
    assert told["protocol"] == {"alpn": offers, "h2c": h2c, "server": "auto"}
    assert [one["protocol"] for one in told["candidates"]] == ["HTTP/1.1", None]
    told = root.post(API + "/explain", {"url": "http://any.example/x", "listener": "metrics"}).json
    assert told["protocol"] == {"alpn": [], "h2c": False, "server": None}
    assert listener_of(root)["alpn"] == offers and weir.running()


def test_grpc_statuses(start_weir):
    """As their clients get them: the server's, Weir's own, and none where the client gave up."""
    echo = EchoServer()
    dead = "http://127.0.0.1:%d" % free_port()
    text = conf.listener("h2c = on") + conf.modules() + conf.routes(
        web='"/test.Echo/"', dead='"/dead.S/"') + conf.pool(
            "web", {"a": echo}, 'protocol = "h2"') + conf.pool("dead", {"d": dead}, 'protocol = "h2"')
    weir = start_weir(text + metrics_listener() + admin.listener())
    root = admin.browser(weir)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{weir.port()}") as channel:
            unary = method(channel, "unary_unary", "U")
            for _ in range(3):
                assert unary(b"hello", timeout=DEADLINE) == b"hello"
            for name, message in (("/test.Echo/U", b"fail"), ("/dead.S/M", b"")):
                with pytest.raises(grpc.RpcError):
                    channel.unary_unary(name)(message, timeout=DEADLINE)
            call = unary.future(b"wait")
            wait_for(lambda: listener_of(root)["http2"]["streams"] == 1, "the call to run")
            call.cancel()
            wait_for(lambda: listener_of(root)["http2"]["streams"] == 0, "its end")
        statuses = {"OK": 3, "NOT_FOUND": 1, "UNAVAILABLE": 1, "none": 1}
        assert listener_of(root)["grpc"] == statuses
        assert root.get(API + "/status").json["grpc"] == statuses
        pools = {pool["name"]: pool["totals"]["grpc"]
                 for pool in root.get(API + "/pools").json["entries"]}
        assert pools == {"web": {"OK": 3, "NOT_FOUND": 1, "none": 1}, "dead": {"UNAVAILABLE": 1}}
        samples = scrape(weir)
        for status, count in statuses.items():
            key = ("weir_grpc_calls_total", f'listener="main",status="{status}"')
            assert samples[key] == count
        assert samples[("weir_pool_grpc_calls_total", 'pool="dead",status="UNAVAILABLE"')] == 1
        assert samples[("weir_route_grpc_calls_total", 'route="/dead.S",status="UNAVAILABLE"')] == 1
        logged = sorted(json.dumps(line.get("grpc_status")) for line in weir.access(6, of_main))
        assert logged == ["0", "0", "0", "14", "5", "null"]
    finally:
        echo.close()


def test_a_status_that_grpc_does_not_have(start_weir, h2_server):
    """Such a number is UNKNOWN, as it is to clients, and spoils no counter."""
    server = h2_server("a", lambda request: Reply(
        b"", headers=[("content-type", "application/grpc"), ("grpc-status", request.target[1:])]))
    weir, root = start(start_weir, {"a": server}, 'protocol = "h2"')
    with H2Client(weir.address()) as client:
        for status in ("0", "16", "17", "99", "100", "x"):
            client.response(client.request("POST", f"/{status}", [
                ("content-type", "application/grpc"), ("te", "trailers")], b"x"))
    wait_for(lambda: listener_of(root)["grpc"] == {
        "OK": 1, "UNAUTHENTICATED": 1, "UNKNOWN": 2, "none": 2}, "the counts")


def test_weirctl(make_weir, http_server):
    live = Live(make_weir(workers=2, access_log=False), http_server("web-1"))
    live.weir.get("/")
    wait_for(lambda: live.json("status")["protocols"] == {"HTTP/1.1": 1}, "the request")
    status = live.text("status")
    assert "protocols       HTTP/1.1 1\n" in status and "HTTP/2 now      0 connections" in status
    assert "gRPC            none\n" in status and "ended for abuse 0\n" in status
    head = live.text("listeners").splitlines()[0].split()
    assert {"OFFERS", "H2", "STREAMS", "ODD", "ABUSIVE"} <= set(head)
    assert "http/1.1" in live.text("pools") and "HTTP/1.1 1" in live.text("pools", "web")
    server = live.text("servers", "web/web-1")
    assert "protocols       HTTP/1.1 1\n" in server
    assert "ended for abuse 0 connections, 0 odd points\n" in server
    told = live.text("explain", "http://any.example/", "--listener", "main")
    assert "offers          http/1.1\n" in told and "web, spoken to by http/1.1\n" in told
    assert "of HTTP/2" in live.text("top", "--count", "1")


def test_the_admin_plane(start_weir, http_server, certs):
    """API, a change, and events by HTTP/2, on one connection."""
    tls = f"tls {{ {certs.block('localhost')} }}"
    weir = start_weir(conf.one_pool({"a": http_server("a")}) +
                      admin.listener(extra=tls))
    bearer = [("authorization", f"Bearer {admin.token(weir)}")]
    with H2Client(weir.address("admin"), tls=certs.client()) as client:
        events = client.ask("GET", "/api/v1/events", bearer)
        assert client.head_of(events).head.get("content-type") == "text/event-stream"
        server = "/api/v1/pools/web/servers/a"
        shown = client.response(client.request("GET", server, bearer))
        assert shown.status == 200 and json.loads(shown.body)["max_requests"] == 0
        changed = client.response(client.request(
            "PATCH", server, [*bearer, ("content-type", "application/json")],
            json.dumps({"max_requests": 7})))
        assert changed.status == 200 and json.loads(changed.body)["max_requests"] == 7
        client.until(lambda: b"event: change\n" in client.flows[events].body, "the change")
        client.until(lambda: b"event: statistics\n" in client.flows[events].body, "statistics")
        assert client.get("/api/v1/status").status == 401
        assert client.flows[events].reset is None
    root = admin.browser(weir, tls=certs.client())
    wait_for(lambda: listener_of(root, "admin")["protocols"].get("HTTP/2") == 4, "all of it")
