"""A gRPC service without generated code: messages are plain bytes.

    talk_grpc.py [--cert FILE --key FILE]

Prints where it listens, and what its calls went through.
"""

import argparse
import signal
import threading
import time
from concurrent import futures

import grpc


def metadata(context):
    return dict(context.invocation_metadata())


def hello(request, context):
    """Who is calling, according to the gate; further metadata is returned in the trailers."""
    seen = metadata(context)
    context.send_initial_metadata((("x-begun", "yes"),))
    context.set_trailing_metadata((
        ("x-length", str(len(request))),
        ("x-authorization", seen.get("authorization", "none")),
        ("x-custom", seen.get("x-custom", "none")),
        ("x-raw-bin", seen.get("x-raw-bin", b"")),
    ))
    return seen.get("x-forwarded-preferred-username", "stranger").encode() + b":" + request


def count(request, context):
    """As many messages as requested, with pauses between them."""
    for n in range(int(request)):
        if n:
            time.sleep(0.2)
        yield str(n).encode()
    context.set_trailing_metadata((("x-counted", request.decode()),))


def add(requests, context):
    return str(sum(len(request) for request in requests)).encode()


def chat(requests, context):
    """Sends first, then answers each message, and sends last."""
    yield b"go ahead"
    for request in requests:
        yield b"re: " + request
    yield b"bye"


def fail(request, context):
    context.set_trailing_metadata((("grpc-status-details-bin", b"\x08\x09\x12\x04more"), ("x-hint", "try again")))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nicht so: ✗ 100%\nat all")


def late(requests, context):
    """A message, then an error: the status is in the trailers, after data."""
    yield b"well"
    context.abort(grpc.StatusCode.DATA_LOSS, "lost it")


def wait(request, context):
    """Returns the deadline, then waits until the caller leaves."""
    gone = threading.Event()
    context.add_callback(gone.set)
    left = context.time_remaining()
    yield f"{left:.1f}".encode() if left is not None and left < 1e6 else b"any"
    since = time.monotonic()
    gone.wait(20)
    print(f"{request.decode()}: {'left' if gone.is_set() else 'stayed'} after {time.monotonic() - since:.1f} s", flush=True)


METHODS = {
    "Hello": grpc.unary_unary_rpc_method_handler(hello),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Add": grpc.stream_unary_rpc_method_handler(add),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Late": grpc.stream_stream_rpc_method_handler(late),
    "Wait": grpc.unary_stream_rpc_method_handler(wait),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cert")
    parser.add_argument("--key")
    given = parser.parse_args()
    server = grpc.server(futures.ThreadPoolExecutor(64))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("talk.Talk", METHODS),))
    if given.cert:
        with open(given.key, "rb") as key, open(given.cert, "rb") as cert:
            credentials = grpc.ssl_server_credentials(((key.read(), cert.read()),))
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"talk listens at {port}", flush=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    server.stop(0).wait()


main()
