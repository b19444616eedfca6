# SPDX-License-Identifier: MIT
"""Module headers on real requests: fields, redirects that curl follows, path prefixes that routing and the
server agree on, and what must never get through."""

import json
import subprocess

import pytest

from weirtest import conf
from weirtest.backend import Reply
from weirtest.wait import DEADLINE

HEADERS = 'module "headers" {}\n'


def echo(request):
    """Tells the server's view of a request."""
    assert request.body is not None
    return Reply(json.dumps({"target": request.target, "headers": request.headers}).encode(),
                 headers=(("Server", "backend/1.0"), ("X-Powered-By", "tests")))


def block(text):
    return f'filter "headers" {{ {text} }}\n'


def view(response):
    """What the server saw: its target, and its headers as pairs."""
    assert response.status == 200, response.body
    seen = json.loads(response.body)
    return seen["target"], [(name.lower(), value) for name, value in seen["headers"]]


def test_fields_both_ways(start_weir, http_server):
    text = HEADERS + conf.one_pool(
        {"a": http_server(handler=echo)},
        block('request_set = {"X-Pool: {pool}", "X-Who: {client}"}'),
        block('request_remove = {"X-Secret"}  response_remove = {"Server", "X-Powered-By"}\n'
              'response_set = {"Strict-Transport-Security: max-age=31536000"}\n'
              'response_add = {"X-From: {server} {status}"}'))
    weir = start_weir(text)
    response = weir.get("/", [("X-Secret", "1"), ("x-secret", "2"), ("X-Who", "forged")])
    _, headers = view(response)
    assert ("x-pool", "web") in headers
    assert [value for name, value in headers if name == "x-who"] == ["127.0.0.1"]
    assert not [name for name, _ in headers if name == "x-secret"]
    assert "Server" not in response.headers and "X-Powered-By" not in response.headers
    assert response.headers.get("Strict-Transport-Security") == "max-age=31536000"
    assert response.headers.get("X-From") == "a 200"
    # Weir's own answers pass the listener's filters too.
    weir.reload(text.replace('route "/"', 'route "/there"'))
    response = weir.get("/nowhere")
    assert response.status == 404
    assert response.headers.get("Strict-Transport-Security") == "max-age=31536000"


def test_connection_takes_nothing_away(start_weir, http_server):
    """RFC 9110 section 7.6.1: a client names its own fields in Connection; what a filter says for Weir, in
    either direction, is not taken away by that road."""
    def named(request):
        reply = echo(request)
        reply.headers += (("Connection", "X-Frame-Options, X-Inner"), ("X-Inner", "secret"))
        return reply

    weir = start_weir(HEADERS + conf.one_pool(
        {"a": http_server(handler=named)},
        block('request_set = {"X-Internal-User: {client}"}\n'
              'response_set = {"X-Frame-Options: DENY"}')))
    response = weir.get("/", [("Connection", "X-Internal-User, X-Mine, Via"), ("X-Mine", "1"),
                              ("X-Internal-User", "root")])
    _, headers = view(response)
    assert [value for name, value in headers if name == "x-internal-user"] == ["127.0.0.1"]
    assert "x-mine" not in dict(headers) and "via" in dict(headers)
    assert response.headers.get("X-Frame-Options") == "DENY"
    assert "X-Inner" not in response.headers


def test_the_request_s_id(start_weir, http_server):
    text = HEADERS + conf.one_pool({"a": http_server(handler=echo)}, "",
                                   block('request_set = {"X-Copy: {request_id}"}\n'
                                         'response_set = {"X-Copy: {request_id}"}'))
    weir = start_weir(text)
    response = weir.get("/")
    headers = dict(view(response)[1])
    assert headers["x-copy"] == headers["x-request-id"] == response.headers.get("X-Copy")
    assert len(headers["x-copy"]) == 32


