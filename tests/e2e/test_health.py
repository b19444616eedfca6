# SPDX-License-Identifier: MIT
"""Active health checks: servers are taken out and come back, with reasons in words, unnoticed by clients."""

import collections
import re

import pytest

from weirtest import admin, conf
from weirtest.backend import Holding, Reply
from weirtest.load import Load
from weirtest.wait import DEADLINE, Stopwatch, wait_for

FAST = "interval = 100ms  fast_interval = 50ms  timeout = 2s"


def health(extra="", path="/health", rise=2, fall=2):
    """A health block that is quick enough for tests."""
    return f'health "http" {{ path = "{path}"  {FAST}  rise = {rise}  fall = {fall}  {extra} }}'


def status_handler(state):
    """Answers probes with state["status"] and state["body"], others with 200."""
    def handler(request):
        if request.target.startswith("/health"):
            return Reply(state.get("body", b"fine"), status=state["status"])
        return b"ok"
    return handler


def test_killed_server_costs_no_request(start_weir, http_server):
    """Taken out and back in under steady load, twice, without one failed request."""
    servers = {name: http_server(name) for name in "abc"}
    weir = start_weir(conf.one_pool(servers, health() + "retry_budget = 100%"), workers=2)
    with Load(weir.client) as load:
        load.wait_requests(200)
        for _ in range(2):
            mark = len(weir.log())
            servers["b"].stop()
            weir.wait_log(r"\bb\b.* down", mark)
            load.wait_requests(100)
            served = servers["b"].served
            mark = len(weir.log())
            servers["b"].start()
            weir.wait_log(r"\bb\b.* up", mark)
            wait_for(lambda: servers["b"].served > served + 20, "traffic at b again")
    load.assert_clean()
    assert load.closed == 0


def test_reset_server_costs_no_request(start_weir, http_server):
    """The same where the dying server resets its connections in the middle of requests."""
    servers = {name: http_server(name) for name in "ab"}
    weir = start_weir(conf.one_pool(servers, health() + "retry_budget = 100%"), workers=2)
    with Load(weir.client) as load:
        load.wait_requests(100)
        mark = len(weir.log())
        servers["a"].stop(reset=True)
        weir.wait_log(r"\ba\b.* down", mark)
        load.wait_requests(100)
        servers["a"].start()
        weir.wait_log(r"\ba\b.* up", mark)
        load.wait_requests(100)
    load.assert_clean()


def test_reasons_in_words(start_weir, http_server):
    state = {"status": 200}
    web, other = http_server("a", status_handler(state)), http_server("b")
    weir = start_weir(conf.one_pool({"a": web, "b": other}, health(fall=3)))
    mark = len(weir.log())
    state["status"] = 503
    line = weir.wait_log(r"[^\n]*\ba\b[^\n]* down[^\n]*", mark).group(0)
    assert "503" in line and "3 of 3" in line, line
    assert "web" in line, "the pool is named"
    mark = len(weir.log())
    state["status"] = 200
    line = weir.wait_log(r"[^\n]*\ba\b[^\n]* up[^\n]*", mark).group(0)
    assert "200" in line, line
    mark = len(weir.log())
    web.stop()
    line = weir.wait_log(r"[^\n]*\ba\b[^\n]* down[^\n]*", mark).group(0)
    assert "refused" in line, line


def test_probe_that_times_out(start_weir, http_server):
    holding = Holding(path="/health")
    holding.release()
    web, other = http_server("a", holding), http_server("b")
    options = 'health "http" { path = "/health"  interval = 50ms  fast_interval = 50ms  ' \
        'timeout = 200ms  rise = 1  fall = 2 }'
    weir = start_weir(conf.one_pool({"a": web, "b": other}, options))
    mark = len(weir.log())
    holding.hold()
    line = weir.wait_log(r"[^\n]*\ba\b[^\n]* down[^\n]*", mark).group(0)
    assert "timed out" in line, line
    assert {weir.get("/").server for _ in range(6)} == {"b"}
    holding.release()
    weir.wait_log(r"\ba\b[^\n]* up", mark)


def test_rise_and_fall(start_weir, http_server):
    """One bad probe among good ones takes nobody out; one good one brings nobody back."""
    answers = collections.deque()
    probes = []

    def handler(request):
        if request.target != "/health":
            return b"ok"
        status = answers.popleft() if answers else (200 if not probes else probes[-1])
        probes.append(status)
        return Reply(status=status)

    web, other = http_server("a", handler), http_server("b")
    weir = start_weir(conf.one_pool({"a": web, "b": other}, health(rise=3, fall=3)))
    mark = len(weir.log())
    answers.extend([200, 500, 200, 500, 500, 200, 200])
    wait_for(lambda: not answers, "the probes")
    assert " down" not in weir.log()[mark:]
    count = len(probes)
    answers.extend([500, 500, 500])
    weir.wait_log(r"\ba\b[^\n]* down", mark)
    assert len(probes) >= count + 3
    mark = len(weir.log())
    answers.extend([200, 200, 500, 200, 200, 500, 500])
    wait_for(lambda: not answers, "the probes")
    assert " up" not in weir.log()[mark:]
    answers.extend([200, 200, 200])
    weir.wait_log(r"\ba\b[^\n]* up", mark)


