"""Bytes to text: UTF-8, UTF-16 with a byte-order mark, then Windows-1252 where the result looks like writing."""

import codecs
import re

_NO_CHARACTER = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NOT_ASCII = bytes(range(0x80, 0x100))
_LEAST_ASCII = 0.7


class NotText(Exception):
    """The bytes are not text we can read; the message is the reason to show."""


def decode(raw: bytes) -> str:
    """Text with `\\n` line ends. Raises NotText."""
    return _decoded(raw).replace("\r\n", "\n").replace("\r", "\n")


def clean(text: str) -> str:
    """What fonts map to no character (a NUL, half a surrogate pair) becomes U+FFFD."""
    return _NO_CHARACTER.sub("\ufffd", text)


def _decoded(raw: bytes) -> str:
    if raw.startswith(_UTF16):
        try:
            return _plausible(raw.decode("utf-16"))
        except UnicodeDecodeError:
            raise NotText("broken UTF-16 text") from None
    if b"\0" in raw:
        raise NotText("binary, not text")
    try:
        return _plausible(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _windows(raw)


def _windows(raw: bytes) -> str:
    ascii_share = len(raw.translate(None, _NOT_ASCII)) / len(raw)
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        raise NotText("neither UTF-8 nor Windows-1252 text") from None
    if ascii_share < _LEAST_ASCII:
        raise NotText("neither UTF-8 nor Windows-1252 text")
    return _plausible(text)


def _plausible(text: str) -> str:
    if "\0" in text or len(_CONTROL.findall(text)) * 200 > len(text):
        raise NotText("binary, not text")
    return text
