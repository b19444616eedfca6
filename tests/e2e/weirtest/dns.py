# SPDX-License-Identifier: MIT
"""A name server whose answers a test chooses (RFC 1035, over UDP)."""

import ipaddress
import socket
import struct
import threading

from .ports import free_port

A, AAAA, SRV = 1, 28, 33


def _name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".") if part) + b"\0"


class Dns:
    """Answers from `records`: {(name, type): [data, ...]}. A is an address, SRV (priority, weight, port,
    target). `records` may be replaced at any time; `fail` makes every answer SERVFAIL."""

    def __init__(self, records=None, ttl=1):
        self.records = dict(records or {})
        self.ttl = ttl
        self.fail = False
        self.asked = []
        self.port = free_port()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", self.port))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def option(self):
        """What weir.conf needs to ask here."""
        return f'nameservers = "127.0.0.1:{self.port}"\n'

    def close(self):
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()

    def _serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if not query:
                return
            self.socket.sendto(self._answer(query), peer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, (kind,) = ".".join(labels), struct.unpack("!H", query[at + 1:at + 3])
        self.asked.append((name, kind))
        data = [] if self.fail else self.records.get((name, kind), [])
        known = any(key[0] == name for key in self.records)
        code = 2 if self.fail else 0 if known else 3
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(data), 0, 0)
        answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl, len(body)) + body
                           for body in map(lambda item: self._body(kind, item), data))
        return head + query[12:at + 5] + answers

    @staticmethod
    def _body(kind, item):
        if kind == SRV:
            priority, weight, port, target = item
            return struct.pack("!HHH", priority, weight, port) + _name(target)
        return ipaddress.ip_address(item).packed
