from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support.bad_films import make_film
from vintage_colorizer.files import sha256_of
from vintage_colorizer.film import workspace

pytestmark = pytest.mark.long


def test_a_segment_is_hashed_once_a_run(color: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: Counter[str] = Counter()

    def counting(path: Path) -> str:
        hashed[path.name.split(".")[0]] += 1
        return sha256_of(path)

    monkeypatch.setattr(workspace, "sha256_of", counting)
    color(make_film(tmp_path / "in.mkv", rate=1, frames=30, size=(16, 32)))
    assert hashed == {"000000": 1, "000001": 1, "000002": 1}
