# SPDX-License-Identifier: MIT
"""Request smuggling: whatever a client sends, the server behind sees the requests that Weir has seen, even
where it reads HTTP in another server's lenient way; and each answer goes to whom it belongs."""

import threading

import pytest

from weirtest import conf, lenient
from weirtest.backend import HttpServer
from weirtest.client import Client
from weirtest.wait import wait_for
from weirtest.weir import Weir
from weirtest.wire import Cut, Malformed

H = "Host: localhost\r\n"
POST = "POST /attack HTTP/1.1\r\n" + H
HIDDEN = "GET /smuggled HTTP/1.1\r\n" + H + "\r\n"
CL = "Content-Length: {}\r\n"
TE = "Transfer-Encoding: chunked\r\n"
ZERO = "0\r\n\r\n"


def length(value, body, more=""):
    return POST + CL.format(value) + more + "\r\n" + body


def coded(fields, body=ZERO + HIDDEN, value=4):
    """A body that ends at once for who takes the coding, and later for who takes the length."""
    return POST + CL.format(value) + fields + "\r\n" + body


def uncoded(fields):
    """A coding that Weir must not overlook: for who does, the body is no body, or has its length."""
    body = f"{len(HIDDEN):x}\r\n{HIDDEN}\r\n{ZERO}"
    return POST + fields + "\r\n" + body


def chunked(body):
    return POST + TE + "\r\n" + body


