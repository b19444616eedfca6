# SPDX-License-Identifier: MIT
"""gRPC through Weir, HTTP/2 on both sides, by Debian's Python client and server."""

import threading
from concurrent import futures

import grpc
import pytest

from weirtest import conf
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
        self.ended = 0  # calls that waited and were given up
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
        if message == b"wait":
            gone = threading.Event()
            context.add_callback(gone.set)
            assert gone.wait(DEADLINE)
            self.ended += 1
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
        call(b"wait", timeout=0.3)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: echo.ended == 1, "the first call to end at the server")
    future = call.future(b"wait")
    future.cancel()
    future = call.future(b"wait")
    wait_for(lambda: not future.done(), "the call to run")
    assert call(b"beside", timeout=DEADLINE) == b"beside"
    future.cancel()
    wait_for(lambda: echo.ended >= 2, "the second call to end at the server")
