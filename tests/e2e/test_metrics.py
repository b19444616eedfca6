# SPDX-License-Identifier: MIT
"""metrics_prometheus in a running Weir: numbers that are right, and what Prometheus itself says to them."""

import json
import re
import shutil
import subprocess
import urllib.parse

import pytest

from weirtest import conf
from weirtest.backend import Holding, Reply
from weirtest.client import Client
from weirtest.ports import free_port
from weirtest.wait import DEADLINE, SANITIZED, wait_for

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? '
                    r'(-?[0-9.e+-]+|NaN|[+-]Inf)\Z')
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def metrics_listener(options=""):
    return (f'module "metrics_prometheus" {{ {options} }}\n' +
            conf.listener('handler "metrics_prometheus" {}', "metrics"))


def scrape(weir, headers=(), name="metrics"):
    """All samples: {(name, labels): number}; each line is checked."""
    response = weir.get("/metrics", headers, name=name)
    assert response.status == 200
    samples, families, current = {}, set(), None
    for line in response.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, current, _ = line.split(" ")
            assert current not in families, f"{current} comes twice"
            families.add(current)
            continue
        if line.startswith("# "):
            continue
        match = SAMPLE.match(line)
        assert match, line
        assert match.group(1).startswith(current), line
        key = (match.group(1), match.group(2) or "")
        assert key not in samples, line
        samples[key] = float(match.group(3))
    return samples


def test_numbers_are_right(start_weir, http_server):
    good = http_server("a", lambda request: Reply(b"x" * 1000, 404 if "no" in request.target
                                                  else 200))
    weir = start_weir(conf.listener() + metrics_listener() + conf.modules() +
                      conf.routes(web='"/"', dead='"/dead"') + conf.pool("web", {"web-1": good}) +
                      conf.pool("dead", {"d": "http://127.0.0.1:1"}, "retries = 0"))
    with weir.client() as client:
        for _ in range(7):
            assert client.get("/").status == 200
        assert client.get("/no").status == 404
        assert client.get("/dead").status == 502
        wait_for(lambda: scrape(weir)[("weir_requests_total", 'listener="main"')] == 9, "9 requests")
        samples = scrape(weir)
        assert samples[("weir_connections_open", 'listener="main"')] == 1
    server = 'pool="web",server="web-1"'
    assert samples[("weir_responses_total", 'listener="main",class="2xx"')] == 7
    assert samples[("weir_route_requests_total", 'route="/dead"')] == 1
    assert samples[("weir_pool_requests_total", 'pool="web"')] == 8
    assert samples[("weir_server_responses_total", server + ',class="4xx"')] == 1
    assert samples[("weir_server_response_bytes_total", server)] > 8000
    assert samples[("weir_pool_errors_total", 'pool="dead",reason="connect_refused"')] == 1
    assert samples[("weir_server_up", server)] == 1
    assert samples[("weir_server_state", server + ',state="ready"')] == 1
    assert samples[("weir_pool_request_duration_seconds_count", 'pool="web"')] == 8
    assert samples[("weir_pool_request_duration_seconds_bucket", 'pool="web",le="+Inf"')] == 8
    assert samples[("process_open_fds", "")] > 5
    assert 0 < samples[("process_cpu_seconds_total", "")] < 60
    assert samples[("process_resident_memory_bytes", "")] > 1e6
    buckets = [value for (name, labels), value in samples.items()
               if name == "weir_pool_request_duration_seconds_bucket" and 'pool="web"' in labels]
    assert len(buckets) > 10 and buckets == sorted(buckets)


def test_counters_last_over_reloads(start_weir, http_server):
    web = http_server("a")
    text = conf.one_pool({"a": web}, extra=metrics_listener())
    weir = start_weir(text)
    weir.get("/")
    key = ("weir_requests_total", 'listener="main"')
    wait_for(lambda: scrape(weir)[key] == 1, "a request to be counted")
    generation = scrape(weir)[("weir_config_generation", "")]
    weir.reload(text)
    assert scrape(weir)[key] == 1
    assert scrape(weir)[("weir_config_generation", "")] > generation


def test_in_flight_and_down(start_weir, http_server):
    holding = Holding(path="/slow")
    web = http_server("a", holding)
    down = http_server("b")
    down.stop()
    weir = start_weir(conf.listener() + metrics_listener() + conf.modules() +
                      conf.routes(web='"/"', down='"/down"') + conf.pool("web", {"a": web}) +
                      conf.pool("down", {"b": down}, 'health "http" { interval = 50ms fall = 1 }'))
    with weir.client() as client:
        client.request(target="/slow")
        wait_for(lambda: scrape(weir)[("weir_pool_requests_in_flight", 'pool="web"')] == 1,
                 "a request in flight")
        holding.release()
        client.response()
    wait_for(lambda: scrape(weir)[("weir_server_up", 'pool="down",server="b"')] == 0,
             "the server to be down")
    assert scrape(weir)[("weir_pool_servers_up", 'pool="down"')] == 0


