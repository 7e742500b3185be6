"""XML of strangers, streamed: no entity is resolved, nothing is fetched, memory does not grow with the file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

from lxml import etree

from engine.errors import SourceError


def read_elements(
    stream: io.BufferedReader, name: str, tags: tuple[str, ...], wanted: Callable[[etree._Element], bool]
) -> Iterator[tuple[int, etree._Element]]:
    """Yield (number from 1, element) of the wanted elements with these tags, each when it ends; then it is freed.

    Raises:
        SourceError: not well-formed, cut short, or it has entities of its own, which no export ever has.
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
                raise SourceError(f"{name}, record {number}: uses an XML entity of its own; it is refused as unsafe")
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
    """The message for a file that could expand without end, or read other files."""
    return f"{name} declares XML entities, which no export ever does; it is refused as unsafe"


def _refuse_declarations(element: etree._Element, name: str) -> None:
    """Stop where the document type declares entities, wherever in the file it does so.

    The parser expands them in attributes even when told not to resolve any.

    Raises:
        SourceError: it declares one.
    """
    inside = element.getroottree().docinfo.internalDTD
    if inside is not None and next(inside.iterentities(), None) is not None:
        raise SourceError(_explain_unsafe(name))


def release(element: etree._Element, parent: etree._Element | None) -> None:
    """Free everything before an element.

    The element itself stays until the next one ends: the parser may still write after it.
    """
    while parent is not None and element.getprevious() is not None:
        del parent[0]
