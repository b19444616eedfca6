# SPDX-License-Identifier: MIT
"""Watches a Weir as open dashboards and a Prometheus do, until it is told to stop; a process of its own,
so that its work is on the load's core. Prints what it saw as one line of JSON."""

import argparse
import http.client
import json
import signal
import socket
import sys
import threading
import time

# What the pages of web/ ask for while they are open (web/js/model.js).
POOLS_SECONDS, STATUS_SECONDS = 4, 10


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, where root needs no token."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Watcher:
    """Counts what came; the first failure ends the run."""

    def __init__(self, path):
        self.path = path
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.seen = {"events": 0, "answers": 0, "scrapes": 0, "bytes": 0}
        self.failure = None

    def count(self, what, size):
        with self.lock:
            self.seen[what] += 1
            self.seen["bytes"] += size

    def ask(self, connection, target, what):
        connection.request("GET", target, headers={"Accept": "*/*"})
        answer = connection.getresponse()
        size = len(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"{target} was answered with {answer.status}")
        self.count(what, size)

    def events(self):
        """The stream that each page holds open."""
        connection = UnixConnection(self.path)
        connection.request("GET", "/api/v1/events")
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"/api/v1/events was answered with {answer.status}")
        while not self.stop.is_set():
            line = answer.readline()
            if not line:
                raise RuntimeError("the stream of events ended")
            if line.startswith(b"data:"):
                self.count("events", len(line))

    def every(self, seconds, target, what):
        """One request every so many seconds, at their times whatever the answers take."""
        connection = UnixConnection(self.path)
        due = time.monotonic()
        while not self.stop.wait(max(0.0, due - time.monotonic())):
            self.ask(connection, target, what)
            due += seconds

    def run(self, function, *arguments):
        try:
            function(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            if not self.stop.is_set():
                self.failure = self.failure or f"{error!r}"
                self.stop.set()

    def start(self, *work):
        threading.Thread(target=self.run, args=work, daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("--dashboards", type=int, default=2)
    parser.add_argument("--scrape-seconds", type=float, default=1.0)
    options = parser.parse_args()
    watcher = Watcher(options.socket)
    signal.signal(signal.SIGTERM, lambda *_: watcher.stop.set())
    for _ in range(options.dashboards):
        watcher.start(watcher.events)
        watcher.start(watcher.every, POOLS_SECONDS, "/api/v1/pools", "answers")
        watcher.start(watcher.every, STATUS_SECONDS, "/api/v1/status", "answers")
    if options.scrape_seconds > 0:
        watcher.start(watcher.every, options.scrape_seconds, "/metrics", "scrapes")
    print("watching", flush=True)
    watcher.stop.wait()
    print(json.dumps({**watcher.seen, "failure": watcher.failure}), flush=True)
    return 1 if watcher.failure else 0


if __name__ == "__main__":
    sys.exit(main())
