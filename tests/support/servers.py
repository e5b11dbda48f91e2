"""Real servers on loopback, and raw requests to them."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import bad_files
from support.openapi import require_documented
from vintage_colorizer.options import ServeOptions

PHOTO = bad_files.encoded(bad_files.grey(160, 120), "JPEG", quality=90)


@dataclass(frozen=True)
class Answer:
    """What came back on a raw connection."""

    status: int
    headers: dict[str, str]  # names in lower case; several values as lines
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    app: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, timeout: float = 20) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def ask(self, target: str, body: bytes | None = None, *, method: str | None = None, **headers: str) -> Answer:
        """One request with exactly these headers (underscores become dashes); the answer is as documented."""
        method = method or ("GET" if body is None else "POST")
        given = {"Host": f"127.0.0.1:{self.port}", "Connection": "close"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and "Transfer-Encoding" not in given:
            given.setdefault("Content-Length", str(len(body)))
            given.setdefault("Content-Type", "application/octet-stream")
        head = f"{method} {target} HTTP/1.1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in given.items())
        answer = self.raw(head.encode("latin-1") + b"\r\n" + (body or b""))
        if self.app is not None:
            require_documented(self.app.openapi(), method, target, answer)
        return answer

    def raw(self, data: bytes, timeout: float = 20) -> Answer:
        """Send these bytes and read until the server closes."""
        with self.connect(timeout) as connection:
            try:
                connection.sendall(data)
            except OSError:  # refused before all was sent; the answer is there all the same
                pass
            return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    """Read until the server closes."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for name, value in (line.split(": ", 1) for line in lines[1:]):
        headers[name.lower()] = "\n".join(filter(None, [headers.get(name.lower()), value]))
    return Answer(int(lines[0].split()[1]), headers, body)


@contextmanager
def running(**options: Any) -> Iterator[Running]:
    """A real server on a free port, in a thread of this process."""
    from vintage_colorizer.serve import app as server

    with tempfile.TemporaryDirectory() as folder:
        settings = ServeOptions.of(port=0, **{"films": str(Path(folder) / "films")} | options)
        app = server.create_app(settings)
        app.openapi()  # made now, for it cannot be made in several threads at a time
        with server.listen(settings) as listener:
            uvicorn_server = server.make_server(app)
            thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                while not uvicorn_server.started:
                    time.sleep(0.01)
                yield Running(listener.getsockname()[1], app)
            finally:
                uvicorn_server.should_exit = True
                thread.join(20)
                assert not thread.is_alive()


def refused(answer: Answer, status: int, words: str = "") -> None:
    """The answer is a refusal in the one form of errors, and tells nothing of the inside."""
    assert answer.status == status, answer.body[:300]
    assert set(answer.json) == {"error", "message"} and words in answer.json["message"]
    assert "Traceback" not in answer.body.decode() and "/src/" not in answer.body.decode()
