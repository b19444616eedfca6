# SPDX-License-Identifier: MIT
"""What a client may do in HTTP/2 and what it must not, by section of RFC 9113 (its names of RFC 7540's
rules where these went on being tested), of RFC 7541, 8441 and 9218. Each case goes out frame by frame on
a plain connection, on one of TLS, and in one write."""

import struct

import hpack
import pytest

from weirtest import conf
from weirtest.backend import HttpServer
from weirtest.h2peer import Codes, RawClient, frame
from weirtest.weir import Weir

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, PRIORITIZED, ACK = 1, 4, 8, 32, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BODY = "hello, world\n"
FIRST_WINDOW = 65535
FRAME_MOST = 16384

GET = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")]
POST = [(":method", "POST")] + GET[1:]
X = [("x-more", "x" * 64)]


def without(name):
    return [pair for pair in GET if pair[0] != name]


def replaced(name, value):
    return [(key, value if key == name else old) for key, old in GET]


# ---- what is to come of it ----

def broken(*codes):
    """The connection ends: by GOAWAY with one of these codes, which the client gets to see."""
    def check(client):
        client.until_over()
        assert not client.torn, "a reset may take the GOAWAY away"
        assert client.goaways and client.goaways[-1] in codes, client.goaways
    return check


def closed(client):
    """The connection ends; with nothing but perhaps a GOAWAY."""
    client.until_over()
    assert not client.torn
    assert all(kind in (SETTINGS, GOAWAY, UPDATE, PING) for kind, *_ in client.frames)


def reset(*codes, stream=1):
    """The stream is reset with one of these codes; the connection goes on."""
    def check(client):
        flow = client.flows[stream]
        client.until(lambda: flow.reset is not None, "RST_STREAM")
        assert flow.reset in codes
        if flow.head is not None:
            assert flow.value(":status") == "400"  # RFC 9113 section 8.1.1
        goes_on(client)
    return check


def goes_on(client):
    """Nothing has happened: a PING and a request on a new stream are answered."""
    client.ping(b"goes on.")
    client.until(lambda: b"goes on." in client.pongs, "the answer to PING")
    client.head(101, GET)
    flow = client.finish(101)
    assert (flow.ended, flow.value(":status"), flow.body) == (True, "200", BODY.encode())
    assert not client.goaways


def answered(client):
    """The request on stream 1 has its answer."""
    flow = client.finish(1)
    assert (flow.ended, flow.value(":status")) == (True, "200"), flow
    assert flow.body == BODY.encode()
    goes_on(client)


def refused(status):
    """It is answered with an error, and the connection goes on."""
    def check(client):
        flow = client.finish(1)
        assert flow.value(":status") == status
        goes_on(client)
    return check


def parted(client):
    """It has said that it goes: nothing is wrong, and the connection may end."""
    client.until_over()
    assert not client.torn and set(client.goaways) <= {0}


def first_data(length):
    """The first DATA is so long; what follows comes when the window opens."""
    def check(client):
        client.until(lambda: any(kind == DATA for kind, *_ in client.frames), "DATA")
        lengths = [size for kind, _, stream, size in client.frames if (kind, stream) == (DATA, 1)]
        assert lengths == [length]
        settings((4, FIRST_WINDOW))(client)
        answered(client)
    return check


PROTOCOL, FLOW, SIZE = Codes.PROTOCOL_ERROR, Codes.FLOW_CONTROL_ERROR, Codes.FRAME_SIZE_ERROR
CLOSED, COMPRESSION, REFUSED = Codes.STREAM_CLOSED, Codes.COMPRESSION_ERROR, Codes.REFUSED_STREAM


# ---- what is done ----

def settings(*pairs):
    """A SETTINGS frame that Weir has acknowledged."""
    def act(client):
        before = client.acks
        client.raw(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))
        client.until(lambda: client.acks > before, "the acknowledgement")
    return act


def raw(*parts, **how):
    return lambda client: client.raw(*parts, **how)


def head(pairs=None, end=True, stream=1, extra=b"", flags=0, before=b"", more=()):
    """A HEADERS frame; `extra` is behind its block, `before` ahead of it, `more` are fields."""
    def act(client):
        block = before + client.block((pairs or GET) + list(more)) + extra
        client.raw(HEADERS, END_HEADERS | flags | (END_STREAM if end else 0), stream, block)
        if extra or before:  # the tables are not the same any more
            client.encoder = hpack.Encoder()
            client.encoder.header_table_size = 0
    return act


