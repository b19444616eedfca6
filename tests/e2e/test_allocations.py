# SPDX-License-Identifier: MIT
"""Steady state: a keep-alive request allocates nothing, on any thread, but what OpenSSL does over TLS."""

import struct

import pytest

from weirtest import conf
from weirtest.backend import Reply
from weirtest.h2peer import H2Client
from weirtest.wait import SANITIZED
from weirtest.weir import shim

# Requests to warm up, and once more to count.
GETS = 1000
OTHERS = 300
# What happens once a second and not for each request: the history's first samples, the log's writer.
HANDFUL = 50
# OpenSSL 3.0 allocates three small blocks for a record that it writes and one for a record that it reads.
OF_OPENSSL = 4


class Mallocs:
    """The number of allocations of a weir started with this environment."""

    def __init__(self, path):
        self.path = path
        self.path.write_bytes(bytes(8))
        self.environment = {"WEIR_TEST_MALLOCS": str(path)}

    def read(self):
        """So many up to now."""
        return struct.unpack("=Q", self.path.read_bytes())[0]


PIECE = bytes(2048)
# What a request is made of, beside its method; a body of several pieces is chunked. The small ones are kept
# until they are answered, so that they can be sent again.
REQUESTS_OF = {
    "get": {},
    "large_head": {"headers": [("Cookie", "c" * 3000)]},
    "upload": {"method": "POST", "body": PIECE * 4},
    "chunked_upload": {"method": "POST", "body": [PIECE] * 4},
    "large_chunked_upload": {"method": "POST", "body": [PIECE] * 12},
}
# A unary call of gRPC, with trailers.
CALL = {"method": "POST", "body": [b"\0\0\0\0\x64" + bytes(100)],
        "headers": [("content-type", "application/grpc"), ("te", "trailers")]}


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own")
@pytest.mark.parametrize("scheme, what", [("https", "get")] + [("http", what) for what in REQUESTS_OF])
def test_none_per_request(make_weir, http_server, certs, tmp_path, scheme, what):
    """Twice as many requests need no more allocations, access log, stickiness, shadow and all."""
    tls = f"tls {{ {certs.block('localhost')} }}" if scheme == "https" else ""

    def answer(request):
        for _ in request.pieces:
            pass
        return bytes(1024)

    web = http_server("a", answer, keep=False)
    mallocs = Mallocs(tmp_path / "mallocs")
    weir = make_weir(workers=1)
    weir.configure(conf.one_pool({"a": web}, 'sticky "cookie" {}  shadow "ewma" {}', listener_options=tls))
    weir.start(environment=mallocs.environment, preload=shim("malloc"))
    assert mallocs.read() > 0, "the shim counts nothing"

    with weir.client(tls=certs.client() if tls else None) as client:

        def allocations(requests):
            before = mallocs.read()
            for _ in range(requests):
                response = client.get("/", **REQUESTS_OF[what])
                assert response.status == 200 and not response.closes
            return mallocs.read() - before

        many = GETS if what == "get" else OTHERS
        allocations(many)
        once = allocations(many)
        twice = allocations(2 * many)

    assert web.accepted == 1, "the connection to the server was not kept"
    assert len(weir.access(4 * many)) == 4 * many
    each = OF_OPENSSL if tls else 0
    assert once <= each * many + HANDFUL and twice <= each * 2 * many + HANDFUL, \
        f"{once} allocations for {many} requests, {twice} for {2 * many}"


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own")
@pytest.mark.parametrize("what, up", [(what, up) for what in ("get", "upload", "chunked_upload")
                                      for up in (1, 2)] + [("call", 2)])
def test_none_per_request_of_http_2(make_weir, http_server, h2_server, tmp_path, up, what):
    """The same with HTTP/2 towards the client, and towards the server."""
    def answer(request):
        assert request.body is not None  # an answer before its end would be another path
        if what == "call":
            return Reply(request.body, framing="chunked", trailers=[("grpc-status", "0")],
                         headers=[("content-type", "application/grpc")])
        return bytes(1024)

    web = (h2_server if up == 2 else http_server)("a", answer)
    mallocs = Mallocs(tmp_path / "mallocs")
    weir = make_weir(workers=1)
    weir.configure(conf.one_pool({"a": web}, 'protocol = "h2"' if up == 2 else "", "h2c = on"))
    weir.start(environment=mallocs.environment, preload=shim("malloc"))

    with H2Client(weir.address()) as client:

        def allocations(requests):
            before = mallocs.read()
            for _ in range(requests):
                response = client.get("/", **(CALL if what == "call" else REQUESTS_OF[what]))
                assert response.status == 200
                assert what != "call" or response.trailers.get("grpc-status") == "0"
            return mallocs.read() - before

        allocations(OTHERS)
        once = allocations(OTHERS)
        twice = allocations(2 * OTHERS)

    assert web.accepted == 1
    assert once <= HANDFUL and twice <= HANDFUL, \
        f"{once} allocations for {OTHERS} requests, {twice} for {2 * OTHERS}"
