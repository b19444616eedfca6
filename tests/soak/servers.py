# SPDX-License-Identifier: MIT
"""Servers behind Weir: some that live, and some that fail in all the ways of a list, changed as they run."""

import base64
import contextlib
import hashlib
import socket
import struct
import threading

from weirtest.backend import HttpServer, Reply, ScriptedServer

HEALTH = "/health"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def body_of(target):
    """The one right body of a target, which ends in its size: .../SEED/SIZE."""
    size = int(target.rpartition("/")[2])
    block = hashlib.sha256(target.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def receipt(target, body):
    """What a server answers to an upload."""
    return f"{target} {len(body)} {hashlib.sha256(body).hexdigest()}".encode()


def answer(request):
    """The handler of all servers."""
    if request.target == HEALTH:
        return b"well"
    if request.method in ("PUT", "POST"):
        return receipt(request.target, request.body)
    body = body_of(request.target)
    if len(body) % 3 == 0:
        return Reply([body[i:i + 7000] for i in range(0, len(body), 7000)], framing="chunked")
    return body


class Faulty(HttpServer):
    """A server that fails as `mode` tells. It is fit for probes where `lies` is set, whatever it does to
    visitors. BEGUN are the modes in which an answer begins, and breaks."""

    BEGUN = ("half", "cut_chunk", "drip_body")
    MODES = ("well", "reset", "silent_close", "mute", "garbage", "two_lengths", "endless_head",
             "drip_head", "surplus", *BEGUN)

    def __init__(self, name):
        self.mode = "well"
        self.lies = False
        self.over = threading.Event()
        self.faults = {}
        super().__init__(name, answer, keep=False)

    def forgives(self, error):
        return isinstance(error, OSError) or super().forgives(error)

    def _send(self, peer, request, reply):
        mode = self.mode
        if mode == "well" or (self.lies and request.target == HEALTH):
            super()._send(peer, request, reply)
            return
        self.faults[mode] = self.faults.get(mode, 0) + 1
        getattr(self, f"_{mode}")(peer, request, reply)
        raise ConnectionAbortedError("as the mode wants it")

    def _head(self, length):
        return f"HTTP/1.1 200 OK\r\nX-Server: {self.name}\r\n{length}\r\n\r\n".encode()

    def _reset(self, peer, _request, _reply):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _silent_close(self, _peer, _request, _reply):
        pass

    def _mute(self, peer, _request, _reply):
        peer.some()

    def _garbage(self, peer, _request, _reply):
        peer.send(b"\x00\x16\xffSSH-2.0 what?\r\n\r\nand more")

    def _two_lengths(self, peer, _request, _reply):
        peer.send(self._head("Content-Length: 4\r\nContent-Length: 5") + b"wrong")

    def _endless_head(self, peer, _request, _reply):
        peer.send(b"HTTP/1.1 200 OK\r\n" + b"X-Wrong: more and more of this\r\n" * 20000)

    def _drip_head(self, peer, _request, _reply):
        self._drip(peer, b"HTTP/1.1 200 OK\r\n")

    def _surplus(self, peer, _request, reply):
        """In one piece: what comes later, behind the next request, nobody can tell from its answer."""
        body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
        peer.send(self._head(f"Content-Length: {len(body)}") + body +
                  b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")

    def _half(self, peer, _request, _reply):
        peer.send(self._head("Content-Length: 100000") + bytes(50000))
        self._reset(peer, None, None)

    def _cut_chunk(self, peer, _request, _reply):
        peer.send(self._head("Transfer-Encoding: chunked") + b"400\r\n" + bytes(0x400) + b"\r\n")

    def _drip_body(self, peer, _request, _reply):
        self._drip(peer, self._head("Content-Length: 50000"), at_once=True)
        self._drip(peer, b"abc")

    def _drip(self, peer, data, at_once=False):
        """One byte a second, for three seconds at most."""
        if at_once:
            peer.send(data)
            return
        for byte in data[:3]:
            peer.send(bytes([byte]))
            if self.over.wait(1):
                return

    def restart(self, seconds):
        """Dies, with all its connections, and comes back."""
        self.stop(reset=True)
        self.over.wait(seconds)
        if not self.over.is_set():
            self.start()


def _tunnel(peer):
    request = peer.request()
    if request.target == HEALTH:
        peer.respond(b"well")
        return
    key = request.headers.get("Sec-WebSocket-Key")
    proof = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              f"Sec-WebSocket-Accept: {proof}\r\n\r\n")
    with contextlib.suppress(OSError):
        while data := peer.some():
            peer.send(data)


def echo_server():
    """A WebSocket server that says each frame as it came."""
    server = ScriptedServer(_tunnel)
    server.forgives = lambda error: True
    return server
