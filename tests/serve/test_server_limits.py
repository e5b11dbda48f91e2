"""The limits of the server under load: what is taken on, what is told to come back, what is given up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.servers import PHOTO, Running, refused, running
from vintage_colorizer.networks.inference import propose

pytestmark = pytest.mark.long


@pytest.fixture
def server() -> Iterator[Running]:
    with running(workers=1) as one:
        yield one


class Gate:
    """Holds the network until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.asked = threading.Event(), threading.Semaphore(0)

        def wait_and_propose(*arguments: Any) -> Any:
            self.asked.release()
            assert self.opened.wait(20)
            return propose(*arguments)

        monkeypatch.setattr("vintage_colorizer.networks.inference.propose", wait_and_propose)


def test_a_full_queue_is_told_at_once_and_the_rest_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(workers=1, queue=2) as server, ThreadPoolExecutor(10) as clients:
        gate = Gate(monkeypatch)
        answers = [clients.submit(server.ask, "/api/photo", PHOTO) for _ in range(10)]
        gate.asked.acquire(timeout=10)
        start = time.monotonic()
        while sum(one.done() for one in answers) < 7 and time.monotonic() - start < 10:
            time.sleep(0.01)
        assert server.ask("/api/health").json["waiting"] == 3
        gate.opened.set()
        results = [one.result() for one in answers]
        assert sorted(one.status for one in results) == [200] * 3 + [503] * 7
        assert all(int(one.headers["retry-after"]) > 0 and one.json for one in results if one.status == 503)
        wait_for_nobody(server)


def test_work_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(workers=1, timeout=1.5) as server:
        gate = Gate(monkeypatch)
        answer = server.ask("/api/photo", PHOTO)
        refused(answer, 503, "too long")
        assert server.ask("/api/health").json["waiting"] == 1  # its thread still works, so its seat is taken
        gate.opened.set()
        wait_for_nobody(server)


def test_work_nobody_waits_for_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(workers=1) as server:
        gate = Gate(monkeypatch)
        connections = [server.connect() for _ in range(3)]
        for connection in connections:
            head = f"POST /api/photo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(PHOTO)}\r\n\r\n"
            connection.sendall(head.encode() + PHOTO)
        assert gate.asked.acquire(timeout=10)
        for connection in connections:
            connection.close()
        while server.ask("/api/health").json["waiting"] > 1:
            time.sleep(0.01)
        gate.opened.set()
        wait_for_nobody(server)
        assert gate.asked.acquire(timeout=1)  # the one good photo after them
        assert not gate.asked.acquire(timeout=0.2)  # of the three, only the first reached the network


def wait_for_nobody(server: Running) -> None:
    end = time.monotonic() + 10
    while server.ask("/api/health").json["waiting"] and time.monotonic() < end:
        time.sleep(0.01)
    assert server.ask("/api/health").json["waiting"] == 0
    assert server.ask("/api/photo", PHOTO).status == 200


def test_a_thousand_connections_at_once_do_no_harm(server: Running) -> None:
    connections: list[socket.socket] = []
    try:
        for _ in range(3):  # few systems let one process have a thousand more at a time
            connections = [server.connect() for _ in range(400)]
            for connection in connections:
                connection.send(b"POST /api/photo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n")
            statuses = [0] * len(connections)
            end = time.monotonic() + 20
            while statuses.count(0) > 17 and time.monotonic() < end:
                time.sleep(0.05)
                statuses = [code or status(one) for code, one in zip(statuses, connections, strict=True)]
            assert (statuses.count(0), statuses.count(503)) == (17, 383)  # one at work, 16 wait for their body
            for connection in connections:
                connection.close()
    finally:
        for connection in connections:
            connection.close()
    wait_for_nobody(server)


def status(connection: socket.socket) -> int:
    """The status of the answer that has come, 0 if none has."""
    connection.setblocking(False)
    try:
        return int(connection.recv(12)[9:12])
    except BlockingIOError:
        return 0
