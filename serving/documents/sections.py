"""Text, Markdown, HTML and PDF as sections: heading path, page, text."""

import logging
import re
from html.parser import HTMLParser
from io import BytesIO
from typing import TYPE_CHECKING

from serving.documents.decode import clean
from serving.documents.document import Section

if TYPE_CHECKING:
    from pypdf import PdfReader

_HEADING = re.compile(r" {0,3}(#{1,6})\s(.*)")
_CLOSING = re.compile(r"(?:^|\s)#+$")
_LONGEST_TITLE = 200
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})\s*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_SILENT = frozenset({"script", "style", "noscript", "template", "svg"})
_BLOCK_TAGS = """
address article aside blockquote body caption dd details div dl dt fieldset figcaption figure footer form header hr li
main nav ol p pre section summary table tbody tfoot thead title ul
"""
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_HYPHENATED = re.compile(r"(?<=[a-z])-\n(?=[a-z])")


class Unreadable(Exception):
    """The file's content can't be read; the message is the reason to show."""


class _Outline:
    """Collects lines under a path of headings."""

    def __init__(self) -> None:
        self._path: list[tuple[int, str]] = []
        self._lines: list[str] = []
        self._sections: list[tuple[str, str]] = []
        self._open = False

    def heading(self, level: int, title: str) -> None:
        deeper = bool(self._path) and level > self._path[-1][0]
        self._flush(keep_empty=self._open and not deeper)
        self._path = [*(above for above in self._path if above[0] < level), (level, title[:_LONGEST_TITLE])]
        self._open = True

    def line(self, text: str) -> None:
        self._lines.append(text)

    def take_back(self) -> None:
        self._lines.pop()

    def close(self) -> tuple[Section, ...]:
        self._flush(keep_empty=self._open)
        return tuple(Section(heading, None, text) for heading, text in self._sections)

    def _flush(self, keep_empty: bool) -> None:
        text = "\n".join(self._lines).strip("\n").rstrip()
        if text or keep_empty:
            # A heading with nothing under it still says something.
            self._sections.append((" > ".join(title for _, title in self._path), text or self._path[-1][1]))
        self._lines, self._open = [], False


def text_sections(text: str) -> tuple[Section, ...]:
    return (Section("", None, text.strip("\n")),) if text.strip() else ()


def markdown_sections(text: str) -> tuple[Section, ...]:
    """ATX and underlined headings, both ignored in fenced code; everything else stays as written."""
    outline, fence, previous = _Outline(), "", ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
        elif not fence and (heading := _HEADING.match(line)):
            outline.heading(len(heading[1]), _CLOSING.sub("", heading[2].strip()).strip())
            previous = ""
            continue
        elif not fence and _is_title(previous) and (under := _UNDERLINE.match(line)):
            outline.take_back()
            outline.heading(1 if under[1][0] == "=" else 2, previous.strip())
            previous = ""
            continue
        outline.line(line)
        previous = line
    return outline.close()


def _is_title(line: str) -> bool:
    return bool(line.strip()) and line.lstrip()[0] not in "|-*>" and ":" not in line


def html_sections(text: str) -> tuple[Section, ...]:
    """Headings h1-h6 as paths, lists as `- item` lines, table rows as `a | b` lines; scripts and styles are dropped."""
    reader = _HtmlReader()
    reader.feed(text)
    reader.close()
    return reader.sections()


class _HtmlReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._outline = _Outline()
        self._text: list[str] = []
        self._cells: list[str] | None = None
        self._silent = 0
        self._preformatted = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in ("td", "th", "tr") or _level(tag):
            self._flush()
        elif tag in _BLOCKS:
            self._break()
        if tag == "tr":
            self._end_row()
            self._cells = []
        elif tag == "li":
            self._text = ["- "]
        elif tag == "br":
            self._text.append(" " if self._cells is not None else "\n")
        self._preformatted = self._preformatted or tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif level := _level(tag):
            title, self._text = " ".join("".join(self._text).split()), []
            if title:
                self._outline.heading(level, title)
        elif tag in ("tr", "table"):
            self._flush()
            self._end_row()
        elif tag in ("td", "th"):
            self._flush(cell=True)
        elif tag in _BLOCKS:
            self._break()
        self._preformatted = self._preformatted and tag != "pre"

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._text.append(data if self._preformatted else re.sub(r"\s+", " ", data))

    def sections(self) -> tuple[Section, ...]:
        self._flush()
        self._end_row()
        return self._outline.close()

    def _break(self) -> None:
        if self._cells is None:
            self._flush()
        else:
            self._text.append(" ")

    def _end_row(self) -> None:
        if any(self._cells or ()):
            self._outline.line(" | ".join(self._cells or ()))
        self._cells = None

    def _flush(self, cell: bool = False) -> None:
        lines = [" ".join(line.split()) for line in "".join(self._text).split("\n")]
        text = "\n".join(line for line in lines if line)
        self._text = []
        if self._cells is not None and (cell or text):
            self._cells.append(text)
        elif text and text != "-":
            self._outline.line(text)


def _level(tag: str) -> int:
    return int(tag[1]) if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456" else 0


def pdf_sections(raw: bytes) -> tuple[Section, ...]:
    """One section a page that has text. Raises Unreadable: encrypted, broken, or pictures only."""
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(BytesIO(raw), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("encrypted PDF: save it without a password")
        pages = _pages(reader)
    except Unreadable:
        raise
    except Exception as error:  # pypdf raises whatever its walk over broken bytes runs into
        raise Unreadable(f"broken PDF: {type(error).__name__}") from None
    if not pages:
        raise Unreadable("PDF without text: run text recognition over it first")
    return pages


def _pages(reader: "PdfReader") -> tuple[Section, ...]:
    texts = (_HYPHENATED.sub("", clean(page.extract_text())).strip() for page in reader.pages)
    return tuple(Section("", number, text) for number, text in enumerate(texts, start=1) if text)
