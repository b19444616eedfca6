# SPDX-License-Identifier: MIT
"""Which pool gets a request: prefixes on whole segments, hosts, exact paths, ways round a rule, redirects."""

import json

import pytest

from weirtest import admin, conf

RULES = """
module "route_path" {
  route "/api"       { pool = "api" }
  route "/api/v2"    { pool = "v2" }
  route "/exact"     { pool = "exact"  exact = on }
  route "/files/"    { pool = "files" }
  route "/"          { pool = "shop"  host = {"shop.example", "*.shop.example"} }
  route "/api"       { pool = "shopapi"  host = {"shop.example"} }
  route "/old"       { redirect = "/new{rest}{query}"  status = 301 }
  route "/else"      { redirect = "https://www.example.com{path}{query}"  status = 308 }
  %s
}
"""
POOLS = ("api", "v2", "exact", "files", "shop", "shopapi", "rest")


@pytest.fixture
def routed(start_weir, http_server):
    """Starts weir with the rules above, and says which pool answers."""

    def start(more='default = "rest"'):
        pools = "".join(conf.pool(name, {"a": http_server(name)}) for name in POOLS)
        return start_weir(conf.listener() + conf.modules() + RULES % more + pools)

    return start


# Target, host, pool that has to answer.
CASES = [
    ("/api", "localhost", "api"),
    ("/api/", "localhost", "api"),
    ("/api/x/y", "localhost", "api"),
    ("/api?q=/api/v2", "localhost", "api"),
    ("/apix", "localhost", "rest"),
    ("/ap", "localhost", "rest"),
    ("/API", "localhost", "rest"),
    ("/api/v2", "localhost", "v2"),
    ("/api/v2/x", "localhost", "v2"),
    ("/api/v22", "localhost", "api"),
    ("/exact", "localhost", "exact"),
    ("/exact/below", "localhost", "rest"),
    ("/files", "localhost", "files"),
    ("/files/x", "localhost", "files"),
    ("/filesx", "localhost", "rest"),
    ("/", "localhost", "rest"),
    # Ways of writing a path that must not get round a rule.
    ("/%61pi", "localhost", "api"),
    ("/api/../x", "localhost", "rest"),
    ("/api/%2e%2e/x", "localhost", "rest"),
    ("/api/%2E%2e/x", "localhost", "rest"),
    ("/x/../api", "localhost", "api"),
    ("/./api", "localhost", "api"),
    ("/x/%2e%2e/%61%70%69/v2", "localhost", "v2"),
    ("/../../api", "localhost", "api"),
    ("/api/v2/..", "localhost", "api"),
    ("/api/v2/../..", "localhost", "rest"),
    # An encoded slash is no separator.
    ("/api%2Fv2", "localhost", "rest"),
    # Hosts go before paths; case, port and a last dot do not count.
    ("/", "shop.example", "shop"),
    ("/", "SHOP.Example", "shop"),
    ("/", "shop.example:8080", "shop"),
    ("/", "shop.example.", "shop"),
    ("/", "a.shop.example", "shop"),
    ("/", "a.b.shop.example", "shop"),
    ("/", "ashop.example", "rest"),
    ("/api", "shop.example", "shopapi"),
    ("/api", "a.shop.example", "shop"),
    ("/api", "other.example", "api"),
]


def test_pool_of_a_request(routed):
    weir = routed()
    wrong = []
    with weir.client() as client:
        for target, host, expected in CASES:
            response = client.get(target, host=host)
            if response.text != expected:
                wrong.append((target, host, expected, response.status, response.text))
    assert not wrong


def test_absolute_form_decides_by_its_own_host(routed):
    # RFC 9112 section 3.2.2: the target's authority counts, and Host is ignored.
    weir = routed()
    assert weir.get("http://shop.example/x", host="localhost").text == "shop"


def test_server_gets_the_normalised_path(start_weir, http_server):
    """The decision and what is passed on agree."""
    web = http_server()
    weir = start_weir(conf.one_pool({"a": web}))
    with weir.client() as client:
        for sent, passed in (("/a/../b", "/b"), ("/%7Euser/%2f", "/~user/%2F"),
                             ("/a//b", "/a//b"), ("/x?a=/../b&c=%41", "/x?a=/../b&c=%41"),
                             ("/%e4?", "/%E4?"), ("/a/.", "/a/")):
            client.get(sent)
            assert web.targets()[-1] == passed, sent


def test_no_route_is_404(routed):
    weir = routed(more="")
    with weir.client() as client:
        response = client.get("/nowhere", headers=[("Accept", "text/html")])
        assert response.status == 404
        assert response.headers.get("Content-Type").startswith("text/html")
        assert "<html" in response.text.lower()
        response = client.get("/nowhere", headers=[("Accept", "application/json")])
        assert response.status == 404
        assert response.headers.get("Content-Type").startswith("application/")
        assert isinstance(json.loads(response.text), dict)
        # The connection goes on.
        assert client.get("/api").text == "api"
    entries = weir.access(3)
    assert entries[0]["reason"] == "no_route" and entries[0]["status"] == 404


def test_redirect(routed):
    weir = routed()
    with weir.client() as client:
        response = client.get("/old/a/b?x=1")
        assert (response.status, response.headers.get("Location")) == (301, "/new/a/b?x=1")
        response = client.get("/old")
        assert (response.status, response.headers.get("Location")) == (301, "/new")
        response = client.get("/else/a?b")
        assert (response.status, response.headers.get("Location")) == \
            (308, "https://www.example.com/else/a?b")
        assert client.get("/else", method="HEAD").status == 308
        assert client.get("/").text == "rest"


def test_redirect_with_body_sent(routed):
    """The body of a request that is answered by a redirect does not become the next request."""
    weir = routed()
    with weir.client() as client:
        body = b"GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n"
        response = client.get("/old", method="POST", body=body)
        assert response.status == 301
        if response.closes:
            client.assert_closed()
        else:
            assert client.get("/").text == "rest"
    assert all(entry["target"] != "/api" for entry in weir.access(1))


def test_routes_are_listed_as_they_are(start_weir, http_server):
    """Each its own values: of a block on one line with a filter in it, of several hosts, of redirects, and
    of the default."""
    text = ('module "headers" {}\nmodule "route_path" {\n'
            '  route "/f" { pool = "web"  filter "headers" { path = {"/f"} request_set = {"X: 1"} } }\n'
            '  route "/h" { host = {"a.example", "*.b.example"}  pool = "api" }\n'
            '  route "/r" { redirect = "/new{rest}"  status = 301 }\n'
            '  route "/1" { pool = "web" } route "/2" { pool = "api" }\n'
            '  default = "api"\n}\n' + conf.listener() + conf.modules() +
            conf.pool("web", {"web": http_server("web")}) +
            conf.pool("api", {"api": http_server("api")}) + admin.listener())
    weir = start_weir(text)
    rows = {row["name"]: row for row in admin.browser(weir).get("/api/v1/routes").json["entries"]}
    shown = {name: (row["path"], row["host"], row["pool"], row["redirect"])
             for name, row in rows.items()}
    assert shown == {
        "/f": ("/f", None, "web", None),
        "a.example,*.b.example/h": ("/h", "a.example, *.b.example", "api", None),
        "/r": ("/r", None, None, "/new{rest}"),
        "/1": ("/1", None, "web", None),
        "/2": ("/2", None, "api", None),
        "default": (None, None, "api", None),
    }
