"""The OpenAPI document: all that it says happens, and (see `support.servers`) all that happens is in it."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from openapi_spec_validator import validate

from support import bad_files, bad_films
from support.openapi import find_operation, operations, require_documented
from support.servers import PHOTO, Answer, Running, running
from vintage_colorizer.errors import EngineError
from vintage_colorizer.serve import guard, limits, uvicorn_private

pytestmark = pytest.mark.long

TOKEN = "sesame-open"
COLORED = bad_files.encoded(bad_files.rgb(), "PNG")
PHOTO_TARGETS = ("/api/photo", "/api/preview", "/api/sheet?try=8,auto", "/api/suggest", "/api/certainty")
GUIDED = PHOTO_TARGETS[:3]
REPAIR = "/api/repair"
HINTS = "/api/hints"
POSTS = (*PHOTO_TARGETS, REPAIR, HINTS, "/api/film")
GETS = (
    "/api/looks",
    "/api/settings",
    "/api/health",
    "/api/jobs",
    "/api/films",
    "/api/jobs/x",
    "/api/jobs/x/result",
    "/api/jobs/x/picture",
    "/api/films/x",
    "/api/films/x/still",
)
BEGIN = "/api/films?name=x&size=5"
OTHERS = (  # method, target, and whether there is a body that is waited for
    ("POST", BEGIN, False),
    ("PATCH", "/api/films/x?offset=0", True),
    ("PUT", "/api/films/x/keyframes?at=0", True),
    ("POST", "/api/films/x/jobs", False),
    ("DELETE", "/api/jobs/x", False),
    ("DELETE", "/api/films/x", False),
    ("DELETE", "/api/films/x/keyframes", False),
)
Observed = set[tuple[str, str, int]]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(workers=1, max_megabytes=2, max_film_megabytes=2) as one:
        yield one


@pytest.fixture(scope="module")
def guarded() -> Iterator[Running]:
    """One that asks for a token, and has no room for the films it would take."""
    with running(workers=1, token=TOKEN, max_film_megabytes=1_000_000) as one:
        yield one


class Walk:
    """Asks, and remembers what was answered to which operation."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.document = server.app.openapi()
        self.observed: Observed = set()
        cookie = re.match(r"[\w=-]+", server.ask("/api/health").headers["set-cookie"])
        self.cookie = cookie[0] if cookie else ""

    def note(self, method: str, target: str, answer: Answer) -> Answer:
        found = find_operation(self.document, method, target)
        assert found is not None
        require_documented(self.document, method, target, answer)
        self.observed.add((*found, answer.status))
        return answer

    def ask(self, target: str, body: bytes | None = None, *, method: str | None = None, **headers: str) -> Answer:
        method = method or ("GET" if body is None else "POST")
        headers = {"Cookie": self.cookie} | headers
        return self.note(method, target, self.server.ask(target, body, method=method, **headers))

    def dawdle(self, method: str, target: str) -> None:
        """Begin a request and never end its header."""
        head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "
        self.note(method, target, self.server.raw(head.encode()))


def everything() -> list[tuple[str, str, bytes | None]]:
    """A request for each operation."""
    return [
        *(("POST", target, PHOTO) for target in POSTS),
        *(("GET", target, None) for target in GETS),
        *((method, target, b"x" if takes_body else None) for method, target, takes_body in OTHERS),
    ]


def documented(document: dict[str, Any]) -> Observed:
    return {(*name, int(status)) for name, one in operations(document).items() for status in one["responses"]}


def test_the_document_is_valid(server: Running) -> None:
    validate(server.app.openapi())


