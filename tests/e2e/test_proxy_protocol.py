# SPDX-License-Identifier: MIT
"""The PROXY protocol: accepted from trusted proxies in front of everything else, sent to servers."""

import signal

import pytest

from weirtest import conf, proxy_header
from weirtest.backend import HttpServer
from weirtest.client import Client
from weirtest.wait import Stopwatch, wait_for
from weirtest.wire import Cut

TRUSTED = 'trusted_proxies = {"127.0.0.0/8"}  header_timeout = 5s  '
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def server(http_server):
    return http_server("a")


def start(start_weir, server, options, **how):
    return start_weir(conf.one_pool({"a": server}, listener_options=options), **how)


def seen(server):
    """What the server was told of the client."""
    headers = server.requests[-1].headers
    return headers.get("X-Forwarded-For"), headers.get("X-Forwarded-Port")


HEADERS = [
    (proxy_header.v1(), "192.0.2.7", "443"),
    (proxy_header.v1("2001:db8::7", "2001:db8::1"), "2001:db8::7", "443"),
    (proxy_header.v2(), "192.0.2.7", "443"),
    (proxy_header.v2("2001:db8::7", "2001:db8::1"), "2001:db8::7", "443"),
    (proxy_header.v2(tlvs=[(2, b"shop.example"), (4, bytes(300))], checksum=True), "192.0.2.7",
     "443"),
    (proxy_header.v2("::ffff:192.0.2.9", "::1"), "192.0.2.9", "443"),
]


@pytest.mark.parametrize("mode", ["accept", "require"])
def test_header_names_the_client(start_weir, server, mode):
    weir = start(start_weir, server, TRUSTED + f"proxy_protocol = {mode}")
    for header, address, port in HEADERS:
        with weir.client(preface=header) as client:
            assert client.get("/").status == 200
            assert seen(server) == (address, port)
            assert client.get("/again").status == 200
            assert seen(server) == (address, port)
    entries = weir.access(2 * len(HEADERS))
    assert [entry["client"] for entry in entries[::2]] == [row[1] for row in HEADERS]
    assert entries[0]["client_port"] == 4711


@pytest.mark.parametrize("header", [proxy_header.v1(), proxy_header.v2()], ids=["v1", "v2"])
def test_header_in_pieces_and_together_with_the_request(start_weir, server, header):
    weir = start(start_weir, server, TRUSTED + "proxy_protocol = require")
    with weir.client() as client:
        for byte in header + GET:
            client.send(bytes([byte]))
        assert client.response().status == 200
    assert seen(server)[0] == "192.0.2.7"
    with weir.client() as client:
        client.send(header + GET + GET)
        assert client.response().status == 200
        assert client.response().status == 200


@pytest.mark.parametrize("header", [proxy_header.v1(), proxy_header.v2()], ids=["v1", "v2"])
def test_header_before_tls(start_weir, server, certs, header):
    tls = f"tls {{ {certs.block('localhost')} }}"
    weir = start(start_weir, server, TRUSTED + f"proxy_protocol = require  {tls}")
    with weir.client(tls=certs.client(), preface=header) as client:
        assert client.get("/").status == 200
    assert seen(server) == ("192.0.2.7", "443")
    assert server.requests[-1].headers.get("X-Forwarded-Proto") == "https"


# The protocol's section 2.2: what is not served is taken as UNSPEC, addresses and TLVs passed over by length.
UDP = {"udp4": 0x12, "udp6": 0x22, "unix-datagram": 0x32, "unspec": 0x00}


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n",
                                    b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
                                    proxy_header.LOCAL, proxy_header.v2(command=0x20),
                                    *(proxy_header.SIGNATURE + bytes([0x21, family]) + b"\x00\xe6" +
                                      bytes(range(230)) for family in UDP.values())],
                         ids=["unknown", "unknown-with-addresses", "local", "local-with-addresses",
                              *UDP])
def test_connections_of_the_proxy_itself(start_weir, server, header):
    weir = start(start_weir, server, TRUSTED + "proxy_protocol = require")
    with weir.client(preface=header) as client:
        assert client.get("/").status == 200
    assert seen(server) == ("127.0.0.1", str(weir.port()))


