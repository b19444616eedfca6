# SPDX-License-Identifier: MIT
"""What is passed on: hop-by-hop fields, X-Forwarded-*, Via, forms of the target, misdirected requests."""

import email.utils
import re
import time

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


def test_date_is_added(start_weir, scripted_server):
    """RFC 9110 section 6.6.1: where the server has no clock, or did not say."""
    def script(peer):
        peer.request()
        peer.respond(b"ok")

    weir = start_weir(conf.one_pool({"a": scripted_server(script)}))
    date = weir.get("/").headers.get("Date")
    assert date.endswith(" GMT")
    assert abs(time.time() - email.utils.parsedate_to_datetime(date).timestamp()) < 60


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


ALIASES = ["X_Forwarded_For", "x-forwarded_for", "X_FORWARDED-FOR", "X.Forwarded.For",
           "X_Forwarded-Proto", "X_Forwarded_Host", "X_Forwarded_Port", "X_Request_Id",
           "X-Request_ID", "Content_Length", "Transfer_Encoding"]


@pytest.mark.parametrize("options", ["", 'trusted_proxies = {"127.0.0.0/8"}'])
def test_aliases_of_identity_fields_are_dropped(start_weir, server, options):
    """Servers that hand fields on as CGI does read `_` as `-` (RFC 3875 section 4.1.18): what a client
    writes so would stand beside, or instead of, what Weir says. Of a trusted proxy too: it may have passed
    on what it did not know. Other names with `_` pass."""
    weir = start_weir(conf.one_pool({"a": server}, listener_options=options))
    weir.get("/", [(name, "6.6.6.6") for name in ALIASES] + [("X_Other_Name", "1"), ("_", "2")])
    names = [name for name, _ in last(server)]
    assert not set(names) & set(ALIASES)
    assert last(server).get("X_Other_Name") == "1" and last(server).get("_") == "2"
    assert last(server).all("X-Forwarded-For") == ["127.0.0.1"]


def test_aliases_of_the_request_id(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server},
                                    listener_options='request_id_header = "X-Correlation-Id"'))
    weir.get("/", [("X_Correlation_Id", "forged"), ("X-Correlation_Id", "forged")])
    assert "forged" not in [value for _, value in last(server)]
    assert len(last(server).get("X-Correlation-Id")) == 32


def test_aliases_of_what_a_filter_says(start_weir, server):
    """What a filter sets or removes, a client cannot say by another spelling."""
    rule = 'filter "headers" { request_set = {"X-User: nobody"}  request_remove = {"X-Admin-Key"} }'
    weir = start_weir('module "headers" {}\n' + conf.one_pool({"a": server}, rule))
    weir.get("/", [("X_User", "root"), ("x-user", "root"), ("X_Admin_Key", "1"),
                   ("X-Admin_Key", "2"), ("X-Admin-Key", "3"), ("X_Users", "kept")])
    said = dict(last(server))
    assert last(server).all("X-User") == ["nobody"]
    assert "root" not in said.values() and not {"1", "2", "3"} & set(said.values())
    assert said["X_Users"] == "kept"


OF_OTHERS = ["X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "Fastly-Client-IP",
             "X-Cluster-Client-IP", "X-Forwarded-Ssl", "X-Forwarded-Prefix", "X-Forwarded-Server",
             "X_Real_IP", "X_Forwarded-Scheme", "X-Original-Forwarded-For"]


