# SPDX-License-Identifier: MIT
"""HTTP/2 on both sides of Weir, by python3-h2: what a peer sends is checked by it, what it would not send
goes out as raw frames."""

import collections
import contextlib
import dataclasses
import struct

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hpack

from . import wire
from .backend import Acceptor, Reply
from .client import Response, connect
from .wait import DEADLINE

Codes = h2.errors.ErrorCodes
Exceptions = h2.exceptions


@dataclasses.dataclass
class Flow:
    """What has come on one stream."""

    head: wire.Headers = None
    interim: list = dataclasses.field(default_factory=list)
    body: bytearray = dataclasses.field(default_factory=bytearray)
    trailers: wire.Headers = dataclasses.field(default_factory=wire.Headers)
    ended: bool = False
    reset: int = None  # code

    def value(self, name):
        return self.head.get(name)


def frame(kind, flags, stream, payload=b""):
    """A frame as bytes."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Session(wire.Stream):
    """One end of a connection. `take` False: windows are given back by the test alone."""

    def __init__(self, sock, client, take=True, timeout=DEADLINE, settings=None):
        super().__init__(sock, timeout)
        config = h2.config.H2Configuration(client_side=client, header_encoding="latin-1",
                                           validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.take = take
        self.flows = collections.defaultdict(Flow)
        self.goaway = None  # its event
        self.settled = False
        self.over = False
        self.last = 1 << 31  # the last stream that is served
        self.on_pump = None  # called after each read
        if settings:
            values = dict(self.h2.local_settings.items())
            self.h2.local_settings = h2.settings.Settings(client, {**values, **settings})
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        """Sends what h2 has to say."""
        data = self.h2.data_to_send()
        if data:
            self.send(data)

    def _note(self, event):
        events = h2.events
        flow = self.flows[event.stream_id] if getattr(event, "stream_id", None) else None
        if isinstance(event, (events.RequestReceived, events.ResponseReceived)):
            flow.head = wire.Headers(event.headers)
        elif isinstance(event, events.InformationalResponseReceived):
            flow.interim.append(wire.Headers(event.headers))
        elif isinstance(event, events.TrailersReceived):
            flow.trailers = wire.Headers(event.headers)
        elif isinstance(event, events.DataReceived):
            flow.body += event.data
            if self.take and event.flow_controlled_length:
                with contextlib.suppress(Exceptions.StreamClosedError):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.StreamEnded):
            flow.ended = True
        elif isinstance(event, events.StreamReset):
            flow.reset = event.error_code
        elif isinstance(event, events.ConnectionTerminated):
            self.goaway = event
        elif isinstance(event, events.RemoteSettingsChanged):
            self.settled = True

    def pump(self):
        """Reads once. False: the peer has ended the connection."""
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self.over = True
            return False
        self.received += len(data)
        for event in self.h2.receive_data(data):
            self._note(event)
        with contextlib.suppress(ConnectionError):
            self.flush()
        if self.on_pump is not None:
            self.on_pump()
        return True

    def until(self, condition, what="what was waited for"):
        """Reads until it holds."""
        while not condition():
            if not self.pump():
                assert condition(), f"the connection ended before {what} came"

    def until_over(self):
        """Reads until the peer has closed."""
        while not self.over:
            self.pump()

    def write(self, stream, data, end=False):
        """Sends data as far as windows open, reading meanwhile; the last frame of it ends our side if `end`.
        Stops when the stream is reset."""
        view = memoryview(bytes(data))
        while len(view) > 0:
            if self.on_pump is not None and self.h2.local_flow_control_window(stream) <= 0:
                self.on_pump()  # what came in the same read must not wait for this window
            self.until(lambda: self.flows[stream].reset is not None or
                       self.h2.local_flow_control_window(stream) > 0, "a window")
            if self.flows[stream].reset is not None:
                return
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            part, view = view[:room], view[room:]
            self.h2.send_data(stream, bytes(part), end_stream=end and len(view) == 0)
            self.flush()
        if end and len(data) == 0:
            self.h2.end_stream(stream)
            self.flush()

    def reset_stream(self, stream, code=Codes.CANCEL):
        self.h2.reset_stream(stream, code)
        self.flush()


class H2Client(Session):
    """A client's connection to Weir; `tls` an ssl.SSLContext that offers h2."""

    def __init__(self, address, tls=None, server_name="localhost", timeout=DEADLINE,
                 receive_buffer=None, source=None, **how):
        sock = connect(address, timeout, receive_buffer, source)
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
            sock = tls.wrap_socket(sock, server_hostname=server_name, suppress_ragged_eofs=False)
            assert sock.selected_alpn_protocol() == "h2"
        self.scheme = "https" if tls is not None else "http"
        super().__init__(sock, True, timeout=timeout, **how)

    def ask(self, method="GET", target="/", headers=(), end=True, authority="localhost"):
        """Sends a head; returns the stream."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", self.scheme), (":path", target)]
        if authority is not None:
            pseudo.append((":authority", authority))
        fields = [(name.lower(), value) for name, value in headers]
        self.h2.send_headers(stream, pseudo + fields, end_stream=end)
        self.flush()
        return stream

    def request(self, method="GET", target="/", headers=(), body=None, trailers=(), **how):
        """Sends a request: a body of bytes with its length, one of pieces without."""
        headers = list(headers)
        if isinstance(body, str):
            body = body.encode()
        if isinstance(body, bytes):
            headers.append(("content-length", str(len(body))))
        stream = self.ask(method, target, headers, end=body is None and not trailers, **how)
        if body is not None:
            for piece in [body] if isinstance(body, bytes) else body:
                self.write(stream, piece)
        if self.flows[stream].reset is not None or (body is None and not trailers):
            return stream
        if trailers:
            self.h2.send_headers(stream, [(name.lower(), value) for name, value in trailers],
                                 end_stream=True)
        else:
            self.h2.end_stream(stream)
        self.flush()
        return stream

    def head_of(self, stream):
        """Waits for the final head."""
        flow = self.flows[stream]
        self.until(lambda: flow.head is not None or flow.reset is not None, "a head")
        assert flow.head is not None, f"reset by {flow.reset}"
        return flow

    def finish(self, stream):
        """Waits for the end, by END_STREAM or RST_STREAM."""
        flow = self.flows[stream]
        self.until(lambda: flow.ended or flow.reset is not None, "the end of a stream")
        return flow

    def response(self, stream):
        """The whole response; wire.Cut where it was reset first."""
        flow = self.finish(stream)
        if not flow.ended:
            raise wire.Cut(f"stream {stream} was reset by {flow.reset}")
        fields = wire.Headers((name, value) for name, value in flow.head if name[0] != ":")
        return Response(int(flow.value(":status")), "", "2", fields, bytes(flow.body),
                        flow.trailers,
                        [Response(int(head.get(":status")), "", "2", head) for head in flow.interim])

    def get(self, target="/", headers=(), method="GET", **how):
        """A request and its response."""
        return self.response(self.request(method, target, headers, **how))


class RawClient(wire.Stream):
    """A client that forgives all and sends what the test says, frame by frame. `settings` are its own;
    it acknowledges Weir's, answers no PING, and opens windows only by `update`. `greet`: says this instead
    of preface and SETTINGS."""

    def __init__(self, address, tls=None, settings=None, timeout=DEADLINE, greet=None):
        sock = connect(address, timeout)
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
            sock = tls.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)
        super().__init__(sock, timeout)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.flows = collections.defaultdict(Flow)
        self.settings = {}
        self.goaways = []  # codes
        self.acks = 0
        self.pongs = []  # their payloads
        self.frames = []  # (kind, flags, stream, length) of all that came
        self.over = False
        self.torn = False  # ended by a reset
        if greet is not None:
            if greet:
                self.send(greet)
            return
        payload = b"".join(struct.pack(">HI", *pair) for pair in (settings or {}).items())
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, payload))

    def raw(self, kind, flags, stream, payload=b""):
        """A frame of any kind; type, flags and stream may be what they must not be."""
        self.send(frame(kind, flags, stream, payload))

    def block(self, pairs):
        """Fields as HPACK has them."""
        return self.encoder.encode(pairs)

    def ping(self, payload=b"12345678"):
        self.send(frame(6, 0, 0, payload))

    def head(self, stream, pairs, end=True, extra=b""):
        """A request's head, or trailers."""
        self.send(frame(1, 5 if end else 4, stream, self.encoder.encode(pairs)) + extra)

    def data(self, stream, data, end=False):
        self.send(frame(0, int(end), stream, data))

    def rst(self, stream, code=8):
        self.send(frame(3, 0, stream, struct.pack(">I", int(code))))

    def update(self, stream, size):
        self.send(frame(8, 0, stream, struct.pack(">I", size)))

    def pump(self):
        """Reads one frame. False: the connection is over."""
        try:
            size, kind, flags, stream = struct.unpack(">IBBI", b"\0" + self.exact(9))
            payload = self.exact(size)
        except (wire.Cut, ConnectionError) as error:
            self.over = True
            self.torn = isinstance(error, ConnectionError)
            return False
        self.frames.append((kind, flags, stream & 0x7fffffff, size))
        self._take(kind, flags, stream & 0x7fffffff, payload)
        return True

    def _take(self, kind, flags, stream, payload):
        flow = self.flows[stream] if stream else None
        if kind == 0:
            flow.body += payload
        elif kind == 1:
            assert flags & 4
            fields = wire.Headers((name, value) for name, value in self.decoder.decode(payload))
            if flow.head is not None:
                flow.trailers = fields
            elif fields.get(":status", "")[0] == "1":
                flow.interim.append(fields)
            else:
                flow.head = fields
        elif kind == 3:
            flow.reset = struct.unpack(">I", payload)[0]
        elif kind == 4 and not flags & 1:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[at:at + 6])
                self.settings[key] = value
            with contextlib.suppress(OSError):
                self.send(frame(4, 1, 0))
        elif kind == 4:
            self.acks += 1
        elif kind == 6 and flags & 1:
            self.pongs.append(payload)
        elif kind == 7:
            self.goaways.append(struct.unpack(">II", payload[:8])[1])
        if kind in (0, 1) and flags & 1:
            flow.ended = True

    until = Session.until
    until_over = Session.until_over

    def finish(self, stream):
        """Waits for the end, by END_STREAM or RST_STREAM."""
        flow = self.flows[stream]
        self.until(lambda: flow.ended or flow.reset is not None, "the end of a stream")
        return flow


