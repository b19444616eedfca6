# SPDX-License-Identifier: MIT
"""Streams that share a connection to a server do not wait for each other's clients."""

import contextlib

import h2.settings
import pytest
from h2.errors import ErrorCodes as Codes

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


def silent(peer):
    with contextlib.suppress(ConnectionError):
        peer.rest()


@pytest.mark.parametrize("what", ["http/1.1", "h2", "error page", "early", "late body"])
def test_small_answers_that_nobody_takes(start_weir, http_server, h2_server, scripted_server, what):
    """They are whole here at once: the servers have done, and only the client's clock runs."""
    server = (h2_server if what == "h2" else http_server)("a", lambda request: b"small")
    if what == "late body":
        server = scripted_server(silent)
    protocol = "h2" if what == "h2" else "http/1.1"
    weir = start_weir(conf.one_pool({"a": server}, f'protocol = "{protocol}"',
                                    "h2c = on\nidle_timeout = 300ms\nbody_timeout = 300ms"), workers=1)
    with H2Client(weir.address(), settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0}) as client:
        if what in ("early", "late body"):
            stream = client.ask("POST", "/", [("content-length", "1")], end=False)
        else:
            stream = client.ask("GET", "/%zz" if what == "error page" else "/")
        flow = client.flows[stream]
        client.until(lambda: flow.reset is not None, "the reset")
        assert flow.reset == Codes.CANCEL and flow.body == b""
