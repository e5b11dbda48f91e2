"""Asking a network: which one, at which size, and what to do when memory is short."""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels
from vintage_colorizer.errors import OptionError, OutOfMemoryError
from vintage_colorizer.hints import Hint, painted
from vintage_colorizer.networks import catalog, weights
from vintage_colorizer.networks.catalog import PHOTO_LOOK, LookSettings
from vintage_colorizer.networks.engines import (
    CELL,
    Engine,
    NetworkInfo,
    OnnxEngine,
    TorchEngine,
    describe_hardware,
    unused_gpu,
)
from vintage_colorizer.networks.guides import Described, Guide, compared_size, small_chroma
from vintage_colorizer.networks.weights import LocalNetwork
from vintage_colorizer.options import ColorOptions, Look

log = logging.getLogger("vintage_colorizer")

LITTLE_COLOR = 0.01  # mean chroma below this, 2.5 levels of 255, looks grey
LITTLE_COLOR_NOTE = "little color: try another look, render factor or vividness"
AUTO_STEPS = (0.625, 0.75, 1.0, 1.25)  # sizes `auto` compares, times the look's own render factor
LOWEST_FACTOR = 7
PANORAMA = (4, 40)  # between these aspects; longer ones are strips of pixels rather than pictures


@dataclass(frozen=True)
class Proposal:
    """What a network proposes for a picture."""

    chroma: Floats  # h x w x 2 (U, V), small
    render_factor: int  # at which it was made
    entropy: Floats | None = None  # h x w: how unsure it is, see `entropy_of`; None if it does not say
    notes: tuple[str, ...] = ()  # what a lack of memory forced


class Networks:
    """Loads each network once, on first use; safe between threads. Sent to another process, it loads anew there."""

    def __init__(self) -> None:
        self._engines: dict[tuple[str | int | None, ...], Engine] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Networks], tuple[()]]:
        return type(self), ()

    def engine(self, options: ColorOptions) -> Engine:
        """Return the engine these options ask for; see `load_engine` for what it raises."""
        look = None if options.weights or options.network == "compact" else options.look or PHOTO_LOOK
        key = (options.weights or options.network, look, options.engine, options.device, options.threads)
        with self._lock:
            if key not in self._engines:
                engine = load_engine(options)
                self._engines[key] = engine
                log.info("Coloring with %s.", describe_hardware(engine))
                if engine.device == "cpu" and options.device == "auto" and (advice := unused_gpu()):
                    log.warning("%s", advice)
            return self._engines[key]

    def propose(
        self, pixels: Pixels, options: ColorOptions, settings: LookSettings, hints: Sequence[Hint] = ()
    ) -> Proposal:
        """Ask for the chroma of a picture, at smaller sizes or on the processor when memory is short.

        A network that takes no hints is not told any, nor one that colors better without.

        Raises:
            OutOfMemoryError: nothing helped.
            EngineError: the network failed.
        """
        engine = self.engine(options)
        hints = () if engine.info.sha256 in catalog.TOLD_NO_HINTS else hints
        wanted = options.render_factor or settings.render_factor
        notes: list[str] = []
        if wanted == "auto":
            try:
                return choose_render_factor(engine, pixels, settings, hints)
            except OutOfMemoryError as error:
                notes.append("not enough memory to compare render factors")
                log.warning("%s", error)
                wanted = settings.render_factor
        for factor in _ladder(wanted):
            try:
                found = propose(engine, pixels, factor, settings.vividness, hints)
                return dataclasses.replace(found, notes=tuple(notes))
            except OutOfMemoryError as error:
                notes.append(f"not enough memory at render factor {factor}")
                log.warning("%s", error)
        if engine.device == "cpu":
            raise OutOfMemoryError(f"There is not enough memory for {engine.info.name} even at render factor {factor}.")
        cpu = self.engine(options.replace(device="cpu"))
        notes.append("the processor was used, as the GPU has too little memory")
        return dataclasses.replace(propose(cpu, pixels, wanted, settings.vividness, hints), notes=tuple(notes))

    def describe(self, pixels: Pixels, options: ColorOptions) -> Described:
        """A picture as the embedded network describes its places, whatever network colors it."""
        engine = self.describer(options)
        return Described.of(engine, small_luma(pixels, *compared_size(engine, *pixels.shape[:2])))

    def describer(self, options: ColorOptions) -> Engine:
        """The engine that describes places: that of the embedded network."""
        return self.engine(ColorOptions(device=options.device, threads=options.threads))

    def guide(self, pixels: Pixels, options: ColorOptions, settings: LookSettings, name: str) -> Guide:
        """What a picture in color teaches; OptionError if it has no color."""
        described = self.describe(pixels, options)
        chroma = small_chroma(pixels, *described.features.shape[:2])
        if color.strength(chroma) < LITTLE_COLOR:
            raise OptionError(f"The reference {name} has no color to follow; name a picture in color.")
        return Guide.of(described, chroma, self.propose(pixels, options, settings).chroma)


