# SPDX-License-Identifier: MIT
"""Streams that share a connection to a server do not wait for each other's clients."""

from weirtest import conf
from weirtest.backend import Reply
from weirtest.h2peer import H2Client
from weirtest.wait import wait_for

STALLED = 8
SIZES = (0, 900, 6000, 16385, 65536, 65536, 1, 200000)


def test_clients_that_do_not_read(start_weir, h2_server):
    """Large answers that one client does not take; another's requests pass on the same connection."""
    def handler(request):
        if request.target.startswith("/stall"):
            return Reply(b"x" * 1000000)
        return Reply([request.body], framing="chunked", trailers=[("x-end", "yes")])

    server = h2_server("a", handler)
    weir = start_weir(conf.one_pool({"a": server}, 'protocol = "h2"', "h2c = on"), workers=1)
    with H2Client(weir.address(), take=False) as stalled:
        for number in range(STALLED):
            stalled.ask("GET", f"/stall/{number}")
        wait_for(lambda: len(server.requests) == STALLED, "the large answers to begin")
        with H2Client(weir.address()) as client:
            for _ in range(5):
                streams = {client.request("POST", "/", body=b"z" * size): size for size in SIZES}
                for stream, size in streams.items():
                    response = client.response(stream)
                    assert response.body == b"z" * size and response.trailers.get("x-end") == "yes"
        assert {request.connection for request in server.requests} == {server.requests[0].connection}