def test_identity_fields_of_other_products(start_weir, server):
    """They pass, since sites have their own use for them, until the option drops those of strangers."""
    weir = start_weir(conf.one_pool({"a": server}))
    sent = [(name, "6.6.6.6") for name in OF_OTHERS] + [("X-Real-Estate", "1")]
    weir.get("/", sent)
    assert all(last(server).get(name) == "6.6.6.6" for name in OF_OTHERS)
    weir.reload(conf.one_pool({"a": server}, listener_options="drop_identity_headers = on"))
    weir.get("/", sent)
    assert "6.6.6.6" not in [value for _, value in last(server)]
    assert last(server).get("X-Real-Estate") == "1"
    assert last(server).get("X-Forwarded-For") == "127.0.0.1"
    weir.reload(conf.one_pool({"a": server}, listener_options="drop_identity_headers = on  "
                              'trusted_proxies = {"127.0.0.0/8"}'))
    weir.get("/", sent)
    assert all(last(server).get(name) == "6.6.6.6" for name in OF_OTHERS)


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
    seen = len(server.requests)
    assert weir.get("/", [("Max-Forwards", "0")], method="OPTIONS").status < 300
    assert len(server.requests) == seen
    weir.get("/", [("Max-Forwards", "0")])
    assert last(server).get("Max-Forwards") == "0", "only TRACE and OPTIONS are counted"
    seen = len(server.requests)
    for fields in ([("Max-Forwards", "x")], [("Max-Forwards", "")], [("Max-Forwards", "-1")],
                   [("Max-Forwards", "5"), ("Max-Forwards", "6")]):
        assert weir.get("/", fields, method="TRACE").status == 400
    assert len(server.requests) == seen


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
    # Two workers write the log: its order is that of neither.
    assert sorted(entry["reason"] for entry in weir.access(3)) == ["", "", "misdirected"]


def test_unix_client_has_no_address(start_weir, server, tmp_path):
    path = str(tmp_path / "c.sock")
    weir = start_weir(conf.listener(bind=f'"unix:{path}"') + conf.modules() +
                      conf.routes(web='"/"') + conf.pool("web", {"a": server}))
    assert weir.running()
    with Client(path) as client:
        assert client.get("/").status == 200
    assert last(server).get("X-Forwarded-For") in (None, "unix", "unknown")


# ---- who the client is, behind trusted proxies ----

TRUSTED = 'trusted_proxies = {"127.0.0.0/8", "10.0.0.0/8", "2001:db8:f::/48"}  '


@pytest.mark.parametrize("sent, client", [
    (["192.0.2.7"], "192.0.2.7"),
    (["6.6.6.6, 192.0.2.7"], "192.0.2.7"),
    (["6.6.6.6", "192.0.2.7"], "192.0.2.7"),
    (["192.0.2.7, 10.0.0.1, 10.1.1.1"], "192.0.2.7"),
    (["6.6.6.6, 192.0.2.7,10.0.0.1", "2001:db8:f::1"], "192.0.2.7"),
    (["192.0.2.7:4711"], "192.0.2.7"),
    (["2001:db8::7"], "2001:db8::7"),
    (["[2001:db8::7]:4711"], "2001:db8::7"),
    (["10.0.0.9, 10.0.0.1"], "10.0.0.9"),
    (["192.0.2.7, nonsense"], "127.0.0.1"),
    (["192.0.2.7, unknown, 10.0.0.2, 10.0.0.3"], "10.0.0.2"),
    (["192.0.2.7, , 10.0.0.2,"], "192.0.2.7"),
    ([""], "127.0.0.1"),
    ([], "127.0.0.1"),
])
def test_client_behind_trusted_proxies(start_weir, server, sent, client):
    """The right-most address that is not trusted; what stands left of nonsense is not believed."""
    weir = start_weir(conf.one_pool({"a": server}, listener_options=TRUSTED))
    weir.get("/", [("X-Forwarded-For", value) for value in sent])
    assert weir.access(1)[0]["client"] == client
    got = last(server).all("X-Forwarded-For")
    assert got == [", ".join([value for value in sent if value] + ["127.0.0.1"])]


def test_scheme_behind_a_trusted_proxy(start_weir, server):
    """Logs, cookies and redirects go by the scheme that the client used."""
    weir = start_weir(conf.one_pool({"a": server}, 'sticky "cookie" {}', TRUSTED))
    response = weir.get("/", [("X-Forwarded-Proto", "https")])
    assert "Secure" in response.headers.get("Set-Cookie")
    assert "Secure" not in weir.get("/").headers.get("Set-Cookie")
    assert sorted(entry["scheme"] for entry in weir.access(2)) == ["http", "https"]


