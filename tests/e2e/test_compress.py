# SPDX-License-Identifier: MIT
"""Module compress with real clients: curl and Python undo what it did, byte for byte; streams pass at once
and in bounded memory."""

import hashlib
import os
import pathlib
import subprocess
import threading
import zlib

import pytest

from weirtest import admin, conf, weir as weir_program, wire
from weirtest.backend import Reply
from weirtest.wait import DEADLINE, wait_for

pytestmark = pytest.mark.skipif(
    "WEIR_BIN" in os.environ and
    not (pathlib.Path(weir_program.module_dir()) / "compress.so").exists(),
    reason="this build has no compress module (zlib or brotli was missing)")

COMPRESS = 'module "compress" {}\n'
TEXT = b"".join(b"line %d of a page that repeats itself\n" % number for number in range(5000))
HTML = ("Content-Type", "text/html; charset=utf-8")


def one_pool(server, options="", where="pool", extra=""):
    return COMPRESS + conf.one_pool({"a": server},
                                    **{f"{where}_options": f'filter "compress" {{ {options} }}' +
                                       extra})


def gunzip(body):
    """The whole of it, and not a byte behind."""
    decoder = zlib.decompressobj(wbits=31)
    text = decoder.decompress(body)
    assert decoder.eof and not decoder.unused_data
    return text


def curl(weir, *arguments):
    """What curl writes to standard output."""
    url = f"http://127.0.0.1:{weir.port()}/"
    done = subprocess.run(["curl", "-sS", "--fail", *arguments, url], capture_output=True,
                          timeout=DEADLINE, check=True)
    return done.stdout


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("where", ["pool", "listener"])
def test_gzip(start_weir, http_server, framing, where):
    server = http_server(handler=lambda request: Reply(
        TEXT, headers=(HTML, ("ETag", '"one"'), ("Accept-Ranges", "bytes")), framing=framing))
    weir = start_weir(one_pool(server, where=where))
    with weir.client() as client:
        for _ in range(3):
            response = client.get("/", [("Accept-Encoding", "gzip")])
            assert response.headers.get("Content-Encoding") == "gzip"
            assert response.headers.get("Vary") == "Accept-Encoding"
            assert response.headers.get("ETag") == 'W/"one"'
            assert "Content-Length" not in response.headers
            assert "Accept-Ranges" not in response.headers
            assert len(response.body) < len(TEXT) // 4
            assert gunzip(response.body) == TEXT
        plain = client.get("/")
        assert plain.body == TEXT
        assert "Content-Encoding" not in plain.headers
        assert plain.headers.get("Vary") == "Accept-Encoding"
        assert plain.headers.get("ETag") == '"one"'
        assert plain.headers.get("Accept-Ranges") == "bytes"


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_curl_undoes_it(start_weir, http_server, coding):
    body = TEXT + os.urandom(100000) + TEXT
    server = http_server(handler=lambda request: Reply(body, headers=(HTML,)))
    weir = start_weir(one_pool(server, f'encodings = {{"{coding}"}}'))
    assert curl(weir, "--compressed") == body
    head = curl(weir, "--compressed", "-D", "-", "-o", os.devnull).decode()
    assert f"content-encoding: {coding}" in head.lower()
    assert curl(weir, "-H", "Accept-Encoding: identity") == body


def test_old_client(start_weir, http_server):
    server = http_server(handler=lambda request: Reply(TEXT, headers=(HTML,)))
    weir = start_weir(one_pool(server))
    with weir.client() as client:
        client.send("GET / HTTP/1.0\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n")
        head, _, body = client.rest().partition(b"\r\n\r\n")
        assert b"Content-Encoding: gzip" in head and b"hunked" not in head
        assert gunzip(body) == TEXT


def test_what_has_no_body_or_is_a_part_stays(start_weir, http_server):
    def answer(request):
        if request.target == "/204":
            return Reply(status=204)
        if request.target == "/304":
            return Reply(status=304, headers=(("ETag", '"one"'),))
        if request.target == "/encoded":
            return Reply(b"\x00" * 5000, headers=(HTML, ("Content-Encoding", "zstd")))
        if request.headers.get("Range"):
            return Reply(TEXT[:5000], status=206, headers=(
                HTML, ("Content-Range", f"bytes 0-4999/{len(TEXT)}")))
        return Reply(TEXT, headers=(HTML,))

    weir = start_weir(one_pool(http_server(handler=answer)))
    gzip = ("Accept-Encoding", "gzip")
    with weir.client() as client:
        assert client.get("/204", [gzip]).status == 204
        response = client.get("/304", [gzip, ("If-None-Match", 'W/"one"')])
        assert (response.status, response.headers.get("ETag")) == (304, 'W/"one"')
        response = client.get("/encoded", [gzip])
        assert response.headers.get("Content-Encoding") == "zstd"
        assert response.body == b"\x00" * 5000
        response = client.get("/", [gzip, ("Range", "bytes=0-4999")])
        assert (response.status, response.body) == (206, TEXT[:5000])
        assert "Content-Encoding" not in response.headers
        head = client.get("/", [gzip], method="HEAD")
        assert head.headers.get("Content-Encoding") == "gzip"
        assert "Content-Length" not in head.headers
        assert gunzip(client.get("/", [gzip]).body) == TEXT


