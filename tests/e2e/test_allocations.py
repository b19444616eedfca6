# SPDX-License-Identifier: MIT
"""Steady state: a keep-alive request allocates nothing, on any thread."""

import struct

import pytest

from weirtest import conf
from weirtest.wait import SANITIZED
from weirtest.weir import shim

WARM_UP = 1000
REQUESTS = 1000
# What happens once a second and not for each request: the history's first samples, the log's writer.
HANDFUL = 50


class Mallocs:
    """The number of allocations of a weir started with this environment."""

    def __init__(self, path):
        self.path = path
        self.path.write_bytes(bytes(8))
        self.environment = {"WEIR_TEST_MALLOCS": str(path)}

    def read(self):
        """So many up to now."""
        return struct.unpack("=Q", self.path.read_bytes())[0]


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_none_per_request(make_weir, http_server, certs, tmp_path, scheme):
    """Twice as many requests need no more allocations, access log, stickiness and all."""
    tls = f"tls {{ {certs.block('localhost')} }}" if scheme == "https" else ""
    web = http_server("a", lambda request: bytes(1024), keep=False)
    mallocs = Mallocs(tmp_path / "mallocs")
    weir = make_weir(workers=1)
    weir.configure(conf.one_pool({"a": web}, 'sticky "cookie" {}', listener_options=tls))
    weir.start(environment=mallocs.environment, preload=shim("malloc"))
    assert mallocs.read() > 0, "the shim counts nothing"

    with weir.client(tls=certs.client() if tls else None) as client:

        def allocations(requests):
            before = mallocs.read()
            for _ in range(requests):
                response = client.get("/")
                assert response.status == 200 and not response.closes
            return mallocs.read() - before

        allocations(WARM_UP)
        once = allocations(REQUESTS)
        twice = allocations(2 * REQUESTS)

    assert web.accepted == 1, "the connection to the server was not kept"
    assert len(weir.access(WARM_UP + 3 * REQUESTS)) == WARM_UP + 3 * REQUESTS
    assert once <= HANDFUL and twice <= HANDFUL, \
        f"{once} allocations for {REQUESTS} requests, {twice} for {2 * REQUESTS}"