def test_all_that_is_documented_happens(
    server: Running, guarded: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = Walk(server)
    photos(walk)
    films(walk, bad_films.make_film(tmp_path / "reel.mp4", codec="h264", frames=5).read_bytes())
    desk(walk, bad_films.make_film(tmp_path / "desk.mp4", codec="h264", frames=5).read_bytes())
    on_its_way(walk, bad_films.make_film(tmp_path / "long.mp4", codec="h264", frames=1500).read_bytes())
    for target in GETS[:5]:
        assert walk.ask(target).status == 200
    for method, target, body in everything():
        assert walk.ask(target, body, method=method, Host="evil.example").status == 403
    with monkeypatch.context() as patch:
        patch.setattr(guard, "MAX_ACTIVE", 0)
        for method, target, body in everything():
            assert walk.ask(target, body, method=method).status == 503
    with monkeypatch.context() as patch:
        patch.setattr(uvicorn_private, "HEADER_SECONDS", 0.2)
        patch.setattr(limits, "GRACE_SECONDS", 0.2)
        for method, target, _ in everything():
            walk.dawdle(method, target)
        for target in POSTS:
            assert walk.ask(target, b"few", Content_Length="1000").status == 408
        film = walk.ask(BEGIN.replace("size=5", "size=1000"), method="POST").json["id"]
        slow = walk.ask(f"/api/films/{film}?offset=0", b"few", method="PATCH", Content_Length="1000")
        assert slow.status == 408 and walk.ask(f"/api/films/{film}").json["received"] == 3
    with monkeypatch.context() as patch:
        for name in ("inference.propose", "suggestions.ask_posterior"):
            patch.setattr(f"vintage_colorizer.networks.{name}", fail)
        patch.setattr("vintage_colorizer.networks.repair.RepairNetworks.damage", fail)
        for target in (*PHOTO_TARGETS, REPAIR):  # another photo: what the network proposed for the first is kept
            assert walk.ask(target, bad_files.seed("PNG")).status == 500

    locked = Walk(guarded)
    for method, target, body in everything():
        assert locked.ask(target, body, method=method).status == (200 if target == "/api/health" else 401)
    known = f"Bearer {TOKEN}"
    assert (
        locked.ask("/api/film", b"1\r\nx\r\n0\r\n\r\n", Transfer_Encoding="chunked", Authorization=known).status == 507
    )
    assert locked.ask(f"{BEGIN}{'0' * 11}", method="POST", Authorization=known).status == 507
    full_disk(locked, known, monkeypatch)
    assert walk.observed | locked.observed == documented(locked.document)
    assert documented(walk.document) == {one for one in documented(locked.document) if one[2] != 401}


def fail(*arguments: Any) -> Any:
    raise EngineError("The network gave something that is not a number.")


def photos(walk: Walk) -> None:
    walk_hints(walk)
    for target in (*PHOTO_TARGETS, REPAIR):
        joined = target + ("&" if "?" in target else "?")
        assert walk.ask(target, PHOTO).status == 200
        assert walk.ask(target, b"").status == 400
        assert walk.ask(target, bytes(4_000_000)).status == 413
        assert walk.ask(target, PHOTO, Content_Type="text/plain").status == 415
        assert walk.ask(joined + "unknown=1", PHOTO).status == 422
        if target != REPAIR:
            assert walk.ask(joined + "network=deoldify", PHOTO).status == 501


def walk_hints(walk: Walk) -> None:
    assert walk.ask(HINTS, b'{"x": 0.5, "y": 0.5, "color": "navy"}').status == 200
    assert walk.ask(HINTS, PHOTO).status == 400
    assert walk.ask(HINTS, bytes(4_000_000)).status == 413
    assert walk.ask(HINTS, PHOTO, Content_Type="text/plain").status == 415
    assert walk.ask(HINTS, b"{").status == 422


def films(walk: Walk, reel: bytes) -> None:
    assert walk.ask("/api/film", b"").status == 400
    assert walk.ask("/api/film", bytes(4_000_000)).status == 413
    assert walk.ask("/api/film", b"x", Content_Type="text/plain").status == 415
    assert walk.ask("/api/film?crf=99", reel).status == 422
    broken, whole = (walk.ask("/api/film", film).json["id"] for film in (bytes(5000), reel))
    for job in (broken, whole):
        wait_for_end(walk, job)
    assert walk.ask(f"/api/jobs/{broken}/result").status == walk.ask(f"/api/jobs/{whole}/picture").status == 409
    result = f"/api/jobs/{whole}/result"
    assert walk.ask(result).status == 200
    assert walk.ask(result, Range="bytes=0-3").status == 206
    assert walk.ask(result, Range="bytes=9-3").status == 400
    assert walk.ask(result, Range="bytes=0-1,3-4").status == 416
    beyond = walk.ask(result, Range="bytes=99999999-")
    assert beyond.status == 416 and re.fullmatch(r"bytes \*/\d+", beyond.headers["content-range"])
    for job in (broken, whole):
        assert walk.ask(f"/api/jobs/{job}", method="DELETE").status == 204
    for target, method in ((f"/api/jobs/{whole}", "GET"), (result, "GET"), (f"/api/jobs/{whole}", "DELETE")):
        assert walk.ask(target, method=method).status == 404
    assert walk.ask(f"/api/jobs/{whole}/picture").status == 404


def on_its_way(walk: Walk, long: bytes) -> None:
    """A picture of a film while it is colored."""
    job = walk.ask("/api/film", long).json["id"]
    end = time.monotonic() + 120
    while (picture := walk.ask(f"/api/jobs/{job}/picture")).status == 409:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert picture.status == 200 and picture.body.startswith(b"\xff\xd8")
    assert walk.ask(f"/api/jobs/{job}", method="DELETE").status == 204


def desk(walk: Walk, reel: bytes) -> None:
    """A film that is sent once."""
    begin = f"/api/films?name=x&size={len(reel)}"
    film = f"/api/films/{walk.ask(begin, method='POST').json['id']}"
    assert walk.ask("/api/films?name=x&size=3000000", method="POST").status == 413
    assert walk.ask("/api/films?name=x&size=0", method="POST").status == 422
    still, job, stills = f"{film}/still?at=0", f"{film}/jobs", f"{film}/keyframes?at=0"
    for target, method, body in ((still, "GET", None), (job, "POST", None), (stills, "PUT", COLORED)):
        assert walk.ask(target, body, method=method).status == 409
    upload = f"{film}?offset=0"
    for body, status, headers in (
        (b"", 400, {}),
        (reel + b"x", 413, {}),
        (reel, 415, {"Content_Type": "text/plain"}),
        (reel, 200, {}),
        (reel, 409, {}),
    ):
        assert walk.ask(upload, body, method="PATCH", **headers).status == status
    assert walk.ask(f"{film}?offset=-1", reel, method="PATCH").status == 422
    assert walk.ask(film).status == walk.ask(still).status == 200
    assert walk.ask(f"{film}/still?at=-1").status == 422
    for body, status, headers in (
        (COLORED, 200, {}),
        (b"", 400, {}),
        (bytes(4_000_000), 413, {}),
        (COLORED, 415, {"Content_Type": "text/plain"}),
    ):
        assert walk.ask(stills, body, method="PUT", **headers).status == status
    assert walk.ask(f"{film}/keyframes?at=-1", COLORED, method="PUT").status == 422
    assert walk.ask(f"{job}?crf=99", method="POST").status == 422
    started = walk.ask(job, method="POST")
    assert started.status == 202
    wait_for_end(walk, started.json["id"])
    assert walk.ask(f"{film}/keyframes", method="DELETE").status == 204
    broken = f"/api/films/{walk.ask('/api/films?name=x&size=9', method='POST').json['id']}"
    assert walk.ask(f"{broken}?offset=0", bytes(9), method="PATCH").status == 200
    assert walk.ask(f"{broken}/still").status == 400
    assert walk.ask(film, method="DELETE").status == walk.ask(broken, method="DELETE").status == 204
    for method, target in (
        ("GET", film),
        ("GET", still),
        ("DELETE", film),
        ("DELETE", f"{film}/keyframes"),
        ("POST", job),
    ):
        assert walk.ask(target, method=method).status == 404
    for method, target in (("PATCH", upload), ("PUT", stills)):
        assert walk.ask(target, COLORED, method=method).status == 404


def full_disk(walk: Walk, known: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A film whose rest finds no room."""
    film = walk.ask(BEGIN, method="POST", Authorization=known).json["id"]

    async def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("vintage_colorizer.serve.films.receive_into", full)
        assert walk.ask(f"/api/films/{film}?offset=0", b"x", method="PATCH", Authorization=known).status == 507
    assert walk.ask(f"/api/films/{film}", method="DELETE", Authorization=known).status == 204


def wait_for_end(walk: Walk, job: str) -> None:
    end = time.monotonic() + 60
    while walk.ask(f"/api/jobs/{job}").json["state"] in ("waiting", "coloring"):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("path", ["/api/photo", "/api/preview", "/api/sheet", "/api/film"])
def test_documented_bodies_and_examples_are_taken(server: Running, path: str) -> None:
    operation = server.app.openapi()["paths"][path]["post"]
    schemas = {one["name"]: one["schema"] for one in operation["parameters"]}
    examples = {name: schema["examples"][0] for name, schema in schemas.items() if "examples" in schema}
    assert examples.keys() >= {"look", "render_factor", "vividness"}
    part = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n'
    fields = operation["requestBody"]["content"].get("multipart/form-data", {"schema": {"properties": {}}})
    nothing = np.zeros((90, 128, 4), np.uint8)  # in proportion to the part of the photo that the example takes
    sent_in_form = {
        "file": PHOTO,
        "reference": bad_files.encoded(bad_files.rgb(), "PNG"),
        "marks": bad_files.encoded(nothing, "PNG"),
    }
    names = fields["schema"]["properties"]
    form = b"".join(part % (name.encode(), sent_in_form[name]) for name in names) + b"--x--\r\n"
    for kind in operation["requestBody"]["content"]:
        is_form = kind.startswith("multipart")
        body, sent = (form, f"{kind}; boundary=x") if is_form else (PHOTO, kind.replace("*", "jpeg"))
        answer = server.ask(f"{path}?{urlencode(examples, doseq=True)}", body, Content_Type=sent)
        assert answer.status in (200, 202), answer.body


def test_every_parameter_says_what_it_is_and_what_it_may_be(server: Running) -> None:
    for operation in operations(server.app.openapi()).values():
        for one in operation.get("parameters", []):
            assert one["in"] == "path" or one["description"].endswith(".")
            assert one["schema"].keys() & {"type", "enum", "anyOf"}


def test_the_reference_names_every_endpoint_and_status(guarded: Running) -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "http-api.md").read_text(encoding="utf-8")
    document = guarded.app.openapi()
    for method, path in operations(document):
        assert re.search(rf"`{method} {re.escape(path.replace('{id}', 'ID'))}[`?]", text), (method, path)
    listed = {int(one) for row in re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE) for one in row.split(",")}
    assert listed == {status for _, _, status in documented(document) if status >= 400}
