"""A model server of the tests' own that serves each fault, on 127.0.0.1."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable

Answer = Callable[[socket.socket], None]


class FaultServer:
    """Answers every request on one address with ``answer``; keeps what it received."""

    def __init__(self, listener: socket.socket) -> None:
        self.answer: Answer = respond(200, completion("hi"))
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.greeting = b""
        self.left = threading.Event()
        self._listener = listener
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        # Wakes the accept that waits; closing alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if self.greeting:
                connection.sendall(self.greeting)
                return
            reader = connection.makefile("rb")
            with reader:
                first = reader.readline().decode("latin-1").strip()
                headers: dict[str, str] = {}
                while line := reader.readline().decode("latin-1").strip():
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                body = reader.read(int(headers.get("content-length", "0")))
                self.requests.append((first, headers, body))
                self.answer(connection)
        self.left.set()


def completion(content: object, **members: object) -> bytes:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return json.dumps({"model": "served-1", "choices": [choice], "usage": usage, **members}).encode()


def respond(status: int, body: bytes = b"", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in named.items()), "", ""])
    return send(head.encode() + body)


def send(data: bytes) -> Answer:
    return lambda connection: connection.sendall(data)


def wait_for_the_end(connection: socket.socket) -> None:
    connection.recv(1)
