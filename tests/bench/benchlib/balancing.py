# SPDX-License-Identifier: MIT
"""Rows of the balancing benchmark, and how one of them is measured: scripted servers, a proxy before
them, an open-loop load. tests/bench/README.md says what each row assumes, and why."""

import dataclasses
import json
import os
import pathlib
import socket
import statistics
import subprocess
import time

from . import programs
from .process import BenchError, Child, free_ports
from .watch import UnixConnection

WARM_UP_SECONDS = 3  # the same load before what is counted
FREEZE_SECONDS = 5
COLD_SECONDS = 5
COLD_FACTOR = 3
DRAIN_SECONDS = 15  # the last answers are waited for so long
TIMEOUT_SECONDS = 60  # of the proxies: none of them gives a request up


@dataclasses.dataclass(frozen=True)
class Row:
    """A pool of scripted servers and a load. `odd` are the servers that the row is about; `goals` say
    what is the most that Weir may have: "p99" and "p99.9" as a ratio to HAProxy's; "caught", requests
    that a freeze has held; "odd", share of the requests that the odd servers draw."""

    name: str
    title: str
    servers: tuple
    rate: float
    goals: dict
    known: str = ""  # what others reach, from the issue that set the goals
    odd: tuple = ()
    event: str = ""  # "freeze" or "join" of the first of the odd servers
    seconds: float = 30
    event_at: float = 0  # seconds after the warm-up


def servers(count, spec):
    return (spec,) * count


ROWS = (
    Row("equal", "10 equal servers, exponential 10 ms, 70 % load",
        servers(10, "exponential=10000"), 700, {"p99": 1.05}),
    Row("slow", "one of ten is 10 x slower, exponential 20 ms, 4 at once, 70 % load",
        ("exponential=200000,workers=4",) + servers(9, "exponential=20000,workers=4"), 1274,
        {"p99": 0.76, "p99.9": 0.32}, "least_time 0.73, 0.29; oracle 0.72, 0.26", odd=(0,)),
    Row("mixed", "worst latencies 1 ms x 1, 10 x 4, 100 x 4, 1000 x 1, 4 at once",
        tuple(f"uniform=0-{worst}000,workers=4" for worst in [1000] + [100] * 4 + [10] * 4 + [1]),
        500, {"p99": 0.11}, "least_time 0.11; oracle 0.01", odd=(0,)),
    Row("two-slow", "two of sixteen are 16 x slower, 50 ms, 2 at once, 40 % load",
        servers(2, "uniform=600000-1000000,workers=2") +
        servers(14, "uniform=37500-62500,workers=2"), 256,
        {"p99": 0.09}, "least_time 0.08; oracle 0.08", odd=(0, 1)),
    Row("capacity", "capacities 1:2:4 without weights, exponential 20 ms, 80 % load",
        tuple(f"exponential=20000,workers={workers}" for workers in (1, 2, 4) * 2), 560,
        {"p99": 0.80}, "least_time 0.78; oracle 0.63", odd=(0, 3), seconds=45),
    Row("freeze", "one of ten freezes for 5 s, exponential 10 ms, 60 % load",
        servers(10, "exponential=10000"), 600, {"p99": 1.03, "caught": 3}, odd=(0,),
        event="freeze", seconds=20, event_at=7.5),
    Row("cold", "a tenth server joins, 3 x slower for 5 s, exponential 10 ms, 60 % load of nine",
        servers(10, "exponential=10000"), 540, {"p99": 0.94}, "least_time 0.94; oracle 0.86",
        odd=(9,), event="join", seconds=15, event_at=1),
    Row("errors", "one of ten answers 503 in 1 ms, exponential 20 ms, 4 at once, 55 % load",
        ("fixed=1000,workers=1000/503",) + servers(9, "exponential=20000,workers=4"), 1100,
        {"odd": 0.01}, "leastconn 41 %; least_time 59 %", odd=(0,), seconds=15),
)


