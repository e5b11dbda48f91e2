from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from support import bad_files
from support.photos import DISCLOSURE, png_chunks, written
from vintage_colorizer.photo.metadata import (
    orientation,
    pack_resources,
    resolution,
    resources,
    upright,
    with_resolution,
)
from vintage_colorizer.photo.reading import probe, read_photo
from vintage_colorizer.photo.xmp import OTHER_PARTS_NOTE, SOURCE_TYPE, Disclosure, disclose, own_words

SOURCE_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="uuid:7" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/" tiff:Orientation="6" dc:source="Großmutter"/>'
    "</rdf:RDF></x:xmpmeta>" + " " * 2000 + '<?xpacket end="w"?>'
).encode()
IPTC = b"\x1c\x02\x78\x00\x07Grandma"


def jpeg_with_everything(turn: int = 6) -> bytes:
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC
    preview = b"8BIM\x04\x0c\0\0" + struct.pack(">I", 4) + b"grey"
    body = b"Photoshop 3.0\0" + resource + preview
    return bad_files.encoded(
        bad_files.grey(),
        "JPEG",
        exif=b"Exif\0\0" + bad_files.exif(turn, ">"),
        xmp=SOURCE_XMP,
        dpi=(300, 300),
        comment=b"from the attic",
        extra=b"\xff\xed" + struct.pack(">H", len(body) + 2) + body,
    )


def jpeg_segments(data: bytes) -> list[tuple[int, bytes]]:
    """An independent walk over the segments of a JPEG, up to its pixels."""
    segments, at = [], 2
    while data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        segments.append((data[at + 1], data[at + 4 : at + 2 + size]))
        at += 2 + size
    return segments


# --- EXIF -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_is_patched_in_place(order: str) -> None:
    before = bad_files.exif(6, order)
    after = upright(before, transposed=True)
    changed = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert len(changed) <= 8  # orientation, color space, two sizes, the link to the thumbnail
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + after)
    assert exif[0x0112] == 1
    assert exif[0x010F] == "Kodak 1"
    details = exif.get_ifd(0x8769)
    assert details[0x927C] == bad_files.MAKER_NOTE
    assert (details[0xA001], details[0xA002], details[0xA003]) == (1, 24, 40)
    assert not exif.get_ifd(1)
    assert after.index(bad_files.MAKER_NOTE) == before.index(bad_files.MAKER_NOTE)


@pytest.mark.parametrize("value", range(12))
def test_orientation_out_of_range_counts_as_upright(value: int) -> None:
    assert orientation(bad_files.exif(value)) == (value if 1 <= value <= 8 else 1)


@pytest.mark.parametrize("block", [b"", b"II*\0", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff" + bytes(30)])
def test_broken_exif_has_no_orientation(block: bytes) -> None:
    assert orientation(block) == 1


def test_a_jpeg_keeps_everything() -> None:
    result = written(read_photo(jpeg_with_everything()))
    segments = jpeg_segments(result)
    with Image.open(io.BytesIO(result)) as image:
        assert image.info["dpi"] == (300, 300)
        assert image.info["comment"] == b"from the attic"
        assert image.getexif().get_ifd(0x8769)[0x927C] == bad_files.MAKER_NOTE
    (photoshop,) = (body[14:] for kind, body in segments if kind == 0xED)
    assert {n: d for n, (_, d) in resources(photoshop).items()} == {1028: IPTC}
    (xmp,) = (body for kind, body in segments if body.startswith(b"http://ns.adobe.com/xap/1.0/"))
    assert "Großmutter".encode() in xmp
    assert b'tiff:Orientation="1"' in xmp
    assert SOURCE_TYPE.encode() in xmp


def test_strip_keeps_only_disclosure_profile_and_resolution() -> None:
    result = written(read_photo(jpeg_with_everything()), strip=True)
    assert probe(result).fingerprint == "f1"
    for secret in (b"Kodak", b"Gro\xc3", b"Grandma", b"attic", b"MAKER"):
        assert secret not in result
    with Image.open(io.BytesIO(result)) as image:
        assert "icc_profile" in image.info
        assert "exif" not in image.info
        assert image.info["dpi"] == (300, 300)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "AVIF"])
