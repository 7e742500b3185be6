"""Elements of untrusted XML, streamed: no entity is resolved, nothing is fetched, memory is bounded."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

from lxml import etree

from engine.errors import SourceError


def read_elements(
    stream: io.BufferedReader, name: str, tags: tuple[str, ...], wanted: Callable[[etree._Element], bool]
) -> Iterator[tuple[int, etree._Element]]:
    """Yield (number from 1, element) for each element that has one of the tags and is wanted, in order.

    Don't keep an element: it is freed when later ones are read.

    Raises:
        SourceError: the file is not well-formed, is truncated, or declares or uses XML entities.
    """
    if b"<!ENTITY" in stream.peek():
        raise SourceError(_explain_unsafe(name))
    events = etree.iterparse(
        stream,
        events=("end",),
        tag=tags,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    number = 0
    try:
        for _, element in events:
            if not wanted(element):
                continue
            if number == 0:
                _refuse_declarations(element, name)
            number += 1
            if next(element.iter(etree.Entity), None) is not None:
                raise SourceError(f"{name}, record {number}: uses an XML entity of its own, which is refused as unsafe")
            parent = element.getparent()
            yield number, element
            release(element, parent)
        _refuse_declarations(events.root, name)
    except etree.XMLSyntaxError as err:
        line, column = err.position
        raise SourceError(
            f"{name} is not well-formed XML at line {line}, column {column}, "
            f"after {number} records: {err.msg}. Download or export the file again"
        ) from err


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
