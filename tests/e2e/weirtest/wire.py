# SPDX-License-Identifier: MIT
"""HTTP/1 as bytes on a socket: a buffered stream, and a strict parser for heads and bodies. Both sides
of the harness use it; it forgives nothing, so that what Weir writes is checked by each test."""

import re
import socket
import struct

from .wait import DEADLINE

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\S+) HTTP/1\.([01])\Z")
_LINE_LIMIT = 1 << 17


class Cut(Exception):
    """The peer's stream ended in the middle of a message."""


class Malformed(Exception):
    """What came is not HTTP/1."""


class Headers(list):
    """Pairs of name and value in the order in which they came."""

    def all(self, name):
        """All values of a name."""
        return [value for key, value in self if key.lower() == name.lower()]

    def get(self, name, default=None):
        """The one value of a name; that there are several is a mistake."""
        values = self.all(name)
        if len(values) > 1:
            raise AssertionError(f"{len(values)} fields {name}: {values}")
        return values[0] if values else default

    def __contains__(self, name):
        return bool(self.all(name))

    def names(self):
        """Names in lower case."""
        return [key.lower() for key, _ in self]


class Stream:
    """A socket with what was read ahead of it."""

    def __init__(self, sock, timeout=DEADLINE):
        self.sock = sock
        self.sock.settimeout(timeout)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.received = 0
        self.trailers = Headers()

    # -- writing --

    def send(self, data):
        """Sends all of it."""
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def half_close(self):
        """Ends our side; reading goes on."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        """Closes in the usual way."""
        self.sock.close()

    def reset(self):
        """Closes by RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    # -- reading --

    def _fill(self):
        data = self.sock.recv(1 << 16)
        self.buffer += data
        self.received += len(data)
        return bool(data)

    def some(self):
        """What is there, at least a byte; b"" at the end."""
        if not self.buffer:
            self._fill()
        data, self.buffer = self.buffer, b""
        return data

    def exact(self, count):
        """That many bytes."""
        while len(self.buffer) < count:
            if not self._fill():
                raise Cut(f"{count} bytes expected, {len(self.buffer)} came: {self.buffer[:200]!r}")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def expect(self, data):
        """Exactly these bytes."""
        data = data.encode("latin-1") if isinstance(data, str) else data
        got = self.exact(len(data))
        assert got == data, f"expected {data[:200]!r}, got {got[:200]!r}"

    def rest(self):
        """All that comes until the end."""
        parts = [self.buffer]
        self.buffer = b""
        while True:
            data = self.sock.recv(1 << 16)
            if not data:
                return b"".join(parts)
            self.received += len(data)
            parts.append(data)

    def line(self):
        """A line without its CRLF."""
        start = 0
        while True:
            at = self.buffer.find(b"\n", start)
            if at >= 0:
                break
            start = len(self.buffer)
            if start > _LINE_LIMIT:
                raise Malformed("endless line")
            if not self._fill():
                raise Cut(f"the stream ended in a line: {self.buffer[:200]!r}")
        text, self.buffer = self.buffer[:at], self.buffer[at + 1:]
        if not text.endswith(b"\r") or b"\r" in text[:-1]:
            raise Malformed(f"bare CR or LF in {text!r}")
        return text[:-1]

    def at_end(self):
        """Waits for the peer's end (FIN or RST); true when nothing came before it."""
        if self.buffer:
            return False
        try:
            return not self._fill()
        except ConnectionError:
            return True

    def fields(self):
        """A field section up to its empty line."""
        headers = Headers()
        while True:
            line = self.line()
            if not line:
                return headers
            name, colon, value = line.partition(b":")
            if not colon or not _TOKEN.match(name):
                raise Malformed(f"field line {line!r}")
            headers.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))

    def chunks(self):
        """The data of a chunked body, chunk by chunk; its trailers are in `self.trailers`."""
        while True:
            size, _, _ = self.line().partition(b";")
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
                raise Malformed(f"chunk size {size!r}")
            left = int(size, 16)
            if left == 0:
                self.trailers = self.fields()
                return
            while left > 0:
                if not self.buffer and not self._fill():
                    raise Cut("the stream ended in a chunk")
                data, self.buffer = self.buffer[:left], self.buffer[left:]
                left -= len(data)
                yield data
            if self.exact(2) != b"\r\n":
                raise Malformed("no CRLF behind a chunk")

    def pieces(self, length):
        """`length` bytes, as they come."""
        while length > 0:
            if not self.buffer and not self._fill():
                raise Cut(f"the stream ended {length} bytes before the body's end")
            data, self.buffer = self.buffer[:length], self.buffer[length:]
            length -= len(data)
            yield data

    def until_end(self):
        """Bytes until the stream ends, as they come."""
        while True:
            data = self.some()
            if not data:
                return
            yield data


def parse_length(headers):
    """Content-Length, None where there is none."""
    value = headers.get("Content-Length")
    if value is None:
        return None
    if not value.isdigit():
        raise Malformed(f"Content-Length {value!r}")
    return int(value)


def body_pieces(stream, headers, ends_with_stream):
    """An iterator over a message's body, by the framing that its fields tell."""
    length = parse_length(headers)
    coding = headers.get("Transfer-Encoding")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise Malformed(f"framing by {coding!r} and {length!r}")
        return stream.chunks()
    if length is not None:
        return stream.pieces(length)
    return stream.until_end() if ends_with_stream else iter(())


def parse_status_line(line):
    """Status and reason."""
    match = _STATUS_LINE.match(line)
    if not match:
        raise Malformed(f"status line {line!r}")
    return int(match.group(1)), match.group(2).decode("latin-1")


def parse_request_line(line):
    """Method, target and minor version."""
    match = _REQUEST_LINE.match(line)
    if not match:
        raise Malformed(f"request line {line!r}")
    return match.group(1).decode(), match.group(2).decode("latin-1"), int(match.group(3))


def encode_chunk(data):
    """One chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)
