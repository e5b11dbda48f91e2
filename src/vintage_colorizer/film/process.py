"""Each film is colored in a process of its own, because a damaged file can crash or hang a codec.

The parent sends one job as a line of JSON and gets lines of JSON back: progress, then the result, a glimpse or an
error. If the process dies, or says nothing for too long, that is this film's error and the next film
goes on. If the parent dies, the worker's standard input closes and it stops at once.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vintage_colorizer.errors import EngineError, OutOfMemoryError, UnreadableError, VintageColorizerError, error_named
from vintage_colorizer.files import readable_name
from vintage_colorizer.film.glimpse import Glimpse, glimpse
from vintage_colorizer.film.job import FilmResult, color_film
from vintage_colorizer.film.progress import Progress, Report, throttled
from vintage_colorizer.film.records import of_json, to_json
from vintage_colorizer.networks.inference import Networks
from vintage_colorizer.options import FilmOptions

SILENCE = 300.0  # seconds without any progress after which a worker counts as hanging
LAST_LINES = 5  # of what a crashed worker wrote to its standard error


@dataclass(frozen=True)
class Job:
    """What a worker is to do."""

    source: str
    target: str
    options: FilmOptions
    overwrite: bool


@dataclass(frozen=True)
class Order:
    """What is sent to a worker; one of the two."""

    job: Job | None = None
    glimpse: tuple[str, float, bool] | None = None  # the film, the second at which to look, and whether at its color


@dataclass(frozen=True)
class Failure:
    """An error of our tree: the name of its class, what it says, and about which file."""

    error: str
    text: str
    subject: str | None


@dataclass(frozen=True)
class Message:
    """What a worker says; one of the four."""

    progress: Progress | None = None
    result: FilmResult | None = None
    glimpse: Glimpse | None = None
    failure: Failure | None = None


def color_in_worker(source: Path, target: Path, options: FilmOptions, *, overwrite: bool, report: Report) -> FilmResult:
    """Do `film.color_film` in another process.

    Raises:
        UnreadableError: the process crashed or hung on this film.
        OutOfMemoryError: the system killed the process.
        VintageColorizerError: whatever `color_film` raised there.
    """
    job = Job(str(source.absolute()), str(target.absolute()), options, overwrite)
    result = _ask(Order(job=job), source, report).result
    assert result is not None
    return result


def glimpse_in_worker(source: Path, seconds: float, colored: bool = False) -> Glimpse:
    """Do `glimpse.glimpse` in another process. Raises as that does, and as `color_in_worker`."""
    seen = _ask(Order(glimpse=(str(source.absolute()), seconds, colored)), source, lambda progress: None).glimpse
    assert seen is not None
    return seen


def _ask(order: Order, source: Path, report: Report) -> Message:
    """Have a worker do something about a film; its last message, which is no failure."""
    with _process() as process:
        said: queue.Queue[str | None] = queue.Queue()
        last: deque[str] = deque(maxlen=LAST_LINES)
        listeners = [_listen(process.stdout, said.put, lambda: said.put(None)), _listen(process.stderr, last.append)]
        assert process.stdin is not None
        process.stdin.write(to_json(order) + "\n")
        process.stdin.flush()
        answer = _follow(said, source, report)
        if answer is None:
            process.wait()
            listeners[1].join()
            raise _death(source, process.returncode, last)
    return answer


def _follow(said: queue.Queue[str | None], source: Path, report: Report) -> Message | None:
    """Read a worker's lines until it is done; None if it died."""
    while True:
        try:
            line = said.get(timeout=SILENCE)
        except queue.Empty:
            name = readable_name(source)
            raise UnreadableError(
                f"made the decoder or encoder hang for {SILENCE:.0f} s, so it was stopped; it may be damaged.", name
            ) from None
        if line is None:
            return None
        message = of_json(Message, line)
        if message.failure is not None:
            raise error_named(message.failure.error)(message.failure.text, message.failure.subject)
        if message.progress is None:
            return message
        report(message.progress)


@contextmanager
def _process() -> Iterator[subprocess.Popen[str]]:
    """A worker, which is gone at the end of the `with`, whatever happened."""
    package = str(Path(__file__).parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "vintage_colorizer.film.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
        # One thread for each matrix product: threads are used across frames, and results stay the same bytes.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass


def _listen(
    pipe: IO[str] | None, take: Callable[[str], object], end: Callable[[], object] = lambda: None
) -> threading.Thread:
    """Read lines in a thread, so that a full pipe never blocks the worker."""
    assert pipe is not None

    def work() -> None:
        try:
            for line in pipe:
                take(line)
        except ValueError:  # closed meanwhile
            pass
        end()

    thread = threading.Thread(target=work, name="listen", daemon=True)
    thread.start()
    return thread


def _death(source: Path, code: int, last: deque[str]) -> VintageColorizerError:
    """Say why a worker died: most signals mean a crash in a codec, an exit code a mistake of ours.

    Two signals do not come from the process itself: the system kills what takes too much memory, people stop programs.
    """
    name = readable_name(source)
    if code == -getattr(signal, "SIGKILL", 9):
        text = "was not finished, as the system killed its process, probably for want of memory; close other programs"
        return OutOfMemoryError(f"{text} and run the same command to go on.", name)
    if code == -signal.SIGTERM:
        return EngineError("was not finished, as its process was stopped; run the same command to go on.", name)
    if code < 0:
        blow = signal.Signals(-code).name
        return UnreadableError(f"crashed the decoder or encoder ({blow}); it may be damaged.", name)
    why = f"exit {code}" + (f": {last[-1].strip()}" if last else "")
    return UnreadableError(f"could not be colored: its process stopped ({why}); please report this.", name)


def main() -> None:
    """Do what standard input says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    # Only the protocol may use standard output: what a library prints goes to standard error.
    with os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogateescape") as out:
        os.dup2(2, 1)
        order = of_json(Order, sys.stdin.readline())
        threading.Thread(target=_die_with_parent, daemon=True).start()
        _say(out, _done(order, throttled(lambda progress: _say(out, Message(progress=progress)))))


def _done(order: Order, report: Report) -> Message:
    try:
        if order.glimpse is not None:
            path, seconds, colored = order.glimpse
            return Message(glimpse=glimpse(Path(path), seconds, colored=colored))
        assert order.job is not None
        return Message(result=_colored(order.job, report))
    except VintageColorizerError as error:
        return Message(failure=Failure(type(error).__name__, error.text, error.subject))


def _colored(job: Job, report: Report) -> FilmResult:
    source, target = Path(job.source), Path(job.target)
    try:
        return color_film(source, target, Networks(), job.options, overwrite=job.overwrite, report=report)
    except MemoryError:
        text = "needs more memory than there is; close other programs or lower --render-factor."
        raise OutOfMemoryError(text, source) from None


def _say(out: IO[str], message: Message) -> None:
    out.write(to_json(message) + "\n")
    out.flush()


def _die_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