class Proxy:
    """A balancing proxy before scripted servers. No retries, no health checks, no ejection, no slow
    start, no limits: what is measured is whom it picks."""

    def __init__(self, bench, name):
        self.bench = bench
        self.name = name
        self.child = None
        self.port = 0

    def start(self, folder, ports):
        """Before the servers at these ports, as s0, s1, ..."""
        self.port = free_ports(1)[0]
        self.child = Child(self.name, self.prepare(folder, [
            (f"s{i}", f"127.0.0.1:{port}") for i, port in enumerate(ports)]),
            {self.bench.proxy_cpu}, folder / "log")
        end = time.monotonic() + 10
        while True:
            try:
                if "x-server:" in http_get(self.port, "/?draw=0").lower():
                    return
            except OSError:
                pass
            self.child.require_alive()
            if time.monotonic() > end:
                raise self.child.complaint("no answer through it")
            time.sleep(0.02)

    def stop(self):
        if self.child:
            self.child.stop()


class HAProxy(Proxy):
    """`balance leastconn`."""

    def prepare(self, folder, addresses):
        self.socket = folder / "haproxy.sock"
        lines = "\n".join(f"    server {name} {address}" for name, address in addresses)
        path = folder / "haproxy.cfg"
        path.write_text(f"""global
    nbthread {self.bench.workers}
    maxconn {self.bench.connections}
    stats socket {self.socket} level admin
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client {TIMEOUT_SECONDS}s
    timeout server {TIMEOUT_SECONDS}s
    timeout http-keep-alive {TIMEOUT_SECONDS}s
frontend in
    bind 127.0.0.1:{self.port}
    default_backend origin
backend origin
    balance leastconn
    http-reuse always
{lines}
""")
        return [programs.system_program("haproxy", "haproxy"), "-db", "-f", path]

    def add(self, name, address):
        for command in (f"add server origin/{name} {address}", f"enable server origin/{name}"):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(self.socket))
                sock.sendall(command.encode() + b"\n")
                said = b"".join(iter(lambda: sock.recv(4096), b"")).decode().strip()
            if said and "registered" not in said:
                raise self.child.complaint(f"'{command}' was answered with '{said}'")