def test_events_pass_at_once(start_weir, http_server):
    """Each event arrives before the server makes the next one."""
    seen = threading.Event()

    def events():
        for number in range(5):
            yield b"data: event %d\n\n" % number
            assert seen.wait(DEADLINE)
            seen.clear()

    server = http_server(handler=lambda request: Reply(
        events(), headers=(("Content-Type", "text/event-stream"),), framing="chunked"))
    weir = start_weir(one_pool(server))
    with weir.client() as client:
        client.request(headers=[("Accept-Encoding", "gzip")])
        response = client.begin()
        assert response.headers.get("Content-Encoding") == "gzip"
        decoder = zlib.decompressobj(wbits=31)
        pieces = client.body(response)
        for number in range(5):
            text = b""
            while not text.endswith(b"\n\n"):
                text += decoder.decompress(next(pieces))
            assert text == b"data: event %d\n\n" % number
            seen.set()
        for piece in pieces:
            assert decoder.decompress(piece) == b""
        assert decoder.eof


def big_body(pieces):
    """64 KiB pieces that are neither all alike nor all noise."""
    noise = os.urandom(16384)
    for number in range(pieces):
        yield (noise + b"%016d" % number * 3072)[:65536]


@pytest.mark.parametrize("slow", [False, True])
def test_64_mib_in_bounded_memory(start_weir, http_server, slow):
    count = 1024
    total = count * 65536
    expected = hashlib.sha256()
    pieces = list(big_body(8))

    def body():
        for number in range(count):
            yield pieces[number % 8]

    for piece in body():
        expected.update(piece)
    server = http_server(handler=lambda request: Reply(body(), headers=(HTML,), length=total),
                         keep=False)
    weir = start_weir(one_pool(server, "gzip_level = 1"), workers=1)
    weir.get("/", method="HEAD")
    before = weir.memory_kib()
    most = before
    with weir.client(receive_buffer=65536) as client:
        client.request(headers=[("Accept-Encoding", "gzip")])
        response = client.begin()
        decoder = zlib.decompressobj(wbits=31)
        got = hashlib.sha256()
        length = 0
        if slow:
            seen = []

            def still():
                seen.append(weir.cpu_seconds())
                return seen.count(seen[-1]) >= 10

            wait_for(still, "weir to stand still behind a client that does not read")
            most = max(most, weir.memory_kib())
        for number, piece in enumerate(client.body(response)):
            text = decoder.decompress(piece)
            got.update(text)
            length += len(text)
            if number % 200 == 0:
                most = max(most, weir.memory_kib())
    assert decoder.eof and length == total
    assert got.hexdigest() == expected.hexdigest()
    assert most - before < 16384, f"{most - before} KiB more"


def test_cut_body_stays_cut(start_weir, http_server):
    def body():
        yield TEXT
        raise ConnectionError("the server breaks off")

    server = http_server(handler=lambda request: Reply(body(), headers=(HTML,),
                                                       length=2 * len(TEXT)))
    weir = start_weir(one_pool(server))
    with weir.client() as client:
        client.request(headers=[("Accept-Encoding", "gzip")])
        with pytest.raises((wire.Cut, ConnectionError)):
            for _ in client.body(client.begin()):
                pass


def test_options_and_reload(start_weir, http_server):
    server = http_server(handler=lambda request: Reply(
        TEXT[:3000], headers=(("Content-Type", "application/x-thing"),)))
    weir = start_weir(one_pool(server))
    gzip = [("Accept-Encoding", "gzip")]
    assert weir.get("/", gzip).body == TEXT[:3000]
    weir.reload(one_pool(server, 'types = {"application/x-thing"}'))
    assert gunzip(weir.get("/", gzip).body) == TEXT[:3000]
    weir.reload(one_pool(server, 'types = {"application/*"}  minimum_size = 3001'))
    assert weir.get("/", gzip).body == TEXT[:3000]
    log = weir.reload(one_pool(server, 'encodings = {"zip"}'), good=False)
    assert '"zip" is no coding' in log
    assert weir.get("/", gzip).body == TEXT[:3000]


def test_many_at_once(start_weir, http_server):
    server = http_server(handler=lambda request: Reply(TEXT, headers=(HTML,)), keep=False)
    weir = start_weir(one_pool(server))
    failures = []

    def run(coding):
        try:
            for _ in range(20):
                assert curl(weir, "--compressed", "-H", f"Accept-Encoding: {coding}") == TEXT
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=run, args=(coding,)) for coding in ("br", "gzip") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


