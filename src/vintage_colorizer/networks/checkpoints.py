"""Reading other people's weights files safely: nothing in them can run, and nothing doubtful gets through.

A file is sniffed by its first bytes, loaded by PyTorch's restricted loader, compared key by key with the networks
of the original, and searched for numbers that are none.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vintage_colorizer.errors import MissingError, WeightsError

if TYPE_CHECKING:
    import torch

MAX_BYTES = 4 * 1024**3  # a wide generator with its optimizer's state is 2.6 GB
MAX_HEADER_BYTES = 10 * 1024**2  # of safetensors; ours are under 0.1 MB
ZIP, LEGACY = b"PK\x03\x04", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
WEB_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")
ARCHITECTURES = {"artistic": ("artistic",), "stable": ("stable", "video")}  # and the looks each can serve


def read_checkpoint(path: Path) -> tuple[str, dict[str, torch.Tensor]]:
    """Read a generator of the original from a .pth file of either container, or from safetensors.

    Returns:
        The architecture, "artistic" or "stable" (the network of video too), and its state dict, float32 on the CPU.

    Raises:
        MissingError: there is no such file, or torch is not installed.
        WeightsError: it is not a weights file, damaged, dangerous, of another network, or not finite.
    """
    kind = sniff(path)
    state = _load_safetensors(path) if kind == "safetensors" else _load_torch(path, zipped=kind == "zip")
    if isinstance(state, Mapping) and set(state) == {"model", "opt"}:
        state = state["model"]
    architecture = _recognize(path, state)
    return architecture, _checked(path, state)


def sniff(path: Path) -> str:
    """What container a file is by its first bytes, and not its name: "zip", "legacy" or "safetensors".

    Raises:
        MissingError: it cannot be read.
        WeightsError: it is no weights file; the message says what it looks like.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(64)
        size = path.stat().st_size
    except OSError as error:
        raise MissingError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    if size > MAX_BYTES:
        raise WeightsError(f"{path} is over 4 GiB, more than any weights file of the original.")
    if head.startswith(ZIP):
        return "zip"
    if head.startswith(LEGACY):
        return "legacy"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < min(size, MAX_HEADER_BYTES):
        return "safetensors"
    raise WeightsError(f"{path} is not a weights file ({_looks_like(head)}); download it again.")


def _looks_like(head: bytes) -> str:
    if not head:
        return "it is empty"
    if head.lstrip().lower().startswith(WEB_PAGES):
        return "it looks like a web page"
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, which only names the real file"
    return "it does not begin like one"


def _load_torch(path: Path, zipped: bool) -> Any:
    import torch

    if zipped:
        _check_zip(path)
    try:
        # Files of the original hold learning rates as slices: harmless, and all that is allowed besides tensors.
        with torch.serialization.safe_globals([slice]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make the loader raise anything
        if "GLOBAL" in str(error) or "Unsupported" in str(error):  # what the restricted loader calls objects
            raise WeightsError(
                f"{path} is refused: it asks for code to be run, or is damaged; get it from a source you trust."
            ) from error
        raise WeightsError(f"{path} is damaged or incomplete; download it again.") from error


def _check_zip(path: Path) -> None:
    """Refuse an archive that would grow: PyTorch stores tensors uncompressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise WeightsError(f"{path} is damaged or incomplete; download it again.") from error
    if unpacked > path.stat().st_size:
        raise WeightsError(f"{path} is refused: it is compressed, which weights files of PyTorch are not.")


def _load_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, TypeError, OSError) as error:
        raise WeightsError(f"{path} is damaged or incomplete; download it again.") from error


def _recognize(path: Path, state: Any) -> str:
    """Which architecture has exactly these keys and shapes."""
    import torch

    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no weights: it is not a table of tensors.")
    found = {str(key): tuple(value.shape) for key, value in state.items()}
    problems = {name: _differences(expected_shapes(name), found) for name in ARCHITECTURES}
    architecture = min(problems, key=lambda name: len(problems[name]))
    if not problems[architecture]:
        return architecture
    few = ", ".join(problems[architecture][:3])
    more = len(problems[architecture]) - 3
    raise WeightsError(
        f"{path} is not a generator of the original; against {architecture}: {few}"
        + (f" and {more} more differences." if more > 0 else ".")
    )


def _differences(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> list[str]:
    missing = [f"no {key}" for key in expected if key not in found]
    extra = [f"unknown {key[:80]}" for key in found if key not in expected]
    shapes = [
        f"{key} is {'x'.join(map(str, found[key]))}, not {'x'.join(map(str, shape))}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    return [*shapes, *missing, *extra]


def expected_shapes(architecture: str) -> dict[str, tuple[int, ...]]:
    """Every key of the original's file and the shape of its tensor."""
    import torch

    from vintage_colorizer.networks.architectures import build_generator

    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in build_generator(architecture).state_dict().items()}


def _checked(path: Path, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors as float32, counters left out of it, all finite."""
    checked = {}
    for key, value in state.items():
        counter = key.endswith("num_batches_tracked")
        if value.is_complex() or value.is_floating_point() == counter:
            raise WeightsError(f"{path} is damaged: {key} is of type {value.dtype}.")
        checked[key] = value if counter else value.float().contiguous()
        if not bool(checked[key].isfinite().all()):
            raise WeightsError(f"{path} is damaged: {key} holds values that are not numbers.")
    return checked
