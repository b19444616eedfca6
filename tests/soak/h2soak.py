# SPDX-License-Identifier: MIT
"""HTTP/2 in the soak: servers that live and one that fails in HTTP/2's own ways, clients with many streams a
connection, and those who make trouble with frames."""

import contextlib
import itertools
import random
import struct
import threading
import time

from weirtest import wire
from weirtest.backend import Reply
from weirtest.h2peer import H2Client, H2Server, RawClient, frame

import servers

SMALL = (0, 1, 900, 6000, 16385, 65536)
KEPT = (0, 5, 3000, 16000)
LARGE = 200000
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
STREAMS = 8


def answer(request):
    """As all servers answer; calls get what they sent, and their status in trailers."""
    if request.headers.get("content-type") == "application/grpc":
        return Reply([request.body], headers=[("content-type", "application/grpc")],
                     framing="chunked", trailers=[("grpc-status", "0")])
    return servers.answer(request)


class Living(H2Server):
    """A server that forgets what it has answered."""

    def __init__(self, name):
        super().__init__(name, answer)

    def _look(self, session, connection, done):
        inner = getattr(session, "answering", False)  # while an answer waits for a window
        session.answering = True
        super()._look(session, connection, done)
        session.answering = inner
        if inner:
            return
        for number in [number for number, flow in session.flows.items()
                       if number in done and (flow.ended or flow.reset is not None)]:
            del session.flows[number]
        self.requests.clear()
        self.resets.clear()


class Faulty(Living):
    """Fails as `mode` tells, at a request that is no probe; see servers.Faulty."""

    MODES = ("well", "reset", "refused", "goaway", "cut", "close", "odd")

    def __init__(self, name):
        self.mode = "well"
        self.lies = True
        self.over = threading.Event()
        super().__init__(name)

    restart = servers.Faulty.restart

    def forgives(self, error):
        return True

    def _answer(self, session, number, request):
        if self.mode == "well" or request.target == servers.HEALTH:
            super()._answer(session, number, request)
        else:
            getattr(self, f"_{self.mode}")(session, number)

    def _reset(self, session, number):
        session.reset_stream(number, 2)

    def _refused(self, session, number):
        session.reset_stream(number, 7)

    def _goaway(self, session, _number):
        """It has looked at nothing that it has not answered."""
        session.send(frame(7, 0, 0, struct.pack(">II", session.h2.highest_inbound_stream_id - 2
                                                if len(session.flows) <= 1 else 0, 0)))
        raise ConnectionAbortedError("gone")

    def _cut(self, session, number):
        session.h2.send_headers(number, [(":status", "200"), ("x-server", self.name)])
        session.h2.send_data(number, b"the beginning")
        session.reset_stream(number, 2)

    def _close(self, _session, _number):
        raise ConnectionAbortedError("closed")

    def _odd(self, session, number):
        """DATA before any head."""
        session.send(frame(0, 0, number, b"odd"))