def open_head(end=True, stream=1, pairs=None):
    """One whose block does not end."""
    return lambda client: client.raw(HEADERS, END_STREAM if end else 0, stream,
                                     client.block(pairs or GET))


def continuation(stream=1, end=True, pairs=None):
    return lambda client: client.raw(CONTINUATION, END_HEADERS if end else 0, stream,
                                     client.block(pairs or X))


def data(payload=b"test", end=True, stream=1):
    return lambda client: client.data(stream, payload, end)


def priority(stream, depends=0, weight=255, exclusive=False):
    return raw(PRIORITY, 0, stream, struct.pack(">IB", depends | exclusive << 31, weight))


def update(stream, by):
    return lambda client: client.update(stream, by)


def rst(stream=1, code=Codes.CANCEL):
    return lambda client: client.rst(stream, code)


def done(client):
    """The request on stream 1 is over."""
    assert client.finish(1).ended


def ping(payload=b"12345678", **how):
    return raw(PING, how.get("flags", 0), how.get("stream", 0), payload)


def pong(*payloads):
    """Each PING was answered with what it said, in its order, and nothing else was."""
    def check(client):
        goes_on(client)
        assert client.pongs == [*payloads, b"goes on."]
    return check


def split(*places, end=True):
    """A request whose block is cut at these places."""
    def act(client):
        block = client.block(GET)
        marks = [0, *places, len(block)]
        pieces = [block[a:b] for a, b in zip(marks, marks[1:])]
        client.raw(HEADERS, END_STREAM if end else 0, 1, pieces[0])
        for piece in pieces[1:]:
            client.raw(CONTINUATION, END_HEADERS if piece is pieces[-1] else 0, 1, piece)
    return act


def streams(count):
    """So many requests that cannot end, as no window is open."""
    def act(client):
        for number in range(count):
            client.head(1 + 2 * number, GET)
    return act


def one_is_refused(client):
    """Of 101 streams the last is; a request that comes when one has ended is not."""
    client.until(lambda: client.flows[201].reset is not None, "RST_STREAM")
    assert client.flows[201].reset in (REFUSED, PROTOCOL)
    client.update(1, 1000)
    assert client.finish(1).ended
    settings((4, FIRST_WINDOW))(client)
    client.head(301, GET)
    assert client.finish(301).ended


def negative(client):
    """A window that was made smaller than what was sent is negative, and is awaited."""
    settings((4, 3))(client)
    client.head(1, GET)
    client.until(lambda: len(client.flows[1].body) == 3, "DATA")
    settings((4, 2))(client)
    client.update(1, 2)
    client.until(lambda: len(client.flows[1].body) > 3, "DATA")


def negative_data(client):
    lengths = [size for kind, _, stream, size in client.frames if (kind, stream) == (DATA, 1)]
    assert lengths == [3, 1]
    settings((4, FIRST_WINDOW))(client)
    answered(client)


def padded(pad, payload, total=None):
    """A padded DATA frame that says so many bytes of padding."""
    return raw(DATA, PADDED | END_STREAM, 1, bytes([pad]) + payload + b"\0" * (total or 0))


def ends(*fields):
    """What was sent as trailers."""
    return lambda client: client.raw(HEADERS, END_HEADERS | END_STREAM, 1, client.block(list(fields)))


def greet(text):
    """Not what RawClient begins with."""
    return text


STRANGE = b"\0" * 8
HUFFMAN_NAME = b"\x85\xf2\xb2\x4a\x84\xff"  # x-test

