# SPDX-License-Identifier: MIT
"""Modules that were built with the headers of each earlier minor number run unchanged: they load, take their
options, carry traffic in each kind, are reloaded and unloaded. See tests/abi/README.md."""

import collections
import os
import pathlib
import shlex
import subprocess

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.load import Load
from weirtest.wait import wait_for

ABI = pathlib.Path(__file__).resolve().parent.parent / "abi"
MINORS = sorted(path.name for path in ABI.glob("1.*"))
NAMES = ("balance_old", "route_old", "sticky_old", "health_old")


@pytest.fixture(scope="session", params=MINORS)
def old(request, tmp_path_factory):
    """A folder of modules that are built with old headers, beside today's: its path and the minor number."""
    folder = tmp_path_factory.mktemp(f"abi{request.param}")
    for path in pathlib.Path(weir_program.module_dir()).glob("*.so"):
        os.symlink(path, folder / path.name)
    for name in NAMES:
        subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-std=gnu11", "-Wall", "-Wextra", "-Werror",
                        "-O1", "-g", "-fPIC", "-fvisibility=hidden", "-shared", "-Wl,-z,defs",
                        f"-I{ABI / request.param}", f'-DOLD_NAME="{name}"',
                        "-o", folder / f"{name}.so", ABI / "old_module.c"], check=True)
    return folder, int(request.param.partition(".")[2])


def text(servers, log, word="first", turn=0):
    """All kinds at once; the router is the module's own."""
    blocks = "".join(conf.server(name, server) for name, server in servers.items())
    return (conf.listener(f'filter "balance_old" {{ word = "{word}" }}') + admin.listener(pages=False) +
            conf.listener('handler "balance_old" { word = "handled" }', name="own") +
            f'module "route_old" {{ pool = "web"  log = "{log}" }}\n'
            'module "balance_old" {}\nmodule "sticky_old" {}\nmodule "health_old" {}\n'
            f'pool "web" {{\n  balance "old" {{ turn = {turn} }}\n  sticky "old" {{}}\n'
            f'  health "old" {{ interval = 100ms }}\n  filter "balance_old" {{ word = "{word}" }}\n'
            f'{blocks}}}\n')


def test_old_modules_run(start_weir, http_server, monkeypatch, tmp_path, old):
    folder, minor = old
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    servers = {name: http_server(name) for name in "abc"}
    log = tmp_path / "old.log"
    weir = start_weir(text(servers, log), workers=2)
    root = admin.browser(weir)

    def health(name):
        return root.get(f"/api/v1/pools/web/servers/{name}").json["health"]

    wait_for(lambda: all(health(name)["status"] == "up" for name in servers), "the probes")
    assert health("a")["reason"] == "probe: old probe: good"

    # filter and balancer: all three in turn, each worker for itself
    seen = collections.Counter()
    with weir.client() as client:
        for _ in range(30):
            answer = client.get("/")
            assert answer.status == 200 and answer.headers.get("X-Old") == "first"
            seen[answer.server] += 1
    assert seen == {"a": 10, "b": 10, "c": 10}
    assert all(request.headers.get("X-Old") == "first" for request in servers["a"].requests
               if request.target == "/")
    assert weir.get("/self").status == 418
    assert weir.get("/off").headers.get("Location") == "/elsewhere"
    assert weir.get("/", name="own").text == "handled"
    if minor >= 1:
        weir.get("/moved")
        assert any("/new" in server.targets() for server in servers.values())
        upper = weir.get("/upper")
        assert upper.body == upper.body.upper() and upper.body != upper.body.lower()

    # sticky
    cookie = weir.get("/").headers.get("Set-Cookie").partition(";")[0]
    assert len({weir.get("/", [("Cookie", cookie)]).server for _ in range(6)}) == 1

    # logger
    wait_for(lambda: "/ 200 200 timed" in log.read_text(), "the log")
    if minor >= 2:
        weir.wait_log("old outcomes of [abc]: 0")
    if minor >= 3:
        told = root.post("/api/v1/explain", {"url": "http://localhost/"}).json
        assert "old rule" in str(told) and "old score" in str(told)
    if minor >= 4:
        told = root.get("/api/v1/modules").json["entries"]
        sent = next(row for row in told if row["name"] == "balance_old")["metrics"][0]
        assert sent["name"] == "sent" and sent["value"] >= 30

    # a server dies: retried, probed, told by the balancer's own words
    servers["c"].stop()
    for _ in range(6):
        assert weir.get("/").status == 200
    wait_for(lambda: health("c")["status"] == "down", "the probe that fails")

    # options change under load; what is wrong is refused with its place; then the modules go
    with Load(weir.client, threads=2) as load:
        load.wait_requests(30)
        weir.reload(text(servers, log, word="second", turn=1))
        load.wait_requests(30)
        assert weir.get("/").headers.get("X-Old") == "second"
        refused = weir.reload(text(servers, log, word="a word that is far too long"), good=False)
        assert "too long a word" in refused and "weir.conf:" in refused
        assert "turn" in weir.reload(text(servers, log, turn=10), good=False)
        mark = len(weir.log())
        weir.reload(conf.listener() + admin.listener(pages=False) + conf.modules() +
                    conf.routes(web='"/"') + conf.pool("web", {"a": servers["a"]}))
        load.wait_requests(30)
    load.assert_clean()

    def loaded():
        return {row["name"] for row in root.get("/api/v1/modules").json["entries"]}

    wait_for(lambda: not loaded() & set(NAMES), "the old modules to be unloaded")
    assert "old worker_stop" in weir.log()[mark:]
    assert "old balancer" not in weir.log(), "it counts what begins and ends"