def test_series_limit(start_weir):
    servers = {f"s{i}": f"http://127.0.0.1:{i + 1}" for i in range(20)}
    weir = start_weir(conf.one_pool(servers, extra=metrics_listener("series_limit = 5")))
    samples = scrape(weir)
    named = [labels for name, labels in samples if name == "weir_server_requests_total"]
    assert len(named) == 6 and 'pool="other",server="other"' in named
    assert samples[("weir_metrics_summed", 'kind="server"')] == 15


def test_formats_and_refusals(start_weir, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a")}, extra=metrics_listener()))
    response = weir.get("/metrics", [("Accept", OPENMETRICS + ",text/plain;q=0.5")], name="metrics")
    assert response.headers.get("Content-Type").startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n") and "# TYPE weir_requests counter" in response.text
    response = weir.get("/metrics", name="metrics")
    assert response.headers.get("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert weir.get("/", name="metrics").status == 404
    assert weir.get("/metrics", name="metrics", method="HEAD").body == b""
    post = weir.get("/metrics", name="metrics", method="POST", body=b"x")
    assert post.status == 405 and post.headers.get("Allow") == "GET, HEAD"


def test_on_the_admin_listener(start_weir, http_server):
    """Beside the admin plane, by a path."""
    weir = start_weir(conf.one_pool({"a": http_server("a")}, extra=(
        'module "metrics_prometheus" {}\nmodule "admin" { web_dir = "" }\n' + conf.listener(
            'handler "admin" {}\n  handler "metrics_prometheus" { path = "/metrics" }', "metrics"))))
    assert scrape(weir)[("weir_server_up", 'pool="web",server="a"')] == 1
    assert weir.get("/api/v1/pools", name="metrics").status == 401


def test_a_thousand_servers_and_a_slow_reader(start_weir, http_server):
    """Megabytes through a client that takes its time; others are served meanwhile."""
    web = http_server("a")
    servers = {f"server-{i}": "http://127.0.0.1:1" for i in range(1000)}
    weir = start_weir(conf.listener() + metrics_listener() + conf.modules() +
                      conf.routes(web='"/"', many='"/many"') + conf.pool("web", {"a": web}) +
                      conf.pool("many", servers))
    with Client(weir.address("metrics"), receive_buffer=4096) as slow:
        slow.request(target="/metrics")
        head = slow.begin()
        memory = weir.memory_kib()
        for _ in range(5):
            assert len(scrape(weir)) > 30000
            assert weir.get("/").status == 200
        assert weir.memory_kib() - memory < (160 if SANITIZED else 40) * 1024
        body = b"".join(slow.body(head))
    assert body.count(b"\nweir_server_up{") == 1001
    assert body.endswith(b"\n")


@pytest.mark.skipif(shutil.which("promtool") is None,
                    reason="promtool is missing: ./bootstrap --tests installs it")
def test_promtool(start_weir, http_server):
    weir = start_weir(conf.one_pool({"a": http_server("a")}, extra=metrics_listener()))
    weir.get("/")
    done = subprocess.run(["promtool", "check", "metrics"], text=True, capture_output=True,
                          input=weir.get("/metrics", name="metrics").text, timeout=DEADLINE,
                          check=False)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("prometheus") is None,
                    reason="prometheus is missing: ./bootstrap --tests installs it")
def test_prometheus_scrapes(start_weir, http_server, tmp_path):
    """The real one, which asks for OpenMetrics, takes it all and answers queries on it."""
    weir = start_weir(conf.one_pool({"a": http_server("a")}, extra=metrics_listener()))
    for _ in range(5):
        weir.get("/")
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
        f"- {{job_name: weir, static_configs: [{{targets: ['127.0.0.1:{weir.port('metrics')}']}}]}}\n",
        encoding="ascii")
    with open(tmp_path / "log", "wb") as log:
        prometheus = subprocess.Popen(
            ["prometheus", f"--config.file={tmp_path}/prometheus.yml",
             f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log)

    def ask(query):
        try:
            with Client(("127.0.0.1", port)) as client:
                answer = client.get("/api/v1/query?query=" + urllib.parse.quote(query))
            found = json.loads(answer.text)["data"]["result"]
        except (OSError, KeyError, ValueError):
            return None
        return float(found[0]["value"][1]) if found else None

    try:
        wait_for(lambda: ask("up") == 1, "a scrape that succeeds", seconds=3 * DEADLINE)
        wait_for(lambda: ask('weir_requests_total{listener="main"}') == 5, "its numbers")
        assert ask('weir_server_up{pool="web",server="a"}') == 1
        assert ask("sum(weir_server_requests_total)") == 5
        assert ask("histogram_quantile(0.5, weir_request_duration_seconds_bucket)") is not None
    finally:
        prometheus.terminate()
        prometheus.wait(DEADLINE)
