"""Writes the list of a film's shots, and beside it a page of thumbnails; see `shot_list` for reading it."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from vintage_colorizer.files import atomically
from vintage_colorizer.film.guiding import colored_frame
from vintage_colorizer.film.plan import Plan, make_plan, with_look
from vintage_colorizer.film.planes import shrink_luma
from vintage_colorizer.film.progress import Report
from vintage_colorizer.film.reader import FrameReader
from vintage_colorizer.film.source import rgb_of
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import Networks
from vintage_colorizer.options import FilmOptions

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Shots of {name}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; background: #1d1b18; color: #efe9df; }}
ol {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1rem; padding: 0; }}
li {{ list-style: none; }}
img {{ display: block; width: 100%; border-radius: .4rem; }}
</style>
<h1>Shots of {name}</h1>
<p>{count} shots, each by its middle, in the colors the network proposes. Edit {list}, and run the command again.</p>
<ol>
{shots}
</ol>
</html>
"""
SHOT = '<li><img alt="" src="data:image/jpeg;base64,{picture}">{number}: {time}, group {group}{left}</li>'


def write_shots(source: Path, target: Path, networks: Networks, options: FilmOptions, report: Report) -> int:
    """Look through a film and write its shots to `target`, JSON, and to a page of the same name; return how many.

    Raises:
        InputError: the film cannot be read or is of a kind that is not colored.
        OutputError: the files cannot be written.
    """
    plan = make_plan(source, networks, with_look(options), "ffv1", report=report)
    groups = _groups(plan)
    shots = [_entry(plan, shot, group) for shot, group in enumerate(groups)]
    text = ",\n".join(f"    {json.dumps(shot)}" for shot in shots)
    pictures = _thumbnails(plan, networks.engine(plan.options))
    rows = [
        SHOT.format(
            number=number,
            picture=base64.b64encode(picture).decode(),
            time=shot["from"],
            group=shot["group"],
            left=", left as it is" if shot["leave"] else "",
        )
        for number, (shot, picture) in enumerate(zip(shots, pictures, strict=True), start=1)
    ]
    name = html.escape(source.name)
    page = PAGE.format(name=name, count=len(shots), list=html.escape(target.name), shots="\n".join(rows))
    with atomically(target.with_suffix(".html")) as file:
        file.write(page.encode(errors="replace"))
    with atomically(target) as file:
        film = json.dumps(source.name)
        file.write(f'{{\n  "film": {film},\n  "shots": [\n{text}\n  ]\n}}\n'.encode())
    return len(shots)


def _groups(plan: Plan) -> list[int]:
    """A number for each shot; shots of a scene that returns share theirs."""
    leaders = list(range(len(plan.shots)))
    for still in plan.stills:
        if not still.known:
            leader = plan.shot_of(still.frame)
            for shot in still.shots:
                leaders[shot] = leader
    numbers = {leader: number for number, leader in enumerate(dict.fromkeys(leaders), start=1)}
    return [numbers[leader] for leader in leaders]


def _entry(plan: Plan, shot: int, group: int) -> dict[str, Any]:
    seconds = float(plan.starts[plan.shots[shot]] * plan.times.base)
    return {
        "from": _clock(seconds),
        "group": group,
        "look": None,
        "vividness": None,
        "saturation": None,
        "leave": plan.leaves(shot),
    }


def _clock(seconds: float) -> str:
    """A time as hours:minutes:seconds, to the millisecond."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}.{milliseconds:03d}"


def _thumbnails(plan: Plan, engine: Engine) -> Iterator[bytes]:
    """The middle frame of each shot as a small JPEG: colored, or as it is where it is left so."""
    source = plan.source
    reader = FrameReader(plan, plan.encoding.threads)
    height, width = engine.info.working_size(*source.display_size, plan.render_factor)
    for shot, (start, end) in enumerate(pairwise([*plan.shots, len(plan.starts)])):
        middle = (start + end) // 2
        _, luma, frame = next(reader.frames(middle, middle + 1))
        if plan.leaves(shot):
            picture = Image.fromarray(source.shown(rgb_of(frame))).resize((width, height), Image.Resampling.BOX)
        else:
            small = shrink_luma(luma, source.coding, source.orientation, height, width)
            picture = Image.fromarray(colored_frame(small, engine, plan.vividness))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=85)
        yield file.getvalue()