class Weir(Proxy):
    """With a balancer of the build, or one in a file of its own."""

    def __init__(self, bench, balancer, options=""):
        self.file = pathlib.Path(balancer).resolve() if balancer.endswith(".so") else None
        self.balancer = (self.file.stem if self.file else balancer).removeprefix("balance_")
        self.options = options
        super().__init__(bench, self.balancer)

    def prepare(self, folder, addresses):
        program, module_dir = self.bench.weir
        modules = folder / "modules"
        for made in (modules, folder / "state"):
            made.mkdir()
        for path in module_dir.glob("*.so"):
            os.symlink(path, modules / path.name)
        if self.file:
            (modules / self.file.name).unlink(missing_ok=True)
            os.symlink(self.file, modules / self.file.name)
        if not (modules / f"balance_{self.balancer}.so").exists():
            raise BenchError(f"no balancer {self.balancer} in {module_dir}")
        self.socket = folder / "admin.sock"
        lines = "\n".join(f'  server "{name}" {{ url = "http://{address}" }}'
                          for name, address in addresses)
        (folder / "weir.conf").write_text(f"""workers = {self.bench.workers}
state_dir = "{folder}/state"
module_dir = "{modules}"
module "admin" {{ web_dir = "" }}
module "route_path" {{ route "/" {{ pool = "web" }} }}
module "balance_{self.balancer}" {{}}
listener "admin" {{ bind = {{"unix:{self.socket}"}}  handler "admin" {{}} }}
listener "main" {{ bind = {{"127.0.0.1:{self.port}"}}  idle_timeout = {TIMEOUT_SECONDS}s }}
pool "web" {{
  balance "{self.balancer}" {{ {self.options} }}
  retries = 0
  response_timeout = {TIMEOUT_SECONDS}s
{lines}
}}
""")
        return [program, "-c", folder / "weir.conf"]

    def add(self, name, address):
        connection = UnixConnection(str(self.socket))
        connection.request("POST", "/api/v1/pools/web/servers",
                           json.dumps({"id": name, "url": f"http://{address}"}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
        if answer.status != 201:
            raise self.child.complaint(f"a new server was answered with {answer.status}: {said}")


def http_get(port, target):
    """The head of the answer."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(4096)
            if not data:
                raise ConnectionError("closed before its answer was whole")
            head += data
    return head.decode()


def start_servers(bench, row, folder):
    """The process that plays them, and their ports."""
    child = Child("scripted", [bench.helpers["scripted"], *row.servers], bench.load_cpus,
                  folder / "servers.log")
    end = time.monotonic() + 10
    while True:
        lines = [line for line in child.output().splitlines(keepends=True) if line.endswith("\n")]
        if len(lines) == len(row.servers):
            return child, [int(line.split()[-1]) for line in lines]
        child.require_alive()
        if time.monotonic() > end:
            raise child.complaint("not all servers listen")
        time.sleep(0.01)


def play_event(row, proxy, ports, start_ns):
    """Waits for the row's event and has it happen. Returns when that was, since time 0."""
    if not row.event:
        return None
    time.sleep(max(0.0, start_ns / 1e9 + WARM_UP_SECONDS + row.event_at - time.monotonic()))
    odd = row.odd[0]
    if row.event == "freeze":
        http_get(ports[odd], f"/freeze?ms={FREEZE_SECONDS * 1000}")
    else:
        http_get(ports[odd], f"/slow?ms={COLD_SECONDS * 1000}&factor={COLD_FACTOR}")
        proxy.add(f"s{odd}", f"127.0.0.1:{ports[odd]}")
    return time.monotonic() - start_ns / 1e9


def percentile(values, part):
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * part))]


def evaluate(row, records, event_at):
    """What the requests after the warm-up tell. `records`: (at, latency, status, server), seconds."""
    counted = [one for one in records if one[0] >= WARM_UP_SECONDS]
    good = sorted(latency for _, latency, status, _ in counted if status == 200)
    if not good:
        return {"valid": False, "wrong": "no request was answered", "requests": len(counted),
                "failures": len(counted)}
    failures = sum(status != 200 for _, _, status, _ in counted)
    shares = [sum(server == i for *_, server in counted) / len(counted)
              for i in range(len(row.servers))]
    got = {"valid": True, "wrong": "", "requests": len(counted), "failures": failures,
           "shares": shares, "odd": sum(shares[i] for i in row.odd)}
    for name, part in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        got[name] = percentile(good, part) * 1000
    if row.event == "freeze":
        # Nothing else that was under way there then: no answer leaves a frozen server.
        middle = event_at + FREEZE_SECONDS / 2
        got["caught"] = sum(
            at < event_at + FREEZE_SECONDS and (status == 0 or at + latency > middle)
            for at, latency, status, server in counted if server == row.odd[0] or status == 0)
    expected = sum(status == 503 and server in row.odd for _, _, status, server in counted)
    if failures != (expected if row.name == "errors" else 0):
        got.update(valid=False, wrong=f"{failures} requests failed")
    return got


