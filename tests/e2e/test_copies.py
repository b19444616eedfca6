# SPDX-License-Identifier: MIT
"""The copies of a module that are loaded at one time: each tells its own state and generation, and an old one goes, from
the list and from memory, when its last user has gone, whatever else goes on."""

import json
import os
import pathlib
import shutil

import pytest

from weirtest import conf, weir as weir_program
from weirtest.backend import Holding
from weirtest.client import Client
from weirtest.wait import SANITIZED, wait_for

MODULES = pathlib.Path(weir_program.module_dir())
COPIES = MODULES.parent.parent / "tests" / "modules" / "built"
NAME = "balance_trial"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of modules of the test's own, whose files it may replace."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for path in MODULES.glob("*.so"):
        shutil.copy(path, folder / path.name)
    shutil.copy(COPIES / "trial_one.so", folder / f"{NAME}.so")
    shutil.copy(COPIES / "trial_two.so", folder / "trial_two.so")
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    return folder


def stage(folder, name=NAME):
    """The same program in another file, under the module's name."""
    staged = folder / f"{name}.so.new"
    staged.write_bytes((folder / f"{name}.so").read_bytes() + bytes(16))
    os.replace(staged, folder / f"{name}.so")


def call(weir, method, target, body=None):
    """The answer's JSON, over the Unix socket, where the test's own user is admin."""
    with Client(str(weir.folder / "admin.sock")) as client:
        client.request(method, "/api/v1" + target, [] if body is None else [("Content-Type", "application/json")],
                       body=None if body is None else json.dumps(body))
        response = client.response(method)
        answer = json.loads(response.body) if response.body else None
        assert response.status == 200, answer
        return answer


def swap(weir, name=NAME, **body):
    return call(weir, "POST", f"/modules/{name}/swap", body)


def copies(weir, name=NAME):
    """(state, generation) of each copy, the one in force first."""
    return sorted((row["state"], row["generation"]) for row in call(weir, "GET", "/modules")["entries"]
                  if row["name"] == name)


def in_force(weir):
    return call(weir, "GET", "/status")["generation"]


def images(weir, name):
    """How many files of that module are mapped into the program's memory."""
    return len({line.split()[4] for line in weir.mappings().splitlines() if f"/memfd:{name} " in line})


def wait_alone(weir, name=NAME):
    """The copy in force is the only one."""
    wait_for(lambda: copies(weir, name) == [("active", in_force(weir))], f"one copy of {name}, of this generation")
    if not SANITIZED:  # whose reports need the names of what was loaded
        assert images(weir, name) == 1


@pytest.fixture(name="begin")
def begin_(make_weir, http_server):
    """Two pools with balancers of their own, of which the one's servers hold what they are asked."""
    def begin(held, *other):
        weir = make_weir(workers=1)
        weir.configure(
            f'module "{NAME}" {{}}\n' +
            "".join(f'module "{name}" {{}}\n' for name in ("store_sqlite", "rate_limit", "metrics_prometheus", "headers")) +
            'module "admin" { web_dir = ""  request_limit = 0 }\n' +
            conf.listener('handler "admin" {}\n handler "metrics_prometheus" { path = "/metrics" }', "admin",
                          f'"unix:{weir.folder}/admin.sock"') +
            conf.listener('filter "headers" { response_set = {"X-Weir: here"} }\nfilter "rate_limit" { rate = 100000 }') +
            conf.modules() + conf.routes(web='"/"', api='"/api"') +
            conf.pool("web", {name: http_server(name, held) for name in "ab"},
                      'sticky "cookie" {}\n health "http" { path = "/health"  interval = 1s }', balance="trial") +
            conf.pool("api", {"c": http_server("c", *other)}, balance="least_conn"))
        return weir.start()
    return begin


def two_held(weir, held, clients):
    """Two requests that stay, one after the other, so that two copies with equal shares have one each."""
    for client in clients:
        client.request(target="/held")
    wait_for(lambda: sum(server["in_flight"] for server in call(weir, "GET", "/pools/web")["servers"]) == 2,
             "both requests to be at the servers")


def by_reload(weir, folder):
    stage(folder)
    weir.reload()


def by_swap(weir, folder):
    swap(weir, file="trial_two.so")


def by_trial_promoted(weir, folder):
    swap(weir, file="trial_two.so", canary="50%", **{"for": "1h"})
    assert {state for state, _ in copies(weir)} == {"active", "canary"}
    call(weir, "POST", f"/modules/{NAME}/promote")


def by_other_balancer(weir, folder):
    """The pool leaves the module; what it has left is swapped then."""
    call(weir, "PATCH", "/pools/web", {"balance": "hash", "options": {"key": "path"}})
    assert copies(weir) == [("active", in_force(weir))], "its block is still there"
    by_swap(weir, folder)


@pytest.mark.parametrize("way", [by_reload, by_swap, by_trial_promoted, by_other_balancer])
def test_the_old_copy_stays_as_long_as_its_requests(begin, folder, way):
    held = Holding(path="/held")
    weir = begin(held)
    first = in_force(weir)
    assert copies(weir) == [("active", first)]
    with weir.client() as client, weir.client() as second, weir.client() as other:
        assert other.get("/api").status == 200, "another pool's balancer and client, who stay"
        two_held(weir, held, (client, second))
        way(weir, folder)
        [active, draining] = copies(weir)
        assert active == ("active", in_force(weir))
        assert draining[0] == "draining" and first <= draining[1] < active[1], "the last that was in force with it"
        held.release()
        assert client.response().status == second.response().status == 200
        wait_alone(weir)
        assert other.get("/api").status == client.get("/").status == 200