CASES = {
    # section, what the client does: (steps, what comes of it)
    "3.4 preface and SETTINGS": ([], goes_on),
    "3.4 an invalid preface": ([greet(b"INVALID CONNECTION PREFACE\r\n\r\n")], closed),
    "3.4 a preface and then no SETTINGS": ([greet(PREFACE + frame(PING, 0, 0, STRANGE))], broken(PROTOCOL)),
    "3.4 a preface and an acknowledgement": ([greet(PREFACE + frame(SETTINGS, ACK, 0))], broken(PROTOCOL)),
    "3.4 a request behind the preface": ([head()], answered),

    "4.1 a frame of an unknown type": ([raw(0x16, 0, 0, STRANGE)], goes_on),
    "4.1 one of an unknown type with a stream": ([head(), raw(0xfe, 0xff, 1, STRANGE)], answered),
    "4.1 unknown flags": ([ping(b"unknown.", flags=0x16)], pong(b"unknown.")),
    "4.1 the reserved bit": ([ping(b"reserved", stream=1 << 31)], pong(b"reserved")),
    "4.1 the reserved bit of HEADERS": ([head(stream=1 | 1 << 31)], answered),
    "4.1 unknown flags of DATA": ([head(POST, end=False), raw(DATA, 0xf7, 1, b"test")], answered),

    "4.2 DATA of 2^14 bytes": ([head(POST, end=False), data(b"x" * FRAME_MOST)], answered),
    "4.2 DATA of one more": ([head(POST, end=False), data(b"x" * (FRAME_MOST + 1))], broken(SIZE)),
    "4.2 HEADERS that are too large": ([raw(HEADERS, 5, 1, b"x" * (FRAME_MOST + 1))], broken(SIZE)),
    "4.2 a too large frame of an unknown type": ([raw(0x16, 0, 0, b"x" * (FRAME_MOST + 1))], broken(SIZE)),
    "4.2 HEADERS of 2^14 bytes": ([head(more=[("x-long", "~" * 10000)])], answered),

    "4.3 a block that HPACK cannot decode": ([raw(HEADERS, 5, 1, b"\x40")], broken(COMPRESSION)),
    "4.3 PRIORITY inside a block": ([open_head(False), priority(1), continuation()], broken(PROTOCOL)),
    "4.3 HEADERS of another stream inside a block": ([open_head(False), head(stream=3)], broken(PROTOCOL)),
    "4.3 a block of many pieces": ([split(1, 2, 3, 4)], answered),
    "4.3 a block that ends by an empty piece": ([open_head(), raw(CONTINUATION, 4, 1)], answered),
    "4.3 a bad block of trailers": ([head(POST, end=False), raw(HEADERS, 5, 1, b"\x80")], broken(COMPRESSION)),

    "5.1 idle: DATA": ([data()], broken(PROTOCOL)),
    "5.1 idle: RST_STREAM": ([rst()], broken(PROTOCOL)),
    "5.1 idle: WINDOW_UPDATE": ([update(1, 100)], broken(PROTOCOL)),
    "5.1 idle: CONTINUATION": ([continuation(pairs=GET)], broken(PROTOCOL)),
    "5.1 idle: PRIORITY": ([priority(1)], goes_on),
    "5.1 half-closed: DATA": ([head(), data()], broken(CLOSED)),
    "5.1 half-closed: HEADERS": ([head(), head()], broken(CLOSED)),
    "5.1 half-closed: CONTINUATION": ([head(), continuation(pairs=GET)], broken(PROTOCOL)),
    "5.1 half-closed: WINDOW_UPDATE": ([settings((4, 0)), head(), update(1, 1)], first_data(1)),
    "5.1 half-closed: PRIORITY": ([settings((4, 0)), head(), priority(1), update(1, 1)], first_data(1)),
    "5.1 half-closed: RST_STREAM": ([head(), rst()], goes_on),
    "5.1 reset by it: DATA": ([head(end=False), rst(), data()], broken(CLOSED)),
    "5.1 reset by it: HEADERS": ([head(end=False), rst(), head()], broken(CLOSED)),
    "5.1 reset by it: CONTINUATION": ([head(end=False), rst(), continuation()], broken(PROTOCOL)),
    "5.1 reset by it: RST_STREAM": ([head(end=False), rst(), rst()], goes_on),
    "5.1 closed: DATA": ([head(), done, data()], broken(CLOSED)),
    "5.1 closed: HEADERS": ([head(), done, head()], broken(CLOSED)),
    "5.1 closed: CONTINUATION": ([head(), done, continuation()], broken(PROTOCOL)),
    "5.1 closed: PRIORITY": ([head(), done, priority(1)], goes_on),
    "5.1 closed: WINDOW_UPDATE": ([head(), done, update(1, 10)], goes_on),
    "5.1 closed: RST_STREAM": ([head(), done, rst()], goes_on),
    "5.1 reset by Weir: what was on its way": ([head(end=False, more=[("X-A", "b")]), data(end=False), data()],
                                               reset(PROTOCOL)),
    "5.1 reset by Weir: later": ([head(end=False, more=[("X-A", "b")]),
                                  lambda client: client.finish(1), data(end=False), ends(("x", "y"))], goes_on),

    "5.1.1 an even stream": ([head(stream=2)], broken(PROTOCOL)),
    "5.1.1 a smaller stream": ([head(stream=5), head(stream=3)], broken(PROTOCOL)),
    "5.1.1 a smaller stream, later": ([head(stream=5), lambda client: client.finish(5), head(stream=3)],
                                      broken(PROTOCOL)),
    "5.1.1 DATA on a stream that was passed over": ([head(stream=5), data(stream=3)], broken(PROTOCOL, CLOSED)),
    "5.1.1 streams that are passed over": ([head(stream=1), head(stream=77)], answered),
    "5.1.2 more streams than allowed": ([settings((4, 0)), streams(101)], one_is_refused),

    "5.3.1 HEADERS that depend on themselves": (
        [raw(HEADERS, 5 | PRIORITIZED, 1, struct.pack(">IB", 1, 255) + b"\x82\x86\x84\x41\x01a")],
        broken(PROTOCOL)),
    "5.3.1 PRIORITY that depends on itself": ([priority(1, depends=1)], broken(PROTOCOL)),
    "5.3.2 PRIORITY is passed over": ([priority(1, weight=0), priority(3, depends=1), priority(5, exclusive=True),
                                       head()], answered),
    "5.3.2 HEADERS with priority": ([head(flags=PRIORITIZED, before=struct.pack(">IB", 1 << 31, 7))], answered),

    "5.4.1 GOAWAY goes before the end": ([ping(stream=3)], broken(PROTOCOL)),
    "5.4.1 it is seen behind much that is not read": (
        [ping(stream=3)] + [raw(0x16, 0, 0, b"x" * FRAME_MOST)] * 16, broken(PROTOCOL)),
    "5.5 an unknown frame inside a block": ([open_head(), raw(0x16, 0, 0, STRANGE)], broken(PROTOCOL)),

    "6.1 DATA of stream 0": ([data(stream=0)], broken(PROTOCOL)),
    "6.1 padding": ([head(POST, end=False), padded(5, b"test", 5)], answered),
    "6.1 padding alone": ([head(POST, end=False), padded(255, b"", 255)], answered),
    "6.1 more padding than frame": ([head(POST, end=False), padded(6, b"Test")], broken(PROTOCOL)),
    "6.1 no room for the padding's length": ([head(POST, end=False), raw(DATA, 9, 1)], broken(PROTOCOL, SIZE)),
    "6.1 pieces": ([head(POST, end=False), data(end=False), data(b"", end=False), data()], answered),

    "6.2 DATA inside a block": ([open_head(False, pairs=POST), data()], broken(PROTOCOL)),
    "6.2 HEADERS of stream 0": ([head(stream=0)], broken(PROTOCOL)),
    "6.2 padding": ([head(flags=PADDED, before=b"\x08", extra=b"\0" * 8)], answered),
    "6.2 more padding than frame": ([raw(HEADERS, 13, 1, b"\x08\x82\x86\x84")], broken(PROTOCOL)),
    "6.2 no room for the priority": ([raw(HEADERS, 5 | PRIORITIZED, 1, b"\0\0")], broken(SIZE, PROTOCOL)),

    "6.3 PRIORITY of stream 0": ([priority(0)], broken(PROTOCOL)),
    "6.3 PRIORITY of 4 bytes": ([head(), raw(PRIORITY, 0, 1, b"\x80\0\0\1")], broken(SIZE)),

    "6.4 RST_STREAM of stream 0": ([rst(0)], broken(PROTOCOL)),
    "6.4 RST_STREAM of 3 bytes": ([head(), raw(RST, 0, 1, b"\0\0\0")], broken(SIZE)),
    "6.4 RST_STREAM in the middle of a body": ([head(POST, end=False), data(end=False), rst()], goes_on),

    "6.5 an acknowledgement with a payload": ([raw(SETTINGS, ACK, 0, b"\0")], broken(SIZE)),
    "6.5 SETTINGS of a stream": ([raw(SETTINGS, 0, 1, b"\0\3\0\0\0\x64")], broken(PROTOCOL)),
    "6.5 SETTINGS of 3 bytes": ([raw(SETTINGS, 0, 0, b"\0\3\0")], broken(SIZE)),
    "6.5 empty SETTINGS": ([settings()], goes_on),
    "6.5.2 ENABLE_PUSH 2": ([raw(SETTINGS, 0, 0, struct.pack(">HI", 2, 2))], broken(PROTOCOL)),
    "6.5.2 INITIAL_WINDOW_SIZE 2^31": ([raw(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 31))], broken(FLOW)),
    "6.5.2 MAX_FRAME_SIZE 2^14 - 1": ([raw(SETTINGS, 0, 0, struct.pack(">HI", 5, 16383))], broken(PROTOCOL)),
    "6.5.2 MAX_FRAME_SIZE 2^24": ([raw(SETTINGS, 0, 0, struct.pack(">HI", 5, 1 << 24))], broken(PROTOCOL)),
    "6.5.2 an unknown setting": ([settings((0xff, 1), (0x0a0a, 7))], goes_on),
    "6.5.2 all that are known": ([settings((1, 4096), (2, 1), (3, 100), (4, FIRST_WINDOW), (5, FRAME_MOST),
                                           (6, 100))], goes_on),
    "6.5.2 no table for HPACK": ([settings((1, 0)), head()], answered),
    "6.5.3 values in their order": ([settings((4, 100), (4, 1)), head()], first_data(1)),
    "6.5.3 each is acknowledged": ([settings((2, 0)), settings((2, 0))], goes_on),

    "6.6 PUSH_PROMISE of a client": (
        [head(end=False), raw(PUSH, END_HEADERS, 1, struct.pack(">I", 3) + b"\x82\x86\x84")], broken(PROTOCOL)),

    "6.7 PING": ([ping(b"\1\2\3\4\0\6\7\x08")], pong(b"\1\2\3\4\0\6\7\x08")),
    "6.7 several at once": ([ping(b"a" * 8), ping(b"b" * 8), head(), ping(b"c" * 8)],
                            pong(b"a" * 8, b"b" * 8, b"c" * 8)),
    "6.7 an acknowledgement": ([ping(b"invalid.", flags=ACK), ping(b"answered")], pong(b"answered")),
    "6.7 PING of a stream": ([ping(stream=1)], broken(PROTOCOL)),
    "6.7 PING of 6 bytes": ([ping(b"123456")], broken(SIZE)),

    "6.8 GOAWAY of a stream": ([raw(GOAWAY, 0, 1, STRANGE)], broken(PROTOCOL)),
    "6.8 GOAWAY of 7 bytes": ([raw(GOAWAY, 0, 0, b"1234567")], broken(SIZE)),
    "6.8 GOAWAY of a client": ([raw(GOAWAY, 0, 0, STRANGE + b"words")], parted),
    "6.8 GOAWAY behind a request": ([head(), raw(GOAWAY, 0, 0, STRANGE)], done),

    "6.9 an increment of 0": ([update(0, 0)], broken(PROTOCOL)),
    "6.9 an increment of 0 of a stream": ([head(end=False), update(1, 0)], broken(PROTOCOL)),
    "6.9 WINDOW_UPDATE of 3 bytes": ([raw(UPDATE, 0, 0, b"\0\0\1")], broken(SIZE)),
    "6.9 the reserved bit": ([update(0, 1 | 1 << 31)], goes_on),
    "6.9.1 no more than the window": ([settings((4, 1)), head()], first_data(1)),
    "6.9.1 above 2^31 - 1": ([update(0, (1 << 31) - 1)] * 2, broken(FLOW)),
    "6.9.1 above 2^31 - 1 of a stream": ([head(end=False)] + [update(1, (1 << 31) - 1)] * 2, reset(FLOW)),
    "6.9.2 windows that grow with the setting": ([settings((4, 0)), head(), settings((4, 1))], first_data(1)),
    "6.9.2 windows that are negative": ([negative], negative_data),
    "6.9.2 a setting that lets a window overflow": (
        [head(end=False), update(1, (1 << 31) - 1 - FIRST_WINDOW),
         raw(SETTINGS, 0, 0, struct.pack(">HI", 4, FIRST_WINDOW + 1))], broken(FLOW)),

    "6.10 CONTINUATION": ([open_head(), continuation(end=False), continuation()], answered),
    "6.10 DATA between": ([open_head(False, pairs=POST), continuation(end=False), data()], broken(PROTOCOL)),
    "6.10 of stream 0": ([open_head(), continuation(stream=0)], broken(PROTOCOL)),
    "6.10 of another stream": ([open_head(), continuation(stream=3)], broken(PROTOCOL)),
    "6.10 behind HEADERS that have ended": ([head(), continuation()], broken(PROTOCOL)),
    "6.10 behind CONTINUATION that has ended": ([open_head(), continuation(), continuation()], broken(PROTOCOL)),
    "6.10 behind DATA": ([head(POST, end=False), data(end=False), continuation()], broken(PROTOCOL)),

    "7 an unknown code in GOAWAY": ([raw(GOAWAY, 0, 0, struct.pack(">II", 0, 0xff))], parted),
    "7 an unknown code in RST_STREAM": ([head(POST, end=False), rst(1, 0xff)], goes_on),

    "8.1 HEADERS": ([head()], answered),
    "8.1 HEADERS and DATA": ([head(POST, end=False), data()], answered),
    "8.1 HEADERS, DATA and trailers": ([head(POST, end=False, more=[("trailer", "x-test")]), data(end=False),
                                        ends(("x-test", "ok"))], answered),
    "8.1 HEADERS and trailers": ([head(POST, end=False), ends(("x-test", "ok"))], answered),
    "8.1 an empty DATA that ends": ([head(POST, end=False), data(b"")], answered),
    "8.1 a second HEADERS without END_STREAM": (
        [head(POST, end=False), data(end=False), head(X, end=False)], reset(PROTOCOL)),
    "8.1.1 content-length and less DATA": ([head(POST, end=False, more=[("content-length", "5")]), data()],
                                           reset(PROTOCOL)),
    "8.1.1 content-length and more DATA": ([head(POST, end=False, more=[("content-length", "1")]), data()],
                                           reset(PROTOCOL)),
    "8.1.1 content-length and more DATA in pieces": (
        [head(POST, end=False, more=[("content-length", "1")]), data(end=False), data()], reset(PROTOCOL)),
    "8.1.1 content-length and no DATA": ([head(POST, more=[("content-length", "1")])], reset(PROTOCOL)),
    "8.1.1 content-length and trailers instead": (
        [head(POST, end=False, more=[("content-length", "1")]), ends(("x", "y"))], reset(PROTOCOL)),
    "8.1.1 content-length that is right": (
        [head(POST, end=False, more=[("content-length", "8")]), data(end=False), data()], answered),
    "8.1.1 two lengths": ([head(POST, end=False, more=[("content-length", "4")] * 2), data()], reset(PROTOCOL)),
    "8.1.1 a length that is no number": ([head(POST, end=False, more=[("content-length", "4x")]), data()],
                                         reset(PROTOCOL)),
    "8.1.1 an empty name": ([head(more=[("", "x")])], reset(PROTOCOL)),

    "8.2 a name in upper case": ([head(more=[("X-TEST", "ok")])], reset(PROTOCOL)),
    "8.2 a name in upper case in trailers": ([head(POST, end=False), ends(("X-TEST", "ok"))], reset(PROTOCOL)),
    "8.2.1 a space in a name": ([head(more=[("x y", "ok")])], reset(PROTOCOL)),
    "8.2.1 a colon in a name": ([head(more=[("x:y", "ok")])], reset(PROTOCOL)),
    "8.2.1 a byte above 0x7f in a name": ([head(more=[(b"x\xff", b"ok")])], reset(PROTOCOL)),
    "8.2.1 NUL in a value": ([head(more=[("x", "a\0b")])], reset(PROTOCOL)),
    "8.2.1 a line's end in a value": ([head(more=[("x", "a\nb")])], reset(PROTOCOL)),
    "8.2.1 a carriage return in a value": ([head(more=[("x", "a\rb")])], reset(PROTOCOL)),
    "8.2.1 a line's end in trailers": ([head(POST, end=False), ends(("x", "a\r\nb"))], reset(PROTOCOL)),
    "8.2.1 a space at a value's beginning": ([head(more=[("x", " a")])], reset(PROTOCOL)),
    "8.2.1 a tab at a value's end": ([head(more=[("x", "a\t")])], reset(PROTOCOL)),
    "8.2.1 an empty value": ([head(more=[("x", "")])], answered),
    "8.2.2 connection": ([head(more=[("connection", "keep-alive")])], reset(PROTOCOL)),
    "8.2.2 proxy-connection": ([head(more=[("proxy-connection", "keep-alive")])], reset(PROTOCOL)),
    "8.2.2 keep-alive": ([head(more=[("keep-alive", "5")])], reset(PROTOCOL)),
    "8.2.2 transfer-encoding": ([head(more=[("transfer-encoding", "chunked")])], reset(PROTOCOL)),
    "8.2.2 upgrade": ([head(more=[("upgrade", "h2c")])], reset(PROTOCOL)),
    "8.2.2 te with more than trailers": ([head(more=[("te", "trailers, deflate")])], reset(PROTOCOL)),
    "8.2.2 te with trailers": ([head(more=[("te", "trailers")])], answered),
    "8.2.3 cookies in crumbs": ([head(more=[("cookie", "a=1"), ("cookie", "b=2")])], answered),

    "8.3 an unknown pseudo-header": ([head(more=[(":test", "ok")])], reset(PROTOCOL)),
    "8.3 a response's in a request": ([head(more=[(":status", "200")])], reset(PROTOCOL)),
    "8.3 one in trailers": ([head(POST, end=False), data(end=False), ends((":method", "POST"))], reset(PROTOCOL)),
    "8.3 behind a field": ([head([("x-test", "ok")] + GET)], reset(PROTOCOL)),
    "8.3.1 an empty :path": ([head(replaced(":path", ""))], reset(PROTOCOL)),
    "8.3.1 a :path without a slash": ([head(replaced(":path", "x"))], reset(PROTOCOL)),
    "8.3.1 no :method": ([head(without(":method"))], reset(PROTOCOL)),
    "8.3.1 no :scheme": ([head(without(":scheme"))], reset(PROTOCOL)),
    "8.3.1 no :path": ([head(without(":path"))], reset(PROTOCOL)),
    "8.3.1 no :authority and no host": ([head(without(":authority"))], reset(PROTOCOL)),
    "8.3.1 host instead of :authority": ([head(without(":authority") + [("host", "localhost")])], answered),
    "8.3.1 host and :authority that differ": ([head(more=[("host", "elsewhere")])], refused("400")),
    "8.3.1 user information in :authority": ([head(replaced(":authority", "me@localhost"))], refused("400")),
    "8.3.1 an empty :authority": ([head(replaced(":authority", ""))], reset(PROTOCOL)),
    "8.3.1 an empty :method": ([head(replaced(":method", ""))], reset(PROTOCOL)),
    "8.3.1 a :method that is no token": ([head(replaced(":method", "G T"))], reset(PROTOCOL)),
    "8.3.1 two :method": ([head(more=[(":method", "GET")])], reset(PROTOCOL)),
    "8.3.1 two :scheme": ([head(GET[:2] + [(":scheme", "http")] + GET[2:])], reset(PROTOCOL)),
    "8.3.1 two :path": ([head(GET[:3] + [(":path", "/")] + GET[3:])], reset(PROTOCOL)),
    "8.3.1 two :authority": ([head(GET + [(":authority", "localhost")])], reset(PROTOCOL)),
    "8.3.1 OPTIONS *": ([head([(":method", "OPTIONS"), GET[1], (":path", "*"), GET[3]])], answered),
    "8.5 CONNECT": ([head([(":method", "CONNECT"), (":authority", "localhost:80")], end=False)], refused("501")),
    "8.5 CONNECT with :path": ([head([(":method", "CONNECT")] + GET[1:], end=False)], reset(PROTOCOL)),
    "8441 4 :protocol without CONNECT": ([head(GET + [(":protocol", "websocket")])], reset(PROTOCOL)),
    "8441 4 an unknown protocol": (
        [head([(":method", "CONNECT")] + GET[1:] + [(":protocol", "what")], end=False)], refused("501")),
    "9218 5 the priority field": ([head(more=[("priority", "u=0, i")])], answered),
    "9218 5 one that is none": ([head(more=[("priority", "\\\"?!")])], answered),
    "9218 7.1 PRIORITY_UPDATE": ([raw(0x10, 0, 0, struct.pack(">I", 1) + b"u=1"), head()], answered),
    "9218 7.1 one that is too short": ([raw(0x10, 0, 0, b"12")], goes_on),

    "7541 2.3.3 an index without an entry": ([head(extra=b"\xff\x7f")], broken(COMPRESSION)),
    "7541 2.3.3 a name's index without an entry": ([head(extra=b"\x7f\x70\x00")], broken(COMPRESSION)),
    "7541 4.2 a table's size behind a field": ([head(extra=b"\x21")], broken(COMPRESSION)),
    "7541 5.1 a number above all": ([head(extra=b"\x7f" + b"\xff" * 10)], broken(COMPRESSION)),
    "7541 5.2 padding of a whole byte": (
        [head(extra=b"\0" + HUFFMAN_NAME + b"\x84\x49\x50\x9f\xff")], broken(COMPRESSION)),
    "7541 5.2 padding of zeros": ([head(extra=b"\0" + HUFFMAN_NAME + b"\x83\x49\x50\x90")], broken(COMPRESSION)),
    "7541 5.2 EOS": ([head(extra=b"\0" + HUFFMAN_NAME + b"\x87\x49\x51\xff\xff\xff\xfa\x7f")],
                     broken(COMPRESSION)),
    "7541 5.2 a string that is longer than its block": ([head(extra=b"\0\x0ax")], broken(COMPRESSION)),
    "7541 6.1 index 0": ([head(extra=b"\x80")], broken(COMPRESSION)),
    "7541 6.1 an entry of the dynamic table": ([head(before=b"\x40\1x\1y\xbe")], reset(PROTOCOL)),
    "7541 6.2.1 indexed, all in Huffman": ([head(extra=b"\x40" + HUFFMAN_NAME + b"\x84\x9c\x48\xac\xa4")], answered),
    "7541 6.2.1 indexed, with the name's index": ([head(extra=b"\x7a\x06h2spec")], answered),
    "7541 6.2.2 not indexed": ([head(extra=b"\0\x06x-test\x06h2spec")], answered),
    "7541 6.2.3 never indexed": ([head(extra=b"\x10\x06x-test\x06h2spec")], answered),
    "7541 6.3 a table of the setting's size": ([head(before=b"\x3f\x61\x3f\xe1\x1f")], answered),
    "7541 6.3 a larger one": ([head(before=b"\x3f\xe2\x1f")], broken(COMPRESSION)),
}


