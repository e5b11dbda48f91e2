"""The names of uvicorn that may change without notice are there, and are called as we expect."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from support.servers import running
from vintage_colorizer.serve.app import make_server
from vintage_colorizer.serve.uvicorn_private import PatientProtocol

METHODS = {
    "connection_made": ["transport"],
    "data_received": ["data"],
    "connection_lost": ["exc"],
    "on_response_complete": [],
    "timeout_keep_alive_handler": [],
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers nothing."""


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_there_and_take_what_they_took(name: str) -> None:
    for kind in (H11Protocol, PatientProtocol):
        assert list(inspect.signature(getattr(kind, name)).parameters) == ["self", *METHODS[name]]


@pytest.mark.parametrize("name", ["connections", "loop", "transport", "cycle"])
def test_attributes_are_there(name: str) -> None:
    loop = asyncio.new_event_loop()
    try:
        assert hasattr(H11Protocol(uvicorn.Config(app), ServerState(), {}, loop), name)
    finally:
        loop.close()


def test_a_cycle_says_when_its_response_is_complete() -> None:
    assert "self.response_complete = " in inspect.getsource(RequestResponseCycle)


def test_the_server_uses_the_protocol() -> None:
    assert make_server(app).config.http is PatientProtocol  # type: ignore[arg-type]
    with running(workers=1) as server:
        assert server.ask("/api/health").status == 200
