"""The frame of a picture in SVG."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_FONT = "Arial, Helvetica, 'Liberation Sans', sans-serif"


def wrap_svg(
    size: tuple[float, float],
    title: str,
    pieces: Iterable[str],
    *,
    description: str = "",
    style: str = "",
    font_size: int = 13,
) -> str:
    """Return a picture of this width and height with its title, and a longer description for those who can't see it.

    With a style it is a file of its own, with a page behind it (class "page"). Without, it is part of an HTML page: it
    has the colour of the text around it, and the style sheet of that page sets the rest.
    """
    width, height = size
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"'
        f' viewBox="0 0 {width:g} {height:g}" font-family="{_FONT}" font-size="{font_size}" role="img">\n'
        f"<title>{escape(title)}</title>\n"
    )
    text = f"<desc>{escape(description)}</desc>\n" if description else ""
    page = f'<style>{style}</style>\n<rect class="page" width="100%" height="100%" fill="#ffffff"/>\n' if style else ""
    return "".join([head, text, page, *pieces, "</svg>\n"])
