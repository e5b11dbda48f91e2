"""Engines run a network file: small luma in, small chroma out.

A network file is ONNX and obeys one contract, so the code here is the same for all of them: input `luma` [N, 1, H, W]
and, where the network has them, `vividness` [1] and `hints` [N, 3, H/stride, W/stride]; output `chroma`
[N, 2, H/stride, W/stride] and, where the network has them, `posterior` [N, bins, H/stride, W/stride] and `features`
[N, C, H/stride, W/stride]. Its metadata says the rest (see NetworkInfo).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vintage_colorizer.color import Floats
from vintage_colorizer.errors import EngineError, MissingError, OptionError, OutOfMemoryError, WeightsError
from vintage_colorizer.files import sha256_of

log = logging.getLogger("vintage_colorizer")

CELL = 16  # pixels of working size a step of the render factor stands for, as in DeOldify
MAX_FILE_BYTES = 2 * 1024**3 - 1  # what one ONNX file can hold
PROVIDERS = {"cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider", "cpu": "CPUExecutionProvider"}


@dataclass(frozen=True)
class NetworkInfo:
    """What a network file says of itself in its metadata, and the file's hash."""

    name: str
    network: str
    architecture: str
    stride: int
    multiple: int
    fit: str
    render_factor: int
    license: str
    version: str
    has_vividness: bool
    sha256: str
    has_hints: bool = False
    has_features: bool = False  # it describes places
    bins: tuple[tuple[float, float], ...] = ()  # Lab a, b of the colors in the posterior; empty if it has none

    def working_size(self, height: int, width: int, render_factor: int) -> tuple[int, int]:
        """Size (height, width) at which the network sees a picture, before padding to `multiple`.

        `square` networks ignore the aspect. For the others the longer side is 16 x render
        factor and the other one in proportion, in whole strides so that chroma can be cropped exactly.
        """
        longest = CELL * render_factor
        if self.fit == "square":
            return longest, longest

        def fitted(side: int) -> int:
            steps = round(longest * side / max(height, width) / self.stride)
            return max(self.multiple, steps * self.stride)

        return fitted(height), fitted(width)


class Engine(Protocol):
    """Something that runs one network."""

    info: NetworkInfo
    device: str
    threads: int

    def chroma(self, luma: Floats, vividness: float | None = None, hints: Floats | None = None) -> Floats:
        """Propose chroma [N, 2, H/stride, W/stride] for luma [N, 1, H, W], 0..1, sides multiples of `multiple`.

        `hints` [N, 3, H/stride, W/stride] are U and V times how sure, 0..1, and how sure; 0 where there is none.

        Raises:
            OptionError: there are hints, and the network does not take any.
            OutOfMemoryError: it does not fit into memory at this size.
            EngineError: the network failed or returned something that is not a number.
        """
        ...

    def proposal(
        self, luma: Floats, vividness: float | None = None, hints: Floats | None = None
    ) -> tuple[Floats, Floats | None]:
        """Chroma and, if the network says it, the posterior with it, in one run. Raises as `chroma`."""
        ...

    def posterior(self, luma: Floats, hints: Floats | None = None) -> Floats:
        """How likely each color of `info.bins` is, [N, bins, H/stride, W/stride], for luma and hints as in `chroma`.

        Raises as `chroma`; OptionError if the network does not say.
        """
        ...

    def features(self, luma: Floats) -> Floats:
        """What describes each place of luma [N, 1, H, W]: vectors of length 1, [N, C, H/stride, W/stride].

        Raises as `chroma`; OptionError if the network does not describe places.
        """
        ...


