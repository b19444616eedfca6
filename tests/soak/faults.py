# SPDX-License-Identifier: MIT
"""Those who make trouble: clients that go away or hold on, operators who change things all the time."""

import contextlib
import random
import signal
import threading
import time

import h2soak
from logs import Disk
from weirtest import admin, wire
from weirtest.client import Client
from weirtest.wait import wait_for

HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(40)  # the beginning of a ClientHello
SLOW = 60


class Faults:
    """Threads that make each kind of trouble until stop(); `counts` tells how often, `names` which servers
    may fail."""

    def __init__(self, weir, certs, faulty, logs, text):
        self._weir, self._tls, self._faulty = weir, certs.client(), faulty
        self._certs = certs
        self._logs, self._text = logs, text
        self._disk = Disk(weir.pid)
        self._stop = threading.Event()
        self.counts = {}
        self.names = {"hole", *(server.name for server in faulty)}
        self.errors = []
        works = (self._client_resets, self._slowloris, self._half_open, self._reloads, self._signals,
                 self._runtime, self._full_disk, *(self._director(server) for server in faulty),
                 *(self._frames(trouble) for trouble in h2soak.TROUBLE))
        self._threads = [threading.Thread(target=self._run, args=(work,), daemon=True)
                         for work in works]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for server in self._faulty:
            server.over.set()
        for thread in self._threads:
            thread.join(60)
        return [thread for thread in self._threads if thread.is_alive()]

    def _count(self, name):
        self.counts[name] = self.counts.get(name, 0) + 1

    def _run(self, work):
        while not self._stop.is_set():
            try:
                work()
            except AssertionError as error:
                self.errors.append(f"{work}: {error}")
                return
            except OSError as error:
                self._count(f"({type(error).__name__})")

    # -- servers --

    def _director(self, server):
        """Gives a server its next fault each second or so, each of them in turn."""
        modes = list(server.MODES)
        random.shuffle(modes)
        modes.append("restart")

        def work():
            for mode in modes:
                server.lies = random.random() < 0.6
                self._count(f"server {mode}")
                if mode == "restart":
                    server.restart(0.7)
                else:
                    server.mode = mode
                if self._stop.wait(random.uniform(0.3, 0.8)):
                    return

        return work

    # -- clients --

    def _client_resets(self):
        """A client goes away, at each stage of a request."""
        stages = {"connected": b"", "in the request line": b"GET /mixed/0",
                  "in the header": b"GET /mixed/0/60000 HTTP/1.1\r\nHost: local",
                  "request sent": b"GET /mixed/0/1000000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                  "in the body": b"PUT /steady/0/9 HTTP/1.1\r\nHost: localhost\r\n"
                                 b"Content-Length: 99999\r\n\r\n" + bytes(30000),
                  "in a chunk": b"PUT /steady/0/9 HTTP/1.1\r\nHost: localhost\r\n"
                                b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + bytes(5000),
                  "in the answer": b"GET /steady/0/1000000 HTTP/1.1\r\nHost: localhost\r\n\r\n"}
        for stage, data in stages.items():
            encrypted = random.random() < 0.4
            client = Client(self._weir.address("tls" if encrypted else "main"),
                            tls=self._tls if encrypted else None)
            client.send(data)
            if stage == "in the answer":
                client.exact(2000)
            if random.random() < 0.7:
                client.reset()
            else:
                client.close()
            self._count(f"client gone, {stage}")
        self._stop.wait(0.05)

    def _frames(self, trouble):
        """Trouble of HTTP/2's own."""
        def work():
            try:
                trouble(self._weir, self._certs.client, self._stop, self._count)
            except wire.Cut:
                self._count("(Cut)")

        return work

    def _slowloris(self):
        """Headers that come one byte at a time, until Weir has had enough."""
        clients = [Client(self._weir.address()) for _ in range(SLOW)]
        for client in clients:
            client.send(b"GET /mixed/0/1 HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            client.sock.settimeout(0)
        end = time.monotonic() + 4
        while time.monotonic() < end and not self._stop.wait(0.2):
            for client in clients:
                with contextlib.suppress(OSError):
                    client.sock.send(b"a")
        for client in clients:
            client.close()
        self._count(f"slowloris, {SLOW} clients")

    def _half_open(self):
        """TLS handshakes that are begun and left."""
        clients = [Client(self._weir.address("tls"), preface=(b"", HELLO[:3], HELLO)[i % 3])
                   for i in range(SLOW)]
        self._stop.wait(3)
        for i, client in enumerate(clients):
            (client.reset if i % 2 else client.close)()
        self._count(f"half-open TLS, {SLOW} clients")

    # -- operators --

    def _reloads(self):
        """Twice a second, each time with other logs; each comes into force, though its log may not say so."""
        root = admin.browser(self._weir)
        before = root.get("/api/v1/status").json["generation"]
        self._weir.configure(self._logs.targets() + self._text)
        self._weir.signal(signal.SIGHUP)
        self._count("SIGHUP")
        self._stop.wait(0.5)
        wait_for(lambda: root.get("/api/v1/status").json["generation"] > before,
                 "the reload to come into force")

    def _signals(self):
        """Logs opened again, statistics."""
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            if self._stop.wait(0.6):
                return
            self._weir.signal(number)
            self._count(number.name)

    def _full_disk(self):
        """Neither logs nor the store can be written for a while."""
        if not self._stop.wait(random.uniform(3, 6)):
            self._disk.fill(self._stop)
            self._count("full disk")

    def _runtime(self):
        """Changes by the API: weights, a server that drains and comes back, one that joins and goes."""
        root = admin.browser(self._weir)
        base = "/api/v1/pools"
        spare = self._faulty[0].spare
        # The spare may still drain when it is to join again, and be gone when it is to go.
        steps = (
            ("PATCH", f"{base}/mixed/servers/live-1", {"weight": random.randint(1, 5)}, 200),
            ("PATCH", f"{base}/steady/servers/live-2", {"state": "drain"}, 200),
            ("POST", f"{base}/mixed/servers", {"url": spare, "id": "spare"}, 201),
            ("PATCH", f"{base}/steady/servers/live-2", {"state": "ready"}, 200),
            ("DELETE", f"{base}/mixed/servers/spare", None, (200, 202, 204, 404)))
        for method, target, body, status in steps:
            if self._stop.wait(0.3):
                return
            before = self._disk.moment()
            response = root.call(method, target, body)
            allowed = status if isinstance(status, tuple) else (status, 409)
            if before % 2 == 1 or self._disk.moment() != before:
                allowed += (503,)
            assert response.status in allowed, \
                f"{method} {target}: {response.status} {response.body[:200]!r}"
            self._count(f"API {method}")
