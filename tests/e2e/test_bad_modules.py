# SPDX-License-Identifier: MIT
"""Modules that are not what they should be: refused with a message that helps, or contained; traffic goes
on in any case."""

import collections
import os
import pathlib
import shutil

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.backend import Holding
from weirtest.load import Load
from weirtest.wait import wait_for


@pytest.fixture(autouse=True)
def module_folder(tmp_path_factory, monkeypatch):
    """The build's modules and those that misbehave, in one folder."""
    built = pathlib.Path(weir_program.module_dir())
    tests = built.parent.parent / "tests"
    folder = tmp_path_factory.mktemp("modules")
    for path in [*built.glob("*.so"), tests / "modules" / "built" / "balance_fails.so"]:
        os.symlink(path, folder / path.name)
    for name in ("other_major", "newer_minor", "tiny", "no_pick", "load_fails", "wrong_name", "no_kind",
                 "twin_metrics"):
        os.symlink(tests / "unit" / "module" / "built" / "sample.so", folder / f"{name}.so")
    for name in ("no_entry", "undefined"):
        os.symlink(tests / "unit" / "module" / "built" / f"sample_{name}.so", folder / f"{name}.so")
    (folder / "text.so").write_text("#!/bin/sh\necho this is no module\n")
    (folder / "empty.so").write_bytes(b"")
    cut = built / "balance_round_robin.so"
    (folder / "cut.so").write_bytes(cut.read_bytes()[:4000])
    (folder / "folder.so").mkdir()
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    return folder


def modules(weir):
    """The copies that are loaded; of several of one name the last."""
    entries = admin.browser(weir).get("/api/v1/modules").json["entries"]
    return {row["name"]: row for row in entries}


def good(web, extra=""):
    return conf.one_pool({"a": web}, extra=extra)


# The module's name, and what its message has to say: what is wrong, and what to do.
REFUSED = [
    ("other_major", ["ABI 2.3", "build it again"]),
    ("newer_minor", ["newer than this Weir's ABI"]),
    ("tiny", ["descriptor"]),
    ("no_pick", ["mandatory hook `pick`"]),
    ("load_fails", ["load"]),
    ("wrong_name", ["one name"]),
    ("no_kind", ["no kind"]),
    ("twin_metrics", ['metric "picks" is there twice']),
    ("no_entry", ["weir_module_entry"]),
    ("undefined", ["sample_symbol_that_is_nowhere"]),
    ("text", ["text.so"]),
    ("empty", ["empty.so"]),
    ("cut", ["cut.so"]),
    ("folder", ["folder.so"]),
    ("nowhere_at_all", ["nowhere_at_all"]),
]