def test_accept_takes_connections_without_a_header(start_weir, server, certs):
    weir = start(start_weir, server, TRUSTED + "proxy_protocol = accept")
    for method in ("GET", "POST", "PROPFIND", "PUT"):  # some begin like the word PROXY
        with weir.client() as client:
            for byte in f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode():
                client.send(bytes([byte]))
            assert client.response().status == 200
    assert seen(server)[0] == "127.0.0.1"
    weir.reload(conf.one_pool({"a": server}, listener_options=TRUSTED + "proxy_protocol = accept "
                              f"tls {{ {certs.block('localhost')} }}"))
    with weir.client(tls=certs.client()) as client:
        assert client.get("/").status == 200


def test_require_refuses_connections_without_a_header(start_weir, server):
    weir = start(start_weir, server, TRUSTED + "proxy_protocol = require")
    with weir.client() as client:
        client.send(GET)
        client.assert_closed()
    weir.wait_log("no PROXY header came")
    assert server.served == 0


BAD = [
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\n",
    b"PROXY TCP9 192.0.2.7 198.51.100.1 4711 443\r\n",
    b"PROXY " + b"x" * 200 + b"\r\n",
    proxy_header.SIGNATURE + b"\x11\x11\x00\x00",
    proxy_header.SIGNATURE + b"\x21\x13\x00\x0c" + bytes(12),
    proxy_header.SIGNATURE + b"\x21\x11\x00\x04" + bytes(4),
    proxy_header.SIGNATURE + b"\x21\x11\xff\xff" + bytes(100),
    proxy_header.v2(checksum=True, spoil=1),
]


@pytest.mark.parametrize("mode", ["accept", "require"])
def test_malformed_headers_end_the_connection(start_weir, server, mode):
    weir = start(start_weir, server, TRUSTED + f"proxy_protocol = {mode}")
    for header in BAD:
        with weir.client(preface=header + GET) as client:
            client.assert_closed()
    weir.wait_log("a malformed PROXY header came")
    assert server.served == 0
    with weir.client(preface=proxy_header.v1()) as client:
        assert client.get("/").status == 200


def test_strangers_cannot_send_one(start_weir, server):
    """Not in trusted_proxies: it is no header but a bad request; where one is required, nobody else
    gets in."""
    options = 'trusted_proxies = {"192.0.2.0/24"}  '
    weir = start(start_weir, server, options + "proxy_protocol = accept")
    for header in (proxy_header.v1(), proxy_header.v2()):
        with weir.client(preface=header + GET) as client:
            response = client.response()
            assert response.status == 400 and response.closes
    assert weir.get("/").status == 200
    assert seen(server)[0] == "127.0.0.1"
    weir.reload(conf.one_pool({"a": server},
                              listener_options=options + "proxy_protocol = require"))
    with weir.client() as client:
        client.send(proxy_header.v1() + GET)
        with pytest.raises((ConnectionError, Cut)):
            client.response()
    assert server.served == 1


def test_off_reads_none(start_weir, server):
    weir = start(start_weir, server, TRUSTED)
    with weir.client(preface=proxy_header.v1() + GET) as client:
        assert client.response().status == 400
    assert server.served == 0


@pytest.mark.parametrize("begin", [b"", proxy_header.v1()[:20], proxy_header.v2()[:20]],
                         ids=["nothing", "v1", "v2"])
def test_header_that_does_not_end_in_time(start_weir, server, begin):
    weir = start(start_weir, server, 'trusted_proxies = {"127.0.0.0/8"}  header_timeout = 300ms  '
                 "proxy_protocol = accept")
    with weir.client(preface=begin) as client, Stopwatch() as watch:
        client.assert_closed()
    assert watch.seconds > 0.28
    weir.wait_log("no whole PROXY header came in time")


