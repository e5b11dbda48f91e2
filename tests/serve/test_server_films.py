"""Films over HTTP: jobs, their owners, limits, and that nothing is left behind."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support import bad_files, bad_films
from support.servers import Answer, Running, running
from vintage_colorizer.errors import OptionError
from vintage_colorizer.film.records import to_json
from vintage_colorizer.options import ServeOptions
from vintage_colorizer.serve.app import create_app
from vintage_colorizer.serve.reels import ReelRecord

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("reel") / "reel.mp4"
    return bytes(bad_films.make_film(path, codec="h264", sounds=["aac"], frames=12).read_bytes())


@pytest.fixture(scope="module")
def long_reel(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("reel") / "long.mp4"
    return bytes(bad_films.make_film(path, codec="h264", size=(240, 320), frames=1500).read_bytes())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Running]:
    with running(max_film_megabytes=5, workers=1, films=str(home / "films")) as one:
        yield one
    assert list(home.iterdir()) == []  # the server has gone, no film was left, and nothing of ours


class Visitor:
    """Somebody with a cookie of their own."""

    def __init__(self, server: Running) -> None:
        self.server = server
        first = server.ask("/api/health").headers["set-cookie"]
        cookie = re.match(r"vintage_colorizer_visitor=[\w-]{32}", first)
        assert cookie
        self.cookie = cookie[0]

    def ask(self, target: str, body: bytes | None = None, **more: Any) -> Answer:
        return self.server.ask(target, body, Cookie=self.cookie, **more)

    def upload(self, film: bytes, query: str = "name=reel.mp4") -> str:
        answer = self.ask(f"/api/film?{query}", film, Content_Type="video/mp4")
        assert answer.status == 202, answer.body
        return f"/api/jobs/{answer.json['id']}"

    def finished(self, job: str) -> dict[str, Any]:
        end = time.monotonic() + 60
        while (seen := self.ask(job).json)["state"] in ("waiting", "coloring"):
            assert time.monotonic() < end
            time.sleep(0.1)
        return dict(seen)


@pytest.fixture
def visitor(server: Running) -> Iterator[Visitor]:
    one = Visitor(server)
    yield one
    for kind in ("jobs", "films"):
        for seen in one.ask(f"/api/{kind}").json:
            assert one.ask(f"/api/{kind}/{seen['id']}", method="DELETE").status == 204


def test_a_film_is_colored_and_only_its_owner_sees_it(server: Running, reel: bytes, visitor: Visitor) -> None:
    job = visitor.upload(reel, "name=my reel.mov&look=artistic".replace(" ", "%20"))
    seen = visitor.finished(job)
    assert (seen["state"], seen["message"], seen["frames"]) == ("done", "", 12)
    assert seen["result_name"] == "my reel-color.mp4"
    result = visitor.ask(f"{job}/result")
    assert result.status == 200 and result.body[4:8] == b"ftyp"
    assert result.headers["content-type"] == "video/mp4"
    assert "my%20reel-color.mp4" in result.headers["content-disposition"]
    assert [one["name"] for one in visitor.ask("/api/jobs").json] == ["my reel.mov"]
    stranger = Visitor(server)
    assert stranger.ask("/api/jobs").json == []
    for target, method in ((job, "GET"), (f"{job}/result", "GET"), (job, "DELETE")):
        assert stranger.ask(target, method=method).status == 404
        assert server.ask(target, method=method).status == 404


def test_a_film_that_curl_calls_a_form_is_taken_for_what_it_is(reel: bytes, visitor: Visitor) -> None:
    answer = visitor.ask("/api/film", reel, Content_Type="application/x-www-form-urlencoded")
    assert visitor.finished(f"/api/jobs/{answer.json['id']}")["state"] == "done"


def test_ranges_serve_a_player_and_nobody_else(reel: bytes, visitor: Visitor) -> None:
    job = visitor.upload(reel)
    visitor.finished(job)
    part = visitor.ask(f"{job}/result", Range="bytes=4-7")
    assert (part.status, part.body) == (206, b"ftyp")
    assert visitor.ask(f"{job}/result", Range="bytes=" + ",".join(f"{i}-{i}" for i in range(2000))).status == 416


def test_a_film_can_be_stopped_and_leaves_nothing(home: Path, long_reel: bytes, visitor: Visitor) -> None:
    job = visitor.upload(long_reel)
    end = time.monotonic() + 30
    while visitor.ask(job).json["seconds_left"] is None and time.monotonic() < end:
        time.sleep(0.05)
    seen = visitor.ask(job).json
    assert seen["state"] == "coloring" and seen["seconds_left"] > 0 and seen["frames"] == 1500
    assert visitor.ask(f"{job}/result").status == 409
    assert visitor.ask(job, method="DELETE").status == 204
    assert visitor.ask(job).status == 404
    while files(home) and time.monotonic() < end:
        time.sleep(0.05)
    assert files(home) == []


def files(home: Path) -> list[Path]:
    """All files but the lock of the server."""
    return [path for path in home.rglob("*") if path.is_file() and path.name != "films.lock"]


@pytest.mark.parametrize(
    ("film", "words"),
    [
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "playlist"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "playlist"),
        (b"<html>not a film</html>", "not a film"),
        (bytes(5000), "reel.mp4"),
    ],
)
def test_what_is_no_film_fails_with_a_sentence(home: Path, visitor: Visitor, film: bytes, words: str) -> None:
    seen = visitor.finished(visitor.upload(film))
    assert seen["state"] == "failed" and words in seen["message"]
    assert str(home) not in seen["message"] and "reel.mp4" in seen["message"]


@pytest.mark.parametrize(
    "query",
    ["container=exe", "container=../x", "crf=99", "weights=/etc/passwd", "url=http://x/", "preview=-1", "device=cuda"],
)
def test_bad_options_are_refused(visitor: Visitor, reel: bytes, query: str) -> None:
    assert visitor.ask(f"/api/film?{query}", reel, Content_Type="video/mp4").status == 422


@pytest.mark.parametrize("name", ["../../etc/passwd", "..%2f..%2fetc", "C:%5Cx", "a%00b", "x" * 3000, "-rf", "%3Cb%3E"])
def test_names_are_only_shown(home: Path, visitor: Visitor, name: str) -> None:
    visitor.finished(visitor.upload(b"no film", f"name={name}"))
    assert all(re.fullmatch(r"[0-9a-f]{32}|source|record\.json|films(\.lock)?", path.name) for path in home.rglob("*"))
    assert len(visitor.ask("/api/jobs").json[0]["name"]) <= 200


def test_uploads_have_limits(home: Path, visitor: Visitor) -> None:
    assert visitor.ask("/api/film", b"x" * 8_000_000, Content_Type="video/mp4").status == 413
    assert visitor.ask("/api/film", b"", Content_Type="video/mp4").status == 400
    assert visitor.ask("/api/film", b"x", Content_Type="multipart/form-data; boundary=x").status == 415
    assert files(home) == []
    answers = [visitor.ask("/api/film", b"no film", Content_Type="video/mp4").status for _ in range(10)]
    assert answers == [202] * 8 + [503] * 2


def test_a_film_is_refused_if_the_disk_may_not_hold_it(reel: bytes) -> None:
    with running(max_film_megabytes=1_000_000, workers=1) as server:  # a terabyte, and as much again twice
        visitor = Visitor(server)
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(reel), reel)
        answer = visitor.ask("/api/film", chunked, Transfer_Encoding="chunked")
        assert answer.status == 507 and "too little room" in answer.json["message"]
        assert visitor.finished(visitor.upload(reel))["state"] == "done"  # of this one the size is known


def test_what_nobody_fetches_is_removed(home: Path, reel: bytes) -> None:
    with running(keep_hours=0.0003, workers=1) as server:
        visitor = Visitor(server)
        job = visitor.upload(reel)
        end = time.monotonic() + 30
        while visitor.ask(job).status == 200 and time.monotonic() < end:
            time.sleep(0.1)
        assert visitor.ask(job).status == 404


def test_the_options_are_those_of_the_library(server: Running) -> None:
    from vintage_colorizer.options import FilmSettings

    parameters = server.ask("/api/openapi.json").json["paths"]["/api/film"]["post"]["parameters"]
    names = {field.alias or name for name, field in FilmSettings.model_fields.items()}
    assert {one["name"] for one in parameters} == names | {"name", "container"}


def test_a_film_is_seen_once_all_of_it_has_come(server: Running, reel: bytes) -> None:
    visitor = Visitor(server)
    head = f"POST /api/film HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {visitor.cookie}\r\n"
    with server.connect(20) as connection:
        connection.sendall(f"{head}Content-Length: {len(reel)}\r\n\r\n".encode() + reel[:1000])
        time.sleep(0.3)
        assert visitor.ask("/api/jobs").json == []
        connection.sendall(reel[1000:])
        assert b" 202 " in connection.recv(4000)
    (job,) = visitor.ask("/api/jobs").json
    assert visitor.finished(f"/api/jobs/{job['id']}")["state"] == "done"
    result = f"/api/jobs/{job['id']}/result"  # of which a head tells the size
    asked = visitor.ask(result, method="HEAD")
    assert asked.status == 200 and asked.body == b""
    assert int(asked.headers["content-length"]) == len(visitor.ask(result).body)
    assert visitor.ask(f"/api/jobs/{job['id']}", method="DELETE").status == 204


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
def test_a_disk_that_fills_up_while_a_film_arrives(home: Path, server: Running, long_reel: bytes) -> None:
    import resource

    before = set(home.glob("films/*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        answer = Visitor(server).ask("/api/film", long_reel)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert answer.status == 507 and "too little room" in answer.json["message"]
    assert set(home.glob("films/*")) == before


# --- A film that is sent once -----------------------------------------------------------------------------


def begin(visitor: Visitor, film: bytes, name: str = "reel.mp4") -> str:
    answer = visitor.ask(f"/api/films?name={name}&size={len(film)}", method="POST")
    assert answer.status == 201, answer.body
    assert answer.json["received"] == 0
    return f"/api/films/{answer.json['id']}"


def send(visitor: Visitor, film: str, part: bytes, offset: int) -> Answer:
    return visitor.ask(f"{film}?offset={offset}", part, method="PATCH", Content_Type="video/mp4")


def sent(visitor: Visitor, data: bytes) -> str:
    film = begin(visitor, data)
    assert send(visitor, film, data, 0).json["received"] == len(data)
    return film


def job_of(visitor: Visitor, film: str, query: str = "") -> str:
    answer = visitor.ask(f"{film}/jobs?{query}", b"")
    assert answer.status == 202, answer.body
    return f"/api/jobs/{answer.json['id']}"


def test_an_upload_goes_on_where_it_broke_off(server: Running, reel: bytes, visitor: Visitor) -> None:
    film = begin(visitor, reel)
    assert send(visitor, film, reel[:1000], 0).json["received"] == 1000
    with server.connect() as connection:  # the next part breaks off
        head = f"PATCH {film}?offset=1000 HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {visitor.cookie}\r\n"
        connection.sendall(f"{head}Content-Length: 5000\r\n\r\n".encode() + reel[1000:3000])
        time.sleep(0.5)  # of what comes right before the end, nothing may be heard
    end = time.monotonic() + 20
    while visitor.ask(film).json["received"] != 3000 or send(visitor, film, b"", 0).status != 409:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert visitor.ask(f"{film}/jobs", b"").status == 409
    assert visitor.ask(f"{film}/still").status == 409
    assert send(visitor, film, reel[1000:], 1000).status == 409
    assert send(visitor, film, reel[3000:], 3000).json["received"] == len(reel)
    job = job_of(visitor, film, "look=artistic&container=mkv")
    seen = visitor.finished(job)
    assert (seen["state"], seen["film"], seen["options"]) == ("done", film[11:], {"look": "artistic"})
    assert seen["result_name"] == "reel-color.mkv"


def test_more_than_was_announced_is_refused(visitor: Visitor, reel: bytes) -> None:
    film = begin(visitor, reel[:1000])
    assert send(visitor, film, reel, 0).status == 413
    assert visitor.ask(film).json["received"] == 0
    assert visitor.ask("/api/films?name=x&size=6000000", method="POST").status == 413


def test_a_film_is_looked_into_and_colored_several_times(visitor: Visitor, reel: bytes) -> None:
    film = sent(visitor, reel)
    still = visitor.ask(f"{film}/still?at=0.2")
    assert still.status == 200 and float(still.headers["x-length"]) > 0.3
    assert abs(float(still.headers["x-seconds"]) - 0.2) < 0.05
    assert np.asarray(Image.open(io.BytesIO(still.body))).ndim == 2
    jobs = [job_of(visitor, film, query) for query in ("preview=0.1&from=0.2", "saturation=0")]
    for job in jobs:
        assert visitor.finished(job)["state"] == "done"
    assert [one["id"] for one in visitor.ask("/api/jobs").json] == [job[10:] for job in jobs]
    assert visitor.ask(jobs[0], method="DELETE").status == 204
    assert visitor.ask(film).status == 200  # other than a film that was sent with its job
    assert visitor.ask(film, method="DELETE").status == 204
    assert visitor.ask(jobs[1]).status == 404


def test_a_broken_film_shows_no_still(visitor: Visitor) -> None:
    film = sent(visitor, bytes(5000))
    answer = visitor.ask(f"{film}/still")
    assert answer.status == 400 and answer.json["message"].startswith("reel.mp4 ")


def test_a_still_in_its_right_colors_guides_the_film(visitor: Visitor, reel: bytes) -> None:
    film = sent(visitor, reel)
    still = np.asarray(Image.open(io.BytesIO(visitor.ask(f"{film}/still?at=0.2").body)))
    blue = (still[..., None] * [0.6, 0.8, 1.4]).clip(0, 255).astype(np.uint8)
    known = visitor.ask(f"{film}/keyframes?at=0.2", bad_files.encoded(blue, "PNG"), method="PUT")
    assert known.status == 200 and known.json["keyframes"] == [0.2]
    guided = job_of(visitor, film, "recurring=true")
    assert visitor.finished(guided)["state"] == "done"
    assert visitor.ask(f"{film}/keyframes", method="DELETE").status == 204
    alone = job_of(visitor, film)
    visitor.finished(alone)
    assert visitor.ask(f"{guided}/result").body != visitor.ask(f"{alone}/result").body
    grey = visitor.ask(f"{film}/keyframes?at=0.1", bad_files.encoded(still, "PNG"), method="PUT")
    assert grey.status == 200
    seen = visitor.finished(job_of(visitor, film))
    assert seen["state"] == "failed" and "no color to follow" in seen["message"]


def test_films_go_on_when_the_server_begins_again(tmp_path: Path, reel: bytes, long_reel: bytes) -> None:
    folder = str(tmp_path / "films")
    with running(workers=1, films=folder) as server:
        visitor = Visitor(server)
        done = job_of(visitor, sent(visitor, reel))
        visitor.finished(done)
        long = job_of(visitor, sent(visitor, long_reel))
        behind = job_of(visitor, sent(visitor, reel))
        end = time.monotonic() + 60
        while visitor.ask(long).json["frames_done"] < 300 or visitor.ask(long).json["stage"] != "coloring":
            assert time.monotonic() < end
            time.sleep(0.05)
        broken = begin(visitor, reel)
        send(visitor, broken, reel[:700], 0)
    with running(workers=1, films=folder) as server:
        visitor.server = server
        assert visitor.ask(done).json["state"] == "done" and visitor.ask(f"{done}/result").status == 200
        assert visitor.ask(broken).json["received"] == 700
        assert [one["id"] for one in visitor.ask("/api/jobs").json] == [one[10:] for one in (done, long, behind)]
        assert visitor.finished(long)["state"] == visitor.finished(behind)["state"] == "done"
        assert Visitor(server).ask("/api/films").json == []
        with pytest.raises(OptionError, match="another server uses it"):
            create_app(ServeOptions.of(films=folder))
        for film in visitor.ask("/api/films").json:
            assert visitor.ask(f"/api/films/{film['id']}", method="DELETE").status == 204
    assert not Path(folder).exists()


def test_what_is_damaged_in_the_folder_is_removed(tmp_path: Path) -> None:
    passing = tmp_path / "films" / "b"
    passing.mkdir(parents=True)
    record = ReelRecord("b", "somebody", "reel.mp4", None, passing=True, touched=time.time())
    (passing / "record.json").write_text(to_json(record))
    (passing / "source").write_bytes(b"broken off")
    (tmp_path / "films" / "a").mkdir(parents=True)
    (tmp_path / "films" / "a" / "record.json").write_text("{")
    (tmp_path / "films" / "note.txt").write_text("not ours, so it stays")
    with running(workers=1, films=str(tmp_path / "films")):
        assert [path.name for path in (tmp_path / "films").iterdir()] == ["note.txt"]