@pytest.mark.parametrize("lines, scheme", [
    (["http", "https"], "https"),
    (["https", "http"], "http"),
    (["https, http", "https"], "https"),
    (["https", ""], "https"),
])
def test_scheme_in_several_lines(start_weir, server, lines, scheme):
    """They are one list (RFC 9110 section 5.3), and the nearest proxy's word is its last."""
    weir = start_weir(conf.one_pool({"a": server}, listener_options=TRUSTED))
    weir.get("/", [("X-Forwarded-Proto", line) for line in lines])
    assert weir.access(1)[0]["scheme"] == scheme


def test_scheme_of_strangers_is_not_believed(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}, 'sticky "cookie" {}'))
    assert "Secure" not in weir.get("/", [("X-Forwarded-Proto", "https")]) \
        .headers.get("Set-Cookie")
    assert weir.access(1)[0]["scheme"] == "http"


# ---- Forwarded ----

def test_forwarded_is_made(start_weir, server, certs):
    weir = start_weir(conf.one_pool({"a": server}, listener_options="forwarded = on"))
    weir.get("/", host="shop.example")
    assert last(server).get("Forwarded") == "for=127.0.0.1;proto=http;host=shop.example"
    assert last(server).get("X-Forwarded-For") == "127.0.0.1"
    weir.get("/", [("Forwarded", "for=6.6.6.6")], host="shop.example:8080")
    assert last(server).get("Forwarded") == 'for=127.0.0.1;proto=http;host="shop.example:8080"'
    weir.reload(conf.one_pool({"a": server}, listener_options="forwarded = on  "
                              f"tls {{ {certs.block('localhost')} }}"))
    with weir.client(tls=certs.client()) as client:
        client.get("/", host="localhost")
    assert last(server).get("Forwarded") == "for=127.0.0.1;proto=https;host=localhost"


def test_forwarded_of_ipv6_clients(start_weir, server):
    weir = start_weir(conf.listener("forwarded = on", bind='"[::1]:@main@"') + conf.modules() +
                      conf.routes(web='"/"') + conf.pool("web", {"a": server}))
    with Client(("::1", weir.port())) as client:
        client.get("/", host="[::1]")
    assert last(server).get("Forwarded") == 'for="[::1]";proto=http;host="[::1]"'


def test_forwarded_of_trusted_proxies_is_continued(start_weir, server):
    """Made-up names stay as they are."""
    weir = start_weir(conf.one_pool({"a": server}, listener_options=TRUSTED + "forwarded = on"))
    weir.get("/", [("Forwarded", 'for=192.0.2.7;proto=https, for="_gate;way"'),
                   ("Forwarded", "for=10.0.0.1"), ("X-Forwarded-For", "6.6.6.6")], host="shop")
    assert last(server).get("Forwarded") == 'for=192.0.2.7;proto=https, for="_gate;way", ' \
        "for=10.0.0.1, for=127.0.0.1;proto=http;host=shop"
    assert weir.access(1)[0]["client"] == "10.0.0.1", "left of a made-up name nobody is known"


@pytest.mark.parametrize("sent, client, scheme", [
    ("for=192.0.2.7", "192.0.2.7", "http"),
    ("for=6.6.6.6;proto=http, for=192.0.2.7;proto=https", "192.0.2.7", "https"),
    ('for="[2001:db8::7]:4711"', "2001:db8::7", "http"),
    ('for="192.0.2.7:1", for=10.0.0.3', "192.0.2.7", "http"),
    ("for=unknown", "127.0.0.1", "http"),
    ("for=_hidden", "127.0.0.1", "http"),
])
def test_forwarded_names_the_client(start_weir, server, sent, client, scheme):
    weir = start_weir(conf.one_pool({"a": server}, listener_options=TRUSTED + "forwarded = on"))
    weir.get("/", [("Forwarded", sent), ("X-Forwarded-For", "6.6.6.6")])
    entry = weir.access(1)[0]
    assert (entry["client"], entry["scheme"]) == (client, scheme)


@pytest.mark.parametrize("sent", ["for=6.6.6.6 for=x", "for=6.6.6.6, x", "for=[::1]", 'for="x'])
def test_malformed_forwarded(start_weir, server, sent):
    """Not half of it counts: it goes, and X-Forwarded-For is what is left."""
    weir = start_weir(conf.one_pool({"a": server}, listener_options=TRUSTED + "forwarded = on"))
    weir.get("/", [("Forwarded", sent), ("X-Forwarded-For", "192.0.2.7")], host="shop")
    assert last(server).get("Forwarded") == "for=127.0.0.1;proto=http;host=shop"
    assert weir.access(1)[0]["client"] == "192.0.2.7"


