"""The inputs of one run and the place of its results: what the command line names, looked at once."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

from vintage_colorizer.archive.inputs import PICTURES, Found, Item, Wanted, files_in, listed, named, objects_in
from vintage_colorizer.archive.places import Entry, Place, Url, exists, is_folder, list_folder
from vintage_colorizer.errors import OptionError
from vintage_colorizer.files import file_status

LIST_MARK = "@"  # before the name of a list of names


@dataclass(frozen=True)
class Input:
    """Something named on the command line."""

    place: Place
    kind: Literal["file", "folder", "list"]
    listing: Iterator[Entry] | None = None  # of a folder behind a URL; looking whether it is one has begun it

    @classmethod
    def parse(cls, place: Place) -> Input:
        """Look what kind of thing is there; UnreadableError if it is a list of names that is not."""
        if isinstance(place, Url):
            listing = list_folder(place)
            return cls(place, "file" if listing is None else "folder", listing)
        if str(place).startswith(LIST_MARK):  # a file whose own name begins so is written ./@FILE
            file = Path(str(place)[1:])
            file_status(file)
            return cls(file, "list")
        return cls(place, "folder" if is_folder(place) else "file")

    @property
    def name(self) -> str:
        """What its folder of results is called where there are several."""
        return self.place.resolve().name if isinstance(self.place, Path) else self.place.name


@dataclass(frozen=True)
class Batch:
    """The inputs of one run and the place of its results."""

    inputs: Sequence[Input]
    folder: Place | None  # of results; None for results beside their sources
    name: str | None  # of the only result, where the user chose it
    several: bool  # there may be more than one input
    journal: Place | None  # the folder of results, if a journal is kept in it
    wanted: Wanted

    @classmethod
    def parse(
        cls, paths: Sequence[Place], out: Place | None, wanted: Wanted = PICTURES, *, journal: bool = False
    ) -> Batch:
        """Ask file systems and object stores what they hold, each only once.

        Args:
            paths: files, folders, and lists of names: @FILE, see `inputs.listed`.
            out: a file (for a single input file), a folder (which mirrors the tree), or None for
                results beside their sources.
            wanted: what to take from folders; files named are tried whatever they are.
            journal: there has to be a journal; without, one is kept in folders behind a URL.

        Raises:
            OptionError: `out` is a file but there may be several inputs, its format is not known, or there
                is no folder for the journal.
            UnreadableError: a list is not there.
        """
        inputs = [Input.parse(path) for path in paths]
        several = len(inputs) > 1 or inputs[0].kind != "file"
        single = out is not None and not several and out.suffix != "" and not is_folder(out)
        if journal and (out is None or single):
            raise OptionError("With --ray, name a folder for the results and their journal with -o.")
        if out is not None and single:
            wanted.check_result(Path(out.name))
            return cls(inputs, out.parent, out.name, several, None, wanted)
        if out is not None and exists(out) and not is_folder(out):
            raise OptionError(f"{out} is a file, but there may be several results; name a folder.")
        return cls(inputs, out, None, several, out if journal or isinstance(out, Url) else None, wanted)

    def find(self) -> Iterator[Found]:
        """Stream the inputs, folders recursively, with the place of each result. Once: a listing is not begun anew."""
        if self.name is not None and self.folder is not None:
            yield Item(self.inputs[0].place, self.folder, name=self.name)
            return
        many_folders = sum(one.kind == "folder" for one in self.inputs) > 1
        taken: set[str] = set()
        for one in self.inputs:
            out = self.folder
            if one.kind == "file":
                yield named(one.place, out, taken)
                continue
            if one.kind == "list":
                assert isinstance(one.place, Path)
                yield from listed(one.place, out)
                continue
            if out is not None and many_folders:
                out = out / one.name
            if isinstance(one.place, Path):
                yield from files_in(one.place, out, self.folder, self.wanted)
            else:
                yield from objects_in(one.place, one.listing or (), out, self.folder, self.wanted)


class Counted:
    """A stream of inputs that a thread reads ahead and counts, so that the time left can be told.

    What is not taken yet waits in a temporary file: names of any number need little memory.
    """

    def __init__(self, found: Iterable[Found]) -> None:
        """Begin to read."""
        self.total: int | None = None  # known when all are read
        self._found, self._read, self._closed = found, 0, False
        self._error: BaseException | None = None
        self._file = TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._changed = threading.Condition()
        threading.Thread(target=self._read_ahead, name="count", daemon=True).start()

    def __iter__(self) -> Iterator[Found]:
        """Yield what was read, waiting for more; raises what reading raised."""
        at, taken = 0, 0
        while True:
            with self._changed:
                while taken == self._read and self.total is None:
                    self._changed.wait()
                if taken == self._read:
                    break
                self._file.seek(at)
                one: Found = pickle.load(self._file)
                at, taken = self._file.tell(), taken + 1
            yield one
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop reading, and remove the file."""
        with self._changed:
            self._closed = True
            self._file.close()

    def _read_ahead(self) -> None:
        try:
            for one in self._found:
                data = pickle.dumps(one)
                with self._changed:
                    if self._closed:
                        return
                    self._file.seek(0, os.SEEK_END)
                    self._file.write(data)
                    self._read += 1
                    self._changed.notify()
        except BaseException as error:  # raised where the stream is taken
            self._error = error
        with self._changed:
            self.total = self._read
            self._changed.notify()
