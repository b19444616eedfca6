# SPDX-License-Identifier: MIT
"""The dry run: which rules were looked at and why, how candidates rank; and that the visitor who comes next
gets what it says."""

import os
import pathlib

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.backend import Holding
from weirtest.wait import wait_for

ROUTES = """
module "route_path" {
  route "/"          { pool = "rest" }
  route "/api"       { pool = "api" }
  route "/api"       { pool = "exact"  exact = on }
  route "/%61pi/v2/" { pool = "v2" }
  route "/"          { pool = "shop"  host = {"shop.example", "*.shop.example"} }
  route "/old"       { redirect = "/new{rest}" }
}
"""
POOLS = ("rest", "api", "exact", "v2", "shop")


def start(start_weir, http_server, routes=ROUTES, balance="least_conn", pools=POOLS):
    weir = start_weir(
        conf.listener() + conf.modules() + routes +
        "".join(conf.pool(name, {name: http_server(name)}, balance=balance) for name in pools) +
        admin.listener())
    return weir, admin.browser(weir)


def explain(root, url, **how):
    response = root.post("/api/v1/explain", {"url": url, **how})
    assert response.status == 200, response.text
    return response.json


def rules(told):
    return [(rule["name"], rule["verdict"], rule["why"]) for rule in told["route"]["tried"]]


def test_paths(start_weir, http_server):
    """Exact before prefix before a shorter one, however the path is written."""
    weir, root = start(start_weir, http_server)
    told = explain(root, "http://any.example/%61pi/v2/./x")
    assert rules(told) == [
        ("shop.example,*.shop.example/", "differs", "host differs"),
        ("/api (exact)", "differs", "only the path itself, not what is below it"),
        ("/api/v2", "wins", "the longest prefix"),
        ("/api", "fits", "a longer prefix won"),
        ("/old", "differs", "another path"),
        ("/", "fits", "a longer prefix won")]
    assert told["route"]["name"] == "/api/v2" and told["route"]["left_out"] == 0
    assert told["pool"] == told["pick"] == "v2"
    assert {rule["module"] for rule in told["route"]["tried"]} == {"route_path"}
    assert [rule["match"] for rule in told["route"]["tried"]].count(True) == 1
    told = explain(root, "http://any.example/api")
    assert ("/api (exact)", "wins", "the path itself") in rules(told)
    assert ("/api", "fits", "the exact path won") in rules(told)
    with weir.client() as client:
        for path in ("/api", "/%61pi/v2/./x", "/api/x", "/apix", "/"):
            for host in ("any.example", "shop.example", "a.shop.example"):
                pool = explain(root, f"http://{host}{path}")["pool"]
                assert client.get(path, host=host).server == pool, (host, path)


def test_hosts(start_weir, http_server):
    _, root = start(start_weir, http_server)
    told = explain(root, "http://a.SHOP.example:8080/api")
    assert told["pool"] == "shop"
    assert rules(told)[0] == ("shop.example,*.shop.example/", "wins", "its host, and the longest prefix")
    assert ("/api (exact)", "fits", "a nearer host won") in rules(told)
    assert ("/api/v2", "differs", "another path") in rules(told)


def test_redirect(start_weir, http_server):
    _, root = start(start_weir, http_server)
    told = explain(root, "http://any.example/old/x")
    assert told["answer"] == {"status": 302, "reason": "redirect to /new/x"}
    assert ("/old", "wins", "the longest prefix") in rules(told)
    assert told["pool"] is None and told["candidates"] == []


def test_no_route(start_weir, http_server):
    """404, and what was tried; with a default, the default."""
    routes = 'module "route_path" {{\n  route "/api" {{ pool = "api"  host = {{"x.example"}} }}\n {}}}\n'
    _, root = start(start_weir, http_server, routes.format(""))
    told = explain(root, "http://any.example/api")
    assert told["answer"] == {"status": 404, "reason": "no_route"} and told["pick"] is None
    assert told["route"]["name"] is None
    assert rules(told) == [("x.example/api", "differs", "host differs")]
    assert rules(explain(root, "http://any.example/")) == \
        [("x.example/api", "differs", "host and path differ")]
    told = explain(root, "http://x.example/")
    assert rules(told) == [("x.example/api", "differs", "another path")]
    _, root = start(start_weir, http_server, routes.format('  default = "rest"\n'))
    told = explain(root, "http://any.example/api")
    assert rules(told)[-1] == ("default", "wins", "no route fits") and told["pool"] == "rest"
    assert rules(explain(root, "http://x.example/api"))[-1] == ("default", "fits", "a route fits")


