# SPDX-License-Identifier: MIT
"""Good clients: each request has one right answer. A fault of a server must not be seen by them, unless
its answer had begun."""

import itertools
import os
import random
import threading

from weirtest import wire
from weirtest.client import Client

import servers

SMALL = (0, 1, 17, 900, 6000, 16385, 65536)
# Weir keeps bodies up to 16 KiB to send them again.
KEPT = (0, 5, 3000, 16000)
LARGE = (200000, 1 << 20)


class Wrong(Exception):
    """A whole answer that is not the right one."""


class Lost(Exception):
    """An answer that says that there is none."""


class Late(Exception):
    """504: a server took the request and did not answer in time. Weir does not send it again, since the
    server may still be at it; which server that was, the access log tells."""


class Clients:
    """Threads that talk to `weir` until stop(), and write down in `ledger` what came of it."""

    def __init__(self, weir, tls, faulty, ledger):
        self._weir, self._tls, self._faulty, self._ledger = weir, tls, faulty, ledger
        self._stop = threading.Event()
        self._seed = itertools.count(1)
        works = [("plain", self._get, False)] * 3 + [("tls", self._get, True)] * 2
        works += [("put", self._put, False), ("put tls", self._put, True),
                  ("upload", self._upload, False), ("upload tls", self._upload, True),
                  ("download", self._download, False), ("slow reader", self._slow, True)]
        self._threads = [threading.Thread(target=self._run, args=work, daemon=True)
                         for work in works]
        self._threads += [threading.Thread(target=self._websockets, daemon=True)
                          for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Ends them once their requests are answered; names those that hang."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        return [thread for thread in self._threads if thread.is_alive()]

    def _connect(self, tls, **how):
        return Client(self._weir.address("tls" if tls else "main"),
                      tls=self._tls if tls else None, **how)

    def _run(self, kind, work, tls):
        how = {"receive_buffer": 8192} if kind == "slow reader" else {}
        while not self._stop.is_set():
            try:
                with self._connect(tls, **how) as client:
                    self._connection(kind, work, client)
            except OSError as error:
                self._ledger.add(kind, "lost", f"no connection: {error}")
                self._stop.wait(0.1)

    def _connection(self, kind, work, client):
        """Requests on one connection, at most 200."""
        for turn in range(200):
            if self._stop.is_set():
                return
            state = {"turn": turn, "before": client.received, "server": None}
            try:
                response = work(client, state)
                self._ledger.add(kind, "good")
                if response.closes:
                    return
            except Wrong as error:
                self._ledger.add(kind, "wrong", error)
                return
            except Late:
                self._ledger.add(kind, "excused")
                return
            except (Lost, wire.Malformed) as error:
                self._ledger.add(kind, "lost", error)
                return
            except (wire.Cut, OSError) as error:
                self._cut(kind, client, state, error)
                return

    def _cut(self, kind, client, state, error):
        """The connection broke. Between two requests it is anybody's right to end it."""
        if state["server"] in self._faulty:
            self._ledger.add(kind, "excused")
        elif state["turn"] > 0 and client.received == state["before"] \
                and not isinstance(error, TimeoutError):
            pass
        else:
            self._ledger.add(kind, "lost", f"{state}: {type(error).__name__}: {error}")

    def _finish(self, client, state, target, right, read=None):
        """Reads the answer, and judges it."""
        response = client.begin()
        if response.status == 504:
            raise Late(target)
        if response.status != 200:
            raise Lost(f"{target}: {response.status} {response.reason}")
        state["server"] = response.server
        pieces = client.body(response)
        body = b"".join(read(pieces) if read else pieces)
        if body != right:
            raise Wrong(f"{target} of {response.server}: {len(body)} bytes, not {len(right)}, or "
                        f"others: {body[:80]!r}")
        return response

    def _target(self, pool, sizes):
        return f"/{pool}/{next(self._seed)}/{random.choice(sizes)}"

    def _get(self, client, state):
        target = self._target("mixed", SMALL)
        client.request("GET", target)
        return self._finish(client, state, target, servers.body_of(target))

    def _put(self, client, state):
        target = self._target("mixed", KEPT)
        body = servers.body_of(target)
        client.request("PUT", target, body=body)
        return self._finish(client, state, target, servers.receipt(target, body))

    def _upload(self, client, state):
        target = self._target("steady", LARGE)
        body = servers.body_of(target)
        chunked = random.random() < 0.5
        client.request(random.choice(("PUT", "POST")), target,
                       body=[body[i:i + 30000] for i in range(0, len(body), 30000)] if chunked
                       else body)
        return self._finish(client, state, target, servers.receipt(target, body))

    def _download(self, client, state):
        target = self._target("steady", LARGE)
        client.request("GET", target)
        return self._finish(client, state, target, servers.body_of(target))

    def _slow(self, client, state):
        target = self._target("steady", LARGE[:1])
        client.request("GET", target)

        def read(pieces):
            for piece in pieces:
                yield piece
                self._stop.wait(0.02)

        return self._finish(client, state, target, servers.body_of(target), read)

    def _websockets(self):
        while not self._stop.is_set():
            try:
                with self._connect(False) as client:
                    self._talk(client)
            except (wire.Cut, OSError, AssertionError, Lost) as error:
                self._ledger.add("websocket", "lost", f"{type(error).__name__}: {error}")

    def _talk(self, client):
        """Binary frames, masked, that come back as they went."""
        client.request("GET", "/ws/echo", [
            ("Connection", "Upgrade"), ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", servers.KEY), ("Sec-WebSocket-Version", "13")])
        response = client.begin()
        if response.status != 101:
            raise Lost(f"upgrade: {response.status}")
        for _ in range(100):
            data = os.urandom(random.choice((1, 125, 4000, 60000)))
            size = bytes([0xfe]) + len(data).to_bytes(2, "big") if len(data) > 125 \
                else bytes([0x80 | len(data)])
            frame = b"\x82" + size + bytes(4) + data
            client.send(frame)
            if client.exact(len(frame)) != frame:
                self._ledger.add("websocket", "wrong", f"a frame of {len(data)} bytes")
                return
            self._ledger.add("websocket", "good")
            if self._stop.wait(0.02):
                return
