"""Sound that cannot be copied: decoded, and encoded as the new container can hold it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av

LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 8: "7.1"}  # by number of channels
BIT_RATE = 96_000  # a channel
GAP_SECONDS = 0.1  # of missing sound that is filled with silence
RATES = {  # an encoder's only sampling rates, where not all will do
    "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
    "libopus": (48000,),
}


def sound_converter(stream: Any, out: Any, codec: str) -> tuple[Any, Callable[[Any], list[Any]]]:
    """Add a stream of sound to `out`; return it, and what turns packets of `stream` into its packets.

    Where sound is missing, silence keeps the rest in its place. Lossless sound of more than 16 bits keeps 24 in FLAC.

    Raises:
        ValueError: too little is known of the sound.
    """
    context = stream.codec_context
    if not context.sample_rate or not context.layout.nb_channels:
        raise ValueError("its sampling rate is not known")
    rates = RATES.get(codec, (context.sample_rate,))
    rate = next((one for one in rates if one >= context.sample_rate), rates[-1])
    layout = LAYOUTS.get(context.layout.nb_channels, "stereo")
    encoder: Any = out.add_stream(codec, rate=rate, layout=layout)
    if codec != "flac":
        encoder.bit_rate = BIT_RATE * encoder.layout.nb_channels
    elif context.name.startswith("pcm") and context.format.bytes > 2:
        encoder.format = "s32"
    resampler = av.AudioResampler(format=encoder.format, layout=layout, rate=rate)
    sound = _Sound(encoder, rate)

    def convert(packet: Any) -> list[Any]:
        try:
            frames = packet.decode()
        except av.error.FFmpegError:  # a damaged packet becomes silence
            frames = []
        made = [one for frame in frames for resampled in resampler.resample(frame) for one in sound.add(resampled)]
        return made + (sound.finish() if packet.size == 0 else [])

    return encoder, convert


class _Sound:
    """Feeds an audio encoder frames of the size it wants, with times that follow from the samples before."""

    def __init__(self, encoder: Any, rate: int) -> None:
        self._encoder, self._rate = encoder, rate
        self._fifo = av.AudioFifo()
        self._origin: int | None = None  # time of the first sample, in samples
        self._taken = self._given = 0  # samples

    def add(self, frame: Any) -> list[Any]:
        if frame.pts is not None:
            time = round(frame.pts * frame.time_base * self._rate)
            self._origin = time if self._origin is None else self._origin
            missing = time - self._origin - self._taken
            if missing > GAP_SECONDS * self._rate:
                self._take(_silence_like(frame, missing))
        self._take(frame)
        return self._encode(partial=False)

    def finish(self) -> list[Any]:
        return [*self._encode(partial=True), *self._encoder.encode(None)]

    def _take(self, frame: Any) -> None:
        frame.pts = None
        self._fifo.write(frame)
        self._taken += frame.samples

    def _encode(self, partial: bool) -> list[Any]:
        packets = []
        for frame in self._fifo.read_many(self._encoder.codec_context.frame_size or 1024, partial=partial):
            frame.pts = (self._origin or 0) + self._given
            frame.time_base = Fraction(1, self._rate)
            self._given += frame.samples
            packets += self._encoder.encode(frame)
        return packets


def _silence_like(frame: Any, samples: int) -> Any:
    silence = av.AudioFrame(format=frame.format.name, layout=frame.layout.name, samples=samples)
    for plane in silence.planes:
        plane.update(bytes(plane.buffer_size))
    silence.sample_rate = frame.sample_rate
    return silence