def test_trust_is_that_of_the_learnt_address(start_weir, server):
    """X-Forwarded-For of whom the header names counts only where that one is trusted."""
    weir = start(start_weir, server, 'trusted_proxies = {"127.0.0.0/8", "192.0.2.0/24"}  '
                 "proxy_protocol = require")
    with weir.client(preface=proxy_header.v1("203.0.113.5")) as client:
        client.get("/", [("X-Forwarded-For", "6.6.6.6")])
        assert seen(server)[0] == "203.0.113.5"
    with weir.client(preface=proxy_header.v1("192.0.2.9")) as client:
        client.get("/", [("X-Forwarded-For", "203.0.113.6")])
        assert seen(server)[0] == "203.0.113.6, 192.0.2.9"


def test_unix_proxy(start_weir, server, tmp_path):
    path = str(tmp_path / "p.sock")
    weir = start_weir(conf.listener('trusted_proxies = {"unix"}  proxy_protocol = require',
                                    bind=f'"unix:{path}"') + conf.modules() +
                      conf.routes(web='"/"') + conf.pool("web", {"a": server}))
    assert weir.running()
    with Client(path, preface=proxy_header.v2()) as client:
        assert client.get("/").status == 200
    assert seen(server)[0] == "192.0.2.7"


def test_option_without_trusted_proxies_is_a_mistake(make_weir, server):
    weir = make_weir()
    weir.configure(conf.one_pool({"a": server}, listener_options="proxy_protocol = require"))
    weir.start(wait=False)
    assert weir.wait_exit() == 1
    assert "trusted_proxies" in weir.log()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, "reload"])
def test_end_while_headers_are_awaited(start_weir, server, how):
    """They hold up a shutdown, and a listener that goes, for as long as a header may take."""
    text = conf.one_pool({"a": server}, listener_options=TRUSTED + "proxy_protocol = require")
    weir = start_weir(text)
    before = weir.descriptors()
    clients = [weir.client(preface=b"PROXY TCP4 ") for _ in range(20)]
    wait_for(lambda: weir.descriptors() >= before + 20, "the connections to be accepted")
    if how == "reload":
        weir.reload(text.replace('"main"', '"other"').replace("@main@", "@other@"))
    else:
        weir.stop(how)
    for client in clients:
        client.assert_closed()
        client.close()


# ---- sent to servers ----

class Proxied(HttpServer):
    """A server behind the PROXY protocol: reads a header on each connection, and keeps it."""

    def __init__(self, name, inner_tls=None, **how):
        self.headers = []
        self.inner_tls = inner_tls
        super().__init__(name, **how)

    def serve(self, peer):
        header = proxy_header.read(peer)
        self.headers.append(header)
        peer.header = header
        if self.inner_tls is not None:
            assert not peer.buffer
            peer.sock = self.inner_tls.wrap_socket(peer.sock, server_side=True)
        super().serve(peer)


@pytest.fixture
def proxied():
    made = []

    def make(*args, **how):
        made.append(Proxied(*args, **how))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.mark.parametrize("version", [1, 2])
def test_header_is_sent_to_servers(start_weir, proxied, version):
    web = proxied("a")
    weir = start_weir(conf.one_pool({"a": web}, f"send_proxy_protocol = v{version}"))
    with weir.client() as client:
        for _ in range(3):
            assert client.get("/").body == b"a"
        port = client.sock.getsockname()[1]
    assert web.headers == [(version, "127.0.0.1", port, "127.0.0.1", weir.port())]


@pytest.mark.parametrize("version", [1, 2])
def test_learnt_addresses_are_passed_on(start_weir, proxied, version):
    web = proxied("a")
    weir = start_weir(conf.one_pool({"a": web}, f"send_proxy_protocol = v{version}",
                                    TRUSTED + "proxy_protocol = accept"))
    for args in (("192.0.2.7", "198.51.100.1"), ("2001:db8::7", "2001:db8::1")):
        with weir.client(preface=proxy_header.v2(*args)) as client:
            assert client.get("/").status == 200
        assert web.headers[-1] == (version, args[0], 4711, args[1], 443)