def test_a_copy_that_was_tried_and_sent_back(begin):
    """The new one has requests when the trial ends; the old one goes on, and there is nothing left of the other."""
    held = Holding(path="/held")
    weir = begin(held)
    with weir.client() as client, weir.client() as second:
        swap(weir, file="trial_two.so", canary="50%", **{"for": "1h"})
        tried = in_force(weir)
        assert copies(weir) == [("active", tried), ("canary", tried)]
        two_held(weir, held, (client, second))
        call(weir, "POST", f"/modules/{NAME}/rollback")
        assert copies(weir) == [("active", in_force(weir)), ("draining", tried)]
        held.release()
        assert client.response().status == second.response().status == 200
        wait_alone(weir)
    assert call(weir, "GET", f"/modules/{NAME}")["version"] == "1.0"


def test_a_copy_that_was_swapped_back(begin):
    """Each way's copy is unloaded, and what comes back is loaded from the file that was kept."""
    held = Holding(path="/held")
    weir = begin(held)
    for version, step in (("2.0", lambda: swap(weir, file="trial_two.so")),
                          ("1.0", lambda: call(weir, "POST", f"/modules/{NAME}/rollback")),
                          ("2.0", lambda: swap(weir, file="trial_two.so"))):
        held.hold()
        with weir.client() as client, weir.client() as second:
            two_held(weir, held, (client, second))
            before = in_force(weir)
            step()
            assert copies(weir) == [("active", in_force(weir)), ("draining", before)]
            held.release()
            assert client.response().status == second.response().status == 200
            wait_alone(weir)
        assert call(weir, "GET", f"/modules/{NAME}")["version"] == version
    assert weir.get("/").status == 200


def test_a_reload_that_ends_a_trial(begin):
    weir = begin(Holding(path="/held"))
    swap(weir, file="trial_two.so", canary="50%", **{"for": "1h"})
    assert {weir.get("/").status for _ in range(4)} == {200}
    weir.reload()
    wait_alone(weir)
    assert call(weir, "GET", f"/modules/{NAME}")["version"] == "1.0"


def test_a_swap_that_fails_leaves_nothing(begin, folder):
    weir = begin(Holding(path="/held"))
    shutil.copy(COPIES / "trial_create.so", folder)
    with Client(str(weir.folder / "admin.sock")) as client:
        client.request("POST", f"/api/v1/modules/{NAME}/swap", [("Content-Type", "application/json")],
                       body=json.dumps({"file": "trial_create.so"}))
        assert client.response("POST").status == 503
    wait_alone(weir)
    swap(weir, file="trial_two.so")
    kept, = (weir.state / "modules").glob(f"{NAME}-{call(weir, 'GET', f'/modules/{NAME}')['swap']['old']['identity']}*")
    kept.write_bytes(b"no module")
    with Client(str(weir.folder / "admin.sock")) as client:
        client.request("POST", f"/api/v1/modules/{NAME}/rollback")
        assert client.response("POST").status == 409
    wait_alone(weir)
    assert call(weir, "GET", f"/modules/{NAME}")["version"] == "2.0"


@pytest.mark.parametrize("way", [by_reload, by_swap, by_trial_promoted])
def test_whom_it_does_not_serve_does_not_keep_it(begin, folder, way):
    """A request that goes on for hours, at another pool's balancer, is no user of the old copy."""
    other = Holding()
    weir = begin(Holding(path="/held"), other)
    with weir.client() as client:
        client.request(target="/api")
        wait_for(lambda: call(weir, "GET", "/pools/api")["servers"][0]["in_flight"] == 1, "the request")
        for _ in range(2):
            assert weir.get("/").status == 200
            way(weir, folder)
            assert weir.get("/").status == 200
            wait_alone(weir)
            if way is not by_reload:
                call(weir, "POST", f"/modules/{NAME}/rollback")
                wait_alone(weir)
        for name in ("sticky_cookie", "health_http"):  # of the pool that it is not for
            stage(folder, name)
            swap(weir, name)
            wait_alone(weir, name)
        other.release()
        assert client.response().status == 200


# Whether a request that is at a server uses it still.
KINDS = {"headers": True, "rate_limit": True, "route_path": True, "sticky_cookie": True, "access_log": True,
         "health_http": False, "metrics_prometheus": False, "store_sqlite": False, "admin": False,
         "balance_hash": False}


@pytest.mark.parametrize("way", ["reload", "swap"])
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_module(begin, folder, name, way):
    held = Holding(path="/held")
    weir = begin(held)
    with weir.client() as client, weir.client() as second:
        two_held(weir, held, (client, second))
        before = in_force(weir)
        stage(folder, name)
        if way == "swap":
            swap(weir, name)
        else:
            weir.reload()
        if KINDS[name]:
            assert copies(weir, name) == [("active", in_force(weir)), ("draining", before)]
        else:
            wait_alone(weir, name)
        held.release()
        for each in (client, second):
            response = each.response()
            assert (response.status, response.headers.get("X-Weir")) == (200, "here")
        wait_alone(weir, name)
    assert weir.get("/").headers.get("X-Weir") == "here"
