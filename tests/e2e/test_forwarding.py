# SPDX-License-Identifier: MIT
"""What is passed on: hop-by-hop fields, X-Forwarded-*, Via, forms of the target, misdirected requests."""

import pytest

from weirtest import conf
from weirtest.backend import Reply
from weirtest.client import Client


@pytest.fixture
def server(http_server):
    return http_server("a")


def last(web):
    return web.requests[-1].headers


def test_end_to_end_fields_pass_unchanged(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}))
    sent = [("Accept", "text/html"), ("X-A", "1"), ("x-a", "2"), ("Cookie", "a=b; c=d"),
            ("Authorization", "Basic eDp5"), ("X-Empty", ""), ("X-Utf8", "gr\u00fc\u00df"),
            ("Range", "bytes=0-1"), ("If-None-Match", '"x"')]
    weir.get("/", sent)
    for name in ("Accept", "Cookie", "Authorization", "X-Empty", "X-Utf8", "Range",
                 "If-None-Match"):
        assert last(server).get(name) == dict(sent)[name]
    assert last(server).all("X-A") == ["1", "2"]
    assert last(server).get("Host") == "localhost"


def test_response_fields_pass_unchanged(start_weir, http_server):
    fields = (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Cache-Control", "no-cache"),
              ("Server", "shop/1"), ("Date", "Tue, 15 Nov 1994 08:12:31 GMT"), ("X-Odd", "\xe4"))
    web = http_server("a", lambda request: Reply(b"x", status=299, reason="Quite Odd",
                                                 headers=fields))
    weir = start_weir(conf.one_pool({"a": web}))
    response = weir.get("/")
    assert (response.status, response.reason) == (299, "Quite Odd")
    for name, value in fields:
        assert value in response.headers.all(name)
    assert response.headers.get("Date") == "Tue, 15 Nov 1994 08:12:31 GMT"


def test_hop_by_hop_fields_of_requests(start_weir, server):
    """RFC 9110 section 7.6.1: these, and what Connection names, are for one hop."""
    weir = start_weir(conf.one_pool({"a": server}))
    weir.get("/", [("Connection", "keep-alive, X-Private, close-ish"), ("X-Private", "secret"),
                   ("Close-Ish", "x"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "close"),
                   ("TE", "gzip"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQA"),
                   ("X-Public", "yes")])
    for name in ("X-Private", "Close-Ish", "Keep-Alive", "Proxy-Connection", "Upgrade",
                 "HTTP2-Settings", "TE"):
        assert name not in last(server), name
    assert last(server).get("X-Public") == "yes"
    for value in last(server).all("Connection"):
        assert "private" not in value.lower()


def test_connection_may_not_name_what_frames(start_weir, http_server):
    """Host, the length and forwarding fields are not taken away by that road."""
    server = http_server("a", lambda request: request.body)
    weir = start_weir(conf.one_pool({"a": server}))
    weir.get("/", [("Connection", "Host, Content-Length, X-Forwarded-For, Via")], method="POST",
             body=b"hello")
    assert last(server).get("Host") == "localhost"
    assert last(server).get("Content-Length") == "5"
    assert server.requests[-1].body == b"hello"
    assert last(server).get("X-Forwarded-For") == "127.0.0.1"
    assert "Via" in last(server)


def test_hop_by_hop_fields_of_responses(start_weir, http_server):
    fields = (("Connection", "X-Private"), ("X-Private", "secret"), ("Keep-Alive", "timeout=5"),
              ("Proxy-Connection", "keep-alive"), ("Upgrade", "h2c"), ("X-Public", "yes"))
    web = http_server("a", lambda request: Reply(b"x", headers=fields))
    weir = start_weir(conf.one_pool({"a": web}))
    response = weir.get("/")
    for name in ("X-Private", "Keep-Alive", "Proxy-Connection", "Upgrade"):
        assert name not in response.headers, name
    assert response.headers.get("X-Public") == "yes"
    assert "private" not in " ".join(response.headers.all("Connection")).lower()


def test_forwarded_fields(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}))
    weir.get("/", host="shop.example:8080")
    assert last(server).get("X-Forwarded-For") == "127.0.0.1"
    assert last(server).get("X-Forwarded-Proto") == "http"
    assert last(server).get("X-Forwarded-Host") == "shop.example:8080"
    assert last(server).get("X-Forwarded-Port") == str(weir.port())
    assert last(server).get("Via", "").startswith("1.1 ")


def test_forwarded_fields_over_tls(start_weir, server, certs):
    weir = start_weir(conf.one_pool({"a": server},
                                    listener_options=f"tls {{ {certs.block('localhost')} }}"))
    with weir.client(tls=certs.client()) as client:
        assert client.get("/").status == 200
    assert last(server).get("X-Forwarded-Proto") == "https"


