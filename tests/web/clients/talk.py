"""A gRPC client for the tests: performs one action and prints the result as JSON.

    talk.py THING HOST:PORT [--ca FILE] [--token TOKEN]

Without a CA it speaks to a plain port.
"""

import argparse
import json
import queue
import threading
import time

import grpc


def error(caught):
    return {"code": caught.code().name, "details": caught.details()}


def trailers(call):
    return {key: value if isinstance(value, str) else value.hex() for key, value in call.trailing_metadata() or ()}


class Talk:
    def __init__(self, channel, token):
        self.channel = channel
        self.token = (("authorization", f"Bearer {token}"),) if token else ()

    def unary(self, name, request, more=(), **options):
        method = self.channel.unary_unary(f"/talk.Talk/{name}")
        return method.with_call(request, metadata=(*self.token, *more), timeout=options.get("timeout", 20))

    def streamed(self, kind, name, request, **options):
        method = getattr(self.channel, kind)(f"/talk.Talk/{name}")
        return method(request, metadata=self.token, timeout=options.get("timeout", 20))


def hello(talk):
    """A unary call, with metadata of both kinds."""
    answer, call = talk.unary("Hello", b"abc", more=(("x-custom", "kept"), ("x-raw-bin", bytes(range(256))), ("x-forwarded-user", "mallory")))
    begun = dict(call.initial_metadata()).get("x-begun")
    return {"answer": answer.decode(), "code": call.code().name, "begun": begun, "trailers": trailers(call)}


def large(talk):
    """Messages of three mebibytes, and an empty one."""
    body = bytes(range(256)) * 4 * 1024 * 3
    answer, _ = talk.unary("Hello", body)
    empty, _ = talk.unary("Hello", b"")
    added = talk.streamed("stream_unary", "Add", iter([body] * 8))
    return {"same": answer == b"ada:" + body, "empty": empty.decode(), "added": int(added) == 8 * len(body)}


def count(talk):
    """A server stream, each message with its time of arrival."""
    at, said = [], []
    call = talk.streamed("unary_stream", "Count", b"5")
    for message in call:
        said.append(message.decode())
        at.append(time.monotonic())
    return {"said": said, "spread": at[-1] - at[0], "code": call.code().name, "trailers": trailers(call)}


def chat(talk):
    """A bidirectional stream: each message is sent after the response to the previous one."""
    sending = queue.Queue()
    call = talk.streamed("stream_stream", "Chat", iter(sending.get, None))
    heard = [next(call).decode()]
    for n in range(20):
        sending.put(f"message {n}".encode())
        heard.append(next(call).decode())
    sending.put(None)
    heard.extend(message.decode() for message in call)
    return {"heard": heard, "code": call.code().name}


def both(talk):
    """A thousand messages each way at once, with forty other calls on the channel."""
    call = talk.streamed("stream_stream", "Chat", (b"m%d" % n for n in range(1000)))
    with_others = [talk.channel.unary_unary("/talk.Talk/Hello").future(b"%d" % n, metadata=talk.token) for n in range(40)]
    heard = [message for message in call]
    right = heard == [b"go ahead", *(b"re: m%d" % n for n in range(1000)), b"bye"]
    return {"right": right, "others": sum(other.result() == b"ada:%d" % n for n, other in enumerate(with_others))}


def fail(talk):
    """A status of the app with details, with and without data before it."""
    said = {}
    try:
        talk.unary("Fail", b"x")
    except grpc.RpcError as caught:
        said["unary"] = {**error(caught), "trailers": trailers(caught)}
    call = talk.streamed("stream_stream", "Late", iter([b"x"]))
    said["first"] = next(call).decode()
    try:
        next(call)
    except grpc.RpcError as caught:
        said["late"] = error(caught)
    try:
        talk.unary("Nothing", b"x")
    except grpc.RpcError as caught:
        said["unknown"] = error(caught)["code"]
    return said


def deadline(talk):
    """The deadline reaches the app, and the call ends by then."""
    call = talk.streamed("unary_stream", "Wait", b"deadline", timeout=1.5)
    told = float(next(call))
    since = time.monotonic()
    try:
        next(call)
    except grpc.RpcError as caught:
        return {"told": told, "after": time.monotonic() - since, **error(caught)}


def cancel(talk):
    """Cancelled after the first message."""
    call = talk.streamed("unary_stream", "Wait", b"cancel", timeout=None)
    told = next(call).decode()
    call.cancel()
    try:
        next(call)
    except grpc.RpcError as caught:
        return {"told": told, "code": caught.code().name}


def refused(talk):
    """Only the final status: unary, and bidirectional."""
    codes = []
    try:
        talk.unary("Hello", b"abc")
    except grpc.RpcError as caught:
        codes.append(error(caught))
    never = threading.Event()
    try:
        # The client would continue to send; the refusal must not wait for it.
        for _ in talk.streamed("stream_stream", "Chat", iter(lambda: never.wait(30), False)):
            pass
    except grpc.RpcError as caught:
        codes.append(error(caught))
    never.set()
    return codes


THINGS = {thing.__name__: thing for thing in (hello, large, count, chat, both, fail, deadline, cancel, refused)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("thing", choices=THINGS)
    parser.add_argument("target")
    parser.add_argument("--ca")
    parser.add_argument("--token")
    given = parser.parse_args()
    if given.ca:
        with open(given.ca, "rb") as ca:
            channel = grpc.secure_channel(given.target, grpc.ssl_channel_credentials(ca.read()))
    else:
        channel = grpc.insecure_channel(given.target)
    with channel:
        print(json.dumps(THINGS[given.thing](Talk(channel, given.token))), flush=True)


main()