def load_engine(options: ColorOptions) -> Engine:
    """Load the network these options ask for into the engine they ask for.

    Raises:
        MissingError: the network or a package is not here.
        WeightsError: the network file is damaged, or is not a network.
        OptionError: the engine cannot run this network, or the device is not there.
    """
    if options.weights:
        network = LocalNetwork(Path(options.weights))
    else:
        network = weights.find(options.network, options.look or PHOTO_LOOK)
    if options.engine != "torch":
        return OnnxEngine(
            network.path,
            sha256=network.sha256,
            tensors=network.tensors,
            device=options.device,
            threads=options.threads,
        )
    if network.tensors is None and network.path.suffix != ".safetensors":
        raise OptionError(f"The torch engine cannot run {network.path.name}; leave out --engine.")
    return TorchEngine(network.tensors or network.path, device=options.device, threads=options.threads)


def propose(
    engine: Engine, pixels: Pixels, render_factor: int, vividness: float | None, hints: Sequence[Hint] = ()
) -> Proposal:
    """Ask for small chroma that covers exactly the picture; a panorama is seen in squares."""
    height, width = pixels.shape[:2]
    if PANORAMA[0] < max(height, width) / min(height, width) <= PANORAMA[1]:
        planes = _planes_of_panorama(engine, pixels, render_factor, vividness, hints)
    else:
        luma = small_luma(pixels, *engine.info.working_size(height, width, render_factor))
        planes = _planes(engine, luma, vividness, _told(engine, hints, luma))
    entropy = planes[..., 2] if planes.shape[-1] > 2 else None
    return Proposal(np.ascontiguousarray(planes[..., :2]), render_factor, entropy)


