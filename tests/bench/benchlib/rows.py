# SPDX-License-Identifier: MIT
"""The rows of the benchmark: what is asked of a contender, and how one measurement is taken."""

import dataclasses
import json

from . import exchange, programs
from .process import BenchError, Child

WARM_UP_SECONDS = 0.3
MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Row:
    """`load` is wrk or large (keep-alive), new (a connection a request) or idle. `floor_limit` is
    how many times the floor Weir may cost; rows without one are held against the better peer."""

    name: str
    title: str
    load: str
    tls: bool = False
    path: str = "/1k"
    size: int = 1024
    kind: str = "plain"
    clients: int = 32
    floor_limit: float | None = None

    @property
    def metric(self):
        return "kib" if self.load == "idle" else "cpu_us"


ROWS = (
    Row("keepalive", "HTTP/1.1 keep-alive, 1 KiB", "wrk", floor_limit=1.25),
    Row("browser", "HTTP/1.1 keep-alive, 1 KiB, a browser's headers", "wrk", kind="browser"),
    Row("https", "HTTPS keep-alive, 1 KiB", "wrk", tls=True),
    Row("new", "new connection a request, plain, 1 KiB", "new"),
    Row("new-tls", "new connection a request, TLS, 1 KiB", "new", tls=True),
    Row("large", "1 MiB responses, plain", "large", path="/1m", size=MIB, clients=8),
    Row("large-tls", "1 MiB responses, TLS", "large", tls=True, path="/1m", size=MIB, clients=8),
    Row("upload", "64 KiB uploads", "wrk", path="/upload", size=65536, kind="upload", clients=16),
    Row("idle", "memory of an idle connection, plain", "idle"),
    Row("idle-tls", "memory of an idle connection, TLS", "idle", tls=True),
)


def _load_command(bench, row, port, seconds):
    command = [bench.helpers["load"], "--port", port, "--clients", row.clients, "--seconds",
               seconds, "--path", row.path, "--size", row.size]
    return command + ["--tls"] * row.tls + ["--keep-alive"] * (row.load == "large")


def _wrk_command(bench, row, port):
    scheme = "https" if row.tls else "http"
    return [programs.system_program("wrk", "wrk"), "-t", 1, "-c", row.clients, "-d",
            bench.seconds, "--timeout", "10s", "-s", programs.SOURCE / "wrk.lua",
            f"{scheme}://127.0.0.1:{port}{row.path}", "--", row.kind, row.size]


def _run_load(bench, row, command, seconds):
    """Runs a load generator on the load's cores and returns the result that it prints."""
    child = Child("load", command, bench.load_cpus, bench.folder / f"load-{row.name}.log",
                  {"OPENSSL_CONF": str(bench.client_openssl_conf)})
    try:
        output = child.wait(seconds + 20)
    finally:
        child.stop()
    for line in output.splitlines():
        if line.startswith(("result {", "{")):
            return json.loads(line.removeprefix("result "))
    raise child.complaint("printed no result")


def measure_running(bench, row, contender):
    """One measurement of a proxy that runs, with a load."""
    port = contender.tls_port if row.tls else contender.plain_port
    if row.kind == "upload":
        exchange.check_upload(port, row.tls, row.size)
        warm_up = dataclasses.replace(row, path="/1k", size=1024)
    else:
        exchange.check_answer(port, row.tls, row.path, row.size)
        warm_up = row
    _run_load(bench, row, _load_command(bench, warm_up, port, WARM_UP_SECONDS), WARM_UP_SECONDS)
    command = (_wrk_command(bench, row, port) if row.load == "wrk"
               else _load_command(bench, row, port, bench.seconds))
    cpu_before = contender.child.cpu_ns()
    got = _run_load(bench, row, command, bench.seconds)
    cpu_ns = contender.child.cpu_ns() - cpu_before
    contender.child.require_alive()
    wrong = [f"{count} {name} errors" for name, count in got["errors"].items() if count]
    requests = got["requests"]
    if requests == 0:
        wrong.append("no request was answered")
    elif "bytes" in got and row.kind != "upload" and got["bytes"] < requests * row.size:
        wrong.append(f"{got['bytes']} bytes for {requests} answers of {row.size}")
    return {
        "valid": not wrong, "wrong": ", ".join(wrong), "requests": requests,
        "errors": sum(got["errors"].values()),
        "requests_per_second": requests / got["seconds"],
        "cpu_us": cpu_ns / 1000 / max(requests, 1),
        "core_busy": cpu_ns / 1e9 / got["seconds"],
        "p50_ms": got["p50_us"] / 1000, "p99_ms": got["p99_us"] / 1000,
    }


def _measure_idle(bench, row, contender):
    """The slope between a few and many connections: what a proxy takes once, at its start or at
    its first connections, is not counted."""
    port = contender.tls_port if row.tls else contender.plain_port
    some = bench.idle_connections // 8
    many = bench.idle_connections
    idle = exchange.IdleConnections(port, row.tls)
    try:
        idle.open(some)
        base = contender.child.settled_memory_bytes()
        idle.open(many)
        total = contender.child.settled_memory_bytes()
        closed = idle.closed_by_peer()
    finally:
        idle.close()
    contender.child.require_alive()
    return {
        "valid": closed == 0, "requests": some + many, "errors": closed,
        "wrong": f"{closed} idle connections were closed" if closed else "",
        "kib": (total - base) / 1024 / many, "base_kib": base / 1024,
    }


def measure(bench, row, contender, folder):
    """One measurement with a fresh process, so that no row inherits another's memory. A fault of
    the contender makes the measurement invalid; it does not end the run."""
    try:
        contender.start(folder)
        if row.load == "idle":
            return _measure_idle(bench, row, contender)
        return measure_running(bench, row, contender)
    except (BenchError, OSError, exchange.WrongAnswer) as error:
        return {"valid": False, "wrong": str(error), "requests": 0, "errors": 1}
    finally:
        contender.stop()
        bench.origin.require_alive()
