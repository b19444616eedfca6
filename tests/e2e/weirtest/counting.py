# SPDX-License-Identifier: MIT
"""Servers that count the requests that run on them at once, and never answer."""

import collections
import contextlib
import selectors
import socket
import threading

from .h2attack import frames


class CountingServer(threading.Thread):
    """A request runs until its connection ends (HTTP/1.1), or its stream (HTTP/2). Weir ends what was
    before it begins anew, so all ends that have come are looked at before a request is counted: `most`
    is never too high, however late this thread is."""

    def __init__(self, h2=False):
        super().__init__(daemon=True)
        self.h2 = h2
        self.most = self.requests = 0
        self._running = collections.Counter()  # by connection
        self._seen = {}
        self._select = selectors.DefaultSelector()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listening.setblocking(False)
        self._wake, self._waker = socket.socketpair()
        self._select.register(self._listening, selectors.EVENT_READ)
        self._select.register(self._wake, selectors.EVENT_READ)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.start()

    @property
    def running(self):
        return sum(self._running.copy().values())

    def close(self):
        self._waker.close()
        self.join()
        self._wake.close()
        self._listening.close()
        for peer in self._seen:
            peer.close()
        self._select.close()

    def run(self):
        while True:
            for key, _ in self._select.select():
                if key.fileobj is self._wake:
                    return
                if key.fileobj is self._listening:
                    self._accept()
                elif key.fileobj in self._seen:
                    self._read(key.fileobj)

    def _accept(self):
        with contextlib.suppress(BlockingIOError):
            peer = self._listening.accept()[0]
            peer.setblocking(False)
            self._seen[peer] = b""
            self._select.register(peer, selectors.EVENT_READ)
            if self.h2:
                with contextlib.suppress(ConnectionError):
                    peer.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # SETTINGS

    def _end(self, peer):
        self._select.unregister(peer)
        del self._seen[peer]
        self._running.pop(peer, None)
        peer.close()

    def _read(self, peer):
        try:
            data = peer.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self._end(peer)
        elif self.h2:
            self._read_frames(peer, data)
        elif b"\r\n\r\n" in self._seen[peer] + data:
            self._count(peer, 1)
        else:
            self._seen[peer] += data

    def _read_frames(self, peer, data):
        begun = []
        for other in [other for other in self._seen if other is not peer]:
            with contextlib.suppress(OSError):
                for kind in self._kinds(other, other.recv(1 << 18)):
                    if kind == 3:
                        self._running[other] -= 1
                    else:
                        begun.append(other)
        for kind in self._kinds(peer, data):
            if kind == 3:
                self._running[peer] -= 1
            else:
                self._count(peer, 1)
        for other in begun:
            self._count(other, 1)

    def _kinds(self, peer, data):
        """Of its HEADERS and RST_STREAM."""
        if not self._seen[peer] and data.startswith(b"PRI"):
            data = data[24:]
        found, self._seen[peer] = frames(self._seen[peer] + data)
        return [kind for kind, _, _, _ in found if kind in (1, 3)]

    def _count(self, peer, by):
        for other in [other for other in self._running if other is not peer]:
            with contextlib.suppress(BlockingIOError):
                try:
                    gone = other.recv(1, socket.MSG_PEEK) == b""
                except ConnectionError:
                    gone = True
                if gone:
                    self._end(other)
        self.requests += by
        self._running[peer] += by
        self.most = max(self.most, self._running.total())
