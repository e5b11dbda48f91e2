"""Weights of the original: brought here, converted once, found by look.

The store is a folder of the user (VINTAGE_COLORIZER_HOME, else the usual place of the system). A converted network is
three files in it: NAME.safetensors holds the folded weights, NAME.onnx the graph that uses them, NAME.json their
hashes and where they came from.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from vintage_colorizer.errors import (
    MissingError,
    OptionError,
    OutputError,
    OutputExistsError,
    VintageColorizerError,
    WeightsError,
)
from vintage_colorizer.files import atomically, sha256_of
from vintage_colorizer.networks import catalog
from vintage_colorizer.networks.checkpoints import ARCHITECTURES, read_checkpoint, sniff
from vintage_colorizer.options import Look

if TYPE_CHECKING:
    import torch

    from vintage_colorizer.networks.architectures.deoldify import Deoldify
    from vintage_colorizer.networks.download import Progress


@dataclass(frozen=True)
class Record:
    """What is known of a converted network."""

    source_sha256: str
    published: bool
    onnx_sha256: str
    tensors_sha256: str


@dataclass(frozen=True)
class LocalNetwork:
    """A network file ready to run; `tensors` is the safetensors file that holds its weights, if it does not."""

    path: Path
    sha256: str | None = None
    tensors: Path | None = None


def home() -> Path:
    """The store: where converted networks lie."""
    if chosen := os.environ.get("VINTAGE_COLORIZER_HOME"):
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_data_dir("vintage-colorizer", appauthor=False))


def find(network: str, look: Look) -> LocalNetwork:
    """Find the file of a network for a look, and check the file of its weights.

    Raises:
        MissingError: it is not here; the message has the commands that bring it.
        WeightsError: it is damaged.
    """
    if network != "deoldify":
        row = catalog.NETWORKS[network]
        return LocalNetwork(row.path, row.sha256)
    record = _read_record(look)
    original = catalog.ORIGINALS[look]
    if record is None:
        raise MissingError(
            f"The deoldify network for the look {look} is not here: run 'vintage-colorizer weights fetch {look}', "
            f"or 'vintage-colorizer weights import {original.file}' if you have that file."
        )
    tensors = _stored(look, "safetensors")
    if sha256_of(tensors) != record.tensors_sha256:
        raise WeightsError(f"{tensors} is damaged (its hash is wrong); import or fetch the weights of {look} again.")
    return LocalNetwork(_stored(look, "onnx"), record.onnx_sha256, tensors)


def fetch(look: str, progress: Progress = lambda done, total: None) -> str:
    """Download the original's published file for a look and convert it; returns one line on what came of it.

    Raises:
        MissingError: torch is not installed, or no mirror gave the file.
        WeightsError, OutputError: as in `import_file`.
    """
    look = _checked_look(look)
    from vintage_colorizer.networks.download import download

    _require_torch()
    if (record := _read_record(look)) and record.published:
        return f"{look}: already here."
    file = download(catalog.ORIGINALS[look], home() / "downloads", progress)
    line = import_file(file)
    file.unlink()
    return line


def import_file(path: Path, look: str | None = None) -> str:
    """Convert a weights file of the original into the store; returns one line on what it was.

    Args:
        path: a .pth file, of either container of PyTorch, with or without optimizer, or a safetensors copy of it.
        look: which look it serves, if that cannot be told: only for wide generators that are not the published files.

    Raises:
        MissingError: torch is not installed, or there is no such file.
        WeightsError: the file is not weights, damaged, dangerous, or of another network.
        OptionError: `look` is needed and not given, or contradicts the file.
        OutputError: the store cannot be written.
    """
    wanted = None if look is None else _checked_look(look)
    sniff(path)  # before torch is even looked for: this is quick
    _require_torch()
    digest = sha256_of(path)
    published = next((name for name, remote in catalog.ORIGINALS.items() if remote.sha256 == digest), None)
    architecture, state = read_checkpoint(path)
    found = _look_of(path, architecture, published, wanted)
    _convert(found, architecture, state, digest, published is not None)
    kind = "the published file" if published else "not a published file"
    return f"{found}: imported {path.name}, {kind} (SHA-256 {digest})."


def verify() -> Iterator[tuple[str, bool, str]]:
    """Check every network file here against its hash: name, whether it is sound, and a remark."""
    for name, row in _embedded():
        yield name, sha256_of(row.path) == row.sha256, "embedded"
    for look in get_args(Look):
        try:
            record = _read_record(look)
            if record is not None:
                hashes = sha256_of(_stored(look, "onnx")), sha256_of(_stored(look, "safetensors"))
                sound = hashes == (record.onnx_sha256, record.tensors_sha256)
                yield f"deoldify-{look}", sound, _origin(record)
        except VintageColorizerError as error:
            yield f"deoldify-{look}", False, str(error)


def listing() -> Iterator[tuple[str, bool, str]]:
    """Every network: name, whether it is ready, and a remark."""
    for name, row in _embedded():
        yield name, row.path.is_file(), f"{row.about} (license: {row.license})"
    for look, remote in catalog.ORIGINALS.items():
        record = _read_record(look)
        remark = f"run 'vintage-colorizer weights fetch {look}' ({remote.bytes / 1e6:.0f} MB)"
        yield f"deoldify-{look}", record is not None, _origin(record) if record else remark


def _embedded() -> Iterator[tuple[str, catalog.NetworkFile]]:
    yield from catalog.NETWORKS.items()
    yield from ((Path(row.file).stem, row) for row in catalog.REPAIRS.values())


def export(name: str, target: Path) -> None:
    """Write a network of the catalog or the store as one self-contained ONNX file.

    Raises:
        OptionError: there is no such network.
        MissingError: it is not in the store, or torch is not installed.
        OutputExistsError: `target` exists; OutputError: it cannot be written.
    """
    if target.exists():
        raise OutputExistsError(f"{target} exists already; choose another name.")
    if name in catalog.NETWORKS:
        source = find(name, "stable")
    else:
        source = find("deoldify", _checked_look(name.removeprefix("deoldify-")))
    with atomically(target) as file:
        if source.tensors is None:
            with open(source.path, "rb") as embedded:
                shutil.copyfileobj(embedded, file)
        else:
            _require_torch()
            import onnx

            onnx.save_model(onnx.load(source.path), file)


def _checked_look(look: str) -> Look:
    if look not in catalog.ORIGINALS:
        raise OptionError(f"There is no look {look!r}; there are: {', '.join(catalog.ORIGINALS)}.")
    return look


def _require_torch() -> None:
    try:
        import onnxscript  # noqa: F401
        import torchvision  # noqa: F401
    except ImportError as error:
        raise MissingError(
            "Importing weights needs PyTorch: run \"pip install 'vintage-colorizer[train]'\" (running them does not)."
        ) from error


def _look_of(path: Path, architecture: str, published: Look | None, wanted: Look | None) -> Look:
    """Which look a file serves: by its hash, else by its architecture, else as told."""
    possible = (published,) if published else ARCHITECTURES[architecture]
    if wanted is not None and wanted not in possible:
        raise OptionError(f"{path} is for {' or '.join(possible)}, not for {wanted}; leave out --as or correct it.")
    if wanted is None and len(possible) > 1:
        raise OptionError(
            f"{path} is not a published file and could be for {' or '.join(possible)}; say which with --as."
        )
    return wanted or possible[0]  # type: ignore[return-value]


def _convert(look: Look, architecture: str, state: dict[str, torch.Tensor], digest: str, published: bool) -> None:
    """Fold a generator's weights and write the three files of the store; the record last, as it makes them count."""
    from safetensors.torch import save_file

    from vintage_colorizer.networks.architectures.contract import DeoldifyContract, export_onnx
    from vintage_colorizer.networks.architectures.tiled import TiledDeoldify

    generator = _folded(architecture, state)
    contract = DeoldifyContract(generator).eval()
    metadata = {
        "name": f"deoldify-{look}",
        "network": "deoldify",
        "look": look,
        "architecture": architecture,
        "stride": str(contract.stride),
        "multiple": str(contract.multiple),
        "fit": contract.fit,
        "render_factor": str(catalog.LOOKS["deoldify", look].render_factor),
        "vividness": "",
        "license": "MIT (DeOldify, Jason Antic)" if published else "that of the imported file",
        "recipe": "original",
        "version": digest[:12],
    }
    with _workshop() as folder:
        tensors, graph, record = (folder / _stored(look, suffix).name for suffix in ("safetensors", "onnx", "json"))
        save_file(contract.state_dict(), tensors, metadata)
        export_onnx(contract, graph, metadata, tensors, arranged=DeoldifyContract(TiledDeoldify(generator)))
        about = Record(digest, published, sha256_of(graph), sha256_of(tensors))
        record.write_text(json.dumps(asdict(about), indent=1))
        for file in (tensors, graph, record):
            os.replace(file, home() / file.name)


@contextmanager
def _workshop() -> Iterator[Path]:
    """A folder in the store for files in the making; it is gone in the end."""
    try:
        home().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home(), prefix=".importing-") as folder:
            yield Path(folder)
    except OSError as error:
        raise OutputError(
            f"{home()} cannot be written ({error.strerror or error}); free space or permit it."
        ) from error


def _folded(architecture: str, state: dict[str, torch.Tensor]) -> Deoldify:
    import torch

    from vintage_colorizer.networks.architectures.deoldify import BUILDERS
    from vintage_colorizer.networks.architectures.fold import fold

    with torch.device("meta"):
        generator = BUILDERS[architecture]()
    generator.load_state_dict(state, assign=True)
    return fold(generator)


def _stored(look: str, suffix: str) -> Path:
    return home() / f"deoldify-{look}.{suffix}"


def _read_record(look: str) -> Record | None:
    """The record of a converted network, or None where there is none."""
    path = _stored(look, "json")
    try:
        return Record(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{path} is damaged; import the weights of {look} again.") from error


def _origin(record: Record) -> str:
    return "the published file" if record.published else f"not a published file (SHA-256 {record.source_sha256})"