def test_forwarded_passes_where_it_is_off(start_weir, server):
    """Of a trusted proxy, unchanged; who reads it knows whom it is from."""
    weir = start_weir(conf.one_pool({"a": server}, listener_options=TRUSTED))
    weir.get("/", [("Forwarded", "for=192.0.2.7")])
    assert last(server).get("Forwarded") == "for=192.0.2.7"
    assert weir.access(1)[0]["client"] == "127.0.0.1"


# ---- request ids and traces ----

def test_request_id_is_made(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}))
    with weir.client() as client:
        for _ in range(300):
            assert "X-Request-Id" not in client.get("/").headers
    ids = [request.headers.get("X-Request-Id") for request in server.requests]
    assert len(set(ids)) == 300
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert [entry["request_id"] for entry in weir.access(300)] == ids


def test_request_id_of_strangers_is_replaced(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}))
    weir.get("/", [("X-Request-Id", "evil"), ("x-request-id", "evil2")])
    assert re.fullmatch("[0-9a-f]{32}", last(server).get("X-Request-Id"))


@pytest.mark.parametrize("sent, kept", [
    (["f058ebd6-02f7-4d3f-942e-904344e8cde5"], True),
    (["a" * 128], True),
    (["a" * 129], False),
    (["two words"], False),
    (["gr\u00fc\u00df"], False),
    (['say "x"'], False),
    (["a,b"], False),
    ([""], False),
    (["a", "b"], False),
])
def test_request_id_of_trusted_proxies(start_weir, server, sent, kept):
    weir = start_weir(conf.one_pool({"a": server}, listener_options=TRUSTED))
    weir.get("/", [("X-Request-Id", value) for value in sent])
    got = last(server).get("X-Request-Id")
    assert (got == sent[0]) == kept
    assert kept or re.fullmatch("[0-9a-f]{32}", got)
    assert weir.access(1)[0]["request_id"] == got


def test_request_id_header_and_response(start_weir, http_server):
    web = http_server("a", lambda request: Reply(b"x", headers=[("X-Correlation-Id", "own")]))
    weir = start_weir(conf.one_pool({"a": web}, listener_options="request_id_response = on  "
                                    'request_id_header = "X-Correlation-Id"'))
    response = weir.get("/", [("X-Request-Id", "passes")])
    assert last(web).get("X-Request-Id") == "passes"
    assert response.headers.get("X-Correlation-Id") == last(web).get("X-Correlation-Id")
    # Also where Weir answers itself.
    response = weir.get("/", [("Host", "twice")])
    assert response.status == 400
    entry = weir.access(1, match=lambda entry: entry["status"] == 400)[0]
    assert entry["request_id"] == response.headers.get("X-Correlation-Id")


def test_request_ids_off(start_weir, server):
    weir = start_weir(conf.one_pool({"a": server}, listener_options='request_id_header = ""'))
    weir.get("/", [("X-Request-Id", "mine")])
    assert last(server).get("X-Request-Id") == "mine"
    weir.get("/")
    assert "X-Request-Id" not in last(server)


@pytest.mark.parametrize("name", ["Host", "Content-Length", "X-Forwarded-For", "a b"])
def test_request_id_header_that_cannot_be(make_weir, server, name):
    weir = make_weir()
    weir.configure(conf.one_pool({"a": server}, listener_options=f'request_id_header = "{name}"'))
    weir.start(wait=False)
    assert weir.wait_exit() == 1
    assert f'"{name}" cannot carry a request' in weir.log()


def test_trace_context_passes_untouched(start_weir, server):
    """W3C Trace Context: Weir takes no part in it, so both fields go on as they are."""
    fields = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
              ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
              ("tracestate", "blue=1"), ("baggage", "userId=alice")]
    weir = start_weir(conf.one_pool({"a": server}))
    weir.get("/", fields)
    for name in ("traceparent", "tracestate", "baggage"):
        assert last(server).all(name) == [value for key, value in fields if key == name]