@pytest.mark.parametrize("name, words", REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_while_traffic_goes_on(start_weir, http_server, name, words):
    web = http_server("a")
    face = "wrong_name_inside" if name == "wrong_name" else name
    weir = start_weir(good(web), environment={"WEIR_SAMPLE": face})
    with Load(weir.client, threads=2) as load:
        load.wait_requests(20)
        text = weir.reload(good(web, extra=f'\nmodule "{name}" {{}}\n'), good=False)
        load.wait_requests(20)
    load.assert_clean()
    assert load.closed == 0
    line = next(line for line in text.splitlines() if f'"{name}"' in line or f"{name}.so" in line)
    assert "weir.conf:" in line, "the file and the line"
    for word in words:
        assert word in line, line


@pytest.mark.parametrize("at", ["conf", "worker", "create"])
@pytest.mark.parametrize("kind", ["balancer", "filter"])
def test_failing_start_keeps_the_old_generation(start_weir, http_server, kind, at):
    web = http_server("a")
    weir = start_weir(good(web))
    block = f'{{ at = {at} }}' if at != "worker" else "{}"
    module = f'module "balance_fails" {{ at = {"worker" if at == "worker" else "nowhere"} }}\n'
    bad = module + (
        conf.listener() + conf.modules() + conf.routes(web='"/"') +
        (conf.pool("web", {"a": web}).replace('balance "round_robin" {}', f'balance "fails" {block}')
         if kind == "balancer" else
         conf.pool("web", {"a": web}, f'filter "balance_fails" {block}')))
    with Load(weir.client, threads=2) as load:
        load.wait_requests(20)
        weir.configure(bad)
        mark = len(weir.log())
        weir.signal(1)
        text = weir.wait_log(r"(reload refused|reload: the configuration is not taken over)[^\n]*",
                             mark).group(0)
        load.wait_requests(20)
        assert weir.reload(good(web))
        load.wait_requests(20)
    load.assert_clean()
    assert load.closed == 0
    assert "balance_fails" in weir.log()[mark:], text


@pytest.mark.parametrize("at", ["members", "pick_range", "pick_busy", "pick_none"])
def test_bad_balancer_is_contained(start_weir, http_server, at):
    """The host chooses itself where the module cannot: no request is lost."""
    servers = {name: http_server(name) for name in "ab"}
    text = f'module "balance_fails" {{ at = {at} }}\n' + admin.one_pool(servers, balance="fails")
    weir = start_weir(text)
    for _ in range(8):
        assert weir.get("/").status == 200
    if at == "members":
        assert modules(weir)["balance_fails"]["faults"] > 0
    else:
        assert modules(weir)["balance_fails"]["faults"] == 8, "over all workers"
    assert "balanc" in weir.log().lower(), "the operator is told"


@pytest.mark.parametrize("at", ["members", "pick_range", "pick_none"])
def test_the_hosts_choice_goes_by_weight(start_weir, http_server, at):
    servers = {"a": http_server("a"), "b": (http_server("b"), "weight = 3")}
    text = f'module "balance_fails" {{ at = {at} }}\n' + conf.one_pool(servers, balance="fails")
    weir = start_weir(text, workers=1)
    seen = collections.Counter(weir.get("/").server for _ in range(40))
    assert seen == {"a": 10, "b": 30}


@pytest.mark.parametrize("at", ["request", "reply"])
def test_bad_filter_is_500(start_weir, http_server, at):
    web = http_server("a")
    text = f'module "balance_fails" {{ at = {at} }}\n' + \
        admin.one_pool({"a": web}, 'filter "balance_fails" {}')
    weir = start_weir(text)
    with weir.client() as client:
        for _ in range(3):
            assert client.get("/").status == 500
    assert weir.access(3)[0]["reason"] == "module_failed"
    assert modules(weir)["balance_fails"]["faults"] == 3
    assert web.served == 0


def test_a_module_is_replaced_under_load(start_weir, http_server, module_folder):
    """A new file under the old name: the old copy serves until the new one has taken over."""
    servers = {name: http_server(name) for name in "ab"}
    built = pathlib.Path(weir_program.module_dir()) / "balance_round_robin.so"
    text = conf.one_pool(servers)
    weir = start_weir(text)
    path = module_folder / "balance_round_robin.so"
    contents = path.read_bytes()
    with Load(weir.client, threads=2) as load:
        for i in range(3):
            load.wait_requests(50)
            path.unlink()
            path.write_bytes(contents + bytes(16 * (i + 1)))  # another file, the same program
            weir.reload(text)
        load.wait_requests(50)
        path.unlink()
        path.write_bytes(b"no longer a module")
        weir.reload(text, good=False)
        load.wait_requests(50)
    load.assert_clean()
    assert load.closed == 0
    shutil.rmtree(module_folder)
    assert weir.get("/").status == 200, "what runs needs no file any more"


def test_an_old_copy_goes_when_its_own_balancers_have_ended(start_weir, http_server, module_folder):
    """Another pool's balancer, and a client who stays, go on under the old generation: they keep neither the
    old copy nor its file; and each copy tells its own generation."""
    text = (conf.listener() + conf.modules() + conf.routes(web='"/"', api='"/api"') +
            conf.pool("web", {"a": http_server("a")}, balance="round_robin") +
            conf.pool("api", {"b": http_server("b")}, balance="least_conn") + admin.listener())
    weir = start_weir(text)
    root = admin.browser(weir)
    path = module_folder / "balance_round_robin.so"
    contents = path.read_bytes()

    def copies():
        entries = root.get("/api/v1/modules").json["entries"]
        return [(row["state"], row["generation"]) for row in entries
                if row["name"] == "balance_round_robin"]

    with weir.client() as client:
        assert client.get("/").status == 200 and client.get("/api").status == 200
        [(state, first)] = copies()
        assert state == "active"
        path.unlink()
        path.write_bytes(contents + bytes(16))
        weir.reload(text)
        wait_for(lambda: len(copies()) == 1, "the old copy to be unloaded")
        [(state, second)] = copies()
        assert state == "active" and second > first
        assert client.get("/").status == 200 and client.get("/api").status == 200


def test_an_old_copy_drains_as_long_as_it_is_used(start_weir, http_server, module_folder):
    """A request that the old balancer assigned has to be told to it."""
    held = Holding()
    web = http_server("a", held)
    text = admin.one_pool({"a": web}, balance="round_robin")
    weir = start_weir(text)
    root = admin.browser(weir)
    path = module_folder / "balance_round_robin.so"
    contents = path.read_bytes()

    def copies():
        entries = root.get("/api/v1/modules").json["entries"]
        return sorted((row["state"], row["generation"]) for row in entries
                      if row["name"] == "balance_round_robin")

    with weir.client() as client:
        client.request()
        wait_for(lambda: web.requests, "the request")
        [(_, first)] = copies()
        path.unlink()
        path.write_bytes(contents + bytes(16))
        weir.reload(text)
        [active, draining] = copies()
        assert draining == ("draining", first) and active[0] == "active" and active[1] > first
        held.release()
        assert client.response().status == 200
        wait_for(lambda: len(copies()) == 1, "the old copy to be unloaded")