class OnnxEngine:
    """Runs a network with ONNX Runtime; may be called from several threads at once."""

    def __init__(
        self,
        path: Path,
        *,
        sha256: str | None = None,
        tensors: Path | None = None,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        """Load the network.

        Args:
            path: the ONNX file.
            sha256: what the file must hash to; None for a file of the user's own.
            tensors: the file of ours that holds the network's weights, checked by the caller, if `path` does not.
            device: auto, cpu, cuda or mps.
            threads: processor threads inside one call; all of them by default.

        Raises:
            MissingError: there is no such file.
            WeightsError: it is not a network that obeys the contract.
            OptionError: the device is not there.
        """
        data = read_network(path)
        found = verified(path, data, sha256)
        self.threads = threads or os.cpu_count() or 1
        # By its path ONNX Runtime finds the tensors, and maps them into memory instead of copying them.
        self._session = open_session(path, str(path) if tensors else data, _choose_device(device), self.threads)
        self._how = _only_what_is_asked()
        self.device = _device_of(self._session)
        if device not in ("auto", self.device):
            raise OptionError(f"ONNX Runtime could not start {device}; check its drivers and libraries, or use cpu.")
        inputs, outputs = (
            {one.name for one in slots} for slots in (self._session.get_inputs(), self._session.get_outputs())
        )
        if not {"luma"} <= inputs <= {"luma", "vividness", "hints"} or "chroma" not in outputs:
            raise WeightsError(f"{path} is not a colorizing network: it must turn 'luma' into 'chroma'.")
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.info = _describe(path, metadata, inputs, outputs, found)

    def chroma(self, luma: Floats, vividness: float | None = None, hints: Floats | None = None) -> Floats:
        """Propose chroma; see Engine."""
        return self._run({"chroma": 2}, luma, vividness, hints)[0]

    def proposal(
        self, luma: Floats, vividness: float | None = None, hints: Floats | None = None
    ) -> tuple[Floats, Floats | None]:
        """Propose chroma, and say how likely colors are; see Engine."""
        if not self.info.bins:
            return self.chroma(luma, vividness, hints), None
        chroma, posterior = self._run({"chroma": 2, "posterior": len(self.info.bins)}, luma, vividness, hints)
        return chroma, posterior

    def posterior(self, luma: Floats, hints: Floats | None = None) -> Floats:
        """How likely each color is; see Engine."""
        if not self.info.bins:
            raise OptionError(f"The network {self.info.name} does not say how likely colors are; use another one.")
        return self._run({"posterior": len(self.info.bins)}, luma, None, hints)[0]

    def features(self, luma: Floats) -> Floats:
        """What describes each place; see Engine."""
        if not self.info.has_features:
            raise OptionError(f"The network {self.info.name} does not describe places; use another one.")
        return self._run({"features": None}, luma, None, None)[0]

    def _run(
        self, outputs: dict[str, int | None], luma: Floats, vividness: float | None, hints: Floats | None
    ) -> list[Floats]:
        """Outputs of the network, each N x planes x H/stride x W/stride, by their planes; None: it may have any."""
        inputs = {"luma": luma}
        if self.info.has_vividness:
            inputs["vividness"] = np.array([0.5 if vividness is None else vividness], dtype=np.float32)
        if self.info.has_hints:
            count, _, height, width = luma.shape
            cells = count, 3, height // self.info.stride, width // self.info.stride
            inputs["hints"] = np.zeros(cells, np.float32) if hints is None else hints
        elif hints is not None:
            raise _no_hints(self.info)
        try:
            found: list[Floats] = self._session.run(list(outputs), inputs, self._how)
        except Exception as error:  # the runtime's exceptions share no public base class
            raise _engine_error(error, self.info, luma.shape) from error
        pairs = zip(found, outputs.values(), strict=True)
        return [_sound(one, planes or one.shape[1], luma, self.info) for one, planes in pairs]


class TorchEngine:
    """Runs the weights of an imported network with PyTorch; may be called from several threads at once.

    On a GPU it computes in half precision, and again in full precision should that overflow.
    """

    def __init__(self, path: Path, *, device: str = "auto", threads: int | None = None) -> None:
        """Load the network.

        Args:
            path: a safetensors file with the metadata of a network file, as `weights import` writes it.
            device: auto, cpu, cuda or mps.
            threads: processor threads inside one call; all of them by default.

        Raises:
            MissingError: torch is not installed.
            WeightsError: the file is not such a network.
            OptionError: the device is not there.
        """
        try:
            import torch
            from safetensors import SafetensorError, safe_open
            from safetensors.torch import load_file

            from vintage_colorizer.networks.architectures import build_contract
        except ImportError as error:
            raise MissingError(
                "The torch engine needs PyTorch: run \"pip install 'vintage-colorizer[train]'\" or leave out --engine."
            ) from error
        self.device = _choose_torch_device(device)
        self.threads = threads or os.cpu_count() or 1
        torch.set_num_threads(self.threads)
        try:
            with safe_open(path, "pt") as file:
                self.info = _describe(path, file.metadata() or {}, set(), set(), sha256_of(path))
            contract = build_contract(self.info.architecture)
            contract.load_state_dict(load_file(path), assign=True)
        except (SafetensorError, RuntimeError, OSError) as error:
            raise WeightsError(f"{path} does not hold the weights of a network: {_first_line(error)}.") from error
        self._half = self.device == "cuda"
        self._contract = contract.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def chroma(self, luma: Floats, vividness: float | None = None, hints: Floats | None = None) -> Floats:
        """Propose chroma; see Engine."""
        if hints is not None:
            raise _no_hints(self.info)
        try:
            chroma = self._run(luma, self._half)
            if self._half and not np.isfinite(chroma).all():
                log.warning("half precision overflowed in %s; full precision is used from here on", self.info.name)
                self._half = False
                chroma = self._run(luma, half=False)
        except Exception as error:
            raise _engine_error(error, self.info, luma.shape) from error
        return _sound(chroma, 2, luma, self.info)

    def proposal(
        self, luma: Floats, vividness: float | None = None, hints: Floats | None = None
    ) -> tuple[Floats, Floats | None]:
        """Propose chroma; the original's networks say nothing more."""
        return self.chroma(luma, vividness, hints), None

    def posterior(self, luma: Floats, hints: Floats | None = None) -> Floats:
        """The original's networks paint, and do not say how likely colors are: raises OptionError."""
        raise OptionError(f"The network {self.info.name} does not say how likely colors are; use another one.")

    def features(self, luma: Floats) -> Floats:
        """They do not describe places either: raises OptionError."""
        raise OptionError(f"The network {self.info.name} does not describe places; use another one.")

    def _run(self, luma: Floats, half: bool) -> Floats:
        import torch

        planes = torch.from_numpy(luma).to(self.device, memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(self.device, torch.float16, enabled=half):
            chroma: Floats = self._contract(planes).float().cpu().numpy()
        return chroma


def describe_hardware(engine: Engine) -> str:
    """One line for the start of a run: what computes, and with how many threads."""
    return f"{engine.info.name} on {engine.device}, {engine.threads} thread{'s' if engine.threads != 1 else ''}"


def unused_gpu() -> str | None:
    """A sentence on what to install if this machine has an NVIDIA GPU that ONNX Runtime here cannot use."""
    import onnxruntime

    if not _has_nvidia():
        return None
    able = PROVIDERS["cuda"] in onnxruntime.get_available_providers()
    mend = "install the CUDA libraries that onnxruntime-gpu needs" if able else "replace onnxruntime by onnxruntime-gpu"
    return f"There is an NVIDIA GPU but it is not used; to use it, {mend}."


def _has_nvidia() -> bool:
    return os.path.exists("/proc/driver/nvidia/version") or shutil.which("nvidia-smi") is not None


def read_network(path: Path) -> bytes:
    """The bytes of a network file; MissingError if it cannot be read, WeightsError if it is too large."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise WeightsError(f"{path} is over 2 GiB and so cannot be a network file of ours.")
        return path.read_bytes()
    except OSError as error:
        raise MissingError(f"The network file {path} cannot be read ({error.strerror}); check the path.") from error


def verified(path: Path, data: bytes, wanted: str | None) -> str:
    """The file's SHA-256, which must be the one wanted, if one is; else nothing in the file may be dangerous."""
    sha256 = hashlib.sha256(data).hexdigest()
    if wanted is not None and sha256 != wanted:
        raise WeightsError(f"The network file {path} is damaged (its hash is wrong); install or import it again.")
    # A tensor kept in another file names it under the key "location". Such a file could read
    # anything the user can, so it is refused; networks that fit the contract hold all they need.
    if wanted is None and b"location" in data:
        raise WeightsError(f"{path} keeps weights in other files, which is refused; export it as one file.")
    return sha256


def _choose_device(device: str) -> str:
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if device == "auto":
        return "cuda" if PROVIDERS["cuda"] in available and _has_nvidia() else "cpu"
    if PROVIDERS[device] not in available:
        raise OptionError(f"ONNX Runtime here cannot use {device}; run 'vintage-colorizer doctor' to see what it can.")
    return device


def _choose_torch_device(device: str) -> str:
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[device]:
        raise OptionError(f"PyTorch here cannot use {device}; run 'vintage-colorizer doctor' to see what it can.")
    return device


def open_session(path: Path, network: str | bytes, device: str, threads: int) -> Any:
    """Load a network, given by its path or its bytes, into ONNX Runtime; WeightsError if it cannot be."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 4  # what matters comes as an exception
    # A plan of memory for each size seen is kept as one more block: twice the memory, for no time saved.
    settings.enable_mem_pattern = False
    # Threads that wait by spinning would take the processor from those that decode and encode.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(network, settings, providers=[PROVIDERS[device]])
    except Exception as error:
        raise WeightsError(f"{path} is not a network ONNX Runtime can load: {_first_line(error)}.") from error


def _only_what_is_asked() -> Any:
    """Options of a run that leave out what leads to other outputs."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options


def _device_of(session: Any) -> str:
    """Where a session really runs: the runtime falls back on the processor without an error."""
    used = session.get_providers()[0]
    return next((device for device, provider in PROVIDERS.items() if provider == used), "cpu")


def _describe(path: Path, metadata: Mapping[str, str], inputs: set[str], outputs: set[str], sha256: str) -> NetworkInfo:
    try:
        bins = json.loads(metadata["bins"]) if "posterior" in outputs else []
        info = NetworkInfo(
            name=metadata["name"],
            network=metadata["network"],
            architecture=metadata["architecture"],
            stride=int(metadata["stride"]),
            multiple=int(metadata["multiple"]),
            fit=metadata["fit"],
            render_factor=int(metadata["render_factor"]),
            license=metadata["license"],
            version=metadata["version"],
            has_vividness="vividness" in inputs,
            sha256=sha256,
            has_hints="hints" in inputs,
            has_features="features" in outputs,
            bins=tuple((float(a), float(b)) for a, b in bins),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} is no colorizing network: its metadata lack or garble {error}.") from error
    whole = info.stride > 0 and info.multiple > 0 and info.multiple % info.stride == 0
    if not whole or info.render_factor not in range(7, 65):
        raise WeightsError(f"{path} is no colorizing network: its stride, multiple or render factor makes no sense.")
    if info.fit not in ("aspect", "square"):
        raise WeightsError(f"{path} is no colorizing network: it fits pictures in an unknown way.")
    return info


def _no_hints(info: NetworkInfo) -> OptionError:
    return OptionError(f"The network {info.name} takes no hints; use the embedded one, or leave the hints out.")


def _sound(found: Floats, planes: int, luma: Floats, info: NetworkInfo) -> Floats:
    count, _, height, width = luma.shape
    if found.shape != (count, planes, height // info.stride, width // info.stride):
        raise EngineError(f"The network {info.name} returned an output of shape {found.shape}; use another one.")
    if not np.isfinite(found).all():
        raise EngineError(
            f"The network {info.name} returned values that are not numbers; try another --device or --engine."
        )
    return found


def _engine_error(error: Exception, info: NetworkInfo, shape: tuple[int, ...]) -> EngineError:
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in text for sign in ("bad_alloc", "allocat", "out of memory")):
        return OutOfMemoryError(f"There is not enough memory for {info.name} at {shape[-1]} x {shape[-2]} pixels.")
    return EngineError(f"The network {info.name} failed: {_first_line(error)}.")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300].rstrip(".")
