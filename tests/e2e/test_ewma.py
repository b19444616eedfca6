# SPDX-License-Identifier: MIT
"""balance_ewma in Weir: who is slow, fails or asks to be left alone gets little, over HTTP/1.1 and HTTP/2; what was
learnt survives a change of options."""

import time

import pytest

from weirtest import conf
from weirtest.backend import Reply
from weirtest.load import Load
from weirtest.wait import SANITIZED

SLOW = 1 if SANITIZED else 0.3  # seconds


def slow(request):
    time.sleep(SLOW)
    return request.target


HANDLERS = {
    "slow": slow,
    "fails": lambda request: Reply(b"", status=503),
    "asks": lambda request: Reply(b"", status=503, headers=(("Retry-After", "3600"),)),
    "limits": lambda request: Reply(b"", status=429),
}


def text(servers, protocol, options=""):
    return conf.one_pool(servers, f'protocol = "{protocol}"', balance="ewma", balance_options=options)


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("kind", sorted(HANDLERS))
def test_who_is_bad_gets_little(start_weir, http_server, h2_server, protocol, kind):
    make = http_server if protocol == "http/1.1" else h2_server
    bad = make("bad", HANDLERS[kind])
    servers = {"a": make("a"), "b": make("b"), "bad": bad}
    weir = start_weir(text(servers, protocol), workers=1)

    def under_load():
        """How many of several hundred requests, of which some are under way at once, it gets."""
        before = len(bad.requests)
        with Load(weir.client, lambda client: client.get("/"), threads=6) as load:
            load.wait_requests(400)
        return len(bad.requests) - before

    assert 1 <= under_load() <= 40
    weir.reload(text(servers, protocol, "half_life = 9s  penalty_half_life = 9s"))
    assert under_load() <= 20
