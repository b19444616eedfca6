# SPDX-License-Identifier: MIT
"""What clients do to those who speak HTTP/2, a row an attack. In each an innocent client of the same worker
loses nothing and waits hardly longer than before, and memory comes back."""

import contextlib
import select
import struct
import threading

import hpack
import pytest

from weirtest.backend import Reply
from weirtest.counting import CountingServer
from weirtest.h2attack import HEAD, PEERS, POST, Stage, attack, block, head, priority, rst, \
    setting, streams, update
from weirtest.h2peer import Codes, RawClient, frame
from weirtest.wait import DEADLINE, SANITIZED

from test_metrics import metrics_listener, scrape

CALM = Codes.ENHANCE_YOUR_CALM
# Answers of the innocent client, in some seconds of attacks that go on. Sanitizers take too long for as many.
HELD_FOR = 200 if SANITIZED else 600
UNTAKEN_MOST = 12 * 1024 # KiB, of 90 responses on each connection


@pytest.fixture
def stage(start_weir):
    made = Stage(start_weir)
    yield made
    made.close()


# ---- attacks for which a connection is cut off ----

def with_each_head(piece, pairs=None, end=True):
    """A request, and what makes it wrong; beside one that goes on, since a connection that is to take no
    more ends by NO_ERROR when none runs."""
    def pieces():
        yield head(1, POST, end=False)
        for stream in streams(first=3):
            yield head(stream, pairs, end) + piece(stream)
    return pieces


def flood(piece, first=None):
    def pieces():
        yield first or head(1)
        while True:
            yield piece * 50
    return pieces


def held_flood(piece):
    """On a request that goes on."""
    return flood(piece, head(1, POST, end=False))


def late_flood(piece):
    """On a stream that is over."""
    return flood(piece, head(1) + rst(1))


def continuations():
    yield frame(1, 1, 1, block(HEAD))
    part = frame(9, 0, 1, block([("x", "v" * 100)] * 10)) * 10
    while True:
        yield part


def empty_continuations():
    yield frame(1, 1, 1, block(HEAD))
    while True:
        yield frame(9, 0, 1) * 400


def unfinished_blocks():
    yield head(1) + frame(1, 1, 3, block(HEAD))


# A field of 4 KiB for the table, which holds no other; a byte refers to it.
LARGE_FIELD = b"\x40\x01x" + b"\x7f" + b"\x81\x1e" + b"v" * (127 + 1 + (0x1e << 7))
REFERENCE = b"\xbe"


def indexed_bomb():
    yield frame(1, 5, 1, block(HEAD) + LARGE_FIELD)
    for stream in streams(first=3):
        yield frame(1, 5, stream, block(HEAD) + REFERENCE * 16000)


def crumbs():
    """Cookies in the table, of a byte each on the wire."""
    for stream in streams():
        yield frame(1, 5, stream, block(HEAD) + b"\x60\x01a" + REFERENCE * 16000)


# Each by the RFC's section (of 9113) or our rules: the code of GOAWAY with which it ends.
CLIENTS = {
    "rapid_reset": (with_each_head(rst), CALM),
    # Stream errors of the client's making (CVE-2025-8671, MadeYouReset). nghttp2 makes some an end of the
    # connection, as section 5.4.1 allows; it has no room for more than one then.
    "zero_updates": (with_each_head(lambda stream: update(stream, 0), POST, False),
                     Codes.PROTOCOL_ERROR),
    "overflowing_updates": (with_each_head(lambda stream: update(stream, 0x7fffffff)), CALM),
    "bad_priority": (with_each_head(lambda stream: priority(stream, stream)), Codes.PROTOCOL_ERROR),
    "short_priority": (with_each_head(lambda stream: frame(2, 0, stream, b"\0")),
                       Codes.FRAME_SIZE_ERROR),
    "data_after_the_end": (with_each_head(lambda stream: frame(0, 0, stream, b"x")),
                           Codes.STREAM_CLOSED),
    "head_after_the_end": (with_each_head(head), Codes.STREAM_CLOSED),
    "window_exceeded": (with_each_head(lambda stream: frame(0, 0, stream, bytes(16384)) * 5, POST,
                                       False), CALM),
    "bad_length": (with_each_head(lambda stream: frame(0, 1, stream, b"xx"),
                                  POST + [("content-length", "1")], False), CALM),
    "malformed": (with_each_head(lambda stream: b"", HEAD + [("connection", "close")]), CALM),
    "continuations": (continuations, CALM),
    "empty_continuations": (empty_continuations, CALM),
    "unfinished_blocks": (unfinished_blocks, CALM),
    "indexed_bomb": (indexed_bomb, CALM),
    "crumbs": (crumbs, CALM),
    "ping": (flood(frame(6, 0, 0, bytes(8))), CALM),
    "settings": (flood(frame(4, 0, 0)), CALM),
    "large_settings": (flood(frame(4, 0, 0, setting(4, 65535) * 100)), CALM),
    "tables": (flood(frame(4, 0, 0, setting(1, 0)) + frame(4, 0, 0, setting(1, 1 << 20))), CALM),
    "priority": (flood(priority(3, 0)), CALM),
    "idle_priority": (flood(b"".join(priority(stream, 0) for stream in streams(50, 1001))), CALM),
    "updates": (flood(update(0, 1)), CALM),
    "stream_updates": (held_flood(update(1, 1)), CALM),
    "empty_data": (held_flood(frame(0, 0, 1)), CALM),
    "padding": (held_flood(frame(0, 8, 1, b"\x0a" + bytes(10))), CALM),
    "too_many": (with_each_head(lambda stream: b""), CALM),
    # Of streams that are over (section 5.1): a few of each may have crossed our end on the wire.
    "late_resets": (late_flood(rst(1)), CALM),
    "late_updates": (late_flood(update(1, 1)), CALM),
    "late_heads": (late_flood(head(1)), Codes.STREAM_CLOSED),
    "late_data": (late_flood(frame(0, 0, 1)), Codes.STREAM_CLOSED),
}


