# SPDX-License-Identifier: MIT
"""Modules in Rust: the crate's structs are the headers', its example passes the check of modules and serves, and a
panic is a fault like any other."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.wait import DEADLINE, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = pathlib.Path(weir_program.module_dir())
CHECK = pathlib.Path(weir_program.program()).resolve().parent / "weir-module-check"
STRIKES = 5

pytestmark = [pytest.mark.skipif(shutil.which("cargo") is None, reason="there is no cargo (Debian package cargo)"),
              pytest.mark.xdist_group("rust")]


def cargo(folder, *arguments):
    """Runs cargo on a copy of the crate, offline."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(folder / "target"),
                   "WEIR_INCLUDE": str(ROOT / "sdk" / "include")}
    done = subprocess.run(["cargo", *arguments, "--offline"], cwd=folder / "rust", text=True, capture_output=True,
                          timeout=30 * DEADLINE, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module", name="crate")
def fixture_crate(tmp_path_factory):
    """The folder of a copy of the crate, whose examples are built."""
    folder = tmp_path_factory.mktemp("crate")
    for name in ("rust", "templates"):
        shutil.copytree(ROOT / "sdk" / name, folder / name, ignore=shutil.ignore_patterns("target"))
    assert "warning" not in cargo(folder, "build", "--examples")
    (folder / "modules").mkdir()
    for name in ("balance_least_time", "balance_panics"):
        shutil.copy(folder / "target" / "debug" / "examples" / f"lib{name}.so", folder / "modules" / f"{name}.so")
    return folder


@pytest.fixture(autouse=True)
def module_folder(crate, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("modules")
    for path in [*BUILT.glob("*.so"), *(crate / "modules").glob("*.so")]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))


def text(servers, module="", balance="", listener=""):
    """The module as balancer of the pool, as a filter of the listener, and as the router before the usual one."""
    return (f'module "balance_panics" {{ strikes = {STRIKES}  call_budget = 0  on_fault = open  {module} }}\n' +
            conf.listener(f'filter "balance_panics" {{ {listener} }}') + conf.modules() + conf.routes(web='"/"') +
            conf.pool("web", servers, balance="panics", balance_options=balance) + admin.listener())


def test_structs_are_the_headers(crate):
    assert "3 passed" in cargo(crate, "test", "--test", "layout")


@pytest.mark.parametrize("name", ["balance_least_time", "balance_panics"])
def test_examples_pass_the_check_of_modules(crate, name):
    done = subprocess.run([CHECK, "--json", "--seeds", "12", crate / "modules" / f"{name}.so"], text=True,
                          capture_output=True, timeout=40 * DEADLINE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["exports"] == ["weir_module_entry"]


def test_a_balancer_serves_over_reloads(start_weir, http_server):
    servers = {name: http_server(name) for name in "ab"}
    pool = conf.pool("web", servers, balance="least_time", balance_options="smoothing = 4")
    weir = start_weir('module "balance_least_time" {}\n' + conf.listener() + conf.modules() + conf.routes(web='"/"') +
                      pool + admin.listener())
    assert all(weir.get("/").status == 200 for _ in range(20))
    weir.reload()
    assert weir.get("/").status == 200


def test_all_kinds_carry_traffic(start_weir, http_server):
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(text(servers, 'pool = "web"  told = on', listener='words = {"x"}'))
    for _ in range(10):
        answer = weir.get("/")
        assert answer.status == 200 and answer.headers.get("X-Panics") in ("a x", "b x")
    assert [weir.get(path).status for path in ("/refused", "/gone", "/moved")] == [403, 410, 308]
    hello = weir.get("/hello")
    assert (hello.status, hello.body) == (200, b"hello")
    assert "balance_panics: 0.2 2000000000 16384 1.5" in weir.log()
    weir.reload(text(servers, 'pool = "web"', listener='words = {"y"}'))
    assert weir.get("/").headers.get("X-Panics")[1:] == " y"


@pytest.mark.parametrize("hook, kind", [("cost", "wrong_answer"), ("on_sent", "failed"), ("on_head", "failed"),
                                        ("on_complete", "failed")])
def test_a_balancer_that_panics_loses_no_request(start_weir, http_server, hook, kind):
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(text(servers, balance=f'hook = "{hook}"'))

    def struck():
        assert weir.get("/").status == 200
        return "it is out" in weir.log()

    wait_for(struck, "strikes")
    shown = admin.browser(weir).get("/api/v1/modules/balance_panics").json
    assert next(row for row in shown["hooks"] if row["hook"] == hook)["strikes"][kind] >= STRIKES
    assert weir.get("/").status == 200
    assert f"100% of {hook} panics" in weir.log() and "balance_panics.rs:" in weir.log()


@pytest.mark.parametrize("where, hook", [("listener", "on_request"), ("module", "route"), ("listener", "error")])
def test_filters_and_routers_that_panic_are_failed_hooks(start_weir, http_server, where, hook):
    servers = {"a": http_server("a")}
    weir = start_weir(text(servers, **{where: f'hook = "{hook}"'}))
    assert [weir.get("/").status for _ in range(STRIKES)] == [500] * STRIKES
    wait_for(lambda: weir.get("/").status == 200, "the block to be passed over")


def test_what_panics_at_the_start_refuses_the_configuration(start_weir, http_server):
    servers = {"a": http_server("a")}
    weir = start_weir(text(servers))
    for hook, told in (("create", "100% of create panics"), ("fail", "it fails"), ("prepare", "100% of prepare panics"),
                       ("refuse", '"refuse" is 100% refused')):
        mark = len(weir.log())
        weir.configure(text(servers, balance=f'hook = "{hook}"'))
        weir.signal(signal.SIGHUP)
        weir.wait_log("is not taken over|reload refused", mark)
        assert told in weir.log()[mark:] and weir.get("/").status == 200
