# SPDX-License-Identifier: MIT
"""Lets an installed weir balance with the template's module, and looks at who was served.

    installcheck.py WEIR MODULE_DIR FOLDER

Three backends answer with their names; one of them takes its time. The power of two choices has to
keep off that one, in a way that neither chance nor taking turns does.
"""

import collections
import concurrent.futures
import http.client
import http.server
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

REQUESTS = 400
AT_ONCE = 8
SLOW_SECONDS = 0.2
DEADLINE = 30

CONF = """
workers    = 1
state_dir  = "{folder}/state"
module_dir = "{modules}"
shutdown_timeout = 2s
module "route_path" {{ route "/" {{ pool = "shop" }} }}
module "balance_two_choices" {{ choices = 2 }}
listener "public" {{ bind = {{"127.0.0.1:{port}"}} }}
pool "shop" {{
  balance "two_choices" {{}}
{servers}
}}
"""


class Backend(http.server.ThreadingHTTPServer):
    """Answers every request with its name, after `delay` seconds."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, name, delay):
        self.name = name
        self.delay = delay
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        # The delay is what makes it slow, and is not what any check waits for.
        time.sleep(self.server.delay)
        body = self.server.name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def start(weir, conf, log_path):
    """Starts weir and returns it when it says that it is ready."""
    with open(log_path, "wb") as log:
        process = subprocess.Popen([weir, "-c", conf], stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log)
    deadline = time.monotonic() + DEADLINE
    while "weir: ready" not in log_path.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            if process.poll() is None:
                process.kill()
            sys.exit("weir did not get ready:\n" + log_path.read_text(errors="replace"))
        time.sleep(0.02)
    return process


def visit(port, count):
    """Sends `count` requests on one connection; the names of who answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    names = []
    for _ in range(count):
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read().decode()
        names.append(body if response.status == 200 else f"status {response.status}")
    connection.close()
    return names


def check(served):
    """What is wrong with who was served; empty: nothing."""
    fast = [served["fast-1"], served["fast-2"]]
    if sum(fast) + served["slow"] != REQUESTS:
        return f"not all requests were answered well: {dict(served)}"
    # Taking turns would give it a third, 133; of those drawn, it is taken when both draws are it (a ninth),
    # or when it is idle. On a busy machine the fast ones are slow, too.
    if served["slow"] > REQUESTS // 4:
        return f"the slow server got {served['slow']} of {REQUESTS} requests"
    if served["slow"] == 0:
        return "the slow server got none, though it was idle at first"
    if min(fast) < sum(fast) // 4:
        return f"the fast ones do not share: {fast}"
    return ""


def main():
    weir, modules, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    (folder / "state").mkdir(exist_ok=True)
    backends = [Backend("fast-1", 0), Backend("fast-2", 0), Backend("slow", SLOW_SECONDS)]
    servers = "\n".join(
        f'  server "{backend.name}" {{ url = "http://127.0.0.1:{backend.server_address[1]}" }}'
        for backend in backends)
    port = free_port()
    conf = folder / "weir.conf"
    conf.write_text(CONF.format(folder=folder, modules=modules, port=port, servers=servers))
    log_path = folder / "weir.log"
    process = start(weir, conf, log_path)
    try:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            rounds = pool.map(visit, [port] * AT_ONCE, [REQUESTS // AT_ONCE] * AT_ONCE)
            served = collections.Counter(name for names in rounds for name in names)
        wrong = check(served)
        process.send_signal(signal.SIGTERM)
        code = process.wait(DEADLINE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if not wrong and code != 0:
        wrong = f"weir ended with {code}"
    if wrong:
        sys.exit(wrong + "\n" + log_path.read_text(errors="replace"))
    print("installcheck: served " + ", ".join(f"{n} {c}" for n, c in sorted(served.items())))


if __name__ == "__main__":
    os.environ.pop("NOTIFY_SOCKET", None)
    main()
