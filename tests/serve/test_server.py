"""The HTTP API: what it answers, and what it refuses, over real sockets (rows 49 and 50 of the threat list)."""

from __future__ import annotations

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support import bad_files
from support.servers import PHOTO, Answer, Running, read_answer, refused, running
from vintage_colorizer import Colorizer, color
from vintage_colorizer.networks.catalog import LOOKS
from vintage_colorizer.options import FilmSettings, PhotoSettings, ServeOptions
from vintage_colorizer.photo.reading import probe
from vintage_colorizer.serve import limits as server_limits
from vintage_colorizer.serve import uvicorn_private
from vintage_colorizer.serve.app import address, listen

pytestmark = pytest.mark.long

BOMB, TEXT_BOMB = bad_files.png_bomb(), bad_files.png_text_bomb()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(workers=1, max_megabytes=2, max_megapixels=4) as one:
        yield one


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short limits, so that slowness need not be waited for."""
    monkeypatch.setattr(server_limits, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(uvicorn_private, "HEADER_SECONDS", 0.5)


def form(
    *files: bytes,
    name: str = "photo.jpg",
    close: bool = True,
    reference: bytes | None = None,
    marks: bytes | None = None,
) -> tuple[bytes, str]:
    """A multipart body and its content type."""
    beside = {"reference": reference, "marks": marks}
    named = {f"file{i}": file for i, file in enumerate(files)} | {field: one for field, one in beside.items() if one}
    parts = [
        f'--frontier\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode() + file
        for field, file in named.items()
    ]
    return b"\r\n".join(parts) + (b"\r\n--frontier--\r\n" if close else b""), "multipart/form-data; boundary=frontier"


def picture(answer: Answer) -> NDArray[np.uint8]:
    assert answer.status == 200, answer.body[:300]
    return np.asarray(Image.open(io.BytesIO(answer.body)))


# --- What it does ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_photo_comes_back_colored_in_its_own_format(server: Running, format: str) -> None:
    answer = server.ask("/api/photo", bad_files.seed(format))
    assert picture(answer).shape == (24, 40, 3)
    assert answer.headers["content-type"] == f"image/{format.lower()}"
    assert Image.open(io.BytesIO(answer.body)).format == format


def test_the_answer_is_that_of_the_library(server: Running, colorizer: Colorizer) -> None:
    source = bad_files.seed("PNG", (160, 120))
    options: dict[str, Any] = {"look": "artistic", "render_factor": 12, "saturation": 1.3, "warmth": -0.2}
    answer = server.ask("/api/photo?" + "&".join(f"{name}={value}" for name, value in options.items()), source)
    assert np.array_equal(picture(answer), colorizer.photo(source, **options).pixels)
    used = json.loads(answer.headers["x-options"])
    assert options.items() <= used.items()
    vividness = LOOKS["compact", "artistic"].vividness
    assert (used["format"], used["vividness"], used["network"]) == ("png", vividness, "compact")


def test_a_form_with_one_file_works_too_and_its_name_is_never_used(server: Running) -> None:
    plain = server.ask("/api/photo", PHOTO)
    for name in ("photo.jpg", "../../etc/passwd", "%2e%2e%2fetc%2fpasswd", "C:\\\\x.jpg", "a\0b.jpg", "x" * 3000):
        body, kind = form(PHOTO, name=name)
        answer = server.ask("/api/photo", body, Content_Type=kind)
        assert answer.body == plain.body
        assert answer.headers["content-disposition"] == 'attachment; filename="color.jpg"'


@pytest.mark.parametrize("target", ["/api/photo", "/api/sheet?try=16"])
def test_a_photo_follows_a_reference(
    server: Running, astronaut: NDArray[np.uint8], grey: NDArray[np.uint8], target: str
) -> None:
    source, reference = (bad_files.encoded(one[:400, :400], "JPEG") for one in (grey, astronaut[..., ::-1]))
    body, kind = form(source, reference=reference)
    alone, guided = server.ask(target, source), server.ask(target, body, Content_Type=kind)
    assert np.abs(picture(alone).astype(int) - picture(guided)).mean() > 3
    if "x-notes" in guided.headers:
        assert any("the reference was followed" in note for note in json.loads(guided.headers["x-notes"]))


def test_results_of_other_references_are_told_apart(
    server: Running, astronaut: NDArray[np.uint8], grey: NDArray[np.uint8]
) -> None:
    source = bad_files.encoded(grey, "PNG")
    marks = set()
    for reference in (None, astronaut, astronaut[..., ::-1]):
        body, kind = form(source, reference=None if reference is None else bad_files.encoded(reference, "PNG"))
        marks.add(probe(server.ask("/api/photo", body, Content_Type=kind).body).fingerprint)
    assert len(marks) == 3


def test_a_bad_reference_is_refused(server: Running) -> None:
    for reference, status, words in (
        (b"nothing", 400, "The reference is not a picture"),
        (PHOTO, 422, "no color to follow"),
    ):
        body, kind = form(PHOTO, reference=reference)
        refused(server.ask("/api/photo", body, Content_Type=kind), status, words)
    body, kind = form(PHOTO, reference=bad_files.encoded(bad_files.rgb(), "PNG"))
    refused(server.ask("/api/certainty", body, Content_Type=kind), 400, "leave it out")


def test_hints_are_read_from_a_file_and_from_a_result(server: Running) -> None:
    lines = server.ask("/api/hints", b'{"x": 0.5, "y": 0.25, "color": "navy", "by": "Aunt May"}')
    [hint] = lines.json
    assert (hint["x"], hint["color"], hint["by"]) == (0.5, "#000080", "Aunt May")
    colored = server.ask("/api/photo?hints=0.5,0.25,0.1=navy&hints=0.1,0.1=none", PHOTO)
    again = server.ask("/api/hints", colored.body).json
    assert [(one["radius"], one["color"]) for one in again] == [(0.1, "#000080"), (0, "none")]
    refused(server.ask("/api/hints", PHOTO), 400, "holds no hints")
    refused(server.ask("/api/hints", b'{"x": 7}'), 422)


def test_a_file_that_curl_calls_a_form_is_taken_for_what_it_is(server: Running) -> None:
    answer = server.ask("/api/photo", PHOTO, Content_Type="application/x-www-form-urlencoded")
    assert answer.body == server.ask("/api/photo", PHOTO).body


def test_a_chunked_body_works(server: Running) -> None:
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (PHOTO[:100], PHOTO[100:])) + b"0\r\n\r\n"
    assert picture(server.ask("/api/photo", chunked, Transfer_Encoding="chunked")).shape == (120, 160, 3)


def test_what_can_be_chosen_is_told(server: Running) -> None:
    known = server.ask("/api/looks").json
    assert {row["look"] for row in known["looks"]} == {"artistic", "stable", "video"}
    assert known["film_look"] == "video"
    settings = server.ask("/api/settings").json
    assert (
        settings["photo"]["properties"]["warmth"] | {"minimum": -1, "maximum": 1, "default": 0}
        == (settings["photo"]["properties"]["warmth"])
    )
    assert settings["film"]["properties"].keys() == {
        one.alias or name for name, one in FilmSettings.model_fields.items()
    }
    health = server.ask("/api/health").json
    assert health["status"] == "ok" and health["limits"]["megabytes"] == 2


def test_openapi_has_every_option_of_a_photo_with_examples(server: Running) -> None:
    paths = server.ask("/api/openapi.json").json["paths"]
    parameters = paths["/api/photo"]["post"]["parameters"]
    assert {one["name"] for one in parameters} == set(PhotoSettings.model_fields)
    assert {one["name"]: one for one in parameters}["look"]["schema"]["examples"] == ["artistic"]
    assert all(one["description"] for one in parameters)


def test_a_preview_merged_by_hand_is_the_colored_photo(server: Running, colorizer: Colorizer) -> None:
    """What the page does in the browser, done here: chroma at two settings never asked of the server."""
    source = bad_files.seed("PNG", (400, 300))
    answer = server.ask("/api/preview?look=stable", source).json
    maps = answer["maps"]
    shape = (maps["height"], maps["width"])
    assert (answer["width"], answer["height"], answer["suffix"], shape) == (400, 300, ".png", (48, 64))
    chroma = np.stack([unpacked(one, (2, *shape)) for one in maps["chroma"]])
    first, second = (maps["vividness"].index(one) for one in (0.25, 0.5))
    vivid = 0.2 * chroma[first] + 0.8 * chroma[second]  # 0.45
    adjusted = 1.5 * vivid + unpacked(maps["midtone"], shape) * 0.4 * np.reshape(maps["warmth"], (2, 1, 1))
    merged = color.merge(bad_files.grey(400, 300), np.moveaxis(adjusted, 0, -1))
    exact = colorizer.photo(source, vividness=0.45, saturation=1.5, warmth=0.4).pixels
    assert np.abs(merged.astype(int) - exact).mean() < 1


def unpacked(text: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    import base64

    return (np.frombuffer(base64.b64decode(text), "<i2").reshape(shape) / 32767).astype(np.float32)


def test_a_sheet_compares_render_factors(server: Running) -> None:
    height, width = picture(server.ask("/api/sheet?try=8,16,auto", PHOTO)).shape[:2]
    assert width > 3 * 160 and height > 120


# --- What it refuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "render_factor=1e9", "render_factor=-3", "render_factor=nan", "vividness=nan", "vividness=inf", "saturation=-1",
        "render_factor=[12,16]", "look=a&look=b", "look=", "unknown=1", "look=../../etc/passwd", "quality=%00",
        "url=http://169.254.169.254/", "file=file:///etc/passwd", "weights=/etc/passwd", "threads=100000",
        "max_megapixels=10000", "device=cuda", "engine=onnx", "format=exe", "saturation=" + "9" * 5000,
    ],
)  # fmt: skip
def test_bad_options_are_refused(server: Running, query: str) -> None:
    answer = server.ask(f"/api/photo?{query}", PHOTO)
    refused(answer, 422)
    assert query.split("=")[0].replace("_", "-") in answer.json["message"].replace("_", "-")


@pytest.mark.parametrize("query", ["", "try=99", "try=8&try=9", "try=" + "8," * 20, "try=8,url"])
def test_bad_sheets_are_refused(server: Running, query: str) -> None:
    refused(server.ask(f"/api/sheet?{query}", PHOTO), 422)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"<html>hello</html>", "text/html", 415),
        (b"{}", "application/json", 415),
        (b"a=b", "application/x-www-form-urlencoded", 400),
        (PHOTO, "text/plain", 415),
        (b"<html>hello</html>", "image/jpeg", 400),
        (b"", "image/jpeg", 400),
        (PHOTO[:200], "image/jpeg", 400),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "image/jpeg", 415),
        (b"8BPS\0\1" + bytes(60), "image/png", 415),
        (b"%PDF-1.7\n", "application/octet-stream", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 415),
        (BOMB, "image/png", 413),
        (*form(PHOTO, PHOTO), 400),
        (*form(), 400),
        (*form(PHOTO, close=False), 400),
        (PHOTO, "multipart/form-data", 400),
        (b"\xff" * 500, "multipart/form-data; boundary=frontier", 400),
    ],
)
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function SpooledTemporaryFile")  # a form that never ends
def test_what_is_no_photo_is_refused(server: Running, body: bytes, kind: str, status: int) -> None:
    refused(server.ask("/api/photo", body, Content_Type=kind), status)


def test_a_body_over_the_limit_is_refused_whatever_it_says_of_itself(server: Running) -> None:
    large = b"x" * 4_000_000
    refused(server.ask("/api/photo", large), 413, "limit of 2 MB")
    refused(server.ask("/api/photo", b"few", Content_Length=str(10**15)), 413)
    chunk = b"%x\r\n%s\r\n" % (len(large), large)
    refused(server.ask("/api/photo", chunk, Transfer_Encoding="chunked"), 413)
    body, kind = form(large)
    refused(server.ask("/api/photo", body, Content_Type=kind), 413)
    refused(server.ask("/api/photo", b"", Content_Length=str(10**15), Expect="100-continue"), 413)


@pytest.mark.parametrize(("host", "code"), [("127.0.0.1", 413), ("evil.example", 403)])
def test_an_answer_is_heard_by_a_client_that_is_still_sending(server: Running, host: str, code: int) -> None:
    with server.connect() as connection:
        connection.sendall(f"POST /api/photo HTTP/1.1\r\nHost: {host}\r\nContent-Length: 50000000\r\n\r\n".encode())
        for _ in range(20):
            time.sleep(0.04)
            connection.sendall(bytes(500_000))
        refused(read_answer(connection), code)


def test_a_body_longer_than_declared_is_cut(server: Running) -> None:
    answer = server.ask("/api/photo", PHOTO + b"GET /smuggled HTTP/1.1\r\n\r\n", Content_Length=str(len(PHOTO)))
    assert picture(answer).shape == (120, 160, 3)


@pytest.mark.usefixtures("impatient")
def test_a_slow_body_is_refused(server: Running) -> None:
    refused(server.ask("/api/photo", b"few", Content_Length="1000"), 408)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("start", [b"", b"POST /api/photo HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "])
def test_a_slow_header_is_refused(server: Running, start: bytes) -> None:
    refused(server.raw(start), 408)


@pytest.mark.usefixtures("impatient")
def test_a_header_sent_byte_by_byte_is_refused(server: Running) -> None:
    with server.connect() as connection:
        for byte in b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n":
            connection.send(bytes([byte]))
            if select.select([connection], [], [], 0.1)[0]:
                break
        else:
            pytest.fail("the server waited for all of the header")
        refused(read_answer(connection), 408)


def test_nonsense_instead_of_http_is_refused(server: Running) -> None:
    for data in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"A" * 200_000):
        assert server.raw(data + b"\r\n\r\n").status == 400


@pytest.mark.parametrize(
    "host",
    ["evil.example", "169.254.169.254", "0.0.0.0", "[::]", "127.0.0.1.evil.example", "localhost.evil.example", ""],
)
def test_names_that_are_not_ours_are_refused(server: Running, host: str) -> None:
    refused(server.ask("/api/health", Host=host), 403)


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:80", "127.0.0.2"])
def test_loopback_names_are_ours(server: Running, host: str) -> None:
    assert server.ask("/api/health", Host=host).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_pages_of_other_sites_cannot_use_the_server(server: Running, origin: str) -> None:
    answer = server.ask("/api/photo", PHOTO, Origin=origin)
    refused(answer, 403)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize(
    "told", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}]
)
def test_forms_of_other_sites_are_refused_whatever_they_carry(server: Running, kind: str, told: dict[str, str]) -> None:
    for target in ("/api/photo", "/api/preview", "/api/sheet?try=12", "/api/film"):
        refused(server.ask(target, PHOTO, Content_Type=kind, **told), 403)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_browser_says_another_site_started_is_refused(server: Running, site: str) -> None:
    refused(server.ask("/api/looks", Sec_Fetch_Site=site), 403)
    assert server.ask("/", Sec_Fetch_Site=site).status == 200  # a link to the page is fine


def test_our_own_page_is_not_refused(server: Running) -> None:
    origin = f"http://127.0.0.1:{server.port}"
    assert server.ask("/api/photo", PHOTO, Origin=origin, Sec_Fetch_Site="same-origin").status == 200
    preflight = server.ask("/api/photo", method="OPTIONS", Origin="http://evil.example")
    assert preflight.status == 405 and "access-control-allow-origin" not in preflight.headers


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/page.js/../../server.py", "/C:\\x", "/\0", "//x", "/docs"],
)
def test_no_path_reaches_the_disk(server: Running, path: str) -> None:
    assert server.ask(path).status in (400, 404)


def test_every_answer_carries_the_policy(server: Running) -> None:
    for target in ("/", "/api/health", "/nothing", "/api/photo"):
        headers = server.ask(target).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert re.search(r"HttpOnly; SameSite=Strict; Max-Age=\d+$", server.ask("/").headers["set-cookie"])


def test_ranges_are_no_way_to_make_work(server: Running) -> None:
    ranges = "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 4000, 2))
    assert server.ask("/", Range=ranges).status == 200


# --- Token ----------------------------------------------------------------------------------------------


def test_a_token_is_asked_for() -> None:
    with running(token="sesame-open", workers=1) as server:
        for target in ("/", "/?token=wrong", "/api/looks", "/api/openapi.json", "/page.js"):
            refused(server.ask(target), 401)
        refused(server.ask("/api/photo", PHOTO, Authorization="Bearer wrong"), 401)
        assert server.ask("/api/photo", PHOTO, Authorization="Bearer sesame-open").status == 200
        assert server.ask("/api/health").status == 200
        entry = server.ask("/?token=sesame-open")
        assert (entry.status, entry.headers["location"]) == (303, "/")
        cookie = re.search(r"vintage_colorizer_token=\w+", str(entry.headers))
        assert cookie and "sesame" not in cookie[0]
        assert server.ask("/", Cookie=cookie[0]).status == 200
        asked = server.ask("/", Accept="text/html")  # which is what browsers want
        assert asked.status == 401 and b'name="token"' in asked.body


def test_the_printed_address_holds_any_token() -> None:
    options = ServeOptions.of(port=0, token="a&b=c #1")
    with listen(options) as listener:
        assert address(listener, options).endswith("/?token=a%26b%3Dc+%231")


@pytest.mark.parametrize("target", ["/", "/page.js", "/api/health", "/api/looks", "/api/openapi.json"])
def test_head_is_get_without_the_body(server: Running, target: str) -> None:
    head, whole = server.ask(target, method="HEAD"), server.ask(target)
    assert (head.status, head.body) == (200, b"")
    for name in ("content-type", "content-length"):
        assert head.headers[name] == whole.headers[name]


def test_wrong_methods_and_addresses_are_refused_in_the_one_form(server: Running) -> None:
    put = server.ask("/api/looks", method="PUT")
    refused(put, 405)
    assert "GET" in put.headers["allow"]
    refused(server.ask("/api/nothing"), 404)
    assert server.ask("/api/nothing", method="HEAD").status == 404


def test_the_limit_of_the_server_is_said_to_visitors_without_its_options() -> None:
    with running(workers=1, max_megapixels=0.01) as server:
        answer = server.ask("/api/photo", PHOTO)
        assert answer.status == 413 and answer.json["message"].endswith("over the limit of 0.01 megapixels.")


# --- As a program ---------------------------------------------------------------------------------------


@pytest.fixture
def program() -> Iterator[tuple[subprocess.Popen[str], Running]]:
    """`vintage-colorizer serve` in a process of its own."""
    command = [sys.executable, "-m", "vintage_colorizer", "serve", "--port", "0", "--max-megabytes", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        port = re.search(r"http://127.0.0.1:(\d+)/ ", process.stderr.readline())
        assert port
        yield process, Running(int(port[1]), None)
    finally:
        process.kill()
        process.communicate()


def hostile(server: Running, number: int) -> int:
    """One of many kinds of hostile requests; its status."""
    body, kind = form(PHOTO[:300], close=False)
    requests = [
        lambda: server.ask("/api/photo", b"x" * 3_500_000),
        lambda: server.ask("/api/photo", BOMB),
        lambda: server.ask("/api/photo", PHOTO[: 100 + number]),
        lambda: server.ask("/api/photo", TEXT_BOMB),
        lambda: server.ask("/api/photo?render_factor=" + "9" * 9000, PHOTO),
        lambda: server.ask("/api/photo", body, Content_Type=kind),
        lambda: server.ask("/api/photo", PHOTO, Host=f"evil{number}.example"),
        lambda: server.ask("/" + "%2e%2e/" * number),
        lambda: server.raw(os.urandom(2000) + b"\r\n\r\n"),
        lambda: server.ask("/", Cookie="vintage_colorizer_visitor=" + "x" * 8000),
    ]
    return requests[number % len(requests)]().status


def resident(process: subprocess.Popen[str]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of another process is read from /proc")
def test_hostile_requests_leave_memory_flat(program: tuple[subprocess.Popen[str], Running]) -> None:
    process, server = program
    with ThreadPoolExecutor(4) as clients:
        list(clients.map(lambda number: hostile(server, number), range(100)))
        assert server.ask("/api/photo", PHOTO).status == 200
        before = resident(process)
        statuses = list(clients.map(lambda number: hostile(server, number), range(500)))
    assert {200, 400, 403, 404, 413, 422} <= set(statuses) <= {200, 400, 403, 404, 413, 422, 503}
    assert server.ask("/api/photo", PHOTO).status == 200
    assert resident(process) - before < 30_000  # kB


def test_an_interrupt_ends_the_server_quietly(program: tuple[subprocess.Popen[str], Running]) -> None:
    process, server = program
    assert server.ask("/api/photo", PHOTO).status == 200
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 0 and said == ""


def test_a_port_in_use_is_told_in_one_sentence(server: Running) -> None:
    command = [sys.executable, "-m", "vintage_colorizer", "serve", "--port", str(server.port)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and f"cannot listen at 127.0.0.1, port {server.port}" in done.stderr
    assert done.stderr.count("\n") == 1


# --- Repair ---------------------------------------------------------------------------------------------


def scratched() -> bytes:
    pixels = np.full((200, 240), 90, np.uint8)
    pixels[:, 118:121] = 240
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_photo_comes_back_repaired(server: Running) -> None:
    answer = server.ask("/api/repair?only=scratches", scratched())
    repaired = picture(answer)
    assert repaired.shape == (200, 240, 3)
    assert answer.headers["x-repaired"] == "scratches" and 'filename="repaired.png"' in str(answer.headers)
    mask = picture(server.ask("/api/repair?only=scratches&mask=true", scratched()))
    assert mask[:, 118:121].mean() > 128 and not mask[:, :100].any()
    assert np.array_equal(
        repaired[mask == 0], np.repeat(np.array([90], np.uint8), 3)[None].repeat((mask == 0).sum(), 0)
    )
    colored = picture(server.ask("/api/photo?repair=scratches", scratched()))
    assert np.abs(color.luma(colored)[:, 119] * 255 - 90).mean() < 20
    refused(server.ask("/api/repair?only=tears", scratched()), 422, "only cannot be")


def test_strokes_say_what_else_is_filled_and_what_is_left(server: Running) -> None:
    strokes = np.zeros((100, 120, 4), np.uint8)
    strokes[:40, :, 3] = 255  # leave the upper part
    strokes[60:70, 20:24] = 255  # fill this
    body, kind = form(scratched(), marks=bad_files.encoded(strokes, "PNG"))
    mask = picture(server.ask("/api/repair?only=scratches&mask=true", body, Content_Type=kind))
    assert not mask[:80].any() and mask[130, 42] and mask[160:, 119].all()
    colored = picture(server.ask("/api/photo?repair=scratches", body, Content_Type=kind))
    assert color.luma(colored)[40, 119] * 255 > 200 and color.luma(colored)[180, 119] * 255 < 130
    refused(server.ask("/api/photo", body, Content_Type=kind), 400, "marks say nothing")
    refused(server.ask("/api/hints", body, Content_Type=kind), 400, "leave out the others")
    body, kind = form(scratched(), marks=b"nothing")
    refused(server.ask("/api/repair", body, Content_Type=kind), 400, "The picture of marks is not a picture")
