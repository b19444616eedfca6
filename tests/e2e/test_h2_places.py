# SPDX-License-Identifier: MIT
"""A stream's place is free when the server's side has ended too: whatever ends streams, by the client's hand or
by ours for the client's fault (CVE-2023-44487, CVE-2025-8671), a client has no more requests at the servers than
h2_streams."""

import struct

import pytest

from weirtest import conf
from weirtest.counting import CountingServer
from weirtest.h2attack import HEAD, POST, attack, head, priority, rst, streams, update
from weirtest.h2peer import frame

FAULTS = {
    "none": lambda stream: head(stream),
    "reset": lambda stream: head(stream) + rst(stream),
    "zero_update": lambda stream: head(stream) + update(stream, 0),
    "overflowing_update": lambda stream: head(stream) + update(stream, 0x7fffffff),
    "priority_on_itself": lambda stream: head(stream) + priority(stream, stream),
    "head_with_priority_on_itself": lambda stream: frame(
        1, 0x25, stream, struct.pack(">IB", stream, 0) + head(stream)[9:]),
    "short_priority": lambda stream: head(stream) + frame(2, 0, stream, b"\0"),
    "data_after_the_end": lambda stream: head(stream) + frame(0, 0, stream, b"x"),
    "head_after_the_end": lambda stream: head(stream) + head(stream),
    "window_exceeded": lambda stream: head(stream, POST, False) +
        frame(0, 0, stream, bytes(16384)) * 5,
    "more_than_announced": lambda stream: head(
        stream, POST + [("content-length", "1")], False) + frame(0, 0, stream, b"xx"),
    "short_update": lambda stream: head(stream) + frame(8, 0, stream, b"\0"),
    "short_reset": lambda stream: head(stream) + frame(3, 0, stream, b"\0"),
    "bad_trailers": lambda stream: head(stream, POST, False) + head(stream, HEAD),
}

# nghttp2 ends the connection before there is a request.
UNHEARD = {"head_with_priority_on_itself"}


class Scene:
    def __init__(self, weir):
        self.weir = weir

    def look(self):
        pass


@pytest.fixture
def servers():
    made = {"http/1.1": CountingServer(), "h2": CountingServer(h2=True)}
    yield made
    for server in made.values():
        server.close()


@pytest.mark.parametrize("together", [1, 30])
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("fault", FAULTS)
def test_requests_at_the_server(start_weir, servers, fault, protocol, together):
    """The fault in a write of its own, so that the request is on its way by then; or many in one. Each with
    a weir of its own: what a client has left to be read when it closes has places of that client's."""
    server = servers[protocol]
    text = conf.one_pool({"a": server}, f'protocol = "{protocol}"', "h2c = on\nh2_streams = 20")
    weir = start_weir(text, workers=1, access_log=False)

    def pieces():
        numbers = iter(streams(2000))
        for first in numbers:
            data = b"".join(FAULTS[fault](stream) for stream in
                            [first] + [next(numbers) for _ in range(together - 1)])
            until = 9 + int.from_bytes(data[:3], "big") if together == 1 else len(data)
            yield data[:until]
            yield data[until:]

    heard = fault not in UNHEARD and (fault, together) != ("reset", 30)
    attack(Scene(weir), pieces, lambda gone: server.requests >= 200 or
           (len(gone) >= 3 and (server.requests > 0 or not heard)), peers=1, pause=0.0005)
    print(f"{server.requests} requests, {server.most} at once")
    assert server.most <= 20
