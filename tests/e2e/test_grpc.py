# SPDX-License-Identifier: MIT
"""gRPC through Weir, HTTP/2 on both sides, by Debian's Python client and server."""

import json
import threading
from concurrent import futures

import grpc
import pytest

from weirtest import conf
from weirtest.h2peer import H2Client
from weirtest.ports import free_port
from weirtest.wait import DEADLINE, wait_for

ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def same(data):
    """Messages are bytes."""
    return data


class EchoServer:
    """A server of four methods: U(nary), S(erver streams), C(lient streams), B(oth)."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.waiting = set()  # messages of calls that wait until they are given up
        handler = grpc.method_handlers_generic_handler("test.Echo", {
            "U": grpc.unary_unary_rpc_method_handler(self._unary, same, same),
            "S": grpc.unary_stream_rpc_method_handler(self._stream, same, same),
            "C": grpc.stream_unary_rpc_method_handler(self._sum, same, same),
            "B": grpc.stream_stream_rpc_method_handler(self._both, same, same),
        })
        self._server = grpc.server(futures.ThreadPoolExecutor(16), options=ANY_SIZE)
        self._server.add_generic_rpc_handlers((handler,))
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def _unary(self, message, context):
        if message == b"fail":
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such thing")
        if message.startswith(b"wait"):
            gone = threading.Event()
            self.waiting.add(message)
            if context.add_callback(gone.set):  # else it has been given up already
                assert gone.wait(DEADLINE)
            self.waiting.discard(message)
        context.set_trailing_metadata((("x-trailer", "yes"),))
        return message

    def _stream(self, message, _context):
        for i in range(int(message)):
            yield b"%d" % i

    def _sum(self, messages, _context):
        return b"%d" % sum(len(message) for message in messages)

    def _both(self, messages, _context):
        yield from messages

    def close(self):
        self._server.stop(0).wait(DEADLINE)


@pytest.fixture
def echo():
    server = EchoServer()
    yield server
    server.close()


@pytest.fixture
def channel(start_weir, echo):
    weir = start_weir(conf.one_pool({"a": echo}, 'protocol = "h2"', "h2c = on"))
    with grpc.insecure_channel(f"127.0.0.1:{weir.port()}", options=ANY_SIZE) as one:
        yield one


def method(channel, kind, name):
    return getattr(channel, kind)(f"/test.Echo/{name}", same, same)


def test_unary(channel):
    call = method(channel, "unary_unary", "U")
    message, done = call.with_call(b"hello", timeout=DEADLINE)
    assert message == b"hello" and done.trailing_metadata()[0].value == "yes"
    large = bytes(range(256)) * 30000
    assert call(large, timeout=DEADLINE) == large
    for _ in range(300):
        assert call(b"again", timeout=DEADLINE) == b"again"


def test_streams(channel):
    numbers = [b"%d" % i for i in range(3000)]
    assert list(method(channel, "unary_stream", "S")(b"3000", timeout=DEADLINE)) == numbers
    assert method(channel, "stream_unary", "C")(iter([b"x" * 1000] * 1000), timeout=DEADLINE) == \
        b"1000000"
    assert list(method(channel, "stream_stream", "B")(iter(numbers), timeout=DEADLINE)) == numbers


def test_a_talk(channel):
    """One message after the other, each an answer to the last."""
    steps = threading.Semaphore(1)

    def messages():
        for i in range(100):
            assert steps.acquire(timeout=DEADLINE)
            yield b"%d" % i

    for i, message in enumerate(method(channel, "stream_stream", "B")(messages(),
                                                                     timeout=DEADLINE)):
        assert message == b"%d" % i
        steps.release()


def test_statuses(channel):
    with pytest.raises(grpc.RpcError) as error:
        method(channel, "unary_unary", "U")(b"fail", timeout=DEADLINE)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert error.value.details() == "there is no such thing"
    with pytest.raises(grpc.RpcError) as error:
        method(channel, "unary_unary", "None")(b"", timeout=DEADLINE)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_deadlines_and_cancellation_reach_the_server(channel, echo):
    call = method(channel, "unary_unary", "U")
    with pytest.raises(grpc.RpcError) as error:
        call(b"wait for its end", timeout=0.3)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: not echo.waiting, "the first call to end at the server")
    future = call.future(b"wait no longer")
    future.cancel()
    future = call.future(b"wait")
    wait_for(lambda: b"wait" in echo.waiting, "the call to run")
    assert call(b"beside", timeout=DEADLINE) == b"beside"
    assert b"wait" in echo.waiting
    future.cancel()
    wait_for(lambda: not echo.waiting, "all calls to end at the server")


# ---- health ----

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


class HealthServer:
    """A server of grpc.health.v1 alone; `state` maps names of services (as messages have them) to answers."""

    def __init__(self, state):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.state = state
        self.asked = 0

        def check(message, context):
            self.asked += 1
            if message not in self.state:
                context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
            return self.state[message]

        handler = grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check, same, same)})
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((handler,))
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def close(self):
        self._server.stop(0).wait(DEADLINE)


HEALTH = 'health "http" { grpc = on  interval = 100ms  fast_interval = 50ms  rise = 1  fall = 1 %s }'


@pytest.mark.parametrize("name,message", [("", b""), ("shop.Cart", b"\x0a\x09shop.Cart")])
def test_health_checks(start_weir, name, message):
    server = HealthServer({message: SERVING})
    try:
        service = f'grpc_service = "{name}"' if name else ""
        weir = start_weir(conf.one_pool({"a": server}, 'protocol = "h2"\n' + HEALTH % service))
        mark = 0
        for answer, reason in ((NOT_SERVING, "NOT_SERVING"), (b"", "UNKNOWN"),
                               (None, "gRPC status 5 NOT_FOUND: unknown service")):
            if answer is None:
                del server.state[message]
            else:
                server.state[message] = answer
            weir.wait_log(f"server web/a is down: probe: 1 of 1 failed, last: {reason}", mark)
            mark = len(weir.log())
            server.state[message] = SERVING
            weir.wait_log("server web/a is up: probe: SERVING", mark)
            mark = len(weir.log())
    finally:
        server.close()


def test_health_check_of_a_server_without_it(start_weir, echo, http_server):
    """No such method; and a pool of HTTP/1, where the health block's own protocol mends it."""
    weir = start_weir(conf.one_pool({"a": echo}, 'protocol = "h2"\n' + HEALTH % ""))
    weir.wait_log("server web/a is down: probe: 1 of 1 failed, last: gRPC status 12 UNIMPLEMENTED")
    weir.reload(conf.one_pool({"a": http_server("a")}, HEALTH % ""))
    weir.wait_log('server web/a is down: [^\\n]*gRPC needs HTTP/2: protocol = "h2"')
    server = HealthServer({b"": SERVING})
    try:
        mark = len(weir.log())
        address = f'address = "127.0.0.1:{server.port}"  protocol = "h2"'
        weir.reload(conf.one_pool({"a": http_server("a")}, HEALTH % address))
        wait_for(lambda: server.asked > 3, "probes")
        assert weir.get("/").text == "a" and " is down" not in weir.log()[mark:]
    finally:
        server.close()