@pytest.mark.parametrize("version", [1, 2])
def test_header_before_tls_to_servers(start_weir, proxied, certs, version):
    web = proxied("a", inner_tls=certs.server())
    url = f"https://127.0.0.1:{web.port}"
    weir = start_weir(conf.one_pool({"a": url}, f"send_proxy_protocol = v{version}  "
                                    f'tls {{ ca = "{certs.ca}" }}'))
    with weir.client() as client:
        for _ in range(3):
            assert client.get("/").body == b"a"
        port = client.sock.getsockname()[1]
    assert web.headers == [(version, "127.0.0.1", port, "127.0.0.1", weir.port())]


def test_connections_are_not_shared_between_clients(start_weir, proxied):
    """Each client's requests go out on a connection that names it; it ends with the client."""
    def handler(request):
        return str(request.stream.header[2])

    web = proxied("a", handler=handler)
    weir = start_weir(conf.one_pool({"a": web}, "send_proxy_protocol = v2"), workers=1)
    clients = [weir.client() for _ in range(5)]
    for _ in range(4):
        for client in clients:
            assert client.get("/").text == str(client.sock.getsockname()[1])
    assert web.accepted == 5
    for client in clients:
        client.close()
    wait_for(lambda: web.open_connections == 0, "their connections to end with them")


def test_sharing_and_not_sharing_over_reloads(start_weir, http_server, proxied):
    """A connection without a header is not used by a pool that sends them, nor the other way round."""
    plain, with_header = http_server("plain"), proxied("proxied")
    text = conf.one_pool({"a": plain})
    weir = start_weir(text, workers=1)
    with weir.client() as client:
        assert client.get("/").body == b"plain"
        weir.reload(conf.one_pool({"a": with_header}, "send_proxy_protocol = v1"))
        assert client.get("/").body == b"proxied"
        assert client.get("/").body == b"proxied"
        weir.reload(text)
        assert client.get("/").body == b"plain"
    assert len(with_header.headers) == 1


def test_same_server_changes_to_headers_and_back(start_weir, scripted_server):
    """The idle connections of a server that stays are told apart by what they began with."""
    lines = []

    def script(peer):
        lines.append(peer.exact(3))
        if lines[-1] == b"PRO":
            peer.buffer = b"PRO" + peer.buffer
            proxy_header.read(peer)
        else:
            peer.buffer = lines[-1] + peer.buffer
        while True:
            peer.request()
            peer.respond(b"ok")

    web = scripted_server(script)
    texts = [conf.one_pool({"a": web}, option) for option in ("", "send_proxy_protocol = v1")]
    weir = start_weir(texts[0], workers=1)
    with weir.client() as client:
        for text in (0, 1, 0, 1):
            weir.reload(texts[text])
            assert client.get("/").body == b"ok"
    assert lines == [b"GET", b"PRO"], "and each of them goes on when its turn comes again"


def test_probes_are_connections_of_our_own(start_weir, proxied):
    web = proxied("a")
    weir = start_weir(conf.one_pool({"a": web}, "send_proxy_protocol = v2  "
                                    'health "http" { path = "/"  interval = 50ms }'))
    wait_for(lambda: len(web.headers) > 2, "probes")
    assert all(header == (2, None, None, None, None) for header in web.headers)
    assert weir.get("/").status == 200


def test_retry_sends_its_own_header(start_weir, proxied, scripted_server):
    """A server that resets: the next one is told of the client as well."""
    def script(peer):
        proxy_header.read(peer)
        peer.reset()

    web = proxied("b")
    weir = start_weir(conf.one_pool({"a": scripted_server(script), "b": web},
                                    "send_proxy_protocol = v1"), workers=1)
    for _ in range(4):
        with weir.client() as client:
            assert client.get("/").body == b"b"
            assert web.headers[-1][2] == client.sock.getsockname()[1]


def test_client_without_an_address(start_weir, proxied, tmp_path):
    path = str(tmp_path / "c.sock")
    web = proxied("a")
    weir = start_weir(conf.listener(bind=f'"unix:{path}"') + conf.modules() +
                      conf.routes(web='"/"') +
                      conf.pool("web", {"a": web}, "send_proxy_protocol = v1"))
    assert weir.running()
    with Client(path) as client:
        assert client.get("/").status == 200
    assert web.headers == [(1, None, None, None, None)]
