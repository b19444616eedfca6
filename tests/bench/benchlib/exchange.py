# SPDX-License-Identifier: MIT
"""Single requests over plain and TLS connections, checked to the last byte; and the holding of
many idle connections."""

import http.client
import socket
import ssl
import subprocess

from . import programs

ALPHABET = b"abcdefghijklmnopqrstuvwxyz"
BLOCK = (ALPHABET * (1024 * 1024 // 26 + 1))[:1024 * 1024]


class WrongAnswer(Exception):
    """An answer came, and it was not the origin's."""


def _frame(kind, flags, stream, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
            + payload)


DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
# GET https://localhost/1k, each field literal or from the static table (RFC 7541).
FIELDS = b"\x82\x87\x41\x09localhost\x44\x03/1k"


def h2_answer(link):
    """One GET as the first request of a connection of HTTP/2; the content of its answer."""
    link.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(SETTINGS, 0, 0)
                 + _frame(HEADERS, END_STREAM | END_HEADERS, 1, FIELDS))
    got, content = b"", b""
    while True:
        while len(got) < 9 or len(got) < 9 + int.from_bytes(got[:3], "big"):
            more = link.recv(65536)
            if not more:
                raise WrongAnswer("a connection was closed in its first answer")
            got += more
        length, kind, flags = int.from_bytes(got[:3], "big"), got[3], got[4]
        payload, got = got[9:9 + length], got[9 + length:]
        if kind == SETTINGS and not flags & ACK:
            link.sendall(_frame(SETTINGS, ACK, 0))
        elif kind in (RST_STREAM, GOAWAY):
            raise WrongAnswer(f"frame {kind} instead of the answer: {payload!r}")
        elif kind == DATA:
            content += payload
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            return content


def tls_context():
    """TLS 1.3 to a certificate that is not verified: the peer is a port on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _ask(port, tls, method, path, body=None):
    if tls:
        link = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=tls_context())
    else:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        link.request(method, path, body)
        answer = link.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise WrongAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        link.close()


def check_answer(port, tls, path, size):
    """GETs `path` (up to 1 MiB) and compares each byte with what the origin sends."""
    status, body = _ask(port, tls, "GET", path)
    if status != 200:
        raise WrongAnswer(f"status {status} for {path}")
    if body != BLOCK[:size]:
        raise WrongAnswer(f"{len(body)} bytes for {path}, not the origin's {size}")


def check_upload(port, tls, size):
    """POSTs `size` bytes; the origin says how many arrived."""
    status, body = _ask(port, tls, "POST", "/upload", BLOCK[:size])
    if status != 200 or body != b"received %d\n" % size:
        raise WrongAnswer(f"status {status}, {body[:60]!r} for an upload of {size} bytes")


GRPC_PATH = "/bench.Echo/Unary"
GRPC_FIELDS = ("te: trailers", "content-type: application/grpc")
GRPC_MESSAGE = b"\0" + (100).to_bytes(4, "big") + BLOCK[:100]


def check_grpc(bench, port):
    """One call: its message comes back, and the trailers say that all is well."""
    sent, got, head = (bench.folder / f"grpc.{name}" for name in ("sent", "got", "head"))
    sent.write_bytes(GRPC_MESSAGE)
    command = [programs.system_program("curl", "curl"), "--silent", "--show-error", "--insecure",
               "--http2", "--max-time", "5", "--data-binary", f"@{sent}", "--dump-header", head,
               "--output", got]
    for field in GRPC_FIELDS:
        command += ["--header", field]
    done = subprocess.run([*map(str, command), f"https://127.0.0.1:{port}{GRPC_PATH}"],
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise WrongAnswer(f"curl: {done.stderr.strip()}")
    lines = head.read_text().splitlines()
    if lines[0].split()[:2] != ["HTTP/2", "200"] or "grpc-status: 0" not in lines:
        raise WrongAnswer(f"{lines} instead of a call's answer")
    if got.read_bytes() != GRPC_MESSAGE:
        raise WrongAnswer(f"{got.stat().st_size} bytes, not the message of {len(GRPC_MESSAGE)}")


class IdleConnections:
    """Connections that have had one answer each and are kept open."""

    REQUEST = b"GET /1k HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def __init__(self, port, tls, h2=False):
        self.port = port
        self.context = tls_context() if tls else None
        self.h2 = h2
        if h2:
            self.context.set_alpn_protocols(["h2"])
        self.links = []

    def open(self, count):
        for _ in range(count):
            link = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            self.links.append(link)
            if self.context:
                link = self.links[-1] = self.context.wrap_socket(link)
            if self.h2:
                if h2_answer(link) != BLOCK[:1024]:
                    raise WrongAnswer("not the origin's answer")
                continue
            link.sendall(self.REQUEST)
            answer = b""
            while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < 1024:
                more = link.recv(65536)
                if not more:
                    raise WrongAnswer("a connection was closed in its first answer")
                answer += more
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(BLOCK[:1024]):
                raise WrongAnswer(f"{answer[:60]!r} instead of the origin's answer")

    def closed_by_peer(self):
        """How many of them the proxy has closed meanwhile: those do not count as idle."""
        closed = 0
        for link in self.links:
            link.setblocking(False)
            try:
                while True:
                    if link.recv(4096) == b"":
                        closed += 1
                        break
                    if not self.h2:  # else the acknowledgement of our settings, say
                        break
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            except OSError:
                closed += 1
        return closed

    def close(self):
        for link in self.links:
            link.close()
        self.links = []
