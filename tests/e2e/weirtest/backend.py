# SPDX-License-Identifier: MIT
"""Servers behind Weir: one that plays scripts on raw sockets, and a real HTTP/1.1 server whose answers a
test chooses. Both run in threads; what goes wrong in them fails the test that made them."""

import contextlib
import dataclasses
import os
import socket
import ssl
import struct
import threading
import time

from . import wire
from .ports import free_port
from .wait import DEADLINE, wait_for


@dataclasses.dataclass
class Request:
    """One request, as it came to a server. `pieces` gives its body; `body` reads all of it."""

    method: str
    target: str
    minor: int
    headers: wire.Headers
    stream: object
    pieces: object
    connection: int
    _body: bytes = None
    _trailers: wire.Headers = None
    _lock: object = dataclasses.field(default_factory=threading.Lock)

    @property
    def body(self):
        """Whoever asks first, the server or the test, reads it."""
        with self._lock:
            if self._body is None:
                self._body = b"".join(self.pieces)
                self._trailers = self.stream.trailers
        return self._body

    @property
    def trailers(self):
        return self.stream.trailers if self._trailers is None else self._trailers


class Gone(wire.Cut):
    """The connection ended where the next request could have begun, which is anybody's right."""


class Peer(wire.Stream):
    """A server's end of a connection."""

    def __init__(self, sock, number, timeout=DEADLINE):
        super().__init__(sock, timeout)
        self.number = number

    def request_head(self):
        """The next request, its body not read."""
        if not self.buffer:
            with contextlib.suppress(ConnectionError):
                self.buffer = self.some()
            if not self.buffer:
                raise Gone("no more requests")
        method, target, minor = wire.parse_request_line(self.line())
        headers = self.fields()
        self.trailers = wire.Headers()
        pieces = wire.body_pieces(self, headers, ends_with_stream=False)
        return Request(method, target, minor, headers, self, pieces, self.number)

    def request(self):
        """The next request, with its body."""
        request = self.request_head()
        assert request.body is not None
        return request

    def respond(self, body=b"", status=200, headers=(), reason="OK"):
        """A plain response with its length."""
        body = body.encode() if isinstance(body, str) else body
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.send(f"HTTP/1.1 {status} {reason}\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
                  .encode("latin-1") + body)


class Acceptor:
    """Accepts connections and runs `serve(peer)` on each in a thread of its own."""

    def __init__(self, host="127.0.0.1", unix=None, tls=None, backlog=512, send_buffer=None,
                 port=None):
        self.host, self.unix, self.tls, self.backlog = host, unix, tls, backlog
        self.send_buffer = send_buffer
        self.port = None if unix else port or free_port()
        self.accepted = 0
        self.errors = []
        self._lock = threading.Lock()
        self._listening = None
        self._peers = set()
        self._threads = []
        self._stopping = False
        self.start()

    @property
    def url(self):
        """As it stands in a server's `url`."""
        if self.unix:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def start(self):
        """Listens (again, on the same address)."""
        assert self._listening is None
        if self.unix:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.unix)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.bind(str(self.unix))
        else:
            sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET,
                                 socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.send_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
            sock.bind((self.host, self.port))
        sock.listen(self.backlog)
        self._listening = sock
        self._stopping = False
        self._spawn(self._accept, sock)

    def stop(self, reset=False):
        """Refuses connections from now on, and drops those that are there."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        self._stopping = True
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        self.drop(reset)

    def drop(self, reset=False):
        """Ends all connections."""
        with self._lock:
            peers = list(self._peers)
        for peer in peers:
            with contextlib.suppress(OSError):
                if reset:
                    # Wakes the peer's thread, whose close sends the RST.
                    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                         struct.pack("ii", 1, 0))
                peer.sock.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)

    def close(self):
        """Stops for good; raises what went wrong in a thread."""
        self.stop()
        end = time.monotonic() + DEADLINE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self.errors:
            raise AssertionError(f"a server of the test failed: {self.errors[0]!r}") \
                from self.errors[0]

    @property
    def open_connections(self):
        with self._lock:
            return len(self._peers)

    def _spawn(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        with self._lock:
            self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        thread.start()

    def _accept(self, listening):
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            self.accepted += 1
            self._spawn(self._run, sock, self.accepted)

    def _run(self, sock, number):
        if self.tls is not None:
            try:
                sock.settimeout(DEADLINE)
                sock = self.tls.wrap_socket(sock, server_side=True)
            except (OSError, ssl.SSLError) as error:
                self.on_handshake_failed(error)
                sock.close()
                return
        peer = Peer(sock, number)
        with self._lock:
            self._peers.add(peer)
        try:
            if not self._stopping:
                self.serve(peer)
        except Exception as error:  # pylint: disable=broad-except
            if not self._stopping and not self.forgives(error):
                self.errors.append(error)
        finally:
            with self._lock:
                self._peers.discard(peer)
            with contextlib.suppress(OSError):
                peer.close()

    def on_handshake_failed(self, error):
        """A client went away during the TLS handshake: not worth a failure by itself."""

    def forgives(self, error):
        """Whether an exception of `serve` is none of the test's business."""
        return False

    def serve(self, peer):
        raise NotImplementedError


