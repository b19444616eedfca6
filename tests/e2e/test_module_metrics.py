# SPDX-License-Identifier: MIT
"""Counters and gauges of modules: in the metrics, the API and weirctl, over reloads and over the exchange of
a module's file."""

import os
import pathlib
import threading

import pytest

from weirtest import admin, conf, weir as weir_program
from weirtest.backend import Holding, Reply
from weirtest.load import Load
from weirtest.wait import wait_for
from weirtest.weirctl import weirctl

COUNTED = ("weir_module_rate_limit_allowed_total", "weir_module_sticky_cookie_begun_total")
LIMIT = 'filter "rate_limit" { rate = 1000000 }'


@pytest.fixture(autouse=True)
def module_folder(tmp_path_factory, monkeypatch):
    """The build's modules, in a folder where a test may exchange them."""
    folder = tmp_path_factory.mktemp("modules")
    for path in pathlib.Path(weir_program.module_dir()).glob("*.so"):
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))
    return folder


def config(web, limit=LIMIT):
    module = 'module "rate_limit" {}\n' if limit else ""
    return (module + conf.listener(limit) + conf.modules() + conf.routes(web='"/"') +
            conf.pool("web", {"a": web}, 'sticky "cookie" {}') + admin.listener() +
            'module "metrics_prometheus" {}\n' +
            conf.listener('handler "metrics_prometheus" {}', "metrics"))


def scrape(weir):
    """The samples of modules' own: name to value; each with a head of its own, once."""
    lines = weir.get("/metrics", name="metrics").text.splitlines()
    samples = dict(line.split(" ") for line in lines if line.startswith("weir_module_") and "{" not in line)
    for name in samples:
        for head in ("HELP", "TYPE"):
            assert len([line for line in lines if line.startswith(f"# {head} {name} ")]) == 1, name
    return {name: int(value) for name, value in samples.items()}


def in_api(weir, module):
    """The metrics of the copy that is in force."""
    [row] = [row for row in admin.browser(weir).get("/api/v1/modules").json["entries"]
             if row["name"] == module and row["state"] == "active"]
    return {metric["name"]: metric["value"] for metric in row["metrics"]}


def test_they_go_on_whatever_is_exchanged(start_weir, http_server, module_folder):
    """Two workers under load: no request is counted twice or not at all, and no counter goes back."""
    weir = start_weir(config(http_server("a")))
    path = module_folder / "rate_limit.so"
    contents = path.read_bytes()
    seen, over, faults = [dict.fromkeys(COUNTED, 0)], threading.Event(), []

    def watch():
        while not over.is_set():
            now = scrape(weir)
            faults.extend(name for name in COUNTED if now.get(name, -1) < seen[-1][name])
            seen.append(now)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with Load(weir.client, threads=4) as load:
        for i in range(3):
            load.wait_requests(50)
            path.unlink()
            path.write_bytes(contents + bytes(16 * (i + 1)))  # another file, the same program
            weir.reload()
            load.wait_requests(50)
            weir.reload()
        load.wait_requests(50)
    over.set()
    watcher.join()
    load.assert_clean()
    assert not faults and len(seen) > 3
    wait_for(lambda: scrape(weir)[COUNTED[1]] == load.requests, "the last request to be counted")
    assert scrape(weir)[COUNTED[0]] == load.requests
    assert in_api(weir, "rate_limit") == {"allowed": load.requests, "refused": 0, "pushed_out": 0}
    assert in_api(weir, "sticky_cookie") == {"begun": load.requests, "kept": 0, "moved": 0}
    assert in_api(weir, "route_path") == {}


def test_a_copy_that_drains_counts_too(start_weir, http_server, module_folder):
    held = Holding()
    web = http_server("a", held)
    weir = start_weir(config(web))
    path = module_folder / "sticky_cookie.so"
    contents = path.read_bytes()
    with weir.client() as client:
        client.request()
        wait_for(lambda: web.requests, "the request")
        path.unlink()
        path.write_bytes(contents + bytes(16))
        weir.reload()
        states = [row["state"] for row in admin.browser(weir).get("/api/v1/modules").json["entries"]
                  if row["name"] == "sticky_cookie"]
        assert sorted(states) == ["active", "draining"]
        held.release()
        assert client.response().status == 200
    wait_for(lambda: in_api(weir, "sticky_cookie")["begun"] == 1, "the old copy's response to count")


def test_they_go_with_the_module(start_weir, http_server):
    web = http_server("a")
    weir = start_weir(config(web))
    assert weir.get("/").status == 200
    assert scrape(weir)[COUNTED[0]] == 1
    weir.reload(config(web, limit=""))
    assert COUNTED[0] not in scrape(weir) and COUNTED[1] in scrape(weir)
    rows = lambda: [row["name"] for row in admin.browser(weir).get("/api/v1/modules").json["entries"]]
    wait_for(lambda: "rate_limit" not in rows(), "the module to be unloaded")
    weir.reload(config(web))
    assert scrape(weir)[COUNTED[0]] == 0


