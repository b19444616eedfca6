# SPDX-License-Identifier: MIT
"""Attacks on HTTP/2, and what an innocent client of the same worker has of them."""

import contextlib
import select
import socket
import struct
import time

import hpack

from . import conf
from .bystander import Bystander
from .h2peer import frame
from .wait import DEADLINE, SANITIZED, wait_for

MEMORY_MOST = 64 * 1024  # KiB
LEFT_MOST = 8 * 1024
# By how much the innocent client's p99 may grow; a usual one below that is as good as any.
P99_TIMES = 3
P99_LEAST = 0.5 # ms
SCENES = 5
# Of the innocent client's, before and at least during an attack.
REQUESTS = 200
PEERS = 4
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# ---- frames ----

HEAD = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")]
POST = [(":method", "POST")] + HEAD[1:]


def block(pairs):
    """Without a trace in the table, so that it may be sent again and again."""
    encoder = hpack.Encoder()
    return b"".join(encoder.encode([hpack.NeverIndexedHeaderTuple(*pair)]) for pair in pairs)


def head(stream, pairs=None, end=True):
    return frame(1, 5 if end else 4, stream, block(pairs or HEAD))


def rst(stream, code=8):
    return frame(3, 0, stream, struct.pack(">I", code))


def update(stream, by):
    return frame(8, 0, stream, struct.pack(">I", by))


def setting(key, value):
    return struct.pack(">HI", key, value)


def priority(stream, on):
    return frame(2, 0, stream, struct.pack(">IB", on, 1))


def streams(count=1 << 20, first=1):
    return range(first, first + 2 * count, 2)


def frames(data):
    """The whole frames at the beginning, as (type, flags, stream, payload), and the rest."""
    found, at = [], 0
    while len(data) >= at + 9:
        size = int.from_bytes(data[at:at + 3], "big")
        if len(data) < at + 9 + size:
            break
        stream = int.from_bytes(data[at + 5:at + 9], "big")
        found.append((data[at + 3], data[at + 4], stream, data[at + 9:at + 9 + size]))
        at += 9 + size
    return found, data[at:]


# ---- attackers ----

class Attacker:
    """One connection: sends a piece after the other, and reads what comes (`deaf`: not)."""

    def __init__(self, address, pieces, settings=b"", deaf=False, pause=0):
        self.sock = socket.create_connection(address, timeout=DEADLINE)
        self.sock.setblocking(False)
        self.pieces = iter(pieces)
        self.out = GREETING + frame(4, 0, 0, settings) + frame(4, 1, 0)
        self.deaf, self.pause, self.next = deaf, pause, 0
        self.seen = b""
        self.goaways, self.resets, self.heads = [], [], 0
        self.over = False
        self.sent = 0

    def _read(self):
        """What is there. False: the end."""
        data = self.sock.recv(1 << 18)
        found, self.seen = frames(self.seen + data)
        for kind, _, _, payload in found:
            if kind == 7:
                self.goaways.append(int.from_bytes(payload[4:8], "big"))
            elif kind == 3:
                self.resets.append(int.from_bytes(payload, "big"))
            elif kind == 1:
                self.heads += 1
        return data != b""

    def _write(self):
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + self.pause
            while len(self.out) < 32768:
                more = next(self.pieces, b"")
                self.out += more
                if not more or self.pause:
                    break
        if self.out:
            with contextlib.suppress(BlockingIOError):
                count = self.sock.send(self.out)
                self.sent += count
                self.out = self.out[count:]

    def step(self):
        try:
            if not self.deaf:
                with contextlib.suppress(BlockingIOError):
                    self.over = not self._read()
            if not self.over:
                self._write()
        except OSError:
            self.over = True
            with contextlib.suppress(OSError): # what came before the end
                while not self.deaf and self._read():
                    pass

    def close(self):
        self.sock.close()


def attack(scene, pieces, until, peers=PEERS, **how):
    """So many at once, and a new one for each that is cut off, until that holds of those that were.
    Returns them, and the rest."""
    address = scene.weir.address()
    running = [Attacker(address, pieces(), **how) for _ in range(peers)]
    gone = []
    end = time.monotonic() + DEADLINE
    while not until(gone):
        assert time.monotonic() < end, [(peer.goaways, peer.sent) for peer in gone + running]
        poll = select.poll()
        for peer in running:
            poll.register(peer.sock, (0 if peer.deaf else select.POLLIN) |
                          (select.POLLOUT if peer.out else 0))
        poll.poll(1)
        for at, peer in enumerate(running):
            peer.step()
            if peer.over:
                peer.close()
                gone.append(peer)
                running[at] = Attacker(address, pieces(), **how)
        scene.look()
    for peer in running:
        peer.close()
    return gone, running


# ---- the scene ----

class Scene:
    """A weir of one worker, an innocent client, and how both were before the attack."""

    def __init__(self, weir, bystander):
        self.weir, self.bystander = weir, bystander
        self.timed = bystander.start(weir, "/calm") and not SANITIZED # which cost too much
        self.wait(REQUESTS // 2)
        bystander.take()
        self.wait(REQUESTS)
        self.before = bystander.take()
        assert not self.before["troubles"]
        self.memory = self.highest = weir.memory_kib()

    def served(self, count=REQUESTS):
        """Whether the innocent client has had so many answers since the last `take`, or is in trouble."""
        now = self.bystander.look()
        return now["requests"] >= count or now["troubles"]

    def wait(self, count):
        wait_for(lambda: self.served(count), "the innocent client", 2 * DEADLINE)

    def look(self):
        self.highest = max(self.highest, self.weir.memory_kib())

    def judge(self):
        """After the attack. Whether it was fast enough; all else is asserted."""
        self.wait(REQUESTS)
        now = self.bystander.take()
        print(f"p99 {self.before['p99']:.2f} -> {now['p99']:.2f} ms of {now['requests']}; "
              f"memory {self.memory} -> {self.highest} KiB")
        assert not now["troubles"]
        if not SANITIZED:
            assert self.highest - self.memory <= MEMORY_MOST
            wait_for(lambda: self.weir.memory_kib() - self.memory <= LEFT_MOST, "memory to come back")
        assert self.weir.get("/calm").text == "calm"
        return not self.timed or now["p99"] <= P99_TIMES * max(self.before["p99"], P99_LEAST)


class Stage:
    """Makes scenes of one kind: the servers that are attacked, options of listener and pool."""

    def __init__(self, start_weir):
        self.start_weir = start_weir
        self.bystanders = []

    def scene(self, servers, listener="", pool="", extra=""):
        bystander = Bystander()
        self.bystanders.append(bystander)
        text = conf.listener(f"h2c = on\n{listener}") + conf.modules() + \
            conf.routes(web='"/"', calm='"/calm"') + conf.pool("web", servers, pool) + \
            conf.pool("calm", {"b": bystander.url}) + extra
        return Scene(self.start_weir(text, workers=1, access_log=False), bystander)

    def survive(self, assault, servers, **how):
        """Plays `assault(scene)`. What the machine does besides may disturb a scene, but not each."""
        for _ in range(SCENES):
            scene = self.scene(servers, **how)
            assault(scene)
            fast = scene.judge()
            self.close()
            scene.weir.stop()
            if fast:
                return
        raise AssertionError("the innocent client had to wait")

    def close(self):
        while self.bystanders:
            self.bystanders.pop().close()
