# SPDX-License-Identifier: MIT
"""A client that sends raw bytes and reads exact responses."""

import dataclasses
import socket

from . import wire
from .wait import DEADLINE


@dataclasses.dataclass
class Response:
    """One response, whole."""

    status: int
    reason: str
    version: str
    headers: wire.Headers
    body: bytes = b""
    trailers: wire.Headers = dataclasses.field(default_factory=wire.Headers)
    interim: list = dataclasses.field(default_factory=list)

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def server(self):
        """Which backend of the harness answered."""
        return self.headers.get("X-Server")

    @property
    def closes(self):
        """Whether the connection ends after it."""
        return (self.headers.get("Connection") or "").lower() == "close"


def connect(address, timeout=DEADLINE, receive_buffer=None, source=None):
    """A connected socket; `address` is (host, port), or a path for a Unix socket."""
    if isinstance(address, (str, bytes)):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(timeout)
    if source is not None:
        sock.bind(source)
    try:
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


class Client(wire.Stream):
    """One connection to Weir. With `tls`, an ssl.SSLContext, it is encrypted; `server_name` is SNI.
    `preface` is sent before anything else."""

    def __init__(self, address, tls=None, server_name="localhost", timeout=DEADLINE,
                 receive_buffer=None, source=None, preface=b""):
        sock = connect(address, timeout, receive_buffer, source)
        sock.sendall(preface)
        if tls is not None:
            try:
                sock = tls.wrap_socket(sock, server_hostname=server_name,
                                       suppress_ragged_eofs=False)
            except BaseException:
                sock.close()
                raise
        super().__init__(sock, timeout)

    def request(self, method="GET", target="/", headers=(), body=None, host="localhost",
                version="1.1"):
        """Sends a request; a body that is bytes goes with its length, one of pieces is chunked."""
        lines = [f"{method} {target} HTTP/{version}"]
        if host is not None:
            lines.append(f"Host: {host}")
        lines += [f"{name}: {value}" for name, value in headers]
        if isinstance(body, (bytes, str)):
            body = body.encode() if isinstance(body, str) else body
            lines.append(f"Content-Length: {len(body)}")
        elif body is not None:
            lines.append("Transfer-Encoding: chunked")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if body is None:
            self.send(head)
        elif isinstance(body, bytes):
            self.send(head + body)
        else:
            self.send(head)
            for piece in body:
                self.send(wire.encode_chunk(piece))
            self.send(b"0\r\n\r\n")

    def head(self):
        """The next head: a Response without its body."""
        line = self.line()
        status, reason = wire.parse_status_line(line)
        return Response(status, reason, line[5:8].decode(), self.fields())

    def begin(self):
        """The final response's head, with the interim ones before it."""
        interim = []
        while True:
            response = self.head()
            if response.status >= 200 or response.status == 101:
                response.interim = interim
                return response
            interim.append(response)

    def body(self, response, method="GET"):
        """An iterator over the pieces of a response's body."""
        if method == "HEAD" or response.status in (101, 204, 304):
            return iter(())
        return wire.body_pieces(self, response.headers, ends_with_stream=True)

    def response(self, method="GET"):
        """The next final response, whole."""
        response = self.begin()
        self.trailers = wire.Headers()
        response.body = b"".join(self.body(response, method))
        response.trailers = self.trailers
        return response

    def get(self, target="/", headers=(), method="GET", **how):
        """A request and its response."""
        self.request(method, target, headers, **how)
        return self.response(method)

    def raw(self, data, method="GET"):
        """Sends bytes and reads a response."""
        self.send(data)
        return self.response(method)

    def assert_closed(self):
        """The connection ends, and not a byte comes before."""
        assert self.at_end(), f"expected the end, got {self.buffer[:300]!r}"

    def assert_open(self):
        """A request still gets its answer on it."""
        assert self.get("/").status < 500
