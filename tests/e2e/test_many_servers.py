# SPDX-License-Identifier: MIT
"""Many servers: what happens to all of them at once is done once, not once for each."""

import os
import pathlib
import re

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.backend import Reply
from weirtest.wait import Stopwatch, wait_for

COUNT = 1000
HEALTH = 'health "http" { path = "/health"  interval = 1s  fast_interval = 1s  timeout = 10s  ' \
    'rise = 1  fall = 1 }'


@pytest.fixture(autouse=True)
def module_folder(tmp_path_factory, monkeypatch):
    """The build's modules, and the balancer that counts."""
    built = pathlib.Path(weir_program.module_dir())
    folder = tmp_path_factory.mktemp("modules")
    for path in [*built.glob("*.so"),
                 built.parent.parent / "tests" / "modules" / "built" / "balance_counts.so"]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))


def all_at(server, count=COUNT):
    """So many servers, at loopback addresses of their own, all played by one server of the test."""
    return {f"s{i}": f"http://127.1.{i // 250}.{1 + i % 250}:{server.port}" for i in range(count)}


def servers_up(root):
    metrics = root.get("/metrics").body.decode()
    return len(re.findall(r"^weir_server_up\{[^}]*\} 1$", metrics, re.MULTILINE))


def times_told(root):
    """How often a balancer's members have changed."""
    told = root.post("/api/v1/explain", {"url": "http://any.example/"}).json
    return int(re.search(r"told (\d+) times", str(told)).group(1))


def test_many_changes_are_few_for_balancers(start_weir, http_server):
    """A thousand servers go down and come back: each loop builds its candidates some dozens of times, and
    meanwhile requests are answered."""
    state = {"well": True}
    server = http_server("many", lambda request: Reply(
        status=200 if state["well"] or request.target != "/health" else 503),
        keep=False, host="0.0.0.0", backlog=4096)
    weir = start_weir(
        'module "balance_counts" {}\nmodule "metrics_prometheus" {}\n' +
        conf.one_pool(all_at(server), HEALTH, balance="counts") +
        admin.listener('}  handler "metrics_prometheus" { path = "/metrics"'))
    root = admin.browser(weir)
    assert weir.get("/").status == 200  # at once: a start waits for no probe
    before = times_told(root)
    slowest = 0

    def settled(count):
        nonlocal slowest
        with Stopwatch() as watch:
            weir.get("/")
        slowest = max(slowest, watch.seconds)
        return servers_up(root) == count

    for well in (False, True, False, True):
        state["well"] = well
        wait_for(lambda: settled(COUNT if well else 0), "all probes")
    told = times_told(root) - before
    assert 4 <= told < 3 * COUNT, told  # of four times COUNT changes, and those of probes that failed
    assert slowest < 5