def test_metadata_moves_to_another_format(format: str) -> None:
    result = written(read_photo(jpeg_with_everything()), format)
    assert probe(result).fingerprint == "f1"
    assert "Großmutter".encode() in result
    with Image.open(io.BytesIO(result)) as image:
        image.load()
        exif = image.getexif()
        assert exif[0x010F] == "Kodak 1"
        assert exif.get(0x0112, 1) == 1
        assert exif.get_ifd(0x8769)[0x927C] == bad_files.MAKER_NOTE


@pytest.mark.parametrize("depth", [8, 16])
def test_png_keeps_text_exif_and_resolution(depth: int) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "Attic")
    text.add_itxt("Author", "写真")
    pixels = bad_files.grey().astype(np.uint16) * 257 if depth == 16 else bad_files.grey()
    block = bad_files.exif(3)
    source = bad_files.encoded(pixels, "PNG", pnginfo=text, exif=b"Exif\0\0" + block, dpi=(600, 600))
    chunks = png_chunks(written(read_photo(source)))
    kinds = [kind for kind, _ in chunks]
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
    assert max(i for i, kind in enumerate(kinds) if kind != b"IDAT" and kind != b"IEND") < kinds.index(b"IDAT")
    found = dict(chunks)
    assert found[b"IHDR"][8] == depth
    assert found[b"eXIf"] == upright(block, transposed=False)
    assert found[b"tEXt"] == b"Title\0Attic"
    assert ("写真".encode() in found[b"iTXt"]) and struct.unpack(">II", found[b"pHYs"][:8]) == (23622, 23622)


def test_tiff_keeps_tags_gps_iptc_and_text() -> None:
    exif = Image.Exif()
    exif[0x010E] = "Großmutter".encode("latin-1")
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "1931:05:01 12:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 12.5)})
    exif[0x8769] = exif[0x8825] = 0  # Pillow writes a directory that is also named among the tags
    exif[700], exif[33723] = SOURCE_XMP, IPTC
    source = bad_files.encoded(bad_files.grey(), "TIFF", exif=exif, dpi=(1200, 1200))
    with tifffile.TiffFile(io.BytesIO(written(read_photo(source)))) as tiff:
        page = tiff.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        assert page.tags[33723].value.rstrip(b"\0") == IPTC
        assert page.tags[282].value == (1200, 1)
        assert page.tags["ExifTag"].value["DateTimeOriginal"] == "1931:05:01 12:00:00"
        assert page.tags["GPSTag"].value["GPSLatitude"][:2] == (48, 1)
        assert 274 not in page.tags
        assert page.asarray().shape == (40, 24, 3)
        assert page.tags[270].value == "Großmutter"


# --- Resolution -----------------------------------------------------------------------------------------


