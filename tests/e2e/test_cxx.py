# SPDX-License-Identifier: MIT
"""A module in C++ in the program itself: its classes carry traffic, and what they throw is a fault like any other,
which ends no request that somebody else can serve, and never the program."""

import os
import pathlib
import signal

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.wait import wait_for

BUILT = pathlib.Path(weir_program.module_dir())
MODULE = BUILT.parent.parent / "tests" / "modules" / "built" / "balance_throws.so"

pytestmark = pytest.mark.skipif(not MODULE.exists(), reason="there was no compiler of C++17")

STRIKES = 5


@pytest.fixture(autouse=True)
def module_folder(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("modules")
    for path in [*BUILT.glob("*.so"), MODULE]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))


def text(servers, module="", balance="", listener="", on_fault=""):
    """The module as balancer of the pool, as a filter of the listener, and as the router before the usual one."""
    return (f'module "balance_throws" {{ strikes = {STRIKES}  call_budget = 0  {on_fault}  {module} }}\n' +
            conf.listener(f'filter "balance_throws" {{ {listener} }}') + conf.modules() + conf.routes(web='"/"') +
            conf.pool("web", servers, balance="throws", balance_options=balance) + admin.listener())


def faults(weir, name):
    """Strikes of a hook, by kind."""
    answer = admin.browser(weir).get("/api/v1/modules/balance_throws")
    rows = [row for row in answer.json["hooks"] if row["hook"] == name] if answer.status == 200 else []
    return rows[0]["strikes"] if rows else {}


def test_classes_carry_traffic(start_weir, http_server):
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(text(servers, 'pool = "web"', listener='upper = on  words = {"x"}'), workers=2)
    for _ in range(20):
        answer = weir.get("/hello")
        assert answer.status == 200 and answer.headers.get("X-Throws") in ("a x", "b x")
        assert answer.body in (b"A", b"B")
    assert weir.get("/refused").status == 403
    weir.reload(text(servers, 'pool = "web"', listener='words = {"y"}'))
    assert weir.get("/").headers.get("X-Throws")[1:] == " y"


@pytest.mark.parametrize("hook, kind", [("cost", "wrong_answer"), ("on_sent", "failed"), ("on_head", "failed"),
                                        ("on_complete", "failed")])
@pytest.mark.parametrize("what", ["runtime_error", "number"])
def test_a_balancer_that_throws_loses_no_request(start_weir, http_server, hook, kind, what):
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(text(servers, balance=f"hook = {hook}  what = {what}"))

    def struck():
        assert weir.get("/").status == 200
        return "it is out" in weir.log()

    wait_for(struck, "strikes")
    assert faults(weir, hook)[kind] >= STRIKES
    assert weir.get("/").status == 200
    assert ("thrown here" if what == "runtime_error" else "no std::exception") in weir.log()


def test_filters_and_routers_that_throw_are_failed_hooks(start_weir, http_server):
    servers = {"a": http_server("a")}
    weir = start_weir(text(servers, listener="hook = on_request", on_fault="on_fault = open"))
    statuses = [weir.get("/").status for _ in range(STRIKES)]
    assert statuses == [500] * STRIKES
    wait_for(lambda: weir.get("/").status == 200, "the filter to be passed over")
    assert faults(weir, "on_request")["failed"] == STRIKES


def test_a_constructor_that_throws_refuses_the_configuration(start_weir, http_server):
    servers = {"a": http_server("a")}
    weir = start_weir(text(servers))
    for broken in (text(servers, balance="hook = create"), text(servers, module="hook = prepare")):
        mark = len(weir.log())
        weir.configure(broken)
        weir.signal(signal.SIGHUP)
        weir.wait_log("is not taken over|reload refused", mark)
        assert weir.get("/").status == 200
        assert "thrown here" in weir.log()
