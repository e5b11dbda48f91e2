from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest

from vintage_colorizer import errors
from vintage_colorizer.errors import DiskFullError, VintageColorizerError, error_named
from vintage_colorizer.film.plan import Plan, Segment
from vintage_colorizer.film.planes import Coding
from vintage_colorizer.film.records import of_json, to_json
from vintage_colorizer.film.workspace import Facts

OLD_PLAN: dict[str, Any] = {  # as version 0.2.0 wrote it
    "fingerprint": "0123456789abcdef0123456789abcdef",
    "identity": "2170:1795613410203312918",
    "source": {
        "path": "/films/reel.mp4",
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "codec": "h264",
        "width": 96,
        "height": 64,
        "pixel_format": "yuv420p",
        "coding": {"matrix": 6, "full_range": False, "depth": 8},
        "primaries": 2,
        "transfer": 2,
        "aspect": [1, 1],
        "display_matrix": [0, 65536, 0, -65536, 0, 0, 0, 0, 1073741824],
        "rate": [25, 1],
        "time_base": [1, 12800],
    },
    "options": {
        "look": "video",
        "network": "compact",
        "weights": None,
        "render_factor": None,
        "vividness": None,
        "saturation": 1.0,
        "warmth": 0.0,
        "engine": "auto",
        "device": "auto",
        "threads": 2,
        "codec": None,
        "crf": None,
        "preset": None,
        "stability": None,
        "no_resume": False,
        "preview": 5.0,
    },
    "look": "video",
    "network": "compact-3",
    "render_factor": 16,
    "vividness": 0.0,
    "saturation": 1.0,
    "stability": 0.8,
    "encoding": {
        "codec": "h264",
        "width": 192,
        "height": 64,
        "chroma": "420",
        "coding": {"matrix": 6, "full_range": False, "depth": 8},
        "primaries": 2,
        "transfer": 2,
        "aspect": [1, 1],
        "rate": [25, 1],
        "crf": 18,
        "preset": None,
        "threads": 2,
    },
    "shots": [0],
    "segments": [{"index": 0, "start": 0, "stop": 3}],
    "raw_times": [0, None, 1024],
    "starts": [0, 512, 1024],
    "durations": [512, 512, 512],
    "notes": [],
}


def test_an_old_plan_is_read() -> None:
    plan = of_json(Plan, json.dumps(OLD_PLAN))
    assert plan.source.coding == plan.encoding.coding == Coding(matrix=6, full_range=False, depth=8)
    assert plan.source.display_size == (96, 64)
    assert plan.segments == (Segment(0, 0, 3),)
    assert (plan.raw_times, plan.options.preview, plan.encoding.crf) == ((0, None, 1024), 5.0, 18)
    assert (plan.signatures, plan.damaged) == (b"", False)


def test_plans_are_written_as_they_were() -> None:
    """All that plans had before is still there; what came later has its default."""

    def of_before(written: Any, old: Any) -> Any:
        return {name: of_before(written[name], old[name]) for name in old} if isinstance(old, dict) else written

    written = json.loads(to_json(of_json(Plan, json.dumps(OLD_PLAN))))
    assert of_before(written, OLD_PLAN) == OLD_PLAN
    assert (written["source"]["depth"], written["encoding"]["fields"], written["interlacing"]["mode"]) == (
        0,
        "",
        "whole",
    )


def test_plans_come_back_whatever_the_film_is_called() -> None:
    plan = of_json(Plan, json.dumps(OLD_PLAN))
    plan = replace(plan, source=replace(plan.source, path=os.fsdecode(b"\xff\n.mp4")), signatures=bytes(range(144)))
    assert of_json(Plan, to_json(plan)) == plan


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": "aa", "delay": "many", "chroma": 0.1}'])
def test_what_does_not_fit_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        of_json(Facts, text)


def test_old_facts_are_read() -> None:
    assert of_json(Facts, '{"sha256": "aa", "delay": 2, "chroma": 0.125}') == Facts("aa", 2, 0.125)


def test_errors_are_found_by_name_in_their_tree_alone() -> None:
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, VintageColorizerError)]
    assert len(kinds) == 13 and DiskFullError in kinds
    assert all(error_named(kind.__name__) is kind for kind in kinds)
    assert error_named("annotations") is error_named("SystemExit") is VintageColorizerError