class ScriptedServer(Acceptor):
    """Plays scripts: the nth connection gets the nth function, those after the last get the last.

    A script takes a Peer. Where a stage takes several steps in step with the test, both use
    threading.Event or Barrier.
    """

    def __init__(self, *scripts, **how):
        self.scripts = scripts
        super().__init__(**how)

    def forgives(self, error):
        return isinstance(error, Gone)

    def serve(self, peer):
        self.scripts[min(peer.number, len(self.scripts)) - 1](peer)


@dataclasses.dataclass
class Reply:
    """What an HttpServer answers. `body` is bytes, or an iterable of pieces, which may wait between
    them; `framing` is "length" (with `length` for an iterable), "chunked" or "close"."""

    body: object = b""
    status: int = 200
    headers: tuple = ()
    framing: str = "length"
    length: int = None
    reason: str = "OK"
    trailers: tuple = ()
    interim: tuple = ()  # bytes of whole 1xx responses
    close: bool = False


class HttpServer(Acceptor):
    """A real HTTP/1.1 server. `handler(request)` gives a Reply, bytes or text; without one it says its
    name. Each response has X-Server: NAME. Requests are kept in `requests`."""

    def __init__(self, name="web", handler=None, keep=True, **how):
        self.name = name
        self.handler = handler
        self.keep = keep
        self.requests = []
        self.served = 0
        self.active = 0
        super().__init__(**how)

    def forgives(self, error):
        # Clients may go away at any time; what they sent must make sense.
        return isinstance(error, (ConnectionError, wire.Cut, TimeoutError, ssl.SSLError)) or \
            (isinstance(error, OSError) and error.errno in (9, 107))

    def targets(self):
        """Targets of the requests so far."""
        return [request.target for request in self.requests]

    def wait_active(self, count):
        """Until so many requests are being handled."""
        wait_for(lambda: self.active == count, f"{count} requests at {self.name}, "
                 f"not {self.active}")

    def serve(self, peer):
        while True:
            if not peer.buffer:
                data = peer.some()
                if not data:
                    return
                peer.buffer = data
            request = peer.request_head()
            if request.headers.get("Expect"):
                peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            if self.keep:
                self.requests.append(request)
            with self._lock:
                self.active += 1
            try:
                reply = self._reply(request)
                with self._lock:
                    self.served += 1  # before a client can have read the answer to the end
                self._send(peer, request, reply)
            finally:
                with self._lock:
                    self.active -= 1
            if self.keep:
                assert request.body is not None
            else:
                for _ in request.pieces:
                    pass
            if reply.close or reply.framing == "close" or \
                    (request.headers.get("Connection") or "").lower() == "close":
                return

    def _reply(self, request):
        reply = self.handler(request) if self.handler else self.name
        if isinstance(reply, str):
            reply = reply.encode()
        if isinstance(reply, bytes):
            reply = Reply(reply)
        return reply

    def _send(self, peer, request, reply):
        lines = [f"HTTP/1.1 {reply.status} {reply.reason}", f"X-Server: {self.name}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        whole = isinstance(reply.body, bytes)
        bodiless = request.method == "HEAD" or reply.status in (204, 304)
        if reply.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif reply.framing == "length" and reply.status != 204:
            lines.append(f"Content-Length: {len(reply.body) if whole else reply.length}")
        if reply.close or reply.framing == "close":
            lines.append("Connection: close")
        head = b"".join(reply.interim) + ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if bodiless:
            peer.send(head)
            return
        if whole and reply.framing != "chunked":
            peer.send(head + reply.body)
            return
        peer.send(head)
        for piece in [reply.body] if whole else reply.body:
            if piece:
                peer.send(wire.encode_chunk(piece) if reply.framing == "chunked" else piece)
        if reply.framing == "chunked":
            trailers = "".join(f"{name}: {value}\r\n" for name, value in reply.trailers)
            peer.send(f"0\r\n{trailers}\r\n".encode("latin-1"))


class Holding:
    """A handler that answers only when the test lets it: `paths` (all by default) wait for release().

    One release lets all go, those that come later too, until hold() again.
    """

    def __init__(self, body=None, path=None):
        self._open = threading.Event()
        self.body = body
        self.path = path

    def __call__(self, request):
        if self.path is None or request.target.startswith(self.path):
            if not self._open.wait(DEADLINE):
                raise AssertionError("nobody released the held request")
        return self.body if self.body is not None else request.target

    def release(self):
        self._open.set()

    def hold(self):
        self._open.clear()


class BlackHole:
    """An address where nobody answers a SYN: a listener whose backlog is full."""

    def __init__(self):
        self._listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.port = free_port()
        self._listening.bind(("127.0.0.1", self.port))
        self._listening.listen(0)
        self._fill = []
        # A backlog of 0 takes one connection, and maybe a second; the next SYN is dropped.
        for _ in range(8):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._fill.append(sock)
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", self.port))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        for sock in [*self._fill, self._listening]:
            sock.close()