class Tagged:
    """A server with one resource, and the tag that it gives it; it compares texts, as many do. It takes what
    comes by PUT where If-Match is right."""

    def __init__(self, tag):
        self.tag = tag
        self.asked = []

    def __call__(self, request):
        assert request.body is not None
        none, match = request.headers.get("If-None-Match"), request.headers.get("If-Match")
        self.asked.append(none if match is None else match)
        etag = (("ETag", self.tag),)
        if request.method == "PUT":
            if match != self.tag:
                return Reply(b"changed", status=412, headers=etag)
            return Reply(status=204, headers=etag)
        if none is not None and (none == "*" or self.tag in none.split(", ")):
            return Reply(status=304, headers=etag)
        return Reply(TEXT, headers=(HTML, *etag))


GZIP = ("Accept-Encoding", "gzip")


@pytest.mark.parametrize("where", ["listener", "pool"])
def test_the_server_gets_its_own_tag_back(start_weir, http_server, where):
    """RFC 9110 sections 8.8.3, 13.1.1 and 13.1.2: what was weakened on its way is what it was on its way back."""
    tagged = Tagged('"one"')
    block = 'filter "compress" {}'
    weir = start_weir('module "compress" {}\n' + conf.one_pool(
        {"a": http_server(handler=tagged)}, block if where == "pool" else "",
        block if where == "listener" else ""))
    with weir.client() as client:
        packed, plain = client.get("/", [GZIP]), client.get("/")
        assert (packed.headers.get("ETag"), plain.headers.get("ETag")) == ('W/"one"', '"one"')
        for sent, at_server, told in [
                ('W/"one"', '"one"', 'W/"one"'),
                ('"one"', '"one"', '"one"'),
                ('W/"none", W/"one"', '"none", "one"', 'W/"one"'),
                ('"none", "one"', '"none", "one"', '"one"'),
                ("*", "*", '"one"')]:
            response = client.get("/", [GZIP, ("If-None-Match", sent)])
            assert (tagged.asked[-1], response.status) == (at_server, 304), sent
            assert response.headers.get("ETag") == told, sent
        assert client.get("/", [GZIP, ("If-None-Match", 'W/"two"')]).status == 200
        assert tagged.asked[-1] == '"two"'
        for sent in ('W/"one"', '"one"'):
            assert client.get("/", [("If-Match", sent)], method="PUT", body=b"x").status == 204, sent
            assert tagged.asked[-1] == '"one"'
        assert client.get("/", [("If-Match", 'W/"two"')], method="PUT", body=b"x").status == 412


def test_tags_come_back_after_a_change_at_run_time(start_weir, http_server):
    """What a route's filters are is known as well where a server was added."""
    tagged = Tagged('"one"')
    web, other = http_server(handler=tagged), http_server("b")
    weir = start_weir('module "compress" {}\n' + conf.listener() + conf.modules() +
                      'module "route_path" {\n'
                      '  route "/" { pool = "web"  filter "compress" {} }\n}\n' +
                      conf.pool("web", {"a": web}) + admin.listener())
    added = admin.browser(weir).post("/api/v1/pools/web/servers",
                                     {"url": other.url, "id": "b", "weight": 0})
    assert added.status == 201
    with weir.client() as client:
        assert client.get("/", [GZIP]).headers.get("ETag") == 'W/"one"'
        response = client.get("/", [GZIP, ("If-None-Match", 'W/"one"')])
        assert (tagged.asked[-1], response.status) == ('"one"', 304)


def test_a_weak_tag_of_the_server_s_own_stays_weak(start_weir, http_server):
    tagged = Tagged('W/"own"')
    weir = start_weir(one_pool(http_server(handler=tagged)))
    with weir.client() as client:
        assert client.get("/", [GZIP]).headers.get("ETag") == 'W/"own"'
    for _ in range(4):  # on either worker
        response = weir.get("/", [GZIP, ("If-None-Match", 'W/"own"')])
        assert (tagged.asked[-1], response.status) == ('W/"own"', 304)
        assert response.headers.get("ETag") == 'W/"own"'
        assert weir.get("/", [("If-Match", 'W/"own"')], method="PUT", body=b"x").status == 204
    # Both kinds in one list, and the other one after it.
    with weir.client() as client:
        client.get("/", [GZIP, ("If-None-Match", 'W/"own", W/"other", "third"')])
        assert tagged.asked[-1] == 'W/"own", "other", "third"'
        tagged.tag = '"own"'
        assert client.get("/", [GZIP]).headers.get("ETag") == 'W/"own"'
        assert client.get("/", [GZIP, ("If-None-Match", 'W/"own"')]).status == 304
        assert tagged.asked[-1] == '"own"'


def test_tags_where_nothing_is_compressed_stay(start_weir, http_server):
    tagged = Tagged('"one"')
    weir = start_weir(conf.one_pool({"a": http_server(handler=tagged)}))
    assert weir.get("/", [GZIP, ("If-None-Match", 'W/"one"')]).status == 200
    assert tagged.asked[-1] == 'W/"one"'
