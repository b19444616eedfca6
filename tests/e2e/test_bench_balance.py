# SPDX-License-Identifier: MIT
"""The balancing benchmark's load and servers do what its numbers rest on. What needs a clock of its own is in
tests/unit/bench."""

import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import types
import urllib.request

import pytest

from weirtest import conf, weir as weir_program
from weirtest.wait import SANITIZED

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
from benchlib import balancing  # noqa: E402  pylint: disable=wrong-import-position

SECONDS = balancing.WARM_UP_SECONDS


def program(name):
    return pathlib.Path(weir_program.module_dir()).parent.parent / "tests" / "bench" / name


@pytest.fixture
def scripted():
    """Starts scripted servers, and returns their ports."""
    children = []

    def start(*specs):
        child = subprocess.Popen([program("scripted"), *specs], stdout=subprocess.PIPE, text=True)
        children.append(child)
        return [int(child.stdout.readline().split()[-1]) for _ in specs]

    yield start
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


def load(*options):
    """What the load prints: a tuple of numbers a line."""
    result = subprocess.run([program("open_load"), *map(str, options)], check=True, text=True,
                            stdout=subprocess.PIPE, timeout=60)
    return [tuple(map(int, line.split())) for line in result.stdout.splitlines()]


def plan_of(seed, rate=1000, seconds=20):
    return load("--schedule", "--rate", rate, "--seconds", seconds, "--seed", seed)


def test_seed_makes_the_plan():
    """The same seed: the same arrivals and the same work; as many as the rate says."""
    plan = plan_of(5)
    assert plan == plan_of(5) and plan != plan_of(6)
    assert [at for at, _ in plan] == sorted(at for at, _ in plan)
    assert len(plan) == pytest.approx(20_000, rel=0.03)
    assert sum(work for _, work in plan) / len(plan) == pytest.approx(2 ** 31, rel=0.03)


def test_each_request_is_sent_once_and_answered_by_whom_it_says(start_weir, scripted):
    """Through Weir, in turns: the plan is what is sent, a slow server's time is in the latency, and a status
    arrives as it was sent."""
    ports = scripted("fixed=0", "fixed=0/503", "fixed=20000,workers=1000")
    weir = start_weir(conf.one_pool({f"s{i}": f"http://127.0.0.1:{port}"
                                     for i, port in enumerate(ports)}, "retries = 0"), workers=1)
    how = ("--rate", 600, "--seconds", 1, "--seed", 3)
    sent = load("--port", weir.port(), *how)
    assert [one[0] for one in sent] == [at for at, _ in load("--schedule", *how)]
    counts = collections.Counter((status, server) for _, _, status, server, _ in sent)
    assert set(counts) == {(200, 0), (503, 1), (200, 2)}
    assert max(counts.values()) - min(counts.values()) <= 1
    assert all(latency >= 20_000_000 for _, latency, _, server, _ in sent if server == 2)


def test_latency_counts_from_when_it_was_to_be_sent(scripted):
    """A server of one worker that is overloaded: who comes later waits longer, and the load does not wait for
    answers before it sends."""
    port, = scripted("fixed=20000")
    sent = load("--port", port, "--rate", 200, "--seconds", 1)
    assert all(status == 200 for _, _, status, _, _ in sent)
    done = 0
    # New connections may overtake one another on their way.
    for at, ended in zip((row[0] for row in sent), sorted(row[0] + row[1] for row in sent)):
        done = max(done, at) + 20_000_000  # at the soonest, with one at a time
        assert ended >= done
    assert sent[-1][1] > 1_000_000_000


def test_frozen_server_answers_nothing(scripted):
    port, = scripted("fixed=0")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/freeze?ms=4000") as answer:
        assert answer.status == 200
    assert load("--port", port, "--rate", 1000, "--seconds", 0.02)[0][1] > 1_000_000_000


def test_unanswered_requests_have_no_status(scripted):
    port, = scripted("fixed=60000000")
    sent = load("--port", port, "--rate", 100, "--seconds", 0.1, "--drain", 0.1)
    assert sent and all(status == 0 and server == -1 for _, _, status, server, _ in sent)


