# SPDX-License-Identifier: MIT
"""Servers that break the rules of RFC 9113: 502, or an answer that is visibly cut."""

import pytest

from weirtest import conf, wire
from weirtest.h2peer import H2Client, frame, server_script

from test_h2_up import first_request


def weir_on(start_weir, server):
    """In front of one server of HTTP/2, for clients of both versions."""
    return start_weir(conf.one_pool({"a": server}, 'protocol = "h2"  retries = 0', "h2c = on"), workers=1)


# What a server must not do, by section of RFC 9113: frames behind a request on `stream`.

def block(session, *fields):
    return session.h2.encoder.encode(list(fields))


def heads(*parts):
    """HEADERS frames, each with its flags beside END_HEADERS."""
    return lambda session, stream: b"".join(frame(1, 4 | flags, stream, block(session, *fields))
                                            for flags, *fields in parts)


OK = (":status", "200")
LENGTH = ("content-length", "4")

MALFORMED = {  # no answer has begun: 502
    "8.1 DATA before HEADERS": lambda session, stream: frame(0, 1, stream, b"data"),
    "8.1 an interim head that ends": heads((1, (":status", "103"))),
    "8.1 an interim head, and the end": lambda session, stream: heads((0, (":status", "103")))(
        session, stream) + frame(0, 1, stream),
    "8.1 trailers alone": heads((1, ("x", "y"))),
    "8.1.1 a length without DATA": heads((1, OK, LENGTH)),
    "8.2 a name in upper case": heads((1, OK, ("X", "y"))),
    "8.2.1 a line's end in a value": heads((1, OK, ("x", "a\nb"))),
    "8.2.1 a space in a name": heads((1, OK, ("a b", "y"))),
    "8.2.2 connection": heads((1, OK, ("connection", "close"))),
    "8.2.2 keep-alive": heads((1, OK, ("keep-alive", "1"))),
    "8.2.2 transfer-encoding": heads((1, OK, ("transfer-encoding", "chunked"))),
    "8.2.2 upgrade": heads((1, OK, ("upgrade", "h2c"))),
    "8.3 an unknown pseudo-header": heads((1, OK, (":what", "x"))),
    "8.3 a request's pseudo-header": heads((1, OK, (":path", "/"))),
    "8.3 a pseudo-header behind a field": heads((1, ("x", "y"), OK)),
    "8.3.2 no :status": heads((1, ("x", "y"))),
    "8.3.2 two :status": heads((1, OK, OK)),
    "8.3.2 an empty :status": heads((1, (":status", ""))),
    "8.3.2 two digits": heads((1, (":status", "20"))),
    "8.3.2 no digits": heads((1, (":status", "abc"))),
    "8.3.2 above 599": heads((1, (":status", "600"))),
    "8.6 101": heads((0, (":status", "101"))),
    "8.4 PUSH_PROMISE": lambda session, stream: frame(5, 4, stream, b"\0\0\0\2" + block(
        session, (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"))),
    "4.3 a block that HPACK cannot decode": lambda session, stream: frame(1, 5, stream, b"\x80"),
    "4.2 a too large frame": lambda session, stream: frame(1, 5, stream, b"x" * 16385),
    "6.1 DATA of stream 0": lambda session, stream: frame(0, 1, 0, b"x"),
    "6.2 HEADERS of an idle stream": lambda session, stream: frame(1, 5, 99, block(session, OK)),
    "6.5.2 a window that is too large": lambda session, stream: frame(4, 0, 0, b"\0\4\x80\0\0\0"),
    "6.9 a window that overflows": lambda session, stream: frame(8, 0, 0, b"\x7f\xff\xff\xff") * 2,
    "6.10 CONTINUATION of another stream": lambda session, stream: frame(1, 1, stream, block(
        session, OK)) + frame(9, 4, stream + 2, b""),
}

CUT = {  # the head is here: the answer never ends well
    "8.1 trailers that do not end": lambda session, stream: heads((0, OK))(session, stream) +
    frame(0, 0, stream, b"data") + heads((0, ("x", "y")))(session, stream),
    "8.1.1 more DATA than length": lambda session, stream: heads((0, OK, LENGTH))(session, stream) +
    frame(0, 1, stream, b"data.."),
    "8.1.1 less DATA than length": lambda session, stream: heads((0, OK, LENGTH))(session, stream) +
    frame(0, 1, stream, b"da"),
    "8.1.1 trailers before the length": lambda session, stream: heads((0, OK, LENGTH))(
        session, stream) + frame(0, 0, stream, b"da") + heads((1, ("x", "y")))(session, stream),
    "8.3 a pseudo-header in trailers": lambda session, stream: heads((0, OK))(session, stream) +
    frame(0, 0, stream, b"data") + heads((1, OK))(session, stream),
    "8.2.1 a line's end in trailers": lambda session, stream: heads((0, OK))(session, stream) +
    frame(0, 0, stream, b"data") + heads((1, ("x", "a\nb")))(session, stream),
    "7 RST_STREAM with NO_ERROR": lambda session, stream: heads((0, OK))(session, stream) +
    frame(0, 0, stream, b"data") + frame(3, 0, stream, b"\0\0\0\0"),
    "6.1 more padding than frame": lambda session, stream: heads((0, OK))(session, stream) +
    frame(0, 9, stream, b"\x09data"),
}

# No content comes of these, and none that was sent reaches the client (RFC 9110 section 6.4.1).
BARE = {
    "HEAD": ("HEAD", heads((0, OK, LENGTH))),
    "204": ("GET", heads((0, (":status", "204")))),
    "304": ("GET", heads((0, (":status", "304")))),
}


def asked_once(frames):
    """A server that answers one request so."""
    def script(session):
        stream = first_request(session)
        session.send(frames(session, stream))
        session.until_over()
    return server_script(script)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_answers_are_502(start_weir, scripted_server, name):
    weir = weir_on(start_weir, scripted_server(asked_once(MALFORMED[name])))
    with weir.client() as client:
        assert client.get("/").status == 502
    assert weir.access(1)[0]["reason"] == "upstream_malformed"


@pytest.mark.parametrize("name", CUT)
def test_malformed_ends_cut_the_answer(start_weir, scripted_server, name):
    """Neither to a client of HTTP/1 nor to one of HTTP/2 does it end cleanly."""
    for version in (1, 2):
        weir = weir_on(start_weir, scripted_server(asked_once(CUT[name])))
        if version == 1:
            with weir.client() as client:
                client.request()
                try:
                    assert client.response().status == 502
                except (wire.Cut, ConnectionError):
                    pass
        else:
            with H2Client(weir.address()) as client:
                flow = client.finish(client.ask())
                assert not flow.ended or flow.value(":status") == "502"


@pytest.mark.parametrize("name", BARE)
def test_content_where_none_is(start_weir, scripted_server, name):
    method, head = BARE[name]
    weir = weir_on(start_weir, scripted_server(asked_once(
        lambda session, stream: head(session, stream) + frame(0, 1, stream, b"data"))))
    with weir.client() as client:
        client.request(method)
        try:
            assert client.response(method).body == b""
        except (wire.Cut, ConnectionError):
            pass  # it has broken the protocol before the head went out