def test_redirect_is_followed_by_curl(start_weir, http_server, certs):
    server = http_server(handler=echo)
    text = (HEADERS + conf.listener(block(
        'redirect = "https://{host}:@tls@{path}{query}"  redirect_status = 308')) +
        conf.listener(f"tls {{ {certs.block('localhost')} }}", name="tls") +
        conf.modules() + conf.routes(web='"/"') + conf.pool("web", {"a": server}))
    weir = start_weir(text)
    done = subprocess.run(
        ["curl", "-sSL", "--cacert", str(certs.ca), "-X", "PUT", "-d", "body", "--post301",
         f"http://localhost:{weir.port()}/a%20b?c=d"],
        capture_output=True, timeout=DEADLINE, check=True)
    seen = json.loads(done.stdout)
    assert seen["target"] == "/a%20b?c=d"
    assert server.requests[0].method == "PUT" and server.requests[0].body == b"body"
    with weir.client() as client:
        response = client.get("/x", host="evil.example")
        assert response.headers.get("Location") == f"https://evil.example:{weir.port('tls')}/x"
        response = client.get("//evil.example/%0d%0aX:y")
        location = response.headers.get("Location")
        assert location == f"https://localhost:{weir.port('tls')}//evil.example/%0D%0AX:y"


def test_routing_and_server_agree_on_the_path(start_weir, http_server):
    """A listener's filter changes the path before it is routed; a pool's, what the server gets."""
    text = (HEADERS + conf.listener(block('strip_prefix = "/v1"')) + conf.modules() +
            conf.routes(api='"/api"', web='"/"') +
            conf.pool("api", {"api": http_server("api", echo)},
                      block('strip_prefix = "/api"  add_prefix = "/internal"')) +
            conf.pool("web", {"web": http_server("web", echo)}))
    weir = start_weir(text)
    for target, server, seen in [
            ("/v1/api/users?x=1", "api", "/internal/users?x=1"),
            ("/v1/api", "api", "/internal"),
            ("/api/users", "api", "/internal/users"),
            ("/v1/other", "web", "/other"),
            ("/v1", "web", "/"),
            ("/v1?q", "web", "/?q"),
            ("/v1/../api/users", "api", "/internal/users"),
            ("/v1/%2e%2e/api/users", "api", "/internal/users"),
            ("/v1/x/../../../api/users", "api", "/internal/users"),
            ("/v1//api/users", "api", "/internal/users"),
            ("/v1/..%2fapi", "web", "/..%2Fapi"),
            ("/v1x", "web", "/v1x"),
            ("http://localhost/v1/api/x", "api", "/internal/x"),
    ]:
        response = weir.get(target)
        assert (response.server, view(response)[0]) == (server, seen), target


def test_nothing_of_a_client_begins_a_field(start_weir, http_server):
    text = HEADERS + conf.one_pool(
        {"a": http_server(handler=echo)},
        block('request_set = {"X-Path: {path}{query}", "X-Copy: {header:X-Given}"}\n'
              'response_set = {"X-Path: {path}{query}", "X-Copy: {header:X-Given}"}'))
    weir = start_weir(text)
    response = weir.get("/%0d%0aX-Evil:%201?a=%0d%0aX-Evil:%201", [("X-Given", "a\tb: c; \xe4")])
    _, headers = view(response)
    expected = "/%0D%0AX-Evil:%201?a=%0d%0aX-Evil:%201"
    assert ("x-path", expected) in headers
    assert response.headers.get("X-Path") == expected
    assert response.headers.get("X-Copy") == "a\tb: c; \xe4"
    assert "X-Evil" not in response.headers
    assert not [name for name, _ in headers if name == "x-evil"]


