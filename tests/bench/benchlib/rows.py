# SPDX-License-Identifier: MIT
"""The rows of the benchmark: what is asked of a contender, and how one measurement is taken."""

import dataclasses
import json
import re
import statistics

from . import exchange, programs
from .process import BenchError, Child

WARM_UP_SECONDS = 0.3
MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Row:
    """`load` is wrk or large (keep-alive), new (a connection a request), h2 (HTTP/2, `streams` at
    once on each connection) or idle. `floor_limit` is how many times the floor Weir may cost; rows
    without one are held against the better peer, of which Weir may cost `peer_limit`."""

    name: str
    title: str
    load: str
    tls: bool = False
    path: str = "/1k"
    size: int = 1024
    kind: str = "plain"
    clients: int = 32
    streams: int = 1
    floor_limit: float | None = None
    peer_limit: float = 1.0
    h2: bool = False
    grpc: bool = False

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
    Row("h2", "HTTP/2 over TLS, 1 KiB, 16 connections x 16 streams", "h2", tls=True, clients=16,
        streams=16, peer_limit=0.9, h2=True),
    Row("h2-wide", "HTTP/2 over TLS, 1 KiB, 100 connections x 1 stream", "h2", tls=True,
        clients=100, peer_limit=0.9, h2=True),
    Row("h2-large", "HTTP/2 over TLS, 1 MiB responses", "h2", tls=True, path="/1m", size=MIB,
        clients=8, streams=4, peer_limit=0.9, h2=True),
    Row("h2-upload", "HTTP/2 over TLS, 64 KiB uploads", "h2", tls=True, path="/upload", size=65536,
        kind="upload", clients=8, streams=4, peer_limit=0.9, h2=True),
    Row("grpc", "gRPC unary echo of 100 bytes, HTTP/2 on both sides, 16 connections x 16 streams", "h2",
        tls=True, path=exchange.GRPC_PATH, size=len(exchange.GRPC_MESSAGE), kind="grpc", clients=16,
        streams=16, peer_limit=0.9, h2=True, grpc=True),
    Row("idle", "memory of an idle connection, plain", "idle"),
    Row("idle-tls", "memory of an idle connection, TLS", "idle", tls=True),
    Row("idle-h2", "memory of an idle connection, HTTP/2 over TLS", "idle", tls=True, h2=True),
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


def _h2load_command(bench, row, port, seconds, log):
    command = [programs.system_program("h2load", "nghttp2-client"), "-t", 1, "-c", row.clients,
               "-m", row.streams, "-D", seconds, "--log-file", log]
    if row.kind == "upload":
        body = bench.folder / "upload.body"
        body.write_bytes(exchange.BLOCK[:row.size])
        command += ["-d", body]
    elif row.grpc:
        body = bench.folder / "grpc.body"
        body.write_bytes(exchange.GRPC_MESSAGE)
        command += ["-d", body]
        for field in exchange.GRPC_FIELDS:
            command += ["-H", field]
    return command + [f"https://127.0.0.1:{port}{row.path}"]


def _run_h2load(bench, row, port, seconds):
    """What h2load says, as our own load generators would."""
    log = bench.folder / f"h2load-{row.name}.requests"
    child = Child("h2load", _h2load_command(bench, row, port, seconds, log), bench.load_cpus,
                  bench.folder / f"load-{row.name}.log",
                  {"OPENSSL_CONF": str(bench.client_openssl_conf)})
    try:
        output = child.wait(seconds + 20)
    finally:
        child.stop()
    took = re.search(r"^finished in ([\d.]+)(m?s)", output, re.M)
    counts = re.search(r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored", output, re.M)
    traffic = re.search(r"\((\d+)\) data$", output, re.M)
    if not took or not counts or not traffic or "Application protocol: h2" not in output:
        raise child.complaint("no result of HTTP/2")
    lines = [line.split("\t") for line in log.read_text().splitlines()]
    log.unlink()
    times = [int(line[2]) for line in lines if len(line) == 3] or [0]
    # Those that run when the time is over are counted as failed: h2load ends them.
    running = row.clients * row.streams
    failed = max(0, int(counts[2]) - running)
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
    return {"requests": int(counts[1]), "bytes": int(traffic[1]),
            "seconds": float(took[1]) / (1000 if took[2] == "ms" else 1),
            "errors": {"request": failed}, "p50_us": cuts[49], "p99_us": cuts[98]}


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
    elif row.grpc:
        exchange.check_grpc(bench, port)
        warm_up = None
    else:
        exchange.check_answer(port, row.tls, row.path, row.size)
        warm_up = row
    if warm_up is None:
        _run_h2load(bench, row, port, 1)
    else:
        _run_load(bench, row, _load_command(bench, warm_up, port, WARM_UP_SECONDS),
                  WARM_UP_SECONDS)
    command = (_wrk_command(bench, row, port) if row.load == "wrk"
               else _load_command(bench, row, port, bench.seconds))
    cpu_before = contender.child.cpu_ns()
    got = (_run_h2load(bench, row, port, bench.seconds) if row.load == "h2"
           else _run_load(bench, row, command, bench.seconds))
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
    idle = exchange.IdleConnections(port, row.tls, row.h2)
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
        contender.grpc = row.grpc
        contender.start(folder)
        if row.load == "idle":
            return _measure_idle(bench, row, contender)
        return measure_running(bench, row, contender)
    except (BenchError, OSError, exchange.WrongAnswer) as error:
        return {"valid": False, "wrong": str(error), "requests": 0, "errors": 1}
    finally:
        contender.stop()
        bench.require_origins()