def test_many_routes(start_weir, http_server):
    """Of ten thousand rules those are told that come near, and how many there are else."""
    many = "".join(f'  route "/s{i}/x" {{ pool = "api" }}\n' for i in range(10000))
    routes = f'module "route_path" {{\n{many}  route "/" {{ pool = "rest" }}\n}}\n'
    _, root = start(start_weir, http_server, routes)
    told = explain(root, "http://any.example/s4321/x/y")
    tried = rules(told)
    assert len(tried) == 50 and told["route"]["left_out"] == 10001 - 50
    assert ("/s4321/x", "wins", "the longest prefix") in tried
    assert tried[-1] == ("/", "fits", "a longer prefix won")
    assert explain(root, "http://any.example/s4321")["pool"] == "rest"


@pytest.fixture
def silent_router(tmp_path_factory, monkeypatch):
    """The build's modules, and a router of an older ABI that tells nothing."""
    built = pathlib.Path(weir_program.module_dir())
    folder = tmp_path_factory.mktemp("modules")
    silent = built.parent.parent / "tests" / "modules" / "built" / "route_silent.so"
    for path in [*built.glob("*.so"), silent]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))


def test_a_router_that_tells_nothing(start_weir, http_server, silent_router):
    routes = 'module "route_silent" { pool = "api" }\n' + conf.routes(rest='"/"')
    _, root = start(start_weir, http_server, routes)
    told = explain(root, "http://any.example/silent/x")
    assert rules(told) == [("route_silent", "wins", "one of its rules fits")]
    assert told["route"]["name"] is None and told["pool"] == "api"
    assert rules(explain(root, "http://any.example/")) == [
        ("route_silent", "differs", "none of its rules fits"), ("/", "wins", "the longest prefix")]
    told = explain(root, "http://any.example/broken")
    assert rules(told) == [("route_silent", "differs", "it failed")]
    assert told["answer"] == {"status": 500, "reason": "module_failed"}


def scored(root, **how):
    told = explain(root, "http://any.example/", **how)
    return told, {one["id"]: one for one in told["candidates"]}


def test_least_conn_scores(start_weir, http_server):
    """Requests in flight over weight, counted over all workers; the lowest is picked."""
    a, b = http_server("a"), http_server("b")
    gate = Holding()
    busy = http_server("busy", gate)
    weir = start_weir(admin.one_pool(
        {"a": (a, "weight = 2"), "b": b, "busy": (busy, "weight = 4")}, balance="least_conn") +
        'module "store_sqlite" {}\n')
    root = admin.browser(weir)
    server = "/api/v1/pools/web/servers"
    for one in ("a", "b"):
        root.patch(f"{server}/{one}", {"state": "maintenance"})
    clients = [weir.client() for _ in range(6)]
    for client in clients:
        client.request()
    wait_for(lambda: root.get(f"{server}/busy").json["in_flight"] == 6, "six requests to be there")
    told, candidates = scored(root)
    assert told["pick"] == "busy" and candidates["busy"]["score"] == 1.5
    assert candidates["busy"]["score_text"] == "6 in flight over weight 4"
    assert candidates["a"]["score"] is None and candidates["a"]["score_text"] is None
    for one in ("a", "b"):
        root.patch(f"{server}/{one}", {"state": "ready"})
    told, candidates = scored(root)
    assert told["pick"] in ("a", "b"), "equals, and both idle"
    assert candidates["a"]["score"] == candidates["b"]["score"] == 0
    root.patch(f"{server}/busy", {"max_connections": 6})
    told, candidates = scored(root)
    assert not candidates["busy"]["eligible"] and candidates["busy"]["score"] == 1.5
    gate.release()
    for client in clients:
        assert client.response().server == "busy"
        client.close()


def test_round_robin_scores(start_weir, http_server):
    """The turn that comes first is picked; who asks takes none."""
    servers = {"a": (http_server("a"), "weight = 3"), "b": http_server("b")}
    weir = start_weir(admin.one_pool(servers))
    root = admin.browser(weir)
    first = scored(root)
    for _ in range(8):
        told, candidates = scored(root)
        least = min(candidates.values(), key=lambda one: one["score"])
        assert told["pick"] == least["id"]
        assert "then one every" in least["score_text"]
        assert (told["pick"], candidates) == (first[0]["pick"], first[1])


