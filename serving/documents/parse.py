"""A folder of files as parsed documents. Runs in the client's process: nothing here sends or stores anything."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from serving.documents.decode import NotText, decode
from serving.documents.document import MOST_SECTIONS, ParsedDocument, Section, Skipped
from serving.documents.sections import Unreadable, html_sections, markdown_sections, pdf_sections, text_sections
from serving.errors import BadRequest

LARGEST_FILE = 20_000_000  # bytes
_LARGEST_SENT = 24_000_000  # so many bytes fit into a request, with room for placeholders

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MEDIA_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".rst": "text/plain",
    ".log": "text/plain",
    "": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".pdf": "application/pdf",
    ".csv": "text/csv",
    ".tsv": "text/csv",
}
_TEXT_READERS: dict[str, Callable[[str], tuple[Section, ...]]] = {
    "text/markdown": markdown_sections,
    "text/plain": text_sections,
    "text/html": html_sections,
    "text/csv": text_sections,
}


class FolderError(BadRequest):
    """The folder itself gives nothing to read."""

    code = "bad_folder"


def read_folder(root: Path, told: Callable[[str], object] = str) -> Iterator[ParsedDocument | Skipped]:
    """Every file below `root` in the order of its path: read, or skipped with a reason. Hidden ones are ignored.
    `told` hears each one's path before it is read.

    Raises FolderError at once when `root` is no folder that can be read, and at the end when nothing in it could be
    used.
    """
    try:
        folder = root.resolve(strict=True)
        names = os.listdir(folder)
    except FileNotFoundError:
        raise FolderError(f"{root} doesn't exist", "check the path you gave to --docs") from None
    except NotADirectoryError:
        raise FolderError(f"{root} is a file, not a folder", "give --docs the folder that holds it") from None
    except (OSError, RuntimeError) as error:
        raise FolderError(f"{root} can't be read: {_reason(error)}", "check its permissions") from None
    if not names:
        raise FolderError(f"{root} is empty", "put Markdown, text, HTML, PDF or CSV files into it")
    return _read(root, folder, told)


def _read(root: Path, folder: Path, told: Callable[[str], object]) -> Iterator[ParsedDocument | Skipped]:
    usable = False
    for found in _walk(folder):
        entry = found if isinstance(found, Skipped) else _read_file(folder, found, told)
        usable = usable or isinstance(entry, ParsedDocument)
        yield entry
    if not usable:
        raise FolderError(f"{root} holds no file that can be read", "add Markdown, text, HTML, PDF or CSV files")


def _walk(root: Path) -> Iterator[Path | Skipped]:
    waiting = [root]
    while waiting:
        path = waiting.pop()
        if path.is_symlink() and path != root:
            yield _linked(root, path)
        elif os.path.isdir(path):
            try:
                names = sorted(name for name in os.listdir(path) if not name.startswith("."))
            except OSError as error:
                yield Skipped(_name(root, path), f"can't be read: {_reason(error)}")
                continue
            waiting.extend(path / name for name in reversed(names))
        else:
            yield path


def _linked(root: Path, path: Path) -> Path | Skipped:
    # Linked folders are not followed: they make loops, or double what is read anyway.
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return Skipped(_name(root, path), "a link that leads nowhere")
    if not target.is_relative_to(root):
        return Skipped(_name(root, path), "a link that leads out of the folder")
    return Skipped(_name(root, path), "a link to a folder") if target.is_dir() else path


def _read_file(root: Path, path: Path, told: Callable[[str], object]) -> ParsedDocument | Skipped:
    name = _name(root, path)
    told(name)
    media_type = _MEDIA_TYPES.get(path.suffix.lower())
    try:
        if reason := _unfit(path.stat(), media_type, path.suffix):
            return Skipped(name, reason)
        raw = path.read_bytes()
        sections = _sections(raw, media_type or "")
    except OSError as error:
        return Skipped(name, f"can't be read: {_reason(error)}")
    except (NotText, Unreadable) as error:
        return Skipped(name, str(error))
    if not sections:
        return Skipped(name, "no text in it")
    if reason := _too_much(sections):
        return Skipped(name, reason)
    digest = hashlib.sha256(raw).hexdigest()
    return ParsedDocument(name, media_type or "", digest, sections, table=media_type == "text/csv")


def _too_much(sections: tuple[Section, ...]) -> str:
    if len(sections) > MOST_SECTIONS:
        return f"{len(sections):,} headings or pages, over the limit of {MOST_SECTIONS:,}"
    sent = sum(len(orjson.dumps(section.text)) for section in sections)
    return f"{sent / 1e6:.1f} MB as JSON, over the limit of {_LARGEST_SENT / 1e6:g} MB" if sent > _LARGEST_SENT else ""


def _unfit(status: os.stat_result, media_type: str | None, suffix: str) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_size == 0:
        return "empty file"
    if status.st_size > LARGEST_FILE:
        return f"{status.st_size / 1e6:.1f} MB, over the limit of {LARGEST_FILE / 1e6:g} MB"
    return "" if media_type else f"unsupported type {suffix}"


def _sections(raw: bytes, media_type: str) -> tuple[Section, ...]:
    if media_type == "application/pdf":
        return pdf_sections(raw)
    return _TEXT_READERS[media_type](decode(raw))


def _name(root: Path, path: Path) -> str:
    # Bytes that are no UTF-8 are spelt out, so that two names stay two; so are line breaks: a name is one line.
    name = os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), name)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
