# SPDX-License-Identifier: MIT
"""What servers do to those who speak HTTP/2, a row an attack: their requests fail, and nothing else does."""

import collections
import contextlib
import select
import shutil
import struct
import subprocess
import threading

import pytest

from weirtest import conf
from weirtest.h2attack import Stage, frames, rst, setting, update
from weirtest.h2peer import frame
from weirtest.wait import DEADLINE, SANITIZED, wait_for

from test_metrics import metrics_listener, scrape

GOAWAY = frame(7, 0, 0, struct.pack(">II", 0x7fffffff, 0))
SETTINGS = frame(4, 0, 0)
PING = frame(6, 0, 0, bytes(8))
# Pairs of RST_STREAM and GOAWAY.
PAIRS = 10000 if SANITIZED else 100000


@pytest.fixture
def stage(start_weir):
    made = Stage(start_weir)
    yield made
    made.close()


def answered(stream):
    return frame(1, 4, stream, b"\x88")


HOSTILE = {
    "pairs": lambda stream: (rst(stream + 2) + GOAWAY) * 20,
    "one_pair": lambda stream: rst(stream) + GOAWAY,
    "resets": rst,
    "late_resets": lambda stream: rst(stream) * 50,
    "late_updates": lambda stream: rst(stream) + update(stream, 1) * 50,
    "late_heads": lambda stream: rst(stream) + answered(stream) * 50,
    "ping": lambda stream: PING * 50,
    "settings": lambda stream: SETTINGS * 50,
    "large_settings": lambda stream: frame(4, 0, 0, setting(4, 65535) * 100),
    "streams": lambda stream: (frame(4, 0, 0, setting(3, 0)) +
                               frame(4, 0, 0, setting(3, 1000))) * 50,
    "empty_data": lambda stream: answered(stream) + frame(0, 0, stream) * 50,
    "padding": lambda stream: answered(stream) + frame(0, 8, stream, b"\x0a" + bytes(10)) * 50,
    "continuations": lambda stream: frame(1, 0, stream, b"\x88") + frame(9, 0, stream) * 50,
    "interims": lambda stream: frame(1, 4, stream, b"\x08\x03100") * 50,
    "bomb": lambda stream: frame(1, 4, stream, b"\x88\x40\x01x\x7f\x81\x1e" + b"v" * 3968 +
                                 b"\xbe" * 12000),
    "above_the_window": lambda stream: answered(stream) + frame(0, 0, stream, bytes(16384)) * 40,
    "overflowing_updates": lambda stream: update(stream, 0x7fffffff) * 2,
    "zero_updates": lambda stream: update(stream, 0),
    "after_the_end": lambda stream: answered(stream) + frame(0, 1, stream) +
                     frame(0, 0, stream, b"x") * 50,
    "pushes": lambda stream: frame(5, 4, stream, struct.pack(">I", 2) + b"\x82\x84\x86"),
}


def play(blob):
    """Sends it for each request, and again and again after the last, while nobody reads on."""
    def talk(peer):
        peer.send(SETTINGS)
        seen, greeted, stream, sent = b"", False, None, 0
        while sent < 1 << 22:
            if select.select([peer.sock], [], [], 0.02)[0]:
                data = peer.sock.recv(1 << 16)
                if not data:
                    return
                seen += data
            if not greeted and len(seen) >= 24:
                seen, greeted = seen[24:], True
            found, seen = frames(seen) if greeted else ([], seen)
            for kind, _, number, _ in found:
                if kind == 1:
                    stream = number
                    peer.send(blob(stream))
            if stream:
                more = blob(stream) * 10
                sent += len(more)
                peer.send(more)

    def script(peer):
        with contextlib.suppress(ConnectionError):
            talk(peer)
    return script


@pytest.mark.parametrize("name", HOSTILE)
def test_servers_that_attack(stage, scripted_server, name):
    """Their requests fail, and nothing else does."""
    server = scripted_server(play(HOSTILE[name]))
    ends = collections.Counter()

    def assault(scene):
        def ask():
            while not over.is_set():
                try:
                    with scene.weir.client() as client:
                        for _ in range(50):
                            ends[client.get("/").status] += 1
                except Exception as error:
                    ends[type(error).__name__] += 1

        over = threading.Event()
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()

        def enough():
            scene.look()
            return scene.served() and ends.total() >= 8

        wait_for(enough, "requests", 2 * DEADLINE)
        over.set()
        for thread in threads:
            thread.join()

    stage.survive(assault, {"a": server}, pool='protocol = "h2"\nretries = 0\nresponse_timeout = 2s')
    print(f"{name}: {ends} {server.accepted} connections")


def test_what_is_told(stage, scripted_server):
    """A line in the log, and counters of the server."""
    server = scripted_server(play(lambda stream: PING * 200))
    scene = stage.scene({"a": server}, pool='protocol = "h2"\nretries = 0', extra=metrics_listener())
    assert scene.weir.get("/").status == 502
    scene.weir.wait_log(r"web/a: a connection ends for abuse: PING or SETTINGS")
    samples = scrape(scene.weir)
    labels = 'pool="web",server="a"'
    assert samples[("weir_server_connections_abusive_total", labels)] == 1
    assert samples[("weir_server_odd_points_total", labels)] >= 100


def test_probes_meet_them_too(start_weir, scripted_server):
    """A server that floods a probe is down, and that is all."""
    server = scripted_server(play(lambda stream: PING * 200))
    weir = start_weir(conf.one_pool(
        {"a": server}, 'protocol = "h2"\nhealth "http" { interval = 100ms  fall = 1 }'))
    weir.wait_log(r"web/a.* down")
    wait_for(lambda: server.accepted > 3, "more probes")
    assert weir.get("/").status == 503


def test_a_hundred_thousand_pairs(start_weir, scripted_server):
    """RST_STREAM and GOAWAY for each request (CVE-2023-35945): memory is flat."""
    pairs = [0]

    def script(peer):
        peer.send(SETTINGS)
        seen, greeted = b"", False
        with contextlib.suppress(ConnectionError):
            while data := peer.sock.recv(1 << 16):
                seen += data
                if not greeted and len(seen) < 24:
                    continue
                found, seen = frames(seen if greeted else seen[24:])
                greeted = True
                numbers = [stream for kind, _, stream, _ in found if kind == 1]
                pairs[0] += len(numbers)
                peer.sock.sendall(b"".join(rst(stream) + GOAWAY for stream in numbers))

    server = scripted_server(script)
    text = conf.one_pool({"a": server}, 'protocol = "h2"\nretries = 0', "h2c = on")
    weir = start_weir(text, workers=1, access_log=False)

    def load(count):
        end = pairs[0] + count
        while pairs[0] < end: # some requests find their connection ended, and are none of them
            subprocess.run([shutil.which("h2load"), "-n", str(count // 4), "-c", "4", "-m", "50",
                            "http://%s:%d/" % weir.address()], check=True, timeout=8 * DEADLINE,
                           stdout=subprocess.DEVNULL)

    load(PAIRS // 10)
    before = weir.memory_kib()
    load(PAIRS)
    print(f"{before} -> {weir.memory_kib()} KiB, {server.accepted} connections")
    assert SANITIZED or weir.memory_kib() - before < 1024