# Name and bytes. `/smuggled` is no request of any of them.
ATTACKS = [
    # -- both lengths (CL.TE, TE.CL)
    ("cl-te", coded(TE)),
    ("te-cl", POST + TE + CL.format(4) + "\r\n" + f"{len(HIDDEN):x}\r\n{HIDDEN}\r\n{ZERO}"),
    ("cl-0-te", coded(TE, value=0)),
    ("cl-te-case", coded("tRANSFER-eNCODING: CHUNKED\r\n")),
    # -- codings that some take for chunked (TE.TE)
    ("te-space-before-colon", coded("Transfer-Encoding : chunked\r\n")),
    ("te-tab-before-colon", coded("Transfer-Encoding\t: chunked\r\n")),
    ("te-leading-blank", coded(" Transfer-Encoding: chunked\r\n")),
    ("te-folded", coded("Transfer-Encoding:\r\n chunked\r\n")),
    ("te-folded-name", coded("Transfer-Encoding\r\n : chunked\r\n")),
    ("te-vertical-tab", coded("Transfer-Encoding: \x0bchunked\r\n")),
    ("te-form-feed", coded("Transfer-Encoding: chunked\x0c\r\n")),
    ("te-nul", coded("Transfer-Encoding: chunked\0x\r\n")),
    ("te-nul-name", coded("Transfer-Encoding\0x: chunked\r\n")),
    ("te-backspace", coded("Transfer-Encoding: \x08chunked\r\n")),
    ("te-0xa0", coded("Transfer-Encoding: \xa0chunked\r\n")),
    ("te-0xff", coded("Transfer-Encoding: \xffchunked\r\n")),
    ("te-quoted", coded('Transfer-Encoding: "chunked"\r\n')),
    ("te-single-quoted", coded("Transfer-Encoding: 'chunked'\r\n")),
    ("te-x", coded("Transfer-Encoding: xchunked\r\n")),
    ("te-suffix", coded("Transfer-Encoding: chunkedx\r\n")),
    ("te-semicolon", coded("Transfer-Encoding: chunked;\r\n")),
    ("te-parameter", coded("Transfer-Encoding: chunked;a=b\r\n")),
    ("te-comma", coded("Transfer-Encoding: ,chunked\r\n")),
    ("te-comma-behind", coded("Transfer-Encoding: chunked,\r\n")),
    ("te-identity", coded("Transfer-Encoding: identity\r\n")),
    ("te-identity-chunked", coded("Transfer-Encoding: identity, chunked\r\n")),
    ("te-chunked-identity", coded("Transfer-Encoding: chunked, identity\r\n")),
    ("te-twice", coded(TE + TE)),
    ("te-twice-in-one", coded("Transfer-Encoding: chunked, chunked\r\n")),
    ("te-and-another", coded(TE + "Transfer-Encoding: x\r\n")),
    ("te-another-and", coded("Transfer-Encoding: x\r\n" + TE)),
    ("te-gzip", coded("Transfer-Encoding: gzip, chunked\r\n")),
    ("te-bare-lf", coded("X: y\nTransfer-Encoding: chunked\r\n")),
    ("te-bare-cr", coded("X: y\rTransfer-Encoding: chunked\r\n")),
    ("te-line-with-two", coded("X: y\r\r\nTransfer-Encoding: chunked\r\n")),
    ("te-underscore", uncoded("Transfer_Encoding: chunked\r\n" + CL.format(
        len(HIDDEN) + len(f"{len(HIDDEN):x}\r\n\r\n{ZERO}")))),
    ("te-plus", coded("+Transfer-Encoding: chunked\r\n")),
    ("te-named-in-connection", coded(TE + "Connection: Transfer-Encoding\r\n")),
    ("te-alone-named-in-connection", uncoded(TE + "Connection: Transfer-Encoding\r\n")),
    ("cl-named-in-connection", length(len(HIDDEN), HIDDEN, "Connection: Content-Length\r\n")),
    ("cl-named-twice", length(len(HIDDEN), HIDDEN,
                              "Connection: close, Content-Length\r\nConnection: content-length\r\n")),
    ("te-http-1.0", "POST /attack HTTP/1.0\r\n" + H + "Connection: keep-alive\r\n" + TE + "\r\n" +
     ZERO + HIDDEN),
    ("te-first-line", "POST /attack HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + H +
     CL.format(4) + "\r\n" + ZERO + HIDDEN),
    # -- lengths
    ("cl-differ", length(0, HIDDEN, CL.format(len(HIDDEN)))),
    ("cl-list", length(f"0, {len(HIDDEN)}", HIDDEN)),
    ("cl-plus", length(f"+{len(HIDDEN)}", HIDDEN)),
    ("cl-minus", length("-1", HIDDEN)),
    ("cl-minus-zero", length("-0", HIDDEN)),
    ("cl-space", length(f"{len(HIDDEN)} 0", HIDDEN)),
    ("cl-hex", length(f"0x{len(HIDDEN):x}", HIDDEN)),
    ("cl-octal", length("0" * 30 + str(len(HIDDEN)), HIDDEN)),
    ("cl-exponent", length("1e2", HIDDEN)),
    ("cl-underscore", length(f"{len(HIDDEN)//10}_{len(HIDDEN)%10}", HIDDEN)),
    ("cl-underscore-name", POST + f"Content_Length: {len(HIDDEN)}\r\n" +
     CL.format(len(HIDDEN)) + "\r\n" + HIDDEN),
    ("cl-overflow-64", length((1 << 64) + len(HIDDEN), HIDDEN)),
    ("cl-overflow-32", length((1 << 32) + len(HIDDEN), HIDDEN)),
    ("cl-empty", length("", HIDDEN)),
    ("cl-nul", length(f"{len(HIDDEN)}\0", HIDDEN)),
    ("cl-vertical-tab", length(f"\x0b{len(HIDDEN)}", HIDDEN)),
    ("cl-blank-before-colon", POST + f"Content-Length : {len(HIDDEN)}\r\n\r\n" + HIDDEN),
    ("cl-folded", POST + f"Content-Length:\r\n {len(HIDDEN)}\r\n\r\n" + HIDDEN),
    ("cl-on-get", f"GET /attack HTTP/1.1\r\n{H}{CL.format(len(HIDDEN))}\r\n{HIDDEN}"),
    ("te-on-get", f"GET /attack HTTP/1.1\r\n{H}{TE}\r\n{len(HIDDEN):x}\r\n{HIDDEN}\r\n{ZERO}"),
    ("cl-on-head", f"HEAD /attack HTTP/1.1\r\n{H}{CL.format(len(HIDDEN))}\r\n{HIDDEN}"),
    ("cl-on-options", f"OPTIONS * HTTP/1.1\r\n{H}{CL.format(len(HIDDEN))}\r\n{HIDDEN}"),
    # -- chunks
    ("chunk-0x", chunked("0x0\r\n\r\n" + HIDDEN)),
    ("chunk-plus", chunked("+0\r\n\r\n" + HIDDEN)),
    ("chunk-minus", chunked("-0\r\n\r\n" + HIDDEN)),
    ("chunk-blank", chunked(" 0\r\n\r\n" + HIDDEN)),
    ("chunk-overflow-64", chunked("10000000000000000\r\n\r\n" + HIDDEN)),
    ("chunk-overflow-32", chunked("100000000\r\n\r\n" + HIDDEN)),
    ("chunk-bare-lf", chunked("0\n\n" + HIDDEN)),
    ("chunk-bare-cr", chunked("0\r\r" + HIDDEN)),
    ("chunk-line-cr-x", chunked("0\rx\r\n\r\n" + HIDDEN)),
    ("chunk-extension-lf", chunked("5;\nGET / \r\n0\r\n\r\n" + HIDDEN)),
    ("chunk-extension-cr", chunked("5;\rhello\r\n0\r\n\r\n" + HIDDEN)),
    ("chunk-extension-quoted-crlf", chunked('5;a="\r\n0\r\n\r\n' + HIDDEN + '"\r\nhello\r\n')),
    ("chunk-extension-nul", chunked("0;\0\r\n\r\n" + HIDDEN)),
    ("chunk-data-no-crlf", chunked("5\r\nhelloXX0\r\n\r\n" + HIDDEN)),
    ("chunk-data-lf", chunked("5\r\nhello\n0\r\n\r\n" + HIDDEN)),
    ("chunk-last-with-data", chunked("0\r\nx\r\n" + HIDDEN)),
    ("chunk-size-empty", chunked("\r\n\r\n" + HIDDEN)),
    ("chunk-trailer-length", chunked(f"0\r\nContent-Length: {len(HIDDEN)}\r\n\r\n")),
    ("chunk-trailer-coding", chunked("0\r\nTransfer-Encoding: x\r\nHost: evil\r\n\r\n")),
    ("chunk-trailer-space", chunked("0\r\nContent-Length : 5\r\n\r\n" + HIDDEN)),
    ("chunk-trailer-fold", chunked("0\r\nA: b\r\n c\r\n\r\n" + HIDDEN)),
    ("chunk-trailer-is-request", chunked("0\r\n" + HIDDEN)),
    ("chunk-comma", chunked("0,\r\n\r\n" + HIDDEN)),
    # -- heads
    ("head-bare-lf", POST.replace("\r\n", "\n") + "\n" + HIDDEN),
    ("head-lf-cr", POST + "X: y\n\r\n" + HIDDEN),
    ("head-double-cr", POST + "X: y\r\r\n\r\n" + HIDDEN),
    ("head-nul-line", POST + "\0\r\n\r\n" + HIDDEN),
    ("head-no-colon", POST + "GET /smuggled HTTP/1.1\r\nX: y\r\n\r\n"),
    ("head-value-cr", POST + "X: \rGET /smuggled HTTP/1.1\r\n\r\n"),
    ("head-fold-is-request", POST + "X: y\r\n GET /smuggled HTTP/1.1\r\n\r\n"),
    ("target-lf", "GET /attack\nGET /smuggled HTTP/1.1\r\n" + H + "\r\n"),
    ("target-space", "GET /attack HTTP/1.1 /smuggled HTTP/1.1\r\n" + H + "\r\n"),
    ("target-encoded-crlf",
     "GET /attack%20HTTP/1.1%0d%0aX:%20y%0d%0a%0d%0aGET%20/smuggled HTTP/1.1\r\n" + H + "\r\n"),
    ("target-absolute", "GET http://localhost/attack HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
    ("version-missing", "GET /attack\r\n" + H + "\r\n" + HIDDEN),
    ("version-1.10", "GET /attack HTTP/1.10\r\n" + H + "\r\n" + HIDDEN),
    ("method-lf", "\nPOST /attack HTTP/1.1\r\n" + H + CL.format(len(HIDDEN)) + "\r\n" + HIDDEN),
    ("expect", length(len(HIDDEN), HIDDEN, "Expect: 100-continue\r\n")),
    ("expect-twice", length(len(HIDDEN), HIDDEN, "Expect: 100-continue\r\nExpect: x\r\n")),
    ("upgrade-h2c", "GET /attack HTTP/1.1\r\n" + H + "Connection: Upgrade, HTTP2-Settings\r\n"
     "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n" + CL.format(len(HIDDEN)) +
     "\r\n" + HIDDEN),
    ("upgrade-websocket-refused", "GET /attack HTTP/1.1\r\n" + H + "Connection: Upgrade\r\n"
     "Upgrade: websocket\r\n" + CL.format(len(HIDDEN)) + "\r\n" + HIDDEN),
    ("connect", "CONNECT localhost:80 HTTP/1.1\r\n" + H + "\r\n" + HIDDEN),
    ("preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN),
]


class Recording(HttpServer):
    """Says each request's target, and keeps all that came, byte by byte, of each connection."""

    def __init__(self):
        self.raw = []
        super().__init__("a", self.answer)

    @staticmethod
    def answer(request):
        assert request.body is not None
        return request.target

    def serve(self, peer):
        log = bytearray()
        fill = peer._fill

        def recording_fill():
            before = len(peer.buffer)
            more = fill()
            log.extend(peer.buffer[before:])
            return more

        peer._fill = recording_fill
        with self._lock:
            self.raw.append(log)
        super().serve(peer)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """One weir for all rows: what one leaves behind would show in the next."""
    server = Recording()
    weir = Weir(tmp_path_factory.mktemp("smuggling"))
    weir.configure(conf.one_pool({"a": server}))
    weir.start()
    yield weir, server
    weir.stop()
    server.close()


def answers(weir, data):
    """All responses to these bytes, until the connection ends."""
    found = []
    with Client(weir.address()) as client:
        try:
            client.send(data)
            client.half_close()
            while True:
                found.append(client.response("HEAD" if data.startswith("HEAD") else "GET"))
        except (Cut, Malformed, ConnectionError):
            pass
    return found


@pytest.mark.parametrize("data", [row[1] for row in ATTACKS], ids=[row[0] for row in ATTACKS])
def test_nothing_is_smuggled(stage, data):
    weir, server = stage
    before = len(server.requests)
    responses = answers(weir, data)
    assert responses, "no answer at all"
    # The next visitor gets an answer of his own.
    for target in ("/visitor-1", "/visitor-2"):
        assert weir.get(target).body == target.encode()
    mine = [request.target for request in server.requests[before:]]
    mine = [target for target in mine if not target.startswith("/visitor")]
    assert len(mine) <= 1 and not any("smuggled" == target.strip("/") for target in mine), mine
    served = [response for response in responses if response.server == "a"]
    assert len(served) <= len(mine)
    assert len(responses) <= 1 or responses[-1].status >= 400 or not mine, responses
    for habits in lenient.HABITS:
        for log in list(server.raw):
            seen = lenient.requests(log, habits)
            assert seen == lenient.requests(log, "strict"), habits
            assert not any(target == b"/smuggled" for _, target in seen), habits


def test_lenient_parsers_differ():
    """The parsers are what they are for: each set of habits is led astray by some row, and many rows
    lead somebody astray."""
    smuggled_by = {}
    for name, data in ATTACKS:
        raw = data.encode("latin-1")
        for habits in lenient.HABITS:
            try:
                seen = lenient.requests(raw, habits)
            except lenient.Senseless:
                continue
            if any(target == b"/smuggled" for _, target in seen):
                smuggled_by.setdefault(habits, set()).add(name)
    missing = set(lenient.HABITS) - set(smuggled_by) - {"strict"}
    assert not missing, missing
    assert len(set().union(*smuggled_by.values())) > 40


def test_answers_stay_in_order(stage):
    """Clients that pipeline, with bodies in between, on connections to servers that are shared."""
    weir, _ = stage
    failures = []

    def visit(number):
        try:
            with Client(weir.address()) as client:
                for turn in range(20):
                    targets = [f"/{number}-{turn}-{i}" for i in range(5)]
                    client.send("".join(
                        f"POST {target} HTTP/1.1\r\n{H}" + (
                            f"{TE}\r\n5\r\n{HIDDEN[:5]}\r\n{ZERO}" if i % 2 else
                            f"{CL.format(len(HIDDEN))}\r\n{HIDDEN}")
                        for i, target in enumerate(targets)))
                    for target in targets:
                        assert client.response().body == target.encode()
        except (AssertionError, OSError, Cut) as error:
            failures.append(error)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def test_surplus_of_a_server_reaches_nobody(tmp_path):
    """Responses that the server sends unasked are not taken for the next request's."""
    def handler(request):
        return request.target

    class Doubling(HttpServer):
        """Sends a second response behind each."""

        def _send(self, peer, request, reply):
            super()._send(peer, request, reply)
            if request.target.startswith("/double"):
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    server = Doubling("a", handler)
    weir = Weir(tmp_path)
    weir.configure(conf.one_pool({"a": server}))
    weir.start()
    try:
        for i in range(30):
            with weir.client() as client:
                assert client.get(f"/double-{i}").body == f"/double-{i}".encode()
            # Once the surplus is known of: what is still on its way cannot be told from an answer.
            wait_for(lambda: server.open_connections == 0, "the connection with surplus to end")
            assert weir.get(f"/next-{i}").body == f"/next-{i}".encode()
            server.drop()
    finally:
        weir.stop()
        server.close()
