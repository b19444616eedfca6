# SPDX-License-Identifier: MIT
"""Filters that transform bodies, and where filters stand: with the test module `expand`, which writes each
byte of a body several times."""

import os
import pathlib

import pytest

from weirtest import conf, weir as weir_program, wire
from weirtest.backend import Reply, ScriptedServer
from weirtest.wait import wait_for


@pytest.fixture(autouse=True)
def test_modules(tmp_path_factory, monkeypatch):
    """The build's modules and the tests' own, in one folder."""
    built = pathlib.Path(weir_program.module_dir())
    tests = built.parent.parent / "tests" / "modules" / "built"
    extra = [tests / "expand.so", tests / "pour.so"]
    assert all(path.exists() for path in extra), "make test-programs builds them"
    folder = tmp_path_factory.mktemp("modules")
    for path in [*built.glob("*.so"), *extra]:
        os.symlink(path, folder / path.name)
    monkeypatch.setenv("WEIR_MODULE_DIR", str(folder))


EXPAND = 'module "expand" {}\n'
TRIPLE = 'filter "expand" { times = 3 }'


def one_pool(server, pool_options="", listener_options=""):
    return EXPAND + conf.one_pool({"a": server}, pool_options, listener_options)


def wait_still(weir):
    """Until weir uses no time: a client that does not read has stopped all that is before it."""
    seen = []

    def still():
        seen.append(weir.cpu_seconds())
        return seen.count(seen[-1]) >= 10  # readings are 4 ms apart, the kernel counts in 10 ms

    wait_for(still, "weir to stand still behind a client that does not read")


HEADERS = (("ETag", '"v1"'), ("Accept-Ranges", "bytes"), ("Content-MD5", "x"), ("X-Kept", "yes"))


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("where", ["pool", "listener"])
def test_body_and_head_change(start_weir, http_server, framing, where):
    server = http_server(handler=lambda request: Reply(b"abc", headers=HEADERS, framing=framing,
                                                       length=3))
    weir = start_weir(one_pool(server, **{f"{where}_options": TRIPLE}))
    with weir.client() as client:
        for _ in range(2):
            response = client.get("/")
            assert (response.status, response.body) == (200, b"aaabbbccc")
            assert response.headers.get("Transfer-Encoding") == "chunked"
            assert "Content-Length" not in response.headers
            assert response.headers.get("ETag") == 'W/"v1"'
            assert "Accept-Ranges" not in response.headers
            assert "Content-MD5" not in response.headers
            assert response.headers.get("X-Kept") == "yes"