@pytest.fixture
def silent():
    server = CountingServer()
    yield server
    server.close()


@pytest.mark.parametrize("name", CLIENTS)
def test_clients_that_attack(stage, silent, name):
    """Each connection is cut off, for one reason."""
    pieces, code = CLIENTS[name]
    options = "header_timeout = 300ms" if name == "unfinished_blocks" else ""

    def assault(scene):
        gone, rest = attack(scene, pieces, lambda gone: len(gone) >= PEERS and scene.served())
        print(f"{name}: {len(gone)} cut off, {sum(peer.sent for peer in gone + rest)} bytes; "
              f"{[(peer.goaways, peer.heads, peer.resets[:9]) for peer in gone[:4]]}")
        assert {peer.goaways[-1] for peer in gone} == {code}
        assert all(set(peer.goaways[:-1]) <= {0} for peer in gone)

    stage.survive(assault, {"a": silent}, listener=options)


# ---- what a client may do, and gains nothing ----

def big(request):
    return Reply(b"x" * (1 << 20))


def starving():
    """Many large responses, and a window of nothing, with a byte now and then."""
    yield b"".join(head(stream) for stream in streams(90))
    while True:
        yield b"".join(update(stream, 1) for stream in streams(90))


def tiny_windows():
    """The connection's window is spent, and given back in crumbs."""
    yield b"".join(head(stream) for stream in streams(90)) + \
        b"".join(update(stream, 1 << 20) for stream in streams(90))
    while True:
        yield update(0, 1) * 10


HELD = {
    "zero_windows": (starving, {"settings": setting(4, 0), "pause": 0.05}),
    "tiny_windows": (tiny_windows, {"pause": 0.02}),
    "frames_of_a_byte": (tiny_windows, {"settings": setting(4, 1), "pause": 0.02}),
    "deaf": (tiny_windows, {"deaf": True}),
    "unknown_frames": (flood(frame(0x20, 0, 0)), {}),
}


@pytest.mark.parametrize("name", HELD)
def test_clients_that_take_nothing(stage, http_server, name):
    """They cost little, whether they are cut off or not."""
    pieces, how = HELD[name]

    def assault(scene):
        gone, rest = attack(scene, pieces, lambda gone: scene.served(HELD_FOR), **how)
        print(f"{len(gone)} cut off, {sum(peer.sent for peer in gone + rest)} bytes; "
              f"{[peer.goaways for peer in gone[:4]]}")
        if not SANITIZED:
            assert scene.highest - scene.memory <= UNTAKEN_MOST, "what they do not take stays with the server"

    stage.survive(assault, {"a": http_server("a", big)}, listener="idle_timeout = 1s")


# ---- what is told ----

