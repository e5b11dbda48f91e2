"""Downloads go on where they broke off, and only what has the right size and hash gets its name. A real server."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("filelock")

from support.downloads import CONTENT, Server
from vintage_colorizer.errors import MissingError, OutputError
from vintage_colorizer.networks import download as module
from vintage_colorizer.networks.catalog import Remote
from vintage_colorizer.networks.download import download

SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def remote(*urls: str, sha256: str = SHA256) -> Remote:
    return Remote("file.pth", len(CONTENT), sha256, urls)


def test_a_file_arrives_and_progress_is_told(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = download(remote(server.url), tmp_path / "new", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not (tmp_path / "new" / "file.pth.part").exists()


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.break_after = [300_000, 200_000]
    assert download(remote(server.url), tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_goes_on_with_the_part(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.pth.part").write_bytes(CONTENT[:1000])
    assert download(remote(server.url), tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_a_server_that_cannot_resume_starts_over(server: Server, tmp_path: Path) -> None:
    server.resumes = False
    (tmp_path / "file.pth.part").write_bytes(CONTENT[:1000])
    assert download(remote(server.url), tmp_path).read_bytes() == CONTENT


def test_a_wrong_part_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.pth.part").write_bytes(b"x" * 1000)
    assert download(remote(server.url), tmp_path).read_bytes() == CONTENT


def test_the_next_mirror_is_asked(server: Server, tmp_path: Path) -> None:
    assert download(remote("http://127.0.0.1:9/closed", server.url), tmp_path).read_bytes() == CONTENT


def refused(one: Remote, folder: Path, reason: str) -> None:
    with pytest.raises(MissingError, match=reason) as caught:
        download(one, folder)
    assert "weights import file.pth" in str(caught.value)
    assert one.sha256 in str(caught.value)
    assert not (folder / "file.pth").exists()


def test_another_hash_is_refused_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    refused(remote(server.url, sha256="0" * 64), tmp_path, "another SHA-256")
    assert not (tmp_path / "file.pth.part").exists()


@pytest.mark.parametrize("content", [b"<html>sorry</html>", CONTENT + b"more"])
def test_another_size_is_refused_before_it_is_read(server: Server, tmp_path: Path, content: bytes) -> None:
    server.content = content
    refused(remote(server.url), tmp_path, "not 1,024,000")


def test_no_network_says_what_to_do(tmp_path: Path) -> None:
    refused(remote("http://127.0.0.1:9/closed"), tmp_path, "could not be downloaded")


@pytest.mark.parametrize("address", ["http://example.org/file", "ftp://example.org/file", "file:///etc/hostname"])
def test_unencrypted_addresses_are_refused(server: Server, tmp_path: Path, address: str) -> None:
    refused(remote(address), tmp_path, "unencrypted")
    server.redirect = address
    refused(remote(server.url), tmp_path, "unencrypted|not allowed")


def test_two_at_once_download_once(server: Server, tmp_path: Path) -> None:
    threads = [threading.Thread(target=download, args=(remote(server.url), tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.ranges) == 1


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        download(remote("http://127.0.0.1:9/closed"), tmp_path / "folder")


def test_a_silent_server_is_given_up(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused(remote(f"http://127.0.0.1:{silent.getsockname()[1]}/file"), tmp_path, "could not be downloaded")