def test_conditions_and_order(start_weir, http_server):
    text = HEADERS + conf.one_pool(
        {"a": http_server(handler=echo)}, "",
        block('path = {"/assets"}  status = {"200-299"}  response_set = {"Cache-Control: max-age=9"}')
        + block('method = {"DELETE"}  redirect = "/no"  redirect_status = 303')
        + block('request_set = {"X-Order: first"}') + block('request_set = {"X-Order: second"}')
        + block('response_set = {"X-Order: late"}') + block('response_set = {"X-Order: early"}'))
    weir = start_weir(text)
    response = weir.get("/assets/a.css")
    assert response.headers.get("Cache-Control") == "max-age=9"
    assert ("x-order", "second") in view(response)[1]
    assert response.headers.get("X-Order") == "late"
    assert "Cache-Control" not in weir.get("/assetsx").headers
    response = weir.get("/", method="DELETE")
    assert (response.status, response.headers.get("Location")) == (303, "/no")
    weir.access(1, match=lambda entry: entry["status"] == 303)


@pytest.mark.parametrize("wrong,told", [
    ('request_set = {"X-A: {hots}"}', "there is no {hots} here"),
    ('response_set = {"Content-Length: 0"}', "frames the message"),
    ('redirect = "//evil.example/"', 'after the first "/"'),
])
def test_mistakes_have_file_and_line(start_weir, http_server, wrong, told):
    text = HEADERS + conf.one_pool({"a": http_server(handler=echo)})
    weir = start_weir(text)
    bad = HEADERS + conf.one_pool({"a": http_server(handler=echo)}, "", "\n\n  " + block(wrong))
    weir.configure(bad)
    line = next(number for number, line in enumerate(
        weir.conf_path.read_text().splitlines(), 1) if 'filter "headers"' in line)
    log = weir.reload(bad, good=False)
    assert told in log
    assert f"weir.conf:{line}: " in log
    view(weir.get("/"))


def test_fields_that_get_too_long_are_an_error(start_weir, http_server):
    """A field that the operator relies on is not left out in silence: no response goes out without it."""
    long = "{header:X-Long}" * 40
    web = http_server(handler=echo)
    text = HEADERS + conf.one_pool({"a": web}, "", block(
        f'path = {{"/response"}}  response_set = {{"Strict-Transport-Security: max-age={long}"}}') +
        block(f'path = {{"/request"}}  request_set = {{"X-Many: {long}"}}'))
    weir = start_weir(text, workers=1)
    with weir.client() as client:
        assert client.get("/response", [("X-Long", "short")]).status == 200
        response = client.get("/response", [("X-Long", "x" * 15000)])
        assert response.status == 500
        assert response.headers.get("Content-Type").startswith("text/html")
        assert "X-From" not in response.headers and b"500" in response.body
        response = client.get("/response", [("X-Long", "x" * 1000)])
        assert response.status == 200, "what is within the limit goes out whole, however large"
        assert len(response.headers.get("Strict-Transport-Security")) > 40000
        response = client.get("/request", [("X-Long", "x" * 15000)])
        assert response.status == 500
        assert client.get("/").status == 200, "the connection goes on"
        response = client.get("/request", [("X-Long", "x" * 5000)])
        assert response.status == 500, "more than a stream may hold, once it is a whole head"
        assert client.get("/").status == 200
    entries = weir.access(7)
    told = [(entry["status"], entry["reason"], entry.get("detail")) for entry in entries]
    assert told[1] == (500, "module_failed", "headers")
    assert told[3] == (500, "module_failed", "headers")
    assert told[5][:2] == (500, "module_failed")
    weir.wait_log('module "headers" could not make a response')
    weir.wait_log('filter "headers" failed on a request')
    weir.wait_log('the head of a request for pool "web" is too long with what filters add')
    assert web.targets() == ["/response", "/response", "/response", "/", "/"]


def test_own_answers_with_fields_that_get_too_long(start_weir, http_server):
    weir = start_weir(HEADERS + conf.one_pool({"a": http_server(handler=echo)}, "", block(
        'response_set = {"X-Echo: ' + "{header:X-Long}" * 40 + '"}')).replace('"/"', '"/there"'))
    response = weir.get("/nowhere", [("X-Long", "x" * 15000)])
    assert (response.status, "X-Echo" in response.headers) == (500, False)
    assert weir.access(1)[0]["reason"] == "module_failed"
    assert weir.get("/nowhere", [("X-Long", "x")]).headers.get("X-Echo") == "x" * 40