def measure(bench, row, proxy, folder, seed):
    """One measurement, with servers and proxy of its own."""
    folder.mkdir()
    servers_child = load = None
    try:
        servers_child, ports = start_servers(bench, row, folder)
        proxy.start(folder, ports[:-1] if row.event == "join" else ports)
        start_ns = time.monotonic_ns() + 200_000_000
        seconds = WARM_UP_SECONDS + row.seconds * (1 if row.event else bench.part)
        load = Child("open_load", [
            bench.helpers["open_load"], "--port", proxy.port, "--rate", row.rate, "--seconds",
            seconds, "--seed", seed, "--start", start_ns, "--drain", DRAIN_SECONDS],
            bench.load_cpus, folder / "load.log")
        event_at = play_event(row, proxy, ports, start_ns)
        output = load.wait(seconds + DRAIN_SECONDS + 10)
        proxy.child.require_alive()
        servers_child.require_alive()
        lines = [line.split() for line in output.splitlines()]
        records = [(int(at) / 1e9, int(latency) / 1e9, int(status), int(server))
                   for at, latency, status, server, _ in lines]
        got = evaluate(row, records, event_at)
        got["late"] = percentile(sorted(int(line[4]) for line in lines), 0.99) / 1e6
        got["proxy_core"] = proxy.child.cpu_ns() / 1e9 / seconds
        return got
    except (BenchError, OSError) as error:
        return {"valid": False, "wrong": str(error), "requests": 0, "failures": 0}
    finally:
        for child in (load, proxy, servers_child):
            if child:
                child.stop()


def ratio(ours, theirs, what):
    """The median of the ratios within each round: the arrivals of a round are the same for both."""
    pairs = [(a[what], b[what]) for a, b in zip(ours, theirs) if a["valid"] and b["valid"]]
    return statistics.median(a / b for a, b in pairs) if pairs else None


def judge(row, ours, theirs):
    """Goal -> (what was reached, the most that it may be). Ratios are medians; of counts and shares,
    the worst round is what counts."""
    reached = {}
    for what, most in row.goals.items():
        if what.startswith("p99"):
            reached[what] = (ratio(ours, theirs, what), most)
        else:
            good = [one[what] for one in ours if one["valid"]]
            reached[what] = (max(good) if good else None, most)
    return reached


def met(reached):
    return all(value is not None and value <= most for value, most in reached.values())


# ---- the same in the simulator ----

def words_of(row):
    """weirsim's words for the row's servers."""
    words = []
    for number, spec in enumerate(row.servers):
        spec, _, status = spec.partition("/")
        options = dict(word.split("=") for word in spec.split(","))
        text = [f"concurrency={options.pop('workers', 1)}"]
        [(kind, times)] = options.items()
        low, _, high = times.partition("-")
        text.append({"exponential": f"time=exp:{low}us", "fixed": f"time={low}us",
                     "uniform": f"time=uniform:{low}us-{high}us"}[kind])
        if status:
            text += ["fails=100%", f"status={status}", f"fail_time={low}us"]
        at = WARM_UP_SECONDS + row.event_at
        if row.event == "freeze" and number == row.odd[0]:
            text.append(f"freeze={at}s+{FREEZE_SECONDS}s")
        elif row.event == "join" and number == row.odd[0]:
            text.append(f"joins={at}s slow={COLD_FACTOR} cold={COLD_SECONDS}s")
        words += ["--servers", " ".join(text)]
    return words


def simulate(bench, row, program, balancers, seed):
    """Balancer -> p99 in ms, in weirsim."""
    seconds = WARM_UP_SECONDS + row.seconds * (1 if row.event else bench.part)
    named = [word for name, what in balancers.items() for word in ("--balance", what)]
    done = subprocess.run(
        [program, *words_of(row), "--arrivals", f"poisson:{row.rate}", "--requests", str(int(seconds * row.rate)),
         "--warm-up", str(int(WARM_UP_SECONDS * row.rate)), "--retries", "0", "--seed", str(seed),
         "--workers", str(bench.workers), "--json", *named], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"weirsim: {done.stderr.strip()}")
    return dict(zip(balancers, (one["p99_ms"] for one in json.loads(done.stdout)["balancers"])))


def ranked_alike(live, simulated, apart=1.15):
    """Whether no two balancers that are apart in one are the other way round in the other. `live`, `simulated`: p99s
    by balancer."""
    names = list(live)
    return all(not (live[a] * apart < live[b] and simulated[b] * apart < simulated[a]) and
               not (live[a] * apart * apart < live[b] and simulated[b] < simulated[a])
               for a in names for b in names)
