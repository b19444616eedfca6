# SPDX-License-Identifier: MIT
"""What stands behind Weir: Unix sockets, https:// with verification, host names, IPv6."""

import ssl

import pytest

from weirtest import conf
from weirtest.load import Load


def test_unix_server(start_weir, http_server, tmp_path):
    web = http_server("a", unix=str(tmp_path / "b.sock"))
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        for _ in range(5):
            assert client.get("/").text == "a"
    assert web.accepted <= 2
    assert web.requests[0].headers.get("Host") == "localhost"


def test_ipv6_server(start_weir, http_server):
    web = http_server("a", host="::1")
    weir = start_weir(conf.one_pool({"a": web}))
    assert weir.get("/").text == "a"


def test_server_by_host_name(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(conf.one_pool({"a": f"http://localhost:{web.port}"}))
    with weir.client() as client:
        for _ in range(3):
            assert client.get("/").text == "a"


def test_unknown_host_name_is_502_or_503(start_weir, http_server):
    """A name that does not resolve is no reason not to serve what others can."""
    web = http_server("a")
    servers = {"lost": "http://no-such-host.invalid:80", "a": web}
    weir = start_weir(conf.one_pool(servers, "retry_budget = 100%"))
    with weir.client() as client:
        for _ in range(4):
            assert client.get("/").text == "a"
    mark = len(weir.log())
    weir.reload(conf.one_pool({"lost": "http://no-such-host.invalid:80"}))
    assert weir.get("/").status in (502, 503)
    assert "no-such-host.invalid" in weir.log()[:mark] + weir.log()[mark:]


def https(certs, server, options="", host="localhost"):
    url = f"https://{host}:{server.port}"
    return conf.one_pool({"a": url}, f'tls {{ ca = "{certs.ca}"  {options} }} retries = 0')


def test_https_server_verified(start_weir, http_server, certs):
    def handler(request):
        return b"a" if request.body is not None else b""

    web = http_server("a", handler, tls=certs.server())
    weir = start_weir(https(certs, web))
    with weir.client() as client:
        for _ in range(5):
            assert client.get("/").text == "a"
        body = b"x" * 300000
        assert client.get("/", method="POST", body=body).status == 200
        assert web.requests[-1].body == body
    assert web.accepted <= 2, "TLS connections to servers are kept as well"


def test_https_server_by_address(start_weir, http_server, certs):
    """The certificate names 127.0.0.1 too."""
    web = http_server("a", tls=certs.server())
    weir = start_weir(https(certs, web, host="127.0.0.1"))
    assert weir.get("/").text == "a"


def test_https_server_with_another_name(start_weir, http_server, certs):
    web = http_server("a", tls=certs.server("wrong"))
    weir = start_weir(https(certs, web))
    response = weir.get("/")
    assert response.status == 502
    assert weir.access(1)[0]["reason"] == "upstream_tls"
    assert web.served == 0


def test_https_common_name_alone_is_no_name(start_weir, http_server, certs):
    """Names stand in subjectAltName (RFC 9525 section 2): one that is a common name alone proves
    nothing."""
    certs.make("only-common.example", None)
    web = http_server("a", tls=certs.server("only-common.example"))
    weir = start_weir(https(certs, web, 'name = "only-common.example"'))
    assert weir.get("/").status == 502
    assert weir.access(1)[0]["reason"] == "upstream_tls"
    assert web.served == 0


def test_https_name_can_be_set(start_weir, http_server, certs):
    web = http_server("a", tls=certs.server("wrong"))
    weir = start_weir(https(certs, web, 'name = "somebody.else.example"'))
    assert weir.get("/").text == "a"


def test_https_server_of_a_stranger(start_weir, http_server, certs):
    """No CA file: the system's authorities do not know ours."""
    web = http_server("a", tls=certs.server())
    weir = start_weir(conf.one_pool({"a": f"https://localhost:{web.port}"}, "retries = 0"))
    assert weir.get("/").status == 502
    assert web.served == 0


def test_https_verification_off(start_weir, http_server, certs):
    web = http_server("a", tls=certs.server("wrong"))
    weir = start_weir(conf.one_pool({"a": f"https://localhost:{web.port}"},
                                    "tls { verify = off } retries = 0"))
    assert weir.get("/").text == "a"


def test_sni_to_the_server(start_weir, http_server, certs):
    names = []
    context = certs.server()
    context.sni_callback = lambda socket, name, _context: names.append(name)
    web = http_server("a", tls=context)
    weir = start_weir(https(certs, web))
    assert weir.get("/").status == 200
    assert names == ["localhost"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_connections_resume_the_session(start_weir, scripted_server, certs, version):
    """A server that closes after each answer costs one whole handshake, not one a request."""
    def once(peer):
        resumed.append(peer.sock.session_reused)
        peer.request()
        peer.respond(b"a", headers=[("Connection", "close")])

    context = certs.server()
    context.minimum_version = context.maximum_version = version
    resumed = []
    web = scripted_server(once, once, once, once, tls=context)
    weir = start_weir(https(certs, web), workers=1)
    for _ in range(3):
        assert weir.get("/").text == "a"
    assert resumed == [False, True, True]
    weir.reload(https(certs, web, "verify = off"))  # other settings: whom they trust is found out anew
    assert weir.get("/").text == "a"
    assert resumed == [False, True, True, False]


def test_client_certificate(start_weir, http_server, certs):
    """A server that asks who Weir is."""
    context = certs.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certs.ca)
    web = http_server("a", tls=context)
    with_one = https(certs, web, f'certificate = "{certs.chain("one")}"  key = "{certs.key("one")}"')
    weir = start_weir(with_one)
    assert weir.get("/").status == 200
    weir.reload(https(certs, web))
    assert weir.get("/").status == 502


def test_plain_server_where_tls_is_expected(start_weir, http_server, certs):
    web = http_server("a")
    weir = start_weir(https(certs, web))
    assert weir.get("/").status == 502
    assert weir.access(1)[0]["reason"] == "upstream_tls"
    web.errors.clear()


def test_https_server_under_load_with_tls_clients(start_weir, http_server, certs):
    """TLS on both sides, both workers."""
    web = http_server("a", tls=certs.server())
    text = conf.one_pool({"a": f"https://localhost:{web.port}"},
                         f'tls {{ ca = "{certs.ca}" }}',
                         listener_options=f"tls {{ {certs.block('localhost')} }}")
    weir = start_weir(text)
    context = certs.client()
    with Load(lambda: weir.client(tls=context)) as load:
        load.wait_requests(400)
    load.assert_clean()
