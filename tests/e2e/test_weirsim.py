# SPDX-License-Identifier: MIT
"""weirsim: what queueing theory says of simple cases, what servers may do, traces of a real Weir, and mistakes."""

import json
import math
import pathlib
import statistics
import subprocess

import pytest

from weirtest import conf, weir as weir_program
from weirtest.backend import Reply
from weirtest.wait import DEADLINE, SANITIZED, wait_for

PROGRAM = pathlib.Path(weir_program.program()).resolve().parent / "weirsim"
BUILT = pathlib.Path(weir_program.module_dir()).parent.parent / "tests" / "modules" / "built"
SERVERS = ("--servers", "time=1ms")
# What the others run as well, very often.
statistical = pytest.mark.skipif(SANITIZED, reason="sanitizers see no more of it in a million requests")


def weirsim(*arguments, stdin=None):
    return subprocess.run([str(PROGRAM), *map(str, arguments)], input=stdin, text=True, capture_output=True,
                          timeout=10 * DEADLINE, check=False)


def simulate(*arguments):
    """The balancers' rows of a run that goes well, by name."""
    done = weirsim(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return {row["balancer"]: row for row in json.loads(done.stdout)["balancers"]}


def one(*arguments):
    return simulate(*arguments, "--balance", "least_conn")["least_conn"]


def near(value, wanted, part=0.1):
    return abs(value - wanted) <= part * wanted


@statistical
def test_one_server_queues_as_theory_says():
    """M/M/1 and M/D/1: exponential and constant times at 80 % load."""
    row = one("--servers", "time=exp:10ms concurrency=1", "--arrivals", "poisson:80", "--requests", 200000)
    assert near(row["mean_ms"], 50) and near(row["p50_ms"], 50 * math.log(2))
    assert near(row["p99_ms"], 50 * math.log(100))
    row = one("--servers", "time=10ms concurrency=1", "--arrivals", "poisson:80", "--requests", 400000)
    assert near(row["mean_ms"], 10 + 0.8 * 10 / (2 * 0.2))
    # max_requests: they wait in the pool, and no shorter
    other = one("--servers", "time=10ms max_requests=1", "--arrivals", "poisson:80", "--requests", 400000)
    assert near(other["mean_ms"], row["mean_ms"], 0.001) and other["servers"][0]["most_in_flight"] == 1


def test_a_closed_loop_is_as_fast_as_its_servers():
    row = one("--servers", "count=5 time=10ms", "--arrivals", "closed:10", "--requests", 1000)
    assert row["seconds"] == 1 and row["max_ms"] == 10
    assert [server["requests"] for server in row["servers"]] == [200] * 5


def test_balancers_know_limits():
    row = simulate("--servers", "count=3 time=10ms max_requests=2", "--arrivals", "closed:3", "--requests", 3000,
                   "--balance", "first")["first"]
    assert [server["requests"] for server in row["servers"]] == [2000, 1000, 0]


@statistical
def test_round_robin_of_the_published_table():
    """Ten servers, uniform up to 1 ms, 10 ms four times, 100 ms four times, and 1 s; 50 at once; published: 906 ms."""
    row = simulate("--servers", "time=uniform:1ms", "--servers", "count=4 time=uniform:10ms", "--servers",
                   "count=4 time=uniform:100ms", "--servers", "time=uniform:1s", "--arrivals", "closed:50",
                   "--balance", "round_robin")["round_robin"]
    assert row["requests"] == 50000 and near(row["p99_ms"], 906, 0.05)
    assert near(row["imbalance"], 1, 0.001)


@statistical
def test_two_choices_of_the_published_table():
    """The same servers: peak EWMA and least loaded of two random choices, published: 96 and 98 ms. Comparing all is
    far better."""
    rows = simulate("--servers", "time=uniform:1ms", "--servers", "count=4 time=uniform:10ms", "--servers",
                    "count=4 time=uniform:100ms", "--servers", "time=uniform:1s", "--arrivals", "closed:50",
                    "--balance", "ewma { choices = 2 }", "--balance", "random")
    assert near(rows["ewma"]["p99_ms"], 96, 0.25) and near(rows["random"]["p99_ms"], 98, 0.25)
    rows = simulate("--servers", "time=uniform:1ms", "--servers", "count=4 time=uniform:10ms", "--servers",
                    "count=4 time=uniform:100ms", "--servers", "time=uniform:1s", "--arrivals", "closed:50",
                    "--balance", "ewma")
    assert rows["ewma"]["p99_ms"] < 96 / 4


# As tests/bench/balance has them: servers, requests a second, for how long, and what balance_ewma's p99 and p99.9 may
# be of least_conn's.
GOALS = {
    "equal": (["count=10 time=exp:10ms concurrency=1"], 700, 20, 1.05, 1.05),
    "slow": (["time=exp:200ms concurrency=4", "count=9 time=exp:20ms concurrency=4"], 1274, 20, 0.76, 0.32),
    "mixed": (["time=uniform:1s concurrency=4", "count=4 time=uniform:100ms concurrency=4",
               "count=4 time=uniform:10ms concurrency=4", "time=uniform:1ms concurrency=4"], 500, 20, 0.11, 0.11),
    "hiccups": (["time=uniform:1s concurrency=4 hiccups=1s+5ms", "count=4 time=uniform:100ms concurrency=4 hiccups=1s+5ms",
                 "count=4 time=uniform:10ms concurrency=4 hiccups=1s+5ms",
                 "time=uniform:1ms concurrency=4 hiccups=1s+5ms"], 500, 20, 0.09, 0.09),
    "two-slow": (["count=2 time=uniform:600ms-1000ms concurrency=2",
                  "count=14 time=uniform:37.5ms-62.5ms concurrency=2"], 256, 20, 0.09, 1.0),
    "capacity": (["count=3 time=exp:20ms concurrency=1", "count=3 time=exp:20ms concurrency=2",
                  "count=3 time=exp:20ms concurrency=4"], 840, 20, 0.80, 0.90),
    "freeze": (["time=exp:10ms concurrency=1 freeze=7.5s+5s", "count=9 time=exp:10ms concurrency=1"], 700, 30,
               1.03, 1.03),
    "cold": (["count=9 time=exp:10ms concurrency=1", "time=exp:10ms concurrency=1 joins=1s slow=3 cold=5s"], 540, 15,
             0.94, 0.94),
}


@statistical
@pytest.mark.parametrize("goal", sorted(GOALS))
def test_ewma_beats_least_conn(goal):
    """The median of nine runs: each is of some 10,000 requests, of which p99.9 are ten."""
    servers, rate, seconds, p99, p999 = GOALS[goal]
    words = [word for server in servers for word in ("--servers", server)]
    ratios = []
    for seed in range(1, 10):
        rows = simulate(*words, "--arrivals", f"poisson:{rate}", "--requests", rate * seconds, "--seed", seed,
                        "--balance", "least_conn", "--balance", "ewma")
        ratios.append([rows["ewma"][name] / rows["least_conn"][name] for name in ("p99_ms", "p999_ms")])
    assert statistics.median(ratio[0] for ratio in ratios) <= p99
    assert statistics.median(ratio[1] for ratio in ratios) <= p999


@statistical
def test_ewma_sends_little_to_who_fails_fast():
    rows = simulate("--servers", "count=9 time=exp:10ms concurrency=4", "--servers",
                    "time=exp:10ms concurrency=4 fails=100% fail_time=1ms", "--arrivals", "poisson:1500",
                    "--balance", "least_conn", "--balance", "ewma")
    assert rows["ewma"]["failures"] <= 500 < 5000 < rows["least_conn"]["failures"]


def test_few_are_caught_by_a_freeze():
    """Who does not get an answer within a second has been caught."""
    rows = simulate("--servers", "count=9 time=exp:10ms concurrency=1", "--servers",
                    "time=exp:10ms concurrency=1 freeze=5s+5s", "--arrivals", "poisson:600", "--requests", 7000,
                    "--timeout", "1s", "--retries", 0, "--balance", "least_conn", "--balance", "ewma")
    assert rows["ewma"]["failures"] <= 3 < rows["least_conn"]["failures"]


def test_what_servers_may_do():
    load = ("--arrivals", "poisson:100", "--requests", 1000)  # 10 s
    # frozen from 2 s to 5 s: who is there waits, and what begins then
    row = one("--servers", "time=10ms freeze=2s+3s", *load)
    assert 2900 < row["max_ms"] <= 3010 and row["p50_ms"] == 10
    # three times slower for 5 s after it has joined at 1 s
    row = one("--servers", "name=old time=10ms leaves=1s", "--servers", "name=new time=10ms slow=3 cold=5s joins=1s",
              *load)
    old, new = row["servers"]
    assert 70 < old["requests"] < 130 and new["p99_ms"] == 30 and row["p50_ms"] == 30
    # its weight rises for 4 s: of 100 a second, a tenth to a half
    row = one("--servers", "name=old time=0ms", "--servers", "name=new time=0ms joins=4s slow_start=4s", *load)
    assert 210 < row["servers"][1]["requests"] < 310
    # about each second it stands still for some 100 ms: a tenth of the requests meet that
    row = one("--servers", "time=10ms hiccups=1s+100ms", "--arrivals", "poisson:100", "--requests", 20000)
    assert row["p50_ms"] == 10 and near(row["mean_ms"], 10 + 0.1 * 100, 0.3) and row["p99_ms"] > 200
    # slow for a time; failing for a time, with an answer (no retry) and without (retried elsewhere)
    row = one("--servers", "time=10ms slow=5@2s+1s", *load)
    assert row["p50_ms"] == 10 and row["max_ms"] == 50
    row = one("--servers", "time=10ms fails=100%@0s+5s", *load)
    assert near(row["failures"], 500, 0.15) and row["retries"] == 0
    row = one("--servers", "time=10ms fails=20% status=0", "--servers", "time=10ms", *load)
    assert row["failures"] == 0 and near(row["retries"], 100, 0.5) and row["max_ms"] == 11
    # an answer that does not begin in time is given up, and the request goes elsewhere
    row = one("--servers", "time=10ms freeze=2s+3s", "--servers", "time=10ms", "--timeout", "100ms", *load)
    assert row["failures"] == 0 and row["retries"] > 5 and row["max_ms"] == 110
    # the body comes after the first byte
    assert one("--servers", "time=10ms body=25ms", *load)["max_ms"] == 35


def test_arrivals(tmp_path):
    times = tmp_path / "times"
    times.write_text("0\n0.5\n0.5\n2.25\n")
    row = one("--servers", "time=10ms concurrency=1", "--arrivals", f"file:{times}")
    assert row["requests"] == 4 and row["max_ms"] == 20 and row["seconds"] == 2.26
    row = one("--servers", "time=1ms", "--arrivals", "steps:100@10s,1000@5s,10", "--requests", 6100)
    assert near(row["seconds"], 25, 0.3)
    assert near(one("--servers", "time=1ms", "--arrivals", "poisson:500")["seconds"], 100)


def test_the_same_seed_repeats_and_another_does_not():
    servers = ("--servers", "count=3 time=lognormal:10ms:0.7 concurrency=2 fails=1%", "--arrivals", "poisson:300",
               "--requests", 5000, "--workers", 2, "--balance", "least_conn", "--balance", "round_robin")

    def run(seed):
        rows = simulate(*servers, "--seed", seed)
        for row in rows.values():
            assert row.pop("decisions_per_second") > 0
        return rows

    first = run(7)
    assert first == run(7) != run(8)
    assert first["least_conn"]["p99_ms"] < first["round_robin"]["p99_ms"]


@pytest.mark.parametrize("at", ["pick_none", "pick_range"])
def test_a_balancer_that_breaks_its_contract_is_told(at):
    """And its choice is replaced, as in Weir."""
    done = weirsim("--servers", "count=2 time=1ms", "--arrivals", "closed:2", "--requests", 10, "--json", "--balance",
                   f'{BUILT / "balance_fails.so"} {{ at = "{at}" }}')
    [row] = json.loads(done.stdout)["balancers"]
    assert done.returncode == 1 and "balance_fails: pick chose" in done.stderr
    assert row["problems"] == 10 and row["requests"] == 10
    assert [server["requests"] for server in row["servers"]] == [5, 5]


def test_a_balancer_that_cannot_be_made_ends_it():
    done = weirsim(*SERVERS, "--arrivals", "closed:2", "--balance", f'{BUILT / "balance_fails.so"} {{ at = "create" }}')
    assert done.returncode == 2 and "cannot be made" in done.stderr


def trace_line(second, server, first_byte, total=None, **more):
    return json.dumps({"time": f"2026-11-30T08:00:{second:06.3f}Z", "client": "192.0.2.1", "pool": "web", "server": server,
                       "status": 200, "outcome": "success", "queue_ms": 0, "first_byte_ms": first_byte,
                       "total_ms": total or first_byte, **more}) + "\n"


def test_a_trace_is_played_again(tmp_path):
    """Lines come in order of their ends; each server takes for a request what it took."""
    log = tmp_path / "access.json"
    log.write_text(trace_line(1, "a", 10) + trace_line(0, "a", 2000) + trace_line(1.5, "a", 10, 30) +
                   trace_line(1.7, "a", 5, status=503, outcome="error") +
                   trace_line(1.8, "", 0, outcome="failed", reason="no_server") + trace_line(2, "a", 10, pool="other"))
    assert "several pools" in weirsim("--trace", log, "--balance", "least_conn").stderr
    assert one("--trace", log, "--pool", "web", "--requests", 2)["requests"] == 2
    row = one("--trace", log, "--pool", "web")
    assert row["requests"] == 4 and row["failures"] == 1 and row["max_ms"] == 2000 and row["p50_ms"] == 30
    row = one("--trace", log, "--pool", "web", "--servers", "name=a slow=2", "--servers", "name=b time=1ms weight=1000")
    a, b = row["servers"]
    assert a["requests"] + b["requests"] == 4 and b["p99_ms"] == 1


def test_a_log_of_weir_is_a_trace(start_weir, http_server):
    servers = {name: http_server(name, lambda request: Reply(b"x", status=500 if request.target == "/fail" else 200))
               for name in "ab"}
    weir = start_weir(conf.one_pool(servers))
    log = pathlib.Path(weir.access_path)
    with weir.client() as client:
        for number in range(20):
            client.get("/fail" if number % 4 == 0 else "/")
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) == 20, "all lines")
    row = one("--trace", log)
    assert row["requests"] == 20 and row["failures"] == 5
    assert sorted(server["name"] for server in row["servers"]) == ["a", "b"]