# ---- Weir's own errors ----

def call(weir, path="/test.Echo/U", message=b"hello", timeout=DEADLINE):
    """The status and the words that a call ends with."""
    with grpc.insecure_channel(f"127.0.0.1:{weir.port()}", options=ANY_SIZE) as channel:
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary(path, same, same)(message, timeout=timeout)
    return error.value.code(), error.value.details()


def test_errors_of_weir_are_statuses(start_weir, echo, scripted_server):
    def close(peer):
        peer.some()

    pools = {"gone": "http://127.0.0.1:%d" % free_port(), "rude": scripted_server(close),
             "quiet": scripted_server(lambda peer: peer.rest())}
    text = conf.listener("h2c = on  body_limit = 10k") + conf.modules() + conf.routes(
        **{name: f'"/{name}.S/"' for name in pools}) + "".join(
            conf.pool(name, {"a": server}, 'protocol = "h2"  retries = 0  response_timeout = 300ms')
            for name, server in pools.items())
    weir = start_weir(text)
    Code = grpc.StatusCode
    assert call(weir, "/gone.S/M") == (Code.UNAVAILABLE, "Bad Gateway: connect refused")
    code, words = call(weir, "/rude.S/M")
    assert code == Code.UNAVAILABLE and words.startswith("Bad Gateway: upstream "), words
    assert call(weir, "/quiet.S/M") == (Code.UNAVAILABLE, "Gateway Timeout: response timeout")
    assert call(weir, "/none.S/M") == (Code.UNIMPLEMENTED, "Not Found: no route")
    assert call(weir, "/quiet.S/M", b"x" * 20000) == \
        (Code.RESOURCE_EXHAUSTED, "Content Too Large: too large")


