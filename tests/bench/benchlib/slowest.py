# SPDX-License-Identifier: MIT
"""Clients in a process of their own that send one request after the other and tell how long each took."""

import collections
import json
import multiprocessing
import signal
import socket
import time

from .process import BenchError

REQUEST = b"GET /1k HTTP/1.1\r\nHost: localhost\r\n\r\n"
FIRST_SECONDS = 60
ANSWER_SECONDS = 30
PAUSE_SECONDS = 0.002  # so that they are not what fills the machine


def _read(sock):
    """The status of a whole answer."""
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        buffer += _some(sock)
    head, _, body = buffer.partition(b"\r\n\r\n")
    length = next(int(field.partition(b":")[2]) for field in head.split(b"\r\n")
                  if field.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += _some(sock)
    return int(head[9:12])


def _some(sock):
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("closed before its answer was whole")
    return data


def _first(port):
    """A connection that has had an answer, and what that took once somebody listened, in milliseconds."""
    end = time.monotonic() + FIRST_SECONDS
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
            break
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.002)
    began = time.monotonic()
    sock.sendall(REQUEST)
    _read(sock)
    return sock, (time.monotonic() - began) * 1000


def _run(port, count, pipe):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        sock, first = _first(port)
        socks = [sock] + [socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
                          for _ in range(count - 1)]
        pipe.send(first)
        found, statuses = [], collections.Counter()
        while True:
            began = []
            for sock in socks:
                began.append(time.monotonic())
                sock.sendall(REQUEST)
            for sock, start in zip(socks, began):
                statuses[_read(sock)] += 1
                found.append((time.monotonic() - start) * 1000)
            if pipe.poll(PAUSE_SECONDS):
                pipe.recv()
                pipe.send(json.dumps([sorted(found, reverse=True), list(statuses.items())]))
                found, statuses = [], collections.Counter()
    except EOFError:
        pass
    except (OSError, StopIteration, ValueError) as error:
        pipe.send(error)


class Clients:
    """So many of them, at a port of 127.0.0.1, from the first answer on."""

    def __init__(self, port, count):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=_run, args=(port, count, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.first_ms = self._hear()

    def _hear(self):
        if not self.pipe.poll(FIRST_SECONDS + ANSWER_SECONDS):
            raise BenchError("the clients say nothing")
        heard = self.pipe.recv()
        if isinstance(heard, Exception):
            raise BenchError(f"a request was not answered: {heard!r}")
        return heard

    def take(self):
        """Milliseconds of all requests since the last call, slowest first, and answers by status."""
        self.pipe.send("tell")
        found, statuses = json.loads(self._hear())
        return found, dict(statuses)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.pipe.close()
        self.process.terminate()
        self.process.join()