TOLD = {
    "ping": "PING( or SETTINGS)?",
    "rapid_reset": "resets",
    "large_settings": "too many SETTINGS",
    "continuations": "CONTINUATION",
    "unfinished_blocks": "unfinished heads",
    "bad_length": "faulty frames",
    "crumbs": "too large heads",
    "late_resets": "frames after the end",
    "too_many": "too many streams",
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_told(stage, silent, name):
    """Each that ends for abuse is a line in the log and counted once, whoever has found it."""
    word = TOLD[name]
    # A reset of ours is one when it goes out; until then the stream has its place.
    how = {"pause": 0.001} if name == "bad_length" else {}
    scene = stage.scene({"a": silent}, "abuse_limit = 100\nheader_timeout = 300ms",
                        extra=metrics_listener())
    gone, _ = attack(scene, CLIENTS[name][0], lambda gone: len(gone) >= 3, peers=1, **how)
    samples = scrape(scene.weir)
    assert samples[("weir_connections_abusive_total", 'listener="main"')] in (3, 4)
    assert samples[("weir_odd_points_total", 'listener="main"')] >= 75 * 3
    scene.weir.wait_log(rf"main: a connection of 127\.0\.0\.1 ends for abuse: {word} \(abuse_limit\)")
    assert {peer.goaways[-1] for peer in gone} == {CALM}


# ---- bounds ----

def test_streams_above_the_limit(stage, http_server):
    """Each is refused, and the connection goes on until that is abuse."""
    release = threading.Event()

    def handler(request):
        release.wait(DEADLINE)
        return b"ok"

    scene = stage.scene({"a": http_server("a", handler)}, "h2_streams = 5\nabuse_limit = 400")
    with RawClient(scene.weir.address()) as client:
        client.until(lambda: 3 in client.settings)
        assert client.settings[3] == 5
        for stream in streams(15):
            client.head(stream, HEAD)
        client.finish(29)
        assert {client.flows[stream].reset for stream in streams(10, 11)} == {Codes.REFUSED_STREAM}
        assert not client.goaways
        release.set()
        assert all(client.finish(stream).ended for stream in streams(5))
        client.head(31, HEAD)
        assert client.finish(31).value(":status") == "200"
        release.clear()
        for stream in streams(5, 33):
            client.head(stream, HEAD)
        for stream in streams(60, 43): # one by one: of what comes at once only the last word may be heard
            client.head(stream, HEAD)
            client.until(lambda: client.goaways or client.flows[stream].reset is not None)
            if client.goaways:
                break
        with contextlib.suppress(OSError):
            for stream in streams(400, 201): # dropped
                client.head(stream, HEAD)
        client.until_over()
        assert client.goaways == [0, CALM]
        release.set()


def test_what_is_dropped_stays_in_step(stage, http_server):
    """A head above the limits is 431, whatever it puts into HPACK's table is there for the next."""
    server = http_server("a", lambda request: request.headers.get("mark", "none"))
    scene = stage.scene({"a": server})
    mark = b"\x40" + bytes([4]) + b"mark" + bytes([2]) + b"in"
    for bomb in (b"\x60\x01a" + REFERENCE * 1000, LARGE_FIELD + REFERENCE * 5,
                 block([("cookie", "a=b")] * 101)):
        with RawClient(scene.weir.address()) as client:
            client.send(frame(1, 5, 1, block(HEAD) + bomb + mark))
            assert client.finish(1).value(":status") == "431"
            client.send(frame(1, 5, 3, block(HEAD) + REFERENCE))
            flow = client.finish(3)
            assert flow.value(":status") == "200" and flow.body == b"in"
            assert not client.goaways


def test_acknowledgements_are_bounded(stage, http_server):
    """A hundred wait at most; what asks for more at once is a flood."""
    scene = stage.scene({"a": http_server("a")})
    ping = frame(6, 0, 0, bytes(8))
    for count, cut in ((100, False), (101, True)):
        with RawClient(scene.weir.address()) as client:
            client.head(1, HEAD)
            assert client.finish(1).ended
            client.send(ping * count)
            if cut:
                client.until_over()
                assert client.goaways[-1] == CALM and len(client.pongs) <= 100
            else:
                client.until(lambda: len(client.pongs) == count)
                assert not client.goaways


def test_nothing_is_read_while_much_waits(stage, http_server):
    """A client that does not read can write only what kernels hold, and memory stays; when it reads
    again, all is there."""
    scene = stage.scene({"a": http_server("a", lambda request: b"x" * (8 << 20))})
    with RawClient(scene.weir.address(), settings={4: 1 << 30}) as client:
        client.update(0, 1 << 30)
        client.head(1, HEAD)
        client.until(lambda: len(client.flows[1].body) > 0)
        filler, sent = frame(0x20, 0, 0, bytes(16384)), 0
        poll = select.poll()
        poll.register(client.sock, select.POLLOUT)
        client.sock.setblocking(False)
        rest = b""
        while poll.poll(1000): # a second without room: Weir has stopped
            rest = rest or filler
            with contextlib.suppress(BlockingIOError):
                count = client.sock.send(rest)
                sent, rest = sent + count, rest[count:]
            assert sent < 64 << 20
            scene.look()
        client.sock.settimeout(DEADLINE)
        assert SANITIZED or scene.highest - scene.memory < 4096
        client.until(lambda: len(client.flows[1].body) == 8 << 20)
        client.send(rest)
        client.head(3, HEAD)
        assert len(client.finish(3).body) == 8 << 20
    assert not scene.bystander.take()["troubles"]