@dataclasses.dataclass
class H2Request:
    """One request, as it came to a server."""

    method: str
    target: str
    headers: wire.Headers
    flow: Flow
    connection: int
    stream: int

    @property
    def body(self):
        return bytes(self.flow.body)

    @property
    def trailers(self):
        return self.flow.trailers


class ResetStream(Exception):
    """Of a handler or its body: the stream is reset with that code."""

    def __init__(self, code=Codes.INTERNAL_ERROR):
        super().__init__(code)
        self.code = code


class H2Server(Acceptor):
    """A real HTTP/2 server. `handler(request)` gives a Reply as to an HttpServer, when the request is
    whole; with `early`, when its head is here. `session` are settings and what else a Session takes.
    `close` of a Reply: behind it comes GOAWAY, and later requests get nothing."""

    def __init__(self, name="web", handler=None, early=False, session=None, **how):
        self.name = name
        self.handler = handler
        self.early = early
        self.session = session or {}
        self.requests = []
        self.resets = []  # codes of streams that Weir has reset
        if how.get("tls") is not None:
            how["tls"].set_alpn_protocols(["h2"])
        super().__init__(**how)

    def forgives(self, error):
        return isinstance(error, (OSError, Exceptions.StreamClosedError)) or "ended before" in str(error) \
            or "preamble" in str(error)

    def serve(self, peer):
        session = Session(peer.sock, False, **self.session)
        done = set()
        session.on_pump = lambda: self._look(session, peer.number, done)
        while session.pump():
            pass

    def _look(self, session, connection, done):
        """Answers what is new; also while an answer waits for a window."""
        for number, flow in list(session.flows.items()):
            if flow.reset is not None and (number, "reset") not in done:
                done |= {number, (number, "reset")}
                self.resets.append(flow.reset)
            if number in done or flow.head is None or not (flow.ended or self.early) or \
                    number > session.last:
                continue
            done.add(number)
            request = H2Request(flow.value(":method"), flow.value(":path"), flow.head, flow,
                                connection, number)
            self.requests.append(request)
            try:
                self._answer(session, number, request)
            except ResetStream as reset:
                session.reset_stream(number, reset.code)

    def _answer(self, session, number, request):
        reply = self.handler(request) if self.handler else self.name
        if reply is None:
            return  # never
        if isinstance(reply, str):
            reply = reply.encode()
        if isinstance(reply, bytes):
            reply = Reply(reply)
        fields = [(":status", str(reply.status)), ("x-server", self.name)]
        fields += [(name.lower(), value) for name, value in reply.headers]
        whole = isinstance(reply.body, bytes)
        bare = request.method == "HEAD" or reply.status in (204, 304)
        if reply.framing == "length" and reply.status != 204:
            fields.append(("content-length", str(len(reply.body) if whole else reply.length)))
        for raw in reply.interim:
            status = raw.split(b" ")[1].decode()
            lines = raw.decode().split("\r\n")[1:]
            pairs = [line.split(": ", 1) for line in lines if line]
            session.h2.send_headers(number, [(":status", status)] +
                                    [(name.lower(), value) for name, value in pairs])
        session.h2.send_headers(number, fields, end_stream=bare)
        session.flush()
        if reply.close:
            session.last = number
            session.send(frame(7, 0, 0, struct.pack(">II", number, 0)))
        if bare:
            return
        if whole and not reply.trailers:
            # With the last byte, as a client of HTTP/1 has its answer then: no later frame is due.
            session.write(number, reply.body, end=True)
            return
        for piece in [reply.body] if whole else reply.body:
            session.write(number, piece)
        if session.flows[number].reset is not None:
            return
        if reply.trailers:
            session.h2.send_headers(number, [(name.lower(), value) for name, value in
                                             reply.trailers], end_stream=True)
        else:
            session.h2.end_stream(number)
        session.flush()


def server_script(script, **how):
    """A script for a ScriptedServer that gets a Session."""
    return lambda peer: script(Session(peer.sock, False, **how))