def test_old_clients_get_it_until_the_end(start_weir, http_server):
    weir = start_weir(one_pool(http_server(handler=lambda request: b"abc"), TRIPLE))
    with weir.client() as client:
        client.send("GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        head, _, body = client.rest().partition(b"\r\n\r\n")
        assert body == b"aaabbbccc"
        assert b"chunked" not in head and b"ontent-Length" not in head


def test_no_body_stays_none(start_weir, http_server):
    def answer(request):
        status = int(request.target[1:])
        return Reply(b"" if status != 200 else b"abc", status=status, headers=HEADERS)

    weir = start_weir(one_pool(http_server(handler=answer), TRIPLE))
    with weir.client() as client:
        head = client.get("/200", method="HEAD")
        assert head.status == 200 and head.headers.get("ETag") == 'W/"v1"'
        assert "Content-Length" not in head.headers, "it would be a wrong one"
        not_modified = client.get("/304")
        assert not_modified.headers.get("ETag") == '"v1"', "nothing was transformed"
        assert client.get("/204").status == 204
        assert client.get("/200").body == b"aaabbbccc"


def test_trailers_follow(start_weir, http_server):
    server = http_server(handler=lambda request: Reply(
        [b"ab", b"c"], framing="chunked", trailers=(("X-Sum", "6"),)))
    weir = start_weir(one_pool(server, TRIPLE))
    response = weir.get("/")
    assert response.body == b"aaabbbccc"
    assert response.trailers == [("X-Sum", "6")]


def test_filters_follow_each_other(start_weir, http_server):
    """Two in a pool and one in the listener."""
    filters = 'filter "expand" { times = 2 }\n filter "expand" { times = 3 }'
    weir = start_weir(one_pool(http_server(handler=lambda request: b"ab"), filters,
                               'filter "expand" { times = 5 }'))
    assert weir.get("/").body == b"a" * 30 + b"b" * 30


def test_in_a_route(start_weir, http_server):
    server = http_server(handler=lambda request: b"ab")
    text = EXPAND + conf.listener() + conf.modules() + \
        'module "route_path" { route "/x" { pool = "web"  filter "expand" { times = 2 } }\n' \
        '  route "/" { pool = "web" } }\n' + conf.pool("web", {"a": server})
    weir = start_weir(text)
    assert weir.get("/x").body == b"aabb"
    assert weir.get("/").body == b"ab"
    weir.reload(text.replace("times = 2", "times = 4"))
    assert weir.get("/x").body == b"aaaabbbb"
    log = weir.reload(text.replace("times = 2", "time = 4"), good=False)
    assert "unknown option `time` in `filter \"expand\"`; did you mean `times`?" in log


def test_error_answers_pass_filters_of_the_listener(start_weir):
    weir = start_weir(EXPAND + conf.listener(TRIPLE) + conf.modules() +
                      'module "route_path" { }\n')
    response = weir.get("/nothing")
    assert response.status == 404
    assert response.body.startswith(b"<<<!!!dddooo")


def test_much_of_little_waits_for_a_slow_client(start_weir, http_server):
    """256 MiB out of 1 MiB: what the client does not read is not made."""
    piece = bytes(range(256)) * 256
    server = http_server(handler=lambda request: Reply(
        (piece for _ in range(16)), length=16 * len(piece)))
    weir = start_weir(one_pool(server, 'filter "expand" { times = 16 }',
                               'filter "expand" { times = 16 }'), workers=1)
    assert weir.get("/", method="HEAD").status == 200
    before = weir.memory_kib()
    with weir.client(receive_buffer=65536) as client:
        client.request()
        response = client.begin()
        pieces = wire.body_pieces(client, response.headers, ends_with_stream=True)
        assert next(pieces)
        wait_still(weir)
        assert weir.memory_kib() - before < 8192
        count = 0
        for got in pieces:
            count += len(got)
            if count % 16 == 0:
                assert weir.memory_kib() - before < 12288
        assert count > 250 << 20


def test_much_of_little_is_exact(start_weir, http_server):
    body = os.urandom(300000)
    weir = start_weir(one_pool(http_server(handler=lambda request: body),
                               'filter "expand" { times = 7 }'))
    got = weir.get("/").body
    assert len(got) == 7 * len(body)
    assert got == b"".join(bytes([byte]) * 7 for byte in body)


def test_answers_of_handlers_pass_filters(start_weir):
    """The handler hears that the client is slow through the filter between them."""
    size, times = 4 << 20, 16
    weir = start_weir(EXPAND + 'module "pour" {}\n' + conf.listener(
        f'handler "pour" {{ size = {size} }}\n filter "expand" {{ times = {times} }}'))
    assert weir.get("/", method="HEAD").status == 200
    before = weir.memory_kib()
    line = b"".join(bytes([byte]) * times for byte in b"0123456789abcdef")
    lines = line * 1024
    with weir.client(receive_buffer=65536) as client:
        client.request()
        response = client.begin()
        assert "Content-Length" not in response.headers
        pieces = client.body(response)
        got = next(pieces)
        wait_still(weir)
        assert weir.memory_kib() - before < 4096
        total = 0
        for piece in pieces:
            got += piece
            whole = len(got) // len(line) * len(line)
            assert got[:whole] == lines[:whole]
            total, got = total + whole, got[whole:]
        assert (total, got) == (size * times, b"")
        assert weir.memory_kib() - before < 8192
        assert client.get("/", method="HEAD").status == 200


def test_a_failing_filter_breaks_the_body_visibly(start_weir, http_server):
    weir = start_weir(one_pool(http_server(handler=lambda request: b"x" * 100000),
                               'filter "expand" { fail_after = 1000 }'))
    with weir.client() as client:
        client.request()
        response = client.begin()
        assert response.status == 200
        with pytest.raises((wire.Cut, ConnectionError)):
            for _ in client.body(response):
                pass
    assert weir.access(1)[0]["reason"] == "module_failed"
    assert "a filter failed" in weir.log()
    assert weir.get("/", method="HEAD").status == 200


def test_a_cut_body_stays_cut(start_weir):
    def cut(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")

    server = ScriptedServer(cut)
    try:
        weir = start_weir(one_pool(server, TRIPLE))
        with weir.client() as client:
            client.request()
            with pytest.raises((wire.Cut, ConnectionError)):
                for _ in client.body(client.begin()):
                    pass
    finally:
        server.close()


def test_a_client_that_leaves_takes_the_chain_along(start_weir, http_server):
    server = http_server(handler=lambda request: b"y" * 100000)
    weir = start_weir(one_pool(server, 'filter "expand" { times = 1000 }'))
    for _ in range(5):
        with weir.client(receive_buffer=4096) as client:
            client.request()
            client.begin()
            client.reset()
    weir.access(5)
    assert weir.get("/", method="HEAD").status == 200
