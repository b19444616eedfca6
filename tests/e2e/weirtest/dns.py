# SPDX-License-Identifier: MIT
"""A name server whose answers a test chooses (RFC 1035, over UDP and TCP)."""

import ipaddress
import selectors
import socket
import struct
import threading

from .ports import free_port

A, CNAME, SOA, AAAA, SRV = 1, 5, 6, 28, 33
SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5
SILENCE = "silence"

# What fits into an answer over UDP without EDNS.
UDP_MAX = 512


def _name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".") if part) + b"\0"


class Dns:
    """Answers from `records`: {(name, type): [data, ...]}. A and AAAA are addresses, SRV (priority, weight,
    port, target), CNAME a name, whose records follow in the same answer unless `chase` is false. `ttls` has
    times to live by (name, type), `ttl` all others; `negative` is that of answers without records, told by an
    SOA record (None: there is none). `faults` has SERVFAIL, REFUSED or SILENCE by (name, type); `fail` makes
    every answer SERVFAIL. All may be replaced at any time; `asked` is the list of questions."""

    def __init__(self, records=None, ttl=1):
        self.records = dict(records or {})
        self.ttl = ttl
        self.ttls = {}
        self.negative = None
        self.faults = {}
        self.fail = False
        self.chase = True
        self.asked = []
        self.over_tcp = 0
        self.port, self.socket, self.listener = self._sockets()
        self.stopping = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @staticmethod
    def _sockets():
        while True:
            port = free_port()
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
                tcp.listen()
                return port, udp, tcp
            except OSError:
                udp.close()
                tcp.close()

    @property
    def option(self):
        """What weir.conf needs to ask here."""
        return f'nameservers = "127.0.0.1:{self.port}"\n'

    def count(self, name, kind):
        """Questions so far for these records."""
        return self.asked.count((name, kind))

    def close(self):
        self.stopping = True
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()
        self.listener.close()

    def _serve(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self.listener, selectors.EVENT_READ)
            while not self.stopping:
                for key, _ in selector.select():
                    if key.fileobj is self.listener:
                        self._serve_tcp()
                    else:
                        self._serve_udp()

    def _serve_udp(self):
        query, peer = self.socket.recvfrom(4096)
        answer = self._answer(query) if query else None
        if answer and len(answer) > UDP_MAX:
            end = 12 + query[12:].index(b"\0") + 5
            flags = struct.unpack("!H", answer[2:4])[0] | 0x0200
            answer = query[:2] + struct.pack("!HHHHH", flags, 1, 0, 0, 0) + query[12:end]
        if answer:
            self.socket.sendto(answer, peer)

    def _serve_tcp(self):
        peer, _ = self.listener.accept()
        with peer:
            stream = peer.makefile("rb")
            (size,) = struct.unpack("!H", stream.read(2))
            answer = self._answer(stream.read(size))
            if answer:
                self.over_tcp += 1
                peer.sendall(struct.pack("!H", len(answer)) + answer)
                peer.settimeout(5)
                while peer.recv(4096):
                    pass

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, (kind,) = ".".join(labels), struct.unpack("!H", query[at + 1:at + 3])
        self.asked.append((name, kind))
        fault = SERVFAIL if self.fail else self.faults.get((name, kind))
        if fault == SILENCE:
            return None
        records, last = [], name
        while not fault and self._exists(last):
            alias = self.records.get((last, CNAME))
            items = self.records.get((last, kind), [])
            records += [self._record(last, kind, item) for item in items]
            if not alias or len(records) > 20:
                break
            records.append(self._record(last, CNAME, alias[0]))
            last = alias[0]
            if not self.chase:
                break
        known = fault or self._exists(last) or not self.chase and last != name
        code = fault or (0 if known else NXDOMAIN)
        authority = []
        if not fault and not self.records.get((last, kind)) and self.negative is not None and \
                (self.chase or last == name):
            zone = "." + name.split(".", 1)[-1]
            authority.append(self._record(zone, SOA, self.negative))
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), len(authority), 0)
        return head + query[12:at + 5] + b"".join(records + authority)

    def _exists(self, name):
        return any((name, kind) in self.records for kind in (A, AAAA, CNAME, SRV))

    def _record(self, name, kind, item):
        body = self._body(kind, item)
        ttl = self.ttls.get((name, kind), 3600 if kind == SOA else self.ttl)
        return _name(name) + struct.pack("!HHIH", kind, 1, ttl, len(body)) + body

    @staticmethod
    def _body(kind, item):
        if kind == SRV:
            priority, weight, port, target = item
            return struct.pack("!HHH", priority, weight, port) + _name(target)
        if kind == CNAME:
            return _name(item)
        if kind == SOA:
            return _name("ns.test") + _name("root.test") + struct.pack("!IIIII", 1, 2, 3, 4, item)
        return ipaddress.ip_address(item).packed
