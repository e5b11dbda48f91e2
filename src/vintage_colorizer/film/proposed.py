"""What a network proposes for frames: asked once for each, and kept on disk.

Color is kept apart from the film that is made of it. A frame goes by what the network sees of it, so what was kept
serves any codec, saturation, part or list of shots, and any film with the same frames.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vintage_colorizer.color import Floats
from vintage_colorizer.files import atomically
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import propose_batch

STEP = 2.0**-11  # chroma comes in whole steps of this, an eighth of a level of 8 bits, whether it was kept or not
KEY_BYTES = 16
MOST_HELD = 256  # proposals in memory before they are written
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)  # what reading a file may raise


class KeptColors:
    """Proposals in a folder, by their keys. Several processes may use it: each file is written whole and stays."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made when something is added."""
        self._folder = folder
        self._places: dict[bytes, tuple[str, int]] = {}  # file and row
        self._seen: set[str] = set()
        self._open: tuple[str, Floats] = ("", np.zeros((0, 0, 0, 2), np.float32))  # the file read last

    def look(self) -> None:
        """Find out what is there by now."""
        names = {path.name for path in self._folder.glob("*.npz")}
        for name in sorted(names - self._seen):
            self._seen.add(name)
            try:
                (keys,) = self._arrays(name, "keys")
            except DAMAGED:
                continue  # its frames are asked about again
            self._places |= {key.tobytes(): (name, row) for row, key in enumerate(keys)}

    def get(self, key: bytes) -> Floats | None:
        """The chroma kept under a key, h x w x 2; None if there is none, or no longer."""
        if key not in self._places:
            return None
        name, row = self._places[key]
        try:
            if self._open[0] != name:
                self._open = (name, self._read(name))
            chroma: Floats = self._open[1][row]
            return chroma
        except (*DAMAGED, IndexError):
            del self._places[key]
            return None

    def add(self, colors: Mapping[bytes, Floats]) -> None:
        """Keep proposals of one size. Raises DiskFullError, OutputError."""
        keys = np.frombuffer(b"".join(colors), np.uint8).reshape(-1, KEY_BYTES)
        steps = np.rint(np.stack(list(colors.values())) / STEP).astype(np.int16)
        changes = np.diff(steps, axis=0, prepend=np.zeros_like(steps[:1])).view(np.uint16)  # frames resemble each other
        buffer = io.BytesIO()
        np.savez_compressed(buffer, keys=keys, low=changes.astype(np.uint8), high=(changes >> 8).astype(np.uint8))
        name = hashlib.blake2b(keys.tobytes(), digest_size=KEY_BYTES).hexdigest() + ".npz"
        with atomically(self._folder / name) as file:
            file.write(buffer.getbuffer())
        self._seen.add(name)
        self._places |= {key: (name, row) for row, key in enumerate(colors)}

    def _read(self, name: str) -> Floats:
        low, high = self._arrays(name, "low", "high")
        changes = low | high.astype(np.uint16) << 8
        steps = np.cumsum(changes.view(np.int16), axis=0, dtype=np.int16)
        return steps.astype(np.float32) * np.float32(STEP)

    def _arrays(self, name: str, *wanted: str) -> list[NDArray[np.uint8]]:
        with (self._folder / name).open("rb") as raw, np.load(raw) as file:  # which leaves what it opens itself open
            return [file[one] for one in wanted]


@lru_cache(maxsize=4)
def kept_colors(folder: str | Path | None) -> KeptColors | None:
    """The proposals kept in a folder, if there is one; what this process has found there is not looked for again."""
    return None if folder is None else KeptColors(Path(folder))


class Colors:
    """Asks a network about small lumas, unless it was asked before."""

    def __init__(self, engine: Engine, vividness: float | None, kept: KeptColors | None = None) -> None:
        """Look at what is kept."""
        self._engine, self._vividness, self._kept = engine, vividness, kept
        self._fresh: dict[bytes, Floats] = {}
        self._context = f"{engine.info.sha256} {vividness}".encode()
        if kept is not None:
            kept.look()

    def of(self, lumas: Sequence[Floats]) -> list[Floats]:
        """The chroma of lumas of one size, H x W, each h x w x 2.

        Raises:
            EngineError: the network failed.
            DiskFullError, OutputError: what it said cannot be kept.
        """
        keys = [self._key(luma) for luma in lumas]
        found = {key: chroma for key in keys if (chroma := self._known(key)) is not None}
        missing = {key: luma for key, luma in zip(keys, lumas, strict=True) if key not in found}
        if missing:
            answers = propose_batch(self._engine, np.stack(list(missing.values())), self._vividness)
            new = dict(zip(missing, np.rint(answers / STEP).astype(np.float32) * np.float32(STEP), strict=True))
            found |= new
            self._fresh |= new
        if len(self._fresh) >= MOST_HELD:
            self.keep()
        return [found[key] for key in keys]

    def keep(self) -> None:
        """Write what is new. Raises DiskFullError, OutputError."""
        if self._kept is not None and self._fresh:
            self._kept.add(self._fresh)
        self._fresh = {}

    def _key(self, luma: Floats) -> bytes:
        told = hashlib.blake2b(self._context + str(luma.shape).encode(), digest_size=KEY_BYTES)
        told.update(np.ascontiguousarray(luma).data)
        return told.digest()

    def _known(self, key: bytes) -> Floats | None:
        if key in self._fresh or self._kept is None:
            return self._fresh.get(key)
        return self._kept.get(key)
