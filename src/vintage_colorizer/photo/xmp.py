"""XMP: what of a source's packet stays true of the result, and our disclosure in it.

References: ISO 16684-1 (XMP), IPTC Photo Metadata Standard (digital source type).
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from vintage_colorizer.version import __version__

NAMESPACE = "urn:vintage-colorizer:1.0/"
IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
# The IPTC's word for "a real picture to which a trained network added something".
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
TIFF = "http://ns.adobe.com/tiff/1.0/"
# Namespaces of XMP that speak of further parts of a file.
OTHER_PARTS = (
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/1.0/container/item/",
)
CAMERA = "http://ns.google.com/photos/1.0/camera/"
OTHER_PARTS_NOTE = "the file's gain map or film, and what its XMP says of it, is not carried to the result"
MAX_PARTS, MAX_DEPTH = 100_000, 100  # each part takes about a kilobyte as a tree
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@dataclass(frozen=True)
class Disclosure:
    """What every result says of itself: made by this software, from this source with these options."""

    fingerprint: str
    software: str = f"Vintage Colorizer {__version__}"
    look: str = ""
    network: str = ""
    hints: str = ""  # what people stated, apart from what was guessed
    repaired: str = ""  # which repairs were made


_Statement: TypeAlias = "minidom.Element | minidom.Attr"


def parsed(xmp: bytes) -> minidom.Document | None:
    """The XMP as a tree, which keeps the prefixes it binds; None when it is broken or too large to be held."""
    # A document type could define entities that expand without end; XMP never has one.
    if b"<!DOCTYPE" in xmp or b"<!ENTITY" in xmp or xmp.count(b"<") + xmp.count(b"=") > MAX_PARTS:
        return None
    try:
        xmp.decode("utf-8")
        document = minidom.parseString(xmp.strip(b"\0 \t\r\n\xef\xbb\xbf"))
    except (ExpatError, ValueError):
        return None
    return document if all(depth <= MAX_DEPTH for depth, _ in _elements(document)) else None


def _elements(document: minidom.Document) -> list[tuple[int, minidom.Element]]:
    """All elements and how deep they lie, parents first."""
    found = [(1, child) for child in document.childNodes if isinstance(child, minidom.Element)]
    for depth, element in found:
        found += [(depth + 1, child) for child in element.childNodes if isinstance(child, minidom.Element)]
    return found


def _statements(document: minidom.Document) -> Iterator[_Statement]:
    """All properties: XMP says them as elements or as attributes."""
    for _, element in _elements(document):
        yield element
        yield from list(element.attributes.values())


def _value(statement: _Statement) -> str:
    if isinstance(statement, minidom.Attr):
        return statement.value
    return "".join(child.data for child in statement.childNodes if isinstance(child, minidom.Text))


def _set(statement: _Statement, value: str) -> None:
    if isinstance(statement, minidom.Attr):
        statement.value = value
    for child in statement.childNodes:
        if isinstance(child, minidom.Text):
            child.data = value


def _remove(statement: _Statement) -> None:
    if isinstance(statement, minidom.Attr):
        if statement.ownerElement is not None:
            statement.ownerElement.removeAttributeNode(statement)
    elif statement.parentNode is not None and not isinstance(statement.parentNode, minidom.Document):
        statement.parentNode.removeChild(statement)


def _serialized(document: minidom.Document) -> bytes:
    return "".join(node.toxml() for node in document.childNodes).encode()


def own_words(xmp: bytes) -> tuple[str | None, str, str]:
    """The fingerprint, the stated hints and the repairs in the XMP of one of our results.

    (None, "", "") for everybody else's.
    """
    document = parsed(xmp) if NAMESPACE.encode() in xmp else None
    own = {
        statement.localName: _value(statement)
        for statement in (_statements(document) if document else ())
        if statement.namespaceURI == NAMESPACE
    }
    return own.get("fingerprint") or None, own.get("hints", ""), own.get("repaired", "")


def without_other_parts(xmp: bytes) -> bytes:
    """The XMP without statements on what is not carried to the result: a gain map, the film of a motion photo."""
    document = parsed(xmp)
    if document is None:
        return xmp
    gone = [s for s in _statements(document) if _is_of_other_part(s.namespaceURI, s.localName or "")]
    for statement in gone:
        _remove(statement)
    return _serialized(document) if gone else xmp


def _is_of_other_part(namespace: str | None, name: str) -> bool:
    return namespace in OTHER_PARTS or (namespace == CAMERA and name.startswith(("MotionPhoto", "MicroVideo")))


def disclose(xmp: bytes, disclosure: Disclosure) -> bytes:
    """`xmp` (checked, or empty) with our disclosure in it and its orientation reset, as one UTF-8 packet."""
    document = parsed(xmp)
    roots = document.getElementsByTagNameNS(RDF, "RDF") if document else []
    if document is None or not roots:
        return _PACKET.format(body=_description("", disclosure)).encode()
    about = ""
    for statement in list(_statements(document)):
        match statement.namespaceURI, statement.localName:
            case (uri, "DigitalSourceType") if uri == IPTC_EXTENSION:  # an older one
                _remove(statement)
            case (uri, _) if uri == NAMESPACE:  # an older disclosure
                _remove(statement)
            case (uri, "Orientation") if uri == TIFF:
                _set(statement, "1")
            case (uri, "about") if uri == RDF:
                about = about or _value(statement)
    own = minidom.parseString(_description(html.escape(about), disclosure))
    for _, element in _elements(own):
        roots[0].appendChild(document.importNode(element, True))
    return _serialized(document)


_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="' + RDF + '">{body}</rdf:RDF></x:xmpmeta>'
    '<?xpacket end="w"?>'
)


def _description(about: str, disclosure: Disclosure) -> str:
    own = {
        "fingerprint": disclosure.fingerprint,
        "software": disclosure.software,
        "look": disclosure.look,
        "network": disclosure.network,
        "hints": disclosure.hints,
        "repaired": disclosure.repaired,
    }
    said = {key: html.escape(value) for key, value in own.items() if value}
    attributes = "".join(f' vintageColorizer:{key}="{value}"' for key, value in said.items())
    return (
        f'<rdf:Description xmlns:rdf="{RDF}" rdf:about="{about}" xmlns:Iptc4xmpExt="{IPTC_EXTENSION}"'
        f' xmlns:vintageColorizer="{NAMESPACE}" Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"{attributes}/>'
    )