def test_no_candidate(start_weir, http_server):
    weir = start_weir(admin.one_pool({"a": http_server("a")}) +
                      'module "store_sqlite" {}\n')
    root = admin.browser(weir)
    root.patch("/api/v1/pools/web/servers/a", {"state": "maintenance"})
    told, candidates = scored(root)
    assert told["pick"] is None and told["answer"] == {"status": 503, "reason": "no_server"}
    assert candidates["a"]["score"] is None


# ---- filters ----

def filters(told):
    return [(row["module"], row["in"], row["verdict"], row["why"]) for row in told["filters"]]


def test_filters_that_answer_are_told(start_weir, http_server):
    """A redirect of a listener, a limit of a route, one of a pool: what a visitor would get, and where."""
    web = http_server("web")
    text = ('module "headers" {}\nmodule "rate_limit" {}\nmodule "compress" {}\n' +
            conf.listener('filter "headers" { path = {"/old"}  redirect = "https://{host}/new" '
                          'redirect_status = 308 }') + conf.modules() +
            'module "route_path" {\n  route "/" { pool = "web" }\n'
            '  route "/limited" { pool = "web"  filter "rate_limit" { rate = 1  per = 1h  burst = 1 } }\n'
            '  route "/moved" { pool = "web"  filter "headers" { redirect = "/there" } }\n}\n' +
            conf.pool("web", {"a": web}, 'filter "compress" {}') + admin.listener())
    weir = start_weir(text)
    root = admin.browser(weir)

    told = explain(root, "http://shop.example/old/x")
    assert told["answer"] == {"status": 308, "reason": "redirect to https://shop.example/new"}
    assert filters(told) == [("headers", "listener", "answers", None)]
    assert told["route"] is None and told["pool"] is None and told["pick"] is None
    redirected = weir.get("/old/x", host="shop.example")
    assert (redirected.status, redirected.headers.get("Location")) == \
        (308, "https://shop.example/new")

    told = explain(root, "http://shop.example/moved")
    assert told["answer"] == {"status": 302, "reason": "redirect to /there"}
    assert told["route"]["name"] == "/moved" and told["pool"] is None
    assert weir.get("/moved").status == 302

    for _ in range(3):  # asking takes nothing
        told = explain(root, "http://shop.example/limited")
        assert told["pick"] == "a" and told["answer"] is None
        assert filters(told)[1:] == [
            ("rate_limit", "route", "passes", "within the limit, with 0 left after it"),
            ("compress", "pool", "passes", "it sees responses alone")]
    assert weir.get("/limited").status == 200
    told = explain(root, "http://shop.example/limited")
    assert told["answer"]["status"] == 429 and told["pick"] is None
    assert told["answer"]["reason"].startswith("rate_limit: over the limit for 3")
    assert weir.get("/limited").status == 429


def test_filters_that_change_the_request_are_followed(start_weir, http_server):
    """The router sees the path that the listener's filter made."""
    text = ('module "headers" {}\n' +
            conf.listener('filter "headers" { strip_prefix = "/v1"  request_set = {"X-V: 1"} }') +
            conf.modules() + conf.routes(web='"/"', api='"/api"') +
            conf.pool("web", {"web": http_server("web")}) +
            conf.pool("api", {"api": http_server("api")}) + admin.listener())
    weir = start_weir(text)
    told = explain(admin.browser(weir), "http://shop.example/v1/api/x")
    assert filters(told) == [("headers", "listener", "passes", "the path becomes /api/x")]
    assert told["route"]["name"] == "/api" and told["pick"] == "api"
    assert weir.get("/v1/api/x").text == "api"


def test_filters_that_cannot_be_asked_are_named(start_weir, http_server, tmp_path, monkeypatch):
    """One that has no `explain` is not asked, and nobody claims to know."""
    built = pathlib.Path(weir_program.module_dir())
    for path in [*built.glob("*.so"),
                 built.parent.parent / "tests" / "modules" / "built" / "balance_fails.so"]:
        os.symlink(path, tmp_path / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(tmp_path))
    weir = start_weir('module "balance_fails" { at = request }\n' +
                      conf.one_pool({"a": http_server("a")}, 'filter "balance_fails" {}') +
                      admin.listener())
    told = explain(admin.browser(weir), "http://shop.example/")
    assert filters(told) == [("balance_fails", "pool", "unknown",
                              "not asked: it may count what it sees, or keep it")]
    assert told["pick"] == "a"