def test_a_copy_that_is_tried(start_weir, http_server, module_folder):
    """What became of both copies' picks, while there are two; no series is there twice."""
    hears = pathlib.Path(weir_program.program()).parent / "tests" / "modules" / "built" / "balance_hears.so"
    (module_folder / "balance_hears.so").write_bytes(hears.read_bytes())
    (module_folder / "other.so").write_bytes(hears.read_bytes() + bytes(16))
    fails = lambda request: Reply(b"", status=500) if request.target == "/fail" else "a"
    weir = start_weir('module "balance_hears" {}\n' + config(http_server("a", fails)).replace(
        'balance "round_robin"', 'balance "hears"').replace('sticky "cookie" {}', ""), workers=1)

    def series():
        lines = [line.rpartition(" ") for line in weir.get("/metrics", name="metrics").text.splitlines()
                 if line.startswith("weir_module_")]
        values = {name: float(value) for name, _, value in lines}
        assert len(values) == len(lines), "each once"
        return values

    def tried(what, copy, **more):
        labels = {"module": "balance_hears", "pool": "web", "copy": copy, **more}
        text = ",".join(f'{name}="{value}"' for name, value in labels.items())
        return f"weir_module_trial_{what}{{{text}}}"

    assert not [name for name in series() if "trial" in name or "copy=" in name]
    root = admin.browser(weir)
    assert root.post("/api/v1/modules/balance_hears/swap", {"file": "other.so", "canary": "25%", "for": "1h",
                                                            "max_error_ratio": 0}).status == 200
    assert series()[tried("picks_total", "new")] == 0
    for _ in range(7):
        assert weir.get("/").status == 200
    assert weir.get("/fail").status == 500
    now = series()
    for copy, count in (("old", 6), ("new", 2)):
        assert now[tried("picks_total", copy)] == now[tried("requests_total", copy)] == count
        assert 0 < now[tried("first_byte_seconds", copy, point="p50")] <= \
            now[tried("first_byte_seconds", copy, point="p99")] < 10
    assert now[tried("errors_total", "old")] + now[tried("errors_total", "new")] == 1
    assert now['weir_module_calls_total{module="balance_hears",hook="on_complete",copy="new"}'] == 2
    assert now['weir_module_calls_total{module="balance_hears",hook="on_complete"}'] == 6
    assert root.post("/api/v1/modules/balance_hears/promote").status == 200
    assert not [name for name in series() if "trial" in name or "copy=" in name]


def test_other_options_that_are_tried(start_weir, http_server):
    """Both sides are of one copy: its own series are there once, those of the trial by side."""
    weir = start_weir(config(http_server("a")).replace('sticky "cookie" {}', ""), workers=1)
    body = {"balance": "hash", "options": {"key": "path"}, "canary": "50%", "for": "1h"}
    root = admin.browser(weir)
    root.patch("/api/v1/pools/web", {"balance": "hash", "options": {"key": "address"}})
    assert root.patch("/api/v1/pools/web", body).status == 200
    for _ in range(6):
        assert weir.get("/").status == 200
    lines = [line.rpartition(" ")[0] for line in weir.get("/metrics", name="metrics").text.splitlines()
             if line.startswith("weir_module_")]
    assert len(set(lines)) == len(lines), "each once"
    tried = [line for line in lines if "copy=" in line]
    assert len(tried) > 6 and all("trial" in line for line in tried), tried


def test_what_they_count_is_right(start_weir, http_server):
    weir = start_weir(config(http_server("a"), 'filter "rate_limit" { rate = 1  per = 1h  burst = 3 }'))
    with weir.client() as client:
        first = client.get("/")
        cookie = first.headers.get("Set-Cookie").split(";")[0]
        statuses = [client.get("/", [("Cookie", cookie)]).status for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    wait_for(lambda: in_api(weir, "sticky_cookie") == {"begun": 1, "kept": 2, "moved": 0},
             "two responses of the cookie's server")
    assert in_api(weir, "rate_limit") == {"allowed": 3, "refused": 2, "pushed_out": 0}
    shown = weirctl("--url", f"http://127.0.0.1:{weir.port('admin')}", "--token-file",
                    str(weir.state / "admin.token"), "modules", "--metrics").stdout.splitlines()
    rows = [line.split()[:4] for line in shown]
    assert ["rate_limit", "refused", "counter", "2"] in rows
    assert ["sticky_cookie", "kept", "counter", "2"] in rows