def _planes(engine: Engine, luma: Floats, vividness: float | None, told: Floats | None) -> Floats:
    """What a network says of luma of its working size, H x W: U, V and, if it says so, its entropy, h x w x 2 or 3."""
    padded, hints = _padded(engine, luma[None], told)
    chroma, posterior = engine.proposal(padded, vividness, hints)
    planes = chroma[0] if posterior is None else np.concatenate([chroma[0], entropy_of(posterior[0])[None]])
    height, width = (side // engine.info.stride for side in luma.shape)
    return np.asarray(np.moveaxis(planes[:, :height, :width], 0, -1))


def entropy_of(posterior: Floats) -> Floats:
    """How unsure a posterior over colors, bins x h x w, is, in parts of the greatest there can be: h x w; 0 is sure."""
    likely = np.maximum(posterior, 1e-12)
    return np.asarray(-(likely * np.log(likely)).sum(axis=0) / np.log(len(posterior)), np.float32)


def _told(engine: Engine, hints: Sequence[Hint], luma: Floats) -> Floats | None:
    """Hints as a network is told of them beside luma of its working size, 1 x 3 x h x w; None if it is not."""
    if not hints or not engine.info.has_hints:
        return None
    height, width = (side // engine.info.stride for side in luma.shape)
    return painted(hints, cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA))[None]


def _planes_of_panorama(
    engine: Engine, pixels: Pixels, render_factor: int, vividness: float | None, hints: Sequence[Hint]
) -> Floats:
    """As `_planes`, in squares that overlap by half and fade into each other.

    Seen at once, a panorama would be a few pixels high, or squeezed into a square that looks like nothing known.
    """
    height, width = pixels.shape[:2]
    axis, side, stride = int(width > height), CELL * render_factor, engine.info.stride
    cells = side // stride
    length = round(cells * max(height, width) / min(height, width))
    shape = (length, cells) if axis == 0 else (cells, length)
    luma = small_luma(pixels, shape[0] * stride, shape[1] * stride)
    grid = _told(engine, hints, luma)
    count = math.ceil(2 * length / cells) - 1
    fade = 1 - np.abs(2 * (np.arange(cells) + 0.5) / cells - 1)
    total, weights = np.zeros((*shape, 3 if engine.info.bins else 2)), np.zeros(length)
    for first in np.linspace(0, length - cells, count).round().astype(int):
        square = luma.take(range(first * stride, first * stride + side), axis)
        told = None if grid is None else grid.take(range(first, first + cells), 2 + axis)
        planes = _planes(engine, square, vividness, told)
        np.moveaxis(total, axis, 0)[first : first + cells] += np.moveaxis(planes, axis, 0) * fade[:, None, None]
        weights[first : first + cells] += fade
    return np.asarray(total / np.expand_dims(weights, (1 - axis, 2)), dtype=np.float32)


def propose_batch(engine: Engine, lumas: Floats, vividness: float | None) -> Floats:
    """Ask the network once about pictures of its working size: luma N x H x W to chroma N x h x w x 2."""
    height, width = lumas.shape[1:]
    stride = engine.info.stride
    padded, _ = _padded(engine, lumas, None)
    chroma = engine.chroma(padded, vividness)
    return np.asarray(np.moveaxis(chroma[..., : height // stride, : width // stride], 1, -1))


def ask_posterior(engine: Engine, luma: Floats, hints: Sequence[Hint] = ()) -> Floats:
    """How likely colors are for luma of a working size, h x w: bins x h/stride x w/stride.

    Raises:
        OptionError: the network does not say.
        EngineError: it failed.
    """
    height, width = luma.shape
    padded, told = _padded(engine, luma[None], _told(engine, hints, luma))
    posterior = engine.posterior(padded, told)[0]
    return np.asarray(posterior[:, : height // engine.info.stride, : width // engine.info.stride])


def _padded(engine: Engine, lumas: Floats, hints: Floats | None) -> tuple[Floats, Floats | None]:
    """Luma N x 1 x H x W, and hints with it, with sides an engine takes."""
    multiple, stride = engine.info.multiple, engine.info.stride
    down, right = (-side % multiple for side in lumas.shape[1:])
    if hints is not None:
        hints = np.pad(hints, ((0, 0), (0, 0), (0, down // stride), (0, right // stride)))
    return np.pad(lumas, ((0, 0), (0, down), (0, right)), mode="edge")[:, None], hints


def choose_render_factor(
    engine: Engine, pixels: Pixels, settings: LookSettings, hints: Sequence[Hint] = ()
) -> Proposal:
    """Render at several sizes and keep the one the others agree with most.

    A wrong color, such as a hand left grey, is usually wrong at one size and right at the rest, so
    the proposal nearest to the mean of all is the safest. `benchmarks/render_factor.py` judges it.
    """
    factors = sorted({min(64, max(LOWEST_FACTOR, round(step * settings.render_factor))) for step in AUTO_STEPS})
    proposals = []
    for factor in factors:
        try:
            proposals.append(propose(engine, pixels, factor, settings.vividness, hints))
        except OutOfMemoryError:
            if not proposals:
                raise
            break
    height, width = proposals[0].chroma.shape[:2]
    comparable = np.stack([color.upsample(one.chroma, height, width) for one in proposals])
    distances = np.abs(comparable - comparable.mean(axis=0)).mean(axis=(1, 2, 3))
    return proposals[int(np.argmin(distances))]


def settings_of(options: ColorOptions, look: Look, info: NetworkInfo) -> LookSettings:
    """The look's settings with this network, overridden by the options.

    Raises:
        OptionError: vividness is asked of a network that has no such input.
    """
    plain = LookSettings(render_factor=info.render_factor, vividness=None)
    settings = catalog.LOOKS.get((info.network, look), plain)
    if options.vividness is None:
        return settings
    if not info.has_vividness:
        raise OptionError(f"The network {info.name} has no vividness; use --saturation instead.")
    return dataclasses.replace(settings, vividness=options.vividness)


def small_luma(pixels: Pixels, height: int, width: int) -> Floats:
    """Luma of the picture shrunk (or enlarged) to height x width, float32, 0..1: what a network sees."""
    image = Image.fromarray(color.eight_bit(pixels))
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return color.luma(np.asarray(small))


def _ladder(render_factor: int) -> list[int]:
    """The factor asked for, then smaller ones to fall back to when memory is short."""
    steps = [render_factor]
    while steps[-1] > LOWEST_FACTOR:
        steps.append(max(LOWEST_FACTOR, steps[-1] * 3 // 4))
    return steps