def test_forwarded_fields_of_strangers_are_replaced(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}))
    weir.get("/", [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "7.7.7.7"),
                   ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"),
                   ("X-Forwarded-Port", "443"), ("Forwarded", "for=6.6.6.6")])
    assert last(server).all("X-Forwarded-For") == ["127.0.0.1"]
    assert last(server).all("X-Forwarded-Proto") == ["http"]
    assert last(server).all("X-Forwarded-Host") == ["localhost"]
    assert last(server).all("X-Forwarded-Port") == [str(weir.port())]
    assert "6.6.6.6" not in " ".join(last(server).all("Forwarded"))


def test_forwarded_fields_of_trusted_proxies_stay(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server},
                                    listener_options='trusted_proxies = {"127.0.0.0/8"}'))
    weir.get("/", [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"),
                   ("X-Forwarded-Host", "shop.example"), ("X-Forwarded-Port", "443")])
    chain = [part.strip() for value in last(server).all("X-Forwarded-For")
             for part in value.split(",")]
    assert chain == ["192.0.2.7", "127.0.0.1"]
    assert last(server).all("X-Forwarded-Proto") == ["https"]
    assert last(server).all("X-Forwarded-Host") == ["shop.example"]
    assert last(server).all("X-Forwarded-Port") == ["443"]


def test_via_grows(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}))
    weir.get("/", [("Via", "1.0 fred")])
    parts = [part.strip() for value in last(server).all("Via") for part in value.split(",")]
    assert parts[0] == "1.0 fred" and len(parts) == 2 and parts[1].startswith("1.1 ")


def test_absolute_form(start_weir, server):
    """RFC 9112 section 3.2.2: the server gets origin form and the target's authority as Host."""
    weir = start_weir(conf.one_pool({"a": server}))
    weir.get("http://shop.example:8080/a?b=c", host="ignored.example")
    assert server.targets()[-1] == "/a?b=c"
    assert last(server).get("Host") == "shop.example:8080"
    weir.get("http://shop.example", host="shop.example")
    assert server.targets()[-1] == "/"


def test_options_asterisk(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}))
    response = weir.get("*", method="OPTIONS")
    if server.requests:  # passed on in its own form
        assert server.targets() == ["*"]
    assert response.status < 500


def test_max_forwards(start_weir, server):
    """RFC 9110 section 7.6.2."""
    weir = start_weir(conf.one_pool({"a": server}))
    weir.get("/", [("Max-Forwards", "5")], method="OPTIONS")
    assert last(server).get("Max-Forwards") == "4"
    served = server.served
    assert weir.get("/", [("Max-Forwards", "0")], method="OPTIONS").status < 300
    assert server.served == served
    weir.get("/", [("Max-Forwards", "0")])
    assert last(server).get("Max-Forwards") == "0", "only TRACE and OPTIONS are counted"
    served = server.served
    for fields in ([("Max-Forwards", "x")], [("Max-Forwards", "")], [("Max-Forwards", "-1")],
                   [("Max-Forwards", "5"), ("Max-Forwards", "6")]):
        assert weir.get("/", fields, method="TRACE").status == 400
    assert server.served == served


def test_te_is_of_one_connection(start_weir, server):
    """RFC 9110 section 10.1.4: Weir says for itself that trailers are taken, and names it so."""
    weir = start_weir(conf.one_pool({"a": server}))
    weir.get("/", [("TE", "trailers, deflate;q=0.5"), ("Connection", "TE")])
    assert last(server).get("TE") == "trailers"
    assert [value.lower() for value in last(server).all("Connection")] == ["te"]


def test_unknown_methods_pass(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}))
    for method in ("PATCH", "DELETE", "PROPFIND", "BREW", "get"):
        assert weir.get("/", method=method).status == 200
        assert server.requests[-1].method == method


def test_misdirected_request(start_weir, server, certs):
    """A connection made for one certificate's name, a request for another's: 421."""
    tls = f"tls {{ {certs.block('one')} {certs.block('two')} }}"
    weir = start_weir(conf.one_pool({"a": server}, listener_options=tls))
    with weir.client(tls=certs.client(), server_name="one.example") as client:
        assert client.get("/", host="one.example").status == 200
        response = client.get("/", host="two.example")
        assert response.status == 421
    with weir.client(tls=certs.client(), server_name="two.example") as client:
        assert client.get("/", host="two.test").status == 200, "one certificate, two names"
    assert len(server.requests) == 2
    assert weir.access(3)[1]["reason"] == "misdirected"


def test_unix_client_has_no_address(start_weir, server, tmp_path):
    path = str(tmp_path / "c.sock")
    weir = start_weir(conf.listener(bind=f'"unix:{path}"') + conf.modules() +
                      conf.routes(web='"/"') + conf.pool("web", {"a": server}))
    assert weir.running()
    with Client(path) as client:
        assert client.get("/").status == 200
    assert last(server).get("X-Forwarded-For") in (None, "unix", "unknown")