def row(**how):
    return balancing.Row("row", "", ("",) * 4, 1, **{"goals": {}, **how})


def test_what_is_counted():
    """Percentiles of what was answered well, shares of all, nothing of the warm-up, and failures are told."""
    records = [(SECONDS - 0.1, 9, 200, 0)] + [(SECONDS + i, (i + 1) / 1000, 200, i % 4) for i in range(1000)]
    got = balancing.evaluate(row(odd=(1, 2)), records, None)
    assert got["valid"] and got["requests"] == 1000 and got["failures"] == 0
    assert (got["p50"], got["p99"], got["p99.9"]) == pytest.approx((501, 991, 1000))
    assert got["shares"] == [0.25] * 4 and got["odd"] == 0.5
    failed = balancing.evaluate(row(), records + [(SECONDS, 0, 0, -1)], None)
    assert not failed["valid"] and failed["failures"] == 1
    assert not balancing.evaluate(row(), [(SECONDS, 0, 0, -1)], None)["valid"]


def test_what_a_freeze_has_caught():
    """What was at the server when it froze, what came later, and nothing of another server or another time."""
    at = SECONDS + 10
    records = [(at - 0.1, 5.2, 200, 1), (at + 4, 1.1, 200, 1),  # caught
               (at + 5.1, 5, 200, 1), (at - 1, 0.9, 200, 1), (at + 1, 6, 200, 0)]
    got = balancing.evaluate(row(event="freeze", odd=(1,)), records, at)
    assert got["caught"] == 2


def test_goals():
    """A ratio is a median of the rounds, of a count the worst round counts; what is not known is not met."""
    def of(p99, caught):
        return {"valid": True, "p99": p99, "caught": caught}
    ours = [of(10, 1), of(11, 3), of(90, 2)]
    theirs = [of(10, 9), of(10, 9), of(10, 9)]
    assert balancing.judge(row(goals={"p99": 1.1, "caught": 2}), ours, theirs) == \
        {"p99": (1.1, 1.1), "caught": (3, 2)}
    assert balancing.met({"p99": (1.1, 1.1)}) and not balancing.met({"p99": (1.2, 1.1)})
    assert not balancing.met(balancing.judge(row(goals={"p99": 1}), [{"valid": False}], theirs))


@pytest.mark.skipif(SANITIZED, reason="it judges times")
def test_simulator_ranks_as_the_benchmark_does(tmp_path):
    """Round robin sends a slow server more than it can do, least_conn what it can, and ewma next to nothing: the
    slowest requests tell them apart by far, in reality as in weirsim."""
    names = ("round_robin", "least_conn", "ewma")
    case = balancing.Row("slow", "", ("exponential=200000",) + ("exponential=20000",) * 3, 30, {}, seconds=10)
    cores = os.sched_getaffinity(0)
    module_dir = pathlib.Path(weir_program.module_dir())
    bench = types.SimpleNamespace(
        workers=1, part=1, proxy_cpu=max(cores), load_cpus=cores, weir=(weir_program.program(), module_dir),
        helpers={name: program(name) for name in ("open_load", "scripted")})
    with concurrent.futures.ThreadPoolExecutor() as pool:
        live = dict(zip(names, pool.map(
            lambda name: balancing.measure(bench, case, balancing.Weir(bench, name), tmp_path / name, 1), names)))
    assert all(got["valid"] for got in live.values()), live
    simulated = subprocess.run(
        [pathlib.Path(weir_program.program()).resolve().parent / "weirsim", "--json", "--requests", "390",
         "--servers", "time=exp:200ms concurrency=1", "--servers", "count=3 time=exp:20ms concurrency=1",
         "--arrivals", "poisson:30", *(word for name in names for word in ("--balance", name))],
        check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    ranked = {one["balancer"]: one["p99_ms"] for one in json.loads(simulated.stdout)["balancers"]}
    for one in (ranked, {name: got["p99"] for name, got in live.items()}):
        assert one["round_robin"] > one["least_conn"] > one["ewma"], one
