"""The XML documents of one file as bytes for a parser: split where files were joined, as UTF-8, with slips repaired."""

from __future__ import annotations

import codecs
import io
import re
from html.entities import html5

from engine.files import find_utf16
from engine.records.abstract import Remark

_PIECE = 1 << 16  # bytes read at once
_TAIL = 64  # bytes at the end of a piece in which a tag or a reference may begin that the next piece ends
_BLANK = b"\xef\xbb\xbf \t\r\n"
_CONTROL = bytes(code for code in range(32) if code not in b"\t\r\n")
_TO_BLANKS = bytes(0x20 if code in _CONTROL else code for code in range(256))
_DECLARED = b"<?xml"
_ROOT_END = re.compile(
    rb"</(?:[\w.-]+:)?(?:Pubmed(?:Book)?ArticleSet|MedlineCitationSet|xml)>\s*(?:\xef\xbb\xbf)?\s*(?=<(?!!--|/))"
)
_DECLARATION = re.compile(r"\s*<\?xml[^>]*?encoding\s*=\s*[\"']utf-?16", re.IGNORECASE)
# An entity that XML does not know, a number of no character, or an ampersand that is text.
# Not compiled with IGNORECASE, under which Python does not search for the ampersand alone.
_SLIP = re.compile(
    rb"&(?:(?!(?:lt|gt|amp|quot|apos);)([A-Za-z][A-Za-z0-9]*);"
    rb"|#([xX]0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]|[dD][89a-fA-F][0-9a-fA-F]{2}|[fF]{3}[efEF])"
    rb"|0*(?:[0-8]|1[124-9]|2[0-9]|3[01]|5[5-7][0-9]{3}));"
    rb"|(?!#?\w+;))"
)
_PLAIN_REFERENCES = (b"&lt;", b"&gt;", b"&amp;", b"&quot;", b"&apos;")
_REPLACED_CONTROL = "control characters in XML, replaced by blanks"
_READ_ENTITY = "entities of HTML in XML, read as their characters"
_READ_AMPERSAND = "ampersands in XML that are not escaped, read as text"


class XmlDocuments:
    """A file-like object that gives one XML document after the other.

    `read` ends with each document; `start_next` goes on to the next one.
    """

    def __init__(self, stream: io.BufferedReader, root_end: bytes) -> None:
        self._stream = stream
        self._root_end = root_end
        head = stream.peek(_PIECE)
        codec = find_utf16(head)
        self._decoder = codecs.getincrementaldecoder(codec)("replace") if codec else None
        is_misdeclared = codec is None and _DECLARATION.match(head[:200].decode("latin-1").lstrip("ï»¿")) is not None
        self.encoding = "utf-8" if codec or is_misdeclared else None  # None: as the document declares
        self._rest = b""  # read, but not given yet
        self._n_given = 0  # bytes of all documents
        self._is_new = True  # nothing of the document was given yet
        self._is_over = False  # the document was given
        self._is_empty = False  # the stream was read
        self._has_cdata = False
        self._remarks: list[Remark] = []

    def start_next(self) -> bool:
        """Go on to the next document; return whether there is one."""
        if self._is_empty and not self._rest.strip(_BLANK):
            return False
        self._is_new, self._is_over = True, False
        return True

    def take_remarks(self) -> list[Remark]:
        """Return the remarks on what was read since the last call."""
        remarks, self._remarks = self._remarks, []
        return remarks

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the document, whatever the size; none at its end."""
        while not self._is_over:
            piece = self._read_piece()
            if self._is_new:
                piece = piece.lstrip(_BLANK)
            piece = self._cut_document(piece)
            if piece:
                self._is_new = False
                self._n_given += len(piece)
                return piece
        return b""

    def _read_piece(self) -> bytes:
        """Return the bytes up to the last tag or reference that may be incomplete, with slips repaired."""
        raw = b"" if self._is_empty else self._stream.read(_PIECE)
        if not raw:
            self._is_empty = True
        data = self._rest + (raw if self._decoder is None else self._decoder.decode(raw, final=not raw).encode())
        end = len(data)
        if not self._is_empty:
            begin = max(data.rfind(b"<", -_TAIL), data.rfind(b"&", -_TAIL))
            end = begin if begin >= 0 else end
        self._rest = data[end:]
        return self._repair(data[:end])

    def _cut_document(self, piece: bytes) -> bytes:
        """Return the piece up to the end of the document, and keep what belongs to the next one."""
        start = _find_start(piece, 1 if self._is_new else 0, self._root_end)
        if start is None:
            self._is_over = self._is_empty and not self._rest
            return piece
        self._rest = piece[start:] + self._rest
        self._is_over = True
        return piece[:start].rstrip(_BLANK)

    def _repair(self, data: bytes) -> bytes:
        """Return the bytes without control characters, unknown entities and bare ampersands; note a remark on each."""
        if len(data.translate(None, _CONTROL)) != len(data):
            self._remarks += [
                Remark(_REPLACED_CONTROL, f"byte {self._n_given + match.start() + 1:,}")
                for match in re.finditer(b"[" + re.escape(_CONTROL) + b"]", data)
            ]
            data = data.translate(_TO_BLANKS)
        if not _has_slip(data):
            return data
        self._has_cdata = self._has_cdata or b"<![CDATA[" in data or b"]]>" in data
        return data if self._has_cdata else _SLIP.sub(self._replace_slip, data)

    def _replace_slip(self, match: re.Match[bytes]) -> bytes:
        """Return what a slip means; an entity that nobody knows is unchanged."""
        place = f"byte {self._n_given + match.start() + 1:,}"
        if match[1]:
            text = html5.get(f"{match[1].decode()};")
            if text is None:
                return match[0]
            self._remarks.append(Remark(_READ_ENTITY, place))
            return text.encode()
        if match[2]:
            self._remarks.append(Remark(_REPLACED_CONTROL, place))
            return b" "
        self._remarks.append(Remark(_READ_AMPERSAND, place))
        return b"&amp;"


def _has_slip(data: bytes) -> bool:
    """Return whether an ampersand begins no reference that XML knows: quick where there is none, as in most bytes."""
    at = data.find(b"&")
    while at >= 0:
        if not data.startswith(_PLAIN_REFERENCES, at) and _SLIP.match(data, at):
            return True
        at = data.find(b"&", at + 1)
    return False


def _find_start(piece: bytes, begin: int, root_end: bytes) -> int | None:
    """Return where another document starts: at its declaration, or below the end of a root; None if none does."""
    starts = []
    at = piece.find(b"?", begin + 1)  # a search for one byte is by far the fastest
    while at > 0:
        if piece[at - 1 : at + 4] == _DECLARED and piece[at + 4 : at + 5].isspace():  # not <?xml-stylesheet
            starts.append(at - 1)
            break
        at = piece.find(b"?", at + 1)
    mark = piece.find(root_end, begin)
    if mark >= 0 and (end := _ROOT_END.search(piece, max(mark - _TAIL, 0))):
        starts.append(end.end())
    return min(starts, default=None)
