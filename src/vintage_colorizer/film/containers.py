"""Containers of results, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vintage_colorizer.errors import OptionError
from vintage_colorizer.files import readable_name

_MP4_AUDIO = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "flac", "opus"})
_PCM = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_u8"})
_FAST_START = (("movflags", "faststart"),)
_NO_SHIFT = (("avoid_negative_ts", "disabled"),)  # else sound that begins before 0 moves the picture


@dataclass(frozen=True)
class Kind:
    """A kind of file a result can be; `None` where anything goes."""

    format: str
    codecs: tuple[str, ...]  # of ours; the first is the default
    audio: frozenset[str] | None
    audio_fallback: str
    subtitles: frozenset[str]
    text_subtitles: str  # what text subtitles become that it cannot hold
    options: tuple[tuple[str, str], ...] = ()
    attachments: bool = False
    data: bool = False  # whether it may hold streams of neither picture, sound nor text


MP4 = Kind(
    format="mp4",
    codecs=("h264", "h265", "av1", "vp9"),
    audio=_MP4_AUDIO,
    audio_fallback="aac",
    subtitles=frozenset({"mov_text", "dvd_subtitle"}),
    text_subtitles="mov_text",
    options=_FAST_START,
    data=True,
)
MOV = Kind(
    format="mov",
    codecs=("h264", "h265", "prores", "dnxhr", "ffv1"),
    audio=_MP4_AUDIO - {"opus", "flac"} | _PCM,
    audio_fallback="aac",
    subtitles=frozenset({"mov_text"}),
    text_subtitles="mov_text",
    options=_FAST_START,
    data=True,
)
MKV = Kind(
    format="matroska",
    codecs=("h264", "h265", "vp9", "av1", "ffv1", "prores"),
    audio=None,
    audio_fallback="flac",
    subtitles=frozenset({"subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}),
    text_subtitles="subrip",
    options=_NO_SHIFT,
    attachments=True,
)
WEBM = Kind(
    format="webm",
    codecs=("vp9", "av1"),
    audio=frozenset({"opus", "vorbis"}),
    audio_fallback="libopus",
    subtitles=frozenset({"webvtt"}),
    text_subtitles="webvtt",
    options=_NO_SHIFT,
)
KINDS = {".mp4": MP4, ".m4v": MP4, ".mov": MOV, ".mkv": MKV, ".webm": WEBM}


def kind_of(target: Path, codec: str | None) -> tuple[Kind, str]:
    """The kind of file a name asks for, and the codec to use in it.

    Raises:
        OptionError: no such kind can be written, or it cannot hold the codec.
    """
    kind = KINDS.get(target.suffix.lower())
    if kind is None:
        raise OptionError(f"cannot be written: name the film {', '.join(KINDS)}.", readable_name(target))
    if codec is not None and codec not in kind.codecs:
        raise OptionError(
            f"A {target.suffix} film cannot hold {codec}; it can hold {', '.join(kind.codecs)}, or use .mkv."
        )
    return kind, codec or kind.codecs[0]
