"""Switches of a running server: one JSON object a line over a Unix socket, which no network namespace hides."""

import json
import os
import socket
import threading

ANSWER_SECONDS = 10


def serve(path, switch):
    """Starts to listen; `switch` takes what a caller asks for and returns what it is told. Bound when this returns."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    threading.Thread(target=_accept, args=(listener, switch), daemon=True).start()


def ask(path, **words):
    """Tells a server something, and returns its answer."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(ANSWER_SECONDS)
        stream.connect(str(path))
        stream.sendall(json.dumps(words).encode() + b"\n")
        answer = json.loads(stream.makefile().readline())
    if "error" in answer:
        raise ValueError(f"{os.path.basename(path)}: {answer['error']}")
    return answer


def _accept(listener, switch):
    while True:
        stream, _ = listener.accept()
        with stream:
            try:
                answer = switch(**json.loads(stream.makefile().readline()))
            except (TypeError, ValueError) as problem:  # an unknown word is the caller's mistake, not the server's end
                answer = {"error": str(problem)}
            stream.sendall(json.dumps(answer or {}).encode() + b"\n")
