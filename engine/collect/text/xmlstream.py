"""Elements of untrusted XML, streamed: no entity is resolved, nothing is fetched, memory is bounded."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

from lxml import etree

from engine.collect.text.xmldocuments import XmlDocuments
from engine.errors import SourceError
from engine.files import find_utf16
from engine.records.abstract import Remark


def decode_xml_head(head: bytes) -> bytes:
    """Return the first bytes of a file as UTF-8, without a byte-order mark and blanks before them."""
    codec = find_utf16(head)
    return (head.decode(codec, "replace").encode() if codec else head).lstrip(b"\xef\xbb\xbf \t\r\n")


def read_elements(
    stream: io.BufferedReader,
    name: str,
    tags: tuple[str, ...],
    wanted: Callable[[etree._Element], bool],
    *,
    root_end: bytes,
) -> Iterator[Remark | tuple[int, etree._Element]]:
    """Yield (number from 1, element) for each element that has one of the tags and is wanted, in order.

    A file may hold several documents, in UTF-8 or UTF-16, and a namespace; tags are given without it. Remarks are on
    slips that were repaired. Don't keep an element: it is freed when later ones are read. The last bytes of the end tag
    of the root tell where a joined document may begin.

    Raises:
        SourceError: the file is not well-formed, is truncated, or declares or uses XML entities.
    """
    documents = XmlDocuments(stream, root_end)
    number = 0
    while documents.start_next():
        for item in _read_document(documents, name, tags, wanted, number):
            if isinstance(item, tuple):
                number = item[0]
            yield item
        yield from documents.take_remarks()


def _read_document(
    documents: XmlDocuments, name: str, tags: tuple[str, ...], wanted: Callable[[etree._Element], bool], number: int
) -> Iterator[Remark | tuple[int, etree._Element]]:
    """Yield the elements of one document as read_elements does, counted on from a number.

    Raises:
        SourceError: as read_elements.
    """
    events = etree.iterparse(
        documents,
        events=("end",),
        tag=[f"{{*}}{tag}" for tag in tags],
        encoding=documents.encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    is_first = True
    try:
        for _, element in events:
            if not wanted(element):
                continue
            if is_first:
                _refuse_declarations(element, name)
                is_first = False
            number += 1
            if (entity := next(element.iter(etree.Entity), None)) is not None:
                raise SourceError(
                    f"{name}, record {number}: uses an XML entity of its own ({entity.text}), "
                    "which is refused as unsafe"
                )
            parent = element.getparent()
            if element.tag[0] == "{":
                _remove_namespaces(element)
            yield from documents.take_remarks()
            yield number, element
            release(element, parent)
        _refuse_declarations(events.root, name)
    except etree.XMLSyntaxError as err:
        line, column = err.position
        raise SourceError(
            f"{name} is not well-formed XML at line {line}, column {column}, "
            f"after {number} records: {err.msg}. Download or export the file again"
        ) from err


def _remove_namespaces(element: etree._Element) -> None:
    """Remove the namespace from the tags of an element and of everything in it."""
    for part in element.iter("{*}*"):
        part.tag = etree.QName(part).localname


def _explain_unsafe(name: str) -> str:
    """Return the message for a file with entities, which could expand without limit or read other files."""
    return f"{name} declares XML entities, which is refused as unsafe. Export the records again"


def _refuse_declarations(element: etree._Element, name: str) -> None:
    """Refuse a file whose document type declares entities.

    The parser expands them in attributes even with resolve_entities=False.

    Raises:
        SourceError: it declares one.
    """
    document_type = element.getroottree().docinfo.internalDTD
    if document_type is not None and next(document_type.iterentities(), None) is not None:
        raise SourceError(_explain_unsafe(name))


def release(element: etree._Element, parent: etree._Element | None) -> None:
    """Free everything before an element.

    The element itself is kept until the next one ends, because the parser may still append to it.
    """
    while parent is not None and element.getprevious() is not None:
        del parent[0]