@pytest.mark.parametrize("arguments, told", [
    ((), "say when requests come"),
    ((*SERVERS, "--arrivals", "poisson:10"), "there is no balancer"),
    (("--arrivals", "poisson:10", "--balance", "least_conn"), "there are no servers"),
    ((*SERVERS, "--arrivals", "poisson:0", "--balance", "least_conn"), "poisson:500"),
    ((*SERVERS, "--arrivals", "often", "--balance", "least_conn"), "closed:CLIENTS"),
    ((*SERVERS, "--arrivals", "closed:0", "--balance", "least_conn"), "closed:50"),
    ((*SERVERS, "--arrivals", "steps:10,20", "--balance", "least_conn"), "steps:100@10s"),
    ((*SERVERS, "--arrivals", "file:/nowhere", "--balance", "least_conn"), "No such file"),
    (("--servers", "time=soon"), "exp:10ms"),
    (("--servers", "speed=1"), "no such word"),
    (("--servers", "weight=0"), "from 1 on"),
    (("--servers", "fails=200%"), "50%"),
    (("--servers", "freeze=5s"), "5s+2s"),
    (("--servers", "hiccups=5ms"), "1s+5ms"),
    (("--servers", "hiccups=0s+5ms"), "1s+5ms"),
    ((*SERVERS, "--arrivals", "poisson:10", "--balance", "nothing"), "balance_nothing.so"),
    ((*SERVERS, "--arrivals", "poisson:10", "--balance", "least_conn { no = 1 }"), "no"),
    ((*SERVERS, "--requests", "many"), "a number from 1"),
    ((*SERVERS, "--arrivals", "poisson:10", "--requests", "5", "--warm-up", "5", "--balance", "x"), "leaves no request"),
    (("--trace", "/dev/null", "--balance", "least_conn"), "no request there"),
    (("--trace", "/proc/self/status", "--balance", "least_conn"), ":1: no line of an access log"),
    (("extra",), "is no option"),
])
def test_mistakes_are_told(arguments, told):
    done = weirsim(*arguments)
    assert done.returncode == 2 and told in done.stderr and done.stdout == ""


def test_text_is_for_people():
    done = weirsim(*SERVERS, "--arrivals", "closed:1", "--requests", 10, "--balance", "least_conn", "--each")
    head, row, servers, server = done.stdout.splitlines()
    assert head.split()[0] == "balancer" and row.split()[:3] == ["least_conn", "1.00", "1.00"]
    assert servers.split()[0] == "server" and server.split()[:3] == ["s1", "10", "0"]
    assert weirsim("--help").returncode == 0