def test_probe_request(start_weir, http_server):
    web = http_server("a")
    options = health('method = "HEAD"  host = "probe.example"  user_agent = "checker/1"  '
                     'headers = {"X-Probe: yes"}', path="/ping?full=1")
    start_weir(conf.one_pool({"a": web}, options))
    wait_for(lambda: web.requests, "a probe")
    request = web.requests[0]
    assert (request.method, request.target) == ("HEAD", "/ping?full=1")
    assert request.headers.get("Host") == "probe.example"
    assert request.headers.get("User-Agent") == "checker/1"
    assert request.headers.get("X-Probe") == "yes"
    assert "X-Forwarded-For" not in request.headers


def test_expected_status_and_body(start_weir, http_server):
    state = {"status": 418, "body": b"all systems go"}
    web, other = http_server("a", status_handler(state)), http_server("b", status_handler(state))
    options = health('expect = {"418", "200-204"}  body = "systems go"', rise=1, fall=1)
    weir = start_weir(conf.one_pool({"a": web, "b": other}, options))
    wait_for(lambda: len(web.requests) >= 3, "probes")
    assert " down" not in weir.log()
    mark = len(weir.log())
    state["body"] = b"systems down"
    line = weir.wait_log(r"[^\n]*\ba\b[^\n]* down[^\n]*", mark).group(0)
    assert "body" in line
    state.update(status=205, body=b"")
    mark = len(weir.log())
    wait_for(lambda: len(web.requests) >= 6, "probes")
    assert " up" not in weir.log()[mark:]
    state.update(status=204)
    state.update(status=200, body=b"systems go")
    weir.wait_log(r"\ba\b[^\n]* up", mark)


def test_probes_over_tls(start_weir, http_server, certs):
    web = http_server("a", tls=certs.server())
    options = health(rise=1, fall=1) + f'tls {{ ca = "{certs.ca}"  name = "localhost" }}'
    weir = start_weir(conf.one_pool({"a": web}, options))
    wait_for(lambda: len(web.requests) >= 2, "probes")
    assert weir.get("/").status == 200
    assert " down" not in weir.log()


def test_all_down_is_503(start_weir, http_server):
    state = {"status": 500}
    servers = {name: http_server(name, status_handler(state)) for name in "ab"}
    weir = start_weir(conf.one_pool(servers, health(rise=1, fall=1)))
    weir.wait_log(r"\ba\b[^\n]* down")
    weir.wait_log(r"\bb\b[^\n]* down")
    response = weir.get("/")
    assert response.status == 503
    assert response.headers.get("Retry-After", "").isdigit()
    assert weir.access(1)[0]["reason"] == "no_server"
    mark = len(weir.log())
    state["status"] = 200
    weir.wait_log(r"\b[ab]\b[^\n]* up", mark)
    assert weir.get("/").status == 200


def test_many_servers_are_probed(start_weir, http_server):
    """200 servers, each probed once a second."""
    web = http_server("all", keep=False)
    servers = {f"s{i}": web.url for i in range(200)}
    weir = start_weir(conf.one_pool(
        servers, 'health "http" { interval = 1s  fast_interval = 1s  rise = 1 }'))
    wait_for(lambda: web.served >= 400, "400 probes")
    assert " down" not in weir.log()
    assert weir.get("/").status == 200


def change_until(weir, mark, pattern, change):
    """Changes the configuration again and again, until the log has a line."""
    with Stopwatch() as watch:
        while not re.search(pattern, weir.log()[mark:]):
            assert watch.running() < DEADLINE, f"no {pattern} in spite of many changes"
            change()


@pytest.mark.parametrize("how", ["reload", "members"])
def test_changes_do_not_put_probes_off(start_weir, http_server, how):
    """A dead server is found though the configuration changes more often than it is probed."""
    state = {"status": 200}
    web, other = http_server("a", status_handler(state)), http_server("b")
    options = 'health "http" { path = "/health"  interval = 2s  fast_interval = 2s  rise = 1  ' \
        'fall = 1 }'
    text = admin.one_pool({"a": web, "b": other}, options)
    weir = start_weir(text)
    root = admin.browser(weir)
    servers = "/api/v1/pools/web/servers"

    def members():
        assert root.post(servers, {"url": "http://127.0.0.9:1", "id": "c"}).status == 201
        assert root.delete(f"{servers}/c?now=1").status in (202, 204)

    wait_for(lambda: root.get(f"{servers}/a").json["health"]["status"] == "up", "the first probe")
    mark = len(weir.log())
    state["status"] = 503
    change_until(weir, mark, r"\ba\b[^\n]* down", members if how == "members" else weir.reload)


def test_a_shorter_interval_holds_at_once(start_weir, http_server):
    """What was due in an hour is due within the new interval."""
    state = {"status": 200}
    web = http_server("a", status_handler(state))

    def text(interval):
        return conf.one_pool({"a": web}, 'health "http" { path = "/health"  fall = 1  '
                             f'interval = {interval}  fast_interval = {interval} }}')

    weir = start_weir(text("1h"))
    wait_for(lambda: "/health" in web.targets(), "the first probe")
    mark = len(weir.log())
    state["status"] = 503
    weir.reload(text("100ms"))
    weir.wait_log(r"\ba\b[^\n]* down", mark)