class Burst(RawClient):
    """Sends what it has when it is about to read."""

    pending = b""

    def send(self, data):
        self.pending += data.encode("latin-1") if isinstance(data, str) else data

    def pump(self):
        pending, self.pending = self.pending, b""
        if pending:
            super().send(pending)
        return super().pump()


@pytest.fixture(scope="module")
def weir(tmp_path_factory, certs):
    server = HttpServer("a", lambda request: request.body is not None and BODY.encode())
    weir = Weir(tmp_path_factory.mktemp("conformance"), workers=2)
    weir.configure(conf.listener("h2c = on") +
                   conf.listener(f"tls {{ {certs.block('localhost')} }}", name="tls") +
                   conf.modules() + conf.routes(web='"/"') + conf.pool("web", {"a": server}))
    weir.start()
    yield weir
    weir.stop()
    server.close()


@pytest.mark.parametrize("way", ["plain", "tls", "burst"])
@pytest.mark.parametrize("name", CASES)
def test_case(weir, certs, name, way):
    steps, check = CASES[name]
    first = steps[0] if steps and isinstance(steps[0], bytes) else None
    tls = certs.client() if way == "tls" else None
    make = Burst if way == "burst" else RawClient
    with make(weir.address("tls" if tls else "main"), tls=tls, greet=first) as client:
        for step in steps:
            if not isinstance(step, bytes):
                step(client)
        check(client)