class Clients:
    """Threads with a connection of many streams each, until stop()."""

    def __init__(self, weir, tls, faulty, ledger):
        self._weir, self._tls, self._faulty, self._ledger = weir, tls, faulty, ledger
        self._stop = threading.Event()
        self._seed = itertools.count(1)
        works = [("h2", False, self._any), ("h2 tls", True, self._any), ("h2 tls", True, self._any),
                 ("h2 upload", True, self._upload), ("h2 grpc", False, self._call),
                 ("h2 slow", True, self._large)]
        self._threads = [threading.Thread(target=self._run, args=work, daemon=True)
                         for work in works]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        return [thread for thread in self._threads if thread.is_alive()]

    def _run(self, kind, tls, work):
        how = {"receive_buffer": 8192} if kind == "h2 slow" else {}
        while not self._stop.is_set():
            asked = {}
            try:
                with H2Client(self._weir.address("tls" if tls else "main"),
                              tls=self._tls() if tls else None, **how) as client:
                    if kind == "h2 slow":
                        client.on_pump = lambda: self._stop.wait(0.002)
                    for _ in range(20):
                        if self._stop.is_set():
                            break
                        self._round(kind, client, work, asked)
            except (OSError, wire.Cut, AssertionError) as error:
                for target, _ in asked.values():
                    self._ledger.add(kind, "lost", f"{target}: {type(error).__name__}: {error}")
                if not asked:
                    self._ledger.add(kind, "lost", f"no connection: {error}")
                self._stop.wait(0.1)

    def _round(self, kind, client, work, asked):
        """Streams at once, and their answers."""
        for _ in range(STREAMS if kind != "h2 slow" else 2):
            stream, target, right = work(client)
            asked[stream] = (target, right)
        for stream in list(asked):
            flow = client.finish(stream)
            target, right = asked.pop(stream)
            self._ledger.add(kind, *self._judge(flow, target, right))
            del client.flows[stream]

    def _judge(self, flow, target, right):
        server = flow.head.get("x-server") if flow.head is not None else None
        if flow.reset is not None and not flow.ended:
            return ("excused",) if server in self._faulty else \
                ("lost", f"{target}: reset by {flow.reset}")
        status = flow.head.get(":status")
        if status == "504":
            return ("excused",)  # which server was late, the access log tells
        if status != "200":
            return "lost", f"{target}: {status}"
        if flow.head.get("grpc-status", "0") != "0":
            return "lost", f"{target}: gRPC {flow.head.get('grpc-status')} " \
                f"{flow.head.get('grpc-message')}"
        if bytes(flow.body) != right:
            return "wrong", f"{target} of {server}: {len(flow.body)} bytes: {bytes(flow.body[:80])!r}"
        if flow.head.get("content-type") == "application/grpc" \
                and flow.trailers.get("grpc-status") != "0":
            return "wrong", f"{target} of {server}: trailers {flow.trailers}"
        return ("good",)

    def _target(self, pool, size):
        return f"/{pool}/{next(self._seed)}/h2/{size}"

    def _any(self, client):
        """Any server by either protocol; some of it with small bodies that Weir can send again."""
        pool = random.choice(("mixed", "mixed2", "steady", "steady2"))
        if random.random() < 0.3:
            target = self._target(pool, random.choice(KEPT))
            body = servers.body_of(target)
            return client.request("PUT", target, body=body), target, servers.receipt(target, body)
        target = self._target(pool, random.choice(SMALL))
        return client.request("GET", target), target, servers.body_of(target)

    def _upload(self, client):
        target = self._target(random.choice(("steady", "steady2")), LARGE)
        body = servers.body_of(target)
        pieces = [body[i:i + 30000] for i in range(0, LARGE, 30000)]
        return (client.request("POST", target, body=random.choice((body, pieces))), target,
                servers.receipt(target, body))

    def _large(self, client):
        target = self._target(random.choice(("steady", "steady2")), LARGE)
        return client.request("GET", target), target, servers.body_of(target)

    def _call(self, client):
        target = self._target("steady2", random.choice(SMALL))
        body = servers.body_of(target)
        return client.request("POST", target, GRPC, body), target, body


# ---- who makes trouble: works for faults.Faults ----

def resets(weir, tls, stop, count):
    """Streams that are given up: at once, in the answer, in an upload, with the connection."""
    with H2Client(weir.address("tls"), tls=tls()) as client:
        for turn in range(12):
            pool = ("steady", "steady2")[turn % 2]
            stream = client.ask("GET", f"/{pool}/{turn}/gone/{LARGE}") if turn % 3 else \
                client.ask("PUT", f"/{pool}/{turn}/gone/9", [("content-length", "99999")], end=False)
            if turn % 3 == 0:
                client.write(stream, bytes(5000))
            elif turn % 3 == 1:
                client.head_of(stream)
            client.reset_stream(stream)
            count("h2 stream reset")
        client.ask("GET", f"/steady2/0/gone/{LARGE}")
        if random.random() < 0.5:
            client.reset()
    count("h2 client gone")
    stop.wait(0.1)


def stalls(weir, tls, stop, count):
    """Large answers that are asked for, and not read."""
    with H2Client(weir.address("tls"), tls=tls(), take=False) as client:
        for turn in range(STREAMS):
            client.ask("GET", f"/{('steady', 'steady2')[turn % 2]}/{turn}/stall/1000000")
        stop.wait(2)
    count("h2 client stalls")


def halves(weir, _tls, stop, count):
    """Prefaces and header blocks that never end."""
    clients = [RawClient(weir.address()) for _ in range(20)]
    for number, client in enumerate(clients):
        client.send((b"", b"\0\0\x40\x01", frame(1, 0, 1, b"\x82"), frame(1, 1, 1, b"\x82"))[number % 4])
    stop.wait(2.5)
    for client in clients:
        client.close()
    count("h2 halves, 20 clients")


def floods(weir, _tls, stop, count):
    """PING until Weir has had enough; it says so by GOAWAY."""
    end = time.monotonic() + 5
    with RawClient(weir.address()) as client:
        with contextlib.suppress(OSError):
            while not client.over and not client.goaways and time.monotonic() < end:
                client.send(frame(6, 0, 0, bytes(8)) * 300)
                client.pump()
        assert client.goaways or client.over, "a flood of PING that nobody minds"
    count("h2 flood")
    stop.wait(1)


TROUBLE = (resets, stalls, halves, floods)