def resolution_of(data: bytes) -> tuple[float, float]:
    """As an independent reader finds it: in the tags of a TIFF, in pHYs, in JFIF, else in EXIF."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if image.format in ("JPEG", "PNG", "TIFF"):
            x, y = image.info["dpi"]
            return float(x), float(y)
        exif = image.getexif()
        inches = {2: 1.0, 3: 2.54}[exif[296]]
        return float(exif[282]) * inches, float(exif[283]) * inches


def scanned_exif() -> bytes:
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 600, 300, 2
    return exif.tobytes()


SCANNED: dict[str, tuple[str, dict[str, Any]]] = {
    "TIFF": ("TIFF", {"dpi": (600, 300)}),
    "TIFF-centimeters": ("TIFF", {"tiffinfo": {282: 600 / 2.54, 283: 300 / 2.54, 296: 3}}),
    "TIFF-on-its-side": ("TIFF", {"tiffinfo": {274: 6}, "dpi": (300, 600)}),
    "JPEG": ("JPEG", {"dpi": (600, 300)}),
    "JPEG-on-its-side": ("JPEG", {"dpi": (300, 600), "exif": b"Exif\0\0" + bad_files.exif(6)}),
    "JPEG-exif": ("JPEG", {"exif": scanned_exif()}),
    "PNG": ("PNG", {"dpi": (600, 300)}),
    "BMP": ("BMP", {"dpi": (600, 300)}),
    "WEBP": ("WEBP", {"lossless": True, "exif": scanned_exif()}),
}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("name", SCANNED)
@pytest.mark.parametrize("strip", [False, True])
def test_resolution_survives_every_change_of_format(name: str, format: str, strip: bool) -> None:
    kind, options = SCANNED[name]
    photo = read_photo(bad_files.encoded(bad_files.grey(), kind, **options))
    assert resolution_of(written(photo, format, strip=strip)) == pytest.approx((600, 300), abs=0.02)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("turn", [1, 6])
def test_resolution_of_a_deep_tiff_survives(format: str, turn: int) -> None:
    dpi = (600, 300) if turn == 1 else (300, 600)
    source = bad_files.encoded(bad_files.grey().astype(np.uint16) * 257, "TIFF", dpi=dpi, tiffinfo={274: turn})
    assert resolution_of(written(read_photo(source), format)) == pytest.approx((600, 300), abs=0.02)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_no_resolution_is_made_up(format: str) -> None:
    for source in (bad_files.seed("JPEG"), bad_files.encoded(bad_files.grey(), "TIFF", tiffinfo={296: 1})):
        photo = read_photo(source)
        assert photo.metadata.dpi is None
        with Image.open(io.BytesIO(written(photo, format))) as image:
            assert 282 not in image.getexif()


@pytest.mark.parametrize("order", ["<", ">"])
def test_resolution_added_to_exif_moves_nothing(order: str) -> None:
    before = bad_files.exif(1, order)
    after = with_resolution(before, (600, 300))
    assert resolution(before) is None
    assert resolution(after) == (600, 300)
    assert resolution(with_resolution(after, (200.5, 200.5))) == (200.5, 200.5)
    assert after[8 : len(before)] == before[8:]
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + after)
    assert exif[0x010F] == "Kodak 1"
    assert exif.get_ifd(0x8769)[0x927C] == bad_files.MAKER_NOTE
    thumbnail = struct.unpack_from(order + "I", before, 8 + 2 + 4 * 12)
    assert (
        struct.unpack_from(order + "I", after, struct.unpack_from(order + "I", after, 4)[0] + 2 + 7 * 12) == thumbnail
    )


# --- XMP ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_bigtiff_keeps_its_tags(dtype: type[np.uint8] | type[np.uint16]) -> None:
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.zeros((24, 40), dtype),
        bigtiff=True,
        metadata=None,
        description="attic",
        resolution=(600, 600),
        resolutionunit="inch",
        extratags=[(271, "s", 0, "Agfa", True)],
    )
    photo = read_photo(file.getvalue())
    assert photo.notes == ()
    with tifffile.TiffFile(io.BytesIO(written(photo))) as tiff:
        tags = {tag.code: tag.value for tag in tiff.pages.first.tags}
    assert (tags[270], tags[271], tags[282]) == ("attic", "Agfa", (600, 1))


def test_disclosure_round_trip() -> None:
    made = Disclosure('a"<&>', "vintage-colorizer 1.0", "artistic", "compact")
    for source in (b"", SOURCE_XMP):
        packet = disclose(source, made)
        assert own_words(packet)[0] == 'a"<&>'
        assert SOURCE_TYPE.encode() in packet
        again = disclose(packet, DISCLOSURE)
        assert own_words(again)[0] == "f1"
        assert again.count(b"DigitalSourceType=") == 1


def test_disclosure_joins_the_subject_of_the_source() -> None:
    packet = disclose(SOURCE_XMP, DISCLOSURE)
    assert packet.count(b'rdf:about="uuid:7"') == 2
    assert b'dc:source="Gro' in packet
    assert len(packet) < len(SOURCE_XMP)  # the padding is gone


def test_xmp_of_other_prefixes_is_treated_alike() -> None:
    """Prefixes are only names: what counts is the namespace they are bound to."""
    packet = (
        b'<a:xmpmeta xmlns:a="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<r:Description r:about="uuid:8" xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="6"'
        b' xmlns:tiff="urn:not-tiff/" tiff:Orientation="6"'
        b' xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        b' xmlns:v="urn:vintage-colorizer:1.0/" v:fingerprint="old"><i:DigitalSourceType>camera</i:DigitalSourceType>'
        b"<t:Orientation>8</t:Orientation><t:Make>Kodak &amp; Co</t:Make>"
        b"</r:Description></r:RDF></a:xmpmeta>"
    )
    assert own_words(packet)[0] == "old"
    result = disclose(packet, DISCLOSURE)
    assert own_words(result)[0] == "f1"
    assert result.count(b"DigitalSourceType") == 1 and b">camera<" not in result
    assert b't:Orientation="1"' in result and b"<t:Orientation>1<" in result
    assert b'tiff:Orientation="6"' in result  # of another namespace: not ours to change
    assert b"Kodak &amp; Co" in result
    assert result.count(b'about="uuid:8"') == 2
    assert result.count(b"fingerprint") == 1


GAIN_MAP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
    b' xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1" GCamera:BurstID="b7"'
    b' xmlns:C="http://ns.google.com/photos/1.0/container/" xmlns:I="http://ns.google.com/photos/1.0/container/item/">'
    b'<C:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><C:Item I:Semantic="GainMap" I:Length="4711"/></rdf:li>'
    b"</rdf:Seq></C:Directory></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def test_a_gain_map_that_is_not_carried_is_not_announced() -> None:
    source = bad_files.encoded(bad_files.grey(), "JPEG", xmp=GAIN_MAP)
    photo = read_photo(source + bad_files.encoded(bad_files.grey(), "JPEG"))
    assert photo.notes == (OTHER_PARTS_NOTE,)
    result = written(photo)
    for gone in (b"hdrgm:Version", b"MotionPhoto", b"GainMap", b"4711"):
        assert gone not in result
    assert b'GCamera:BurstID="b7"' in result


@pytest.mark.parametrize("xmp", [b"<a>" * 300 + b"</a>" * 300, b"<a>" + b"<b/>" * 200_000 + b"</a>"])
def test_xmp_without_measure_is_dropped(xmp: bytes) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    photo = read_photo(bad_files.encoded(bad_files.grey(), "PNG", pnginfo=text))
    assert photo.notes == ("broken XMP data was dropped",)
    assert probe(written(photo)).fingerprint == "f1"


def test_other_peoples_pictures_have_no_fingerprint() -> None:
    assert own_words(b"") == (None, "", "")
    assert own_words(SOURCE_XMP) == (None, "", "")
    assert own_words(b"<not xml urn:vintage-colorizer:1.0/") == (None, "", "")
    assert probe(jpeg_with_everything()).fingerprint is None


def test_entities_in_xmp_are_never_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&a;</x:xmpmeta>'
    photo = read_photo(bad_files.encoded(bad_files.grey(), "JPEG", xmp=bomb))
    assert photo.notes == ("broken XMP data was dropped",)
    assert b"ENTITY" not in written(photo)


def test_xmp_too_long_for_a_jpeg_leaves_the_disclosure() -> None:
    long = SOURCE_XMP.replace(b"uuid:7", b"uuid:" + b"7" * 70_000)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", long.decode())
    photo = read_photo(bad_files.encoded(bad_files.grey(), "PNG", pnginfo=text))
    assert probe(written(photo, "JPEG")).fingerprint == "f1"
    assert b"7" * 70_000 in written(photo, "PNG")


def test_broken_resources_end_the_list() -> None:
    sound = pack_resources(b"", IPTC)
    assert pack_resources(sound + b"8BIM\x04\x05\0\0\xff\xff\xff\xff") == sound
    assert resources(b"8BIM") == {}