@pytest.mark.parametrize("kind,answer", [
    ("application/grpc", "application/grpc"), ("application/grpc+proto; a=b", "application/grpc"),
    ("application/grpc-web+proto", "application/grpc-web+proto"), ("application/grpcx", None),
    ("text/plain", None)])
def test_errors_by_both_protocols(start_weir, kind, answer):
    """Heads alone, by HTTP/1.1 too; who does not speak gRPC gets a page."""
    where = "http://127.0.0.1:%d" % free_port()
    weir = start_weir(conf.one_pool({"a": where}, "", "h2c = on"))
    fields = [("content-type", kind), ("te", "trailers")]
    with H2Client(weir.address()) as client:
        two = client.response(client.request("POST", "/a.B/C", fields, b"x"))
    with weir.client() as client:
        one = client.get("/a.B/C", [("Content-Type", kind)], "POST", body=b"x")
    for response in (two, one):
        if answer is None:
            assert response.status == 502 and "html" in response.headers.get("content-type")
            assert response.headers.get("grpc-status") is None
        else:
            assert response.status == 200 and response.body == b""
            assert response.headers.get("content-type") == answer
            assert response.headers.get("grpc-status") == "14"
            assert response.headers.get("grpc-message") == "Bad Gateway: connect refused"


def test_a_deadline_of_the_clients_own(start_weir, h2_server):
    """DEADLINE_EXCEEDED only where the call's own time was up."""
    server = h2_server("a", lambda request: None)
    weir = start_weir(conf.one_pool(
        {"a": server}, 'protocol = "h2"  response_timeout = 300ms  retries = 0', "h2c = on"))
    for timeout, status in (("100m", "4"), ("10S", "14"), ("x", "14"), (None, "14")):
        fields = [("content-type", "application/grpc")]
        fields += [("grpc-timeout", timeout)] if timeout else []
        with H2Client(weir.address()) as client:
            response = client.response(client.request("POST", "/a.B/C", fields, b"x"))
        assert (response.status, response.headers.get("grpc-status")) == (200, status)


def test_access_log_tells_grpc_statuses(make_weir, echo, tmp_path):
    path = tmp_path / "access.log"
    weir = make_weir(access_log=False)
    weir.configure(f'module "access_log" {{ path = "{path}"  format = json }}\n' + conf.listener(
        "h2c = on") + conf.modules() + conf.routes(web='"/test.Echo/"') +
                   conf.pool("web", {"a": echo}, 'protocol = "h2"'))
    weir.start()
    with grpc.insecure_channel(f"127.0.0.1:{weir.port()}") as channel:
        assert method(channel, "unary_unary", "U")(b"hello", timeout=DEADLINE) == b"hello"
    assert call(weir, message=b"fail")[0] == grpc.StatusCode.NOT_FOUND
    assert call(weir, "/none.S/M")[0] == grpc.StatusCode.UNIMPLEMENTED
    assert weir.get("/").status == 404
    wait_for(lambda: path.read_text().count("\n") == 4, "four lines")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["status"], line.get("grpc_status"), line["reason"]) for line in lines] == [
        (200, 0, ""), (200, 5, ""), (200, 12, "no_route"), (404, None, "no_route")]
