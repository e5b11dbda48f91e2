"""The main path of films: scan, plan, color segment by segment, join.

    film -> scan (times, shots) -> plan -> segments -> film
    a segment: luma planes -> small luma -> engine -> small chroma -> calm -> chroma planes -> encoder

Luma planes go to the encoder as they came from the decoder. Everything here runs in one process;
`process` puts a process of its own around it, as codecs can crash.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import av

from vintage_colorizer.errors import DiskFullError, InputError, OutputError, OutputExistsError, UnreadableError
from vintage_colorizer.files import FULL, readable_name
from vintage_colorizer.film.coloring import color_segment
from vintage_colorizer.film.containers import kind_of
from vintage_colorizer.film.muxing import join
from vintage_colorizer.film.numbered import film_identity, is_numbered
from vintage_colorizer.film.passengers import comment_of, refused_streams
from vintage_colorizer.film.plan import Plan, Segment, film_fingerprint, make_plan, with_look
from vintage_colorizer.film.progress import Progress, Report
from vintage_colorizer.film.source import open_film, reason
from vintage_colorizer.film.workspace import Workspace
from vintage_colorizer.networks.inference import LITTLE_COLOR, LITTLE_COLOR_NOTE, Networks
from vintage_colorizer.options import FilmOptions

MARK = "Colorized by Vintage Colorizer: the colors are plausible, not historical fact."


Frames = Callable[[int], None]  # told how many more frames are done


@dataclass(frozen=True)
class FilmResult:
    """What became of a film."""

    path: str
    skipped: str  # why nothing was done; empty if it was
    width: int = 0
    height: int = 0
    frames: int = 0
    shots: int = 0
    resumed: int = 0  # frames an earlier run had done
    look: str = ""
    network: str = ""
    render_factor: int = 0
    chroma: float = 0.0  # mean strength of the color, 0 to about 0.6
    notes: tuple[str, ...] = ()


def color_in_turn(
    plan: Plan, segments: Sequence[Segment], workspace: Workspace, networks: Networks, frames: Frames
) -> None:
    """Color and keep segments of a film, one after the other."""
    for segment in segments:
        path = workspace.open_path(segment)
        chroma = color_segment(plan, segment, path, networks, lambda: frames(1), workspace.colors)
        workspace.finish(segment, path, chroma)


ColorSegments = Callable[[Plan, Sequence[Segment], Workspace, Networks, Frames], None]


def color_film(
    source: Path,
    target: Path,
    networks: Networks,
    options: FilmOptions,
    *,
    overwrite: bool,
    report: Report,
    color_segments: ColorSegments = color_in_turn,
) -> FilmResult:
    """Color a film, going on where an earlier run of the same was stopped.

    Args:
        source: the film.
        target: the result.
        networks: loads the one asked for.
        options: how.
        overwrite: replace a target that is something else.
        report: told how far it is.
        color_segments: colors the segments that are missing, here or elsewhere.

    Raises:
        InputError: the source cannot be read or is of a kind that is not colored.
        OutputExistsError: the target is something else, or being written by another process.
        DiskFullError: no space is left; finished segments are kept.
        OutputError: the result cannot be written.
        OptionError: the container cannot hold the codec, or an option is wrong.
        EngineError: the network failed.
    """
    options = with_look(options)
    if options.colors is not None:  # workers may run in other folders
        options = options.replace(colors=str(Path(options.colors).absolute()))
    kind, codec = kind_of(target, options.codec)
    with open_film(source) as container:
        if MARK in comment_of(container):
            return FilmResult(str(target), "it was colored by Vintage Colorizer before")
    network = networks.engine(options).info.sha256
    fingerprint = film_fingerprint(source, options, network, target.suffix.lower())
    workspace = Workspace(target)
    with workspace.locked(), disk_errors(workspace):
        if _is_done(source, target, fingerprint, overwrite):
            return FilmResult(str(target), "done before")
        if options.no_resume:
            workspace.clear()
            workspace.folder.mkdir()
        plan = workspace.load(fingerprint, source)
        if plan is None:
            plan = make_plan(source, networks, options, codec, fingerprint, report)
            plan = replace(plan, refused=refused_streams(source, plan.source.depth, kind))
            workspace.save(plan)
        plan = replace(plan, options=options)  # the folder of colors may be another one now
        return _work(plan, workspace, networks, report, color_segments)


def _work(
    plan: Plan, workspace: Workspace, networks: Networks, report: Report, color_segments: ColorSegments
) -> FilmResult:
    """Color what is missing, join all, and let the film appear."""
    total = plan.frames
    missing = [segment for segment in plan.segments if workspace.finished(segment) is None]
    resumed = done = total - sum(segment.stop - segment.start for segment in missing)

    def frames(more: int) -> None:
        nonlocal done
        done += more
        report(Progress("coloring", done, total, plan.shown_shots))

    frames(0)
    color_segments(plan, missing, workspace, networks, frames)
    facts = [known for segment in plan.segments if (known := workspace.finished(segment)) is not None]
    if len(facts) < len(plan.segments):
        raise OutputError("came out damaged; is the disk sound?", readable_name(workspace.target))
    if film_identity(Path(plan.source.path)) != plan.identity:
        raise UnreadableError("changed while it was colored; run the same command again.", plan.source.path)
    report(Progress("joining", done, total, plan.shown_shots))
    pieces = [workspace.piece(segment, known) for segment, known in zip(plan.segments, facts, strict=True)]
    comment = f"{MARK} Look {plan.look}, network {plan.network}. Fingerprint {plan.fingerprint}."
    notes = join(workspace.joined, plan, pieces, comment)
    workspace.appear()
    chroma = sum(known.chroma * (one.stop - one.start) for known, one in zip(facts, plan.segments, strict=True)) / total
    return _result(plan, workspace.target, resumed, chroma, notes)


def _result(plan: Plan, target: Path, resumed: int, chroma: float, notes: list[str]) -> FilmResult:
    doubts = [LITTLE_COLOR_NOTE] if chroma < LITTLE_COLOR else []
    return FilmResult(
        path=str(target),
        skipped="",
        width=plan.source.width,
        height=plan.source.height,
        frames=plan.frames,
        shots=plan.shown_shots,
        resumed=resumed,
        look=plan.look,
        network=plan.network,
        render_factor=plan.render_factor,
        chroma=round(chroma, 4),
        notes=(*plan.notes, *notes, *doubts),
    )


def _is_done(source: Path, target: Path, fingerprint: str, overwrite: bool) -> bool:
    """Whether `target` already is this very result.

    Raises:
        OutputExistsError: it is something else, and not to be replaced, or it is the source itself.
    """
    if not target.exists():
        return False
    name = readable_name(target)
    if not is_numbered(source) and target.samefile(source):
        raise OutputExistsError("is the source itself, which is never overwritten; choose another name.", name)
    if target.is_dir():
        raise OutputExistsError("is a folder, so the result cannot have that name; choose another.", name)
    try:
        with open_film(target) as container:
            comment = comment_of(container)
    except InputError:
        comment = ""
    if fingerprint in comment:
        return True
    if overwrite:
        return False
    raise OutputExistsError("exists and was made differently; remove it or use --overwrite.", name)


@contextmanager
def disk_errors(workspace: Workspace) -> Iterator[None]:
    """Turn failures to write into errors of ours."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        name = readable_name(workspace.target)
        if error.errno in FULL:
            free = shutil.disk_usage(workspace.target.parent).free / 2**20
            space = f"{workspace.shortage()}{free:.0f} MiB are free"
            raise DiskFullError(
                f"cannot be written (No space is left: {space}); free some and run the same command to go on.", name
            ) from error
        raise OutputError(f"cannot be written ({reason(error)}); choose another place with -o.", name) from error
