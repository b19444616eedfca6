# SPDX-License-Identifier: MIT
"""Many clients at once, in one thread: what becomes of each request that was sent is known at the end."""

import collections
import selectors
import socket
import ssl
import threading
import time

from .wait import DEADLINE

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"


class _Visitor:
    """One connection. It sends `request` again and again, as long as the answers let it."""

    def __init__(self, crowd, sock):
        self.crowd = crowd
        self.sock = sock
        self.connected = False
        self.shaken = crowd.tls is None
        self.greeted = False  # its ClientHello is out
        self.waiting = False  # a request is out
        self.closes = False
        self.buffer = b""

    def step(self):
        """Goes on as far as it can; the events that it waits for then, 0 when it has ended."""
        try:
            return self._step()
        except (BlockingIOError, ssl.SSLWantReadError):
            return selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            return selectors.EVENT_WRITE
        except OSError as error:
            self._over(error)
            return 0

    def _step(self):
        if not self.connected:
            error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, "connect")
            self.connected = True
            if not self.shaken:
                self.sock = self.crowd.wrap(self.sock)
        if not self.shaken:
            self._shake()
        while True:
            if not self.waiting:
                if self.closes or self.crowd.closing:
                    self._over(None)
                    return 0
                self.sock.send(self.crowd.request)  # small: it goes as a whole
                self.waiting = True
                self.crowd.sent += 1
            data = self.sock.recv(1 << 16)
            if not data:
                self._over(ConnectionError("FIN"))
                return 0
            self.buffer += data
            self._take()

    def _shake(self):
        try:
            self.sock.do_handshake()
            self.shaken = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.greeted = True
            raise

    def _take(self):
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        fields = head.lower().split(b"\r\n")
        length = next(int(field[15:]) for field in fields if field.startswith(b"content-length:"))
        if len(body) < length:
            return
        self.buffer = body[length:]
        self.waiting = False
        self.closes = b"connection: close" in fields or self.crowd.once
        self.crowd.answered += 1
        self.crowd.statuses[int(head[9:12])] += 1

    def _over(self, error):
        crowd = self.crowd
        if self.waiting:
            crowd.lost.append(repr(error))
        elif error is not None and not self.connected:
            crowd.refused += 1
        elif error is not None and self.greeted and not self.shaken:
            crowd.lost.append(f"in the handshake: {error!r}")
        elif error is not None:
            crowd.idle_closed += 1
        self.sock.close()


class Crowd:
    """`count` clients at a time at `address`; each that is over is followed by another, until stop() or, with
    `total`, that many have been. `once`: a connection has one request. `tls`: an ssl.SSLContext."""

    def __init__(self, address, count, request=GET, once=True, tls=None, total=None):
        self.address, self.count, self.request = address, count, request
        self.once, self.tls, self.total = once, tls, total
        self.sent = self.answered = self.refused = self.idle_closed = self.begun = 0
        self.lost = []
        self.statuses = collections.Counter()
        self.closing = False
        self._selector = selectors.DefaultSelector()
        self._open = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ended = threading.Event()
        self._error = None

    def wrap(self, sock):
        """The socket with TLS, its handshake not begun."""
        return self.tls.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False,
                                    do_handshake_on_connect=False)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        """No new requests; waits for the answers that are due."""
        self.closing = True
        self.join()

    def join(self):
        """Waits until all have been."""
        assert self._ended.wait(DEADLINE), f"{self._open} clients hang; {self}"
        if self._error is not None:
            raise self._error

    def __str__(self):
        return f"{self.sent} sent, {self.answered} answered, {self.refused} refused, " \
            f"{self.idle_closed} closed while idle, {len(self.lost)} lost {self.lost[:3]}"

    def _begin(self):
        unix = isinstance(self.address, str)
        sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        sock.setblocking(False)
        self.begun += 1
        visitor = _Visitor(self, sock)
        try:
            sock.connect(self.address)
        except BlockingIOError:
            pass
        except OSError:
            self.refused += 1
            sock.close()
            return
        self._open += 1
        self._selector.register(sock, selectors.EVENT_WRITE, visitor)

    def _more(self):
        return not self.closing and self.refused == 0 and \
            (self.total is None or self.begun < self.total)

    def _run(self):
        try:
            while self._open > 0 or self._more():
                while self._more() and self._open < self.count:
                    self._begin()
                for key, _ in self._selector.select(0.05):
                    self._step(key)
        except BaseException as error:  # pylint: disable=broad-except
            self._error = error
        finally:
            self._ended.set()

    def _step(self, key):
        visitor = key.data
        events = visitor.step()
        if events == 0:
            self._selector.unregister(key.fileobj)
            self._open -= 1
        elif events != key.events or visitor.sock is not key.fileobj:
            self._selector.unregister(key.fileobj)
            self._selector.register(visitor.sock, events, visitor)


def wait_begun(crowd, count):
    """Until so many connections have been begun, without a look at the program, which may stand still."""
    end = time.monotonic() + DEADLINE
    while crowd.begun < count and time.monotonic() < end:
        time.sleep(0.002)
