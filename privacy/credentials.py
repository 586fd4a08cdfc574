"""Secrets in text: keys and tokens of common shapes, private keys, passwords in addresses and beside their label."""

import re
from collections.abc import Iterator
from typing import Final

from privacy.spans import Span

KIND: Final = "SECRET"

_SHAPES: Final = (
    r"sk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic, LiteLLM, Langfuse
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{36,}",
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"AIza[A-Za-z0-9_-]{35}",  # Google
    r"hf_[A-Za-z0-9]{30,}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-AgE[A-Za-z0-9_-]{50,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",  # SendGrid
    r"(?<![_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",  # JWT, RFC 7519
)
# A key block without its end line runs to the end of the text: better too much than half a key in clear.
_KEY_LINE: Final = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_KEY: Final = rf"-----BEGIN {_KEY_LINE}[\s\S]*?(?:-----END {_KEY_LINE}|\Z)"
_WHOLE: Final = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_SHAPES)})|{_PRIVATE_KEY}")
_LABEL: Final = (
    r"pass(?:word|wd|phrase)|passwort|kennwort|(?:api|access|secret|private|account|auth)[_ -]?key"
    r"|(?:client|app)[_ -]?secret|(?:access|auth|refresh|api|bearer)[_ -]?token"
)
# A value needs a digit: "password: required" is prose. The look ahead is bounded, so that time grows with the text.
_VALUE: Final = r"(?=[^\s\"'`,;<>]{0,200}[0-9])([^\s\"'`,;<>]{6,})"
_BESIDE_LABEL: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:{_LABEL})[\"'`]?\s{{0,3}}[:=]\s{{0,3}}[\"'`]?{_VALUE}",
        r"\b(?:bearer|basic) ([A-Za-z0-9+/._~-]{16,}={0,2})",  # RFC 6750, RFC 7617
        r"[a-z][a-z0-9+.-]{1,20}://([^\s/:@\"'<>]{0,128}:[^\s/@\"'<>]{1,256}@[^\s/:\"'<>]*)",  # RFC 3986
    )
)
# Characters. Where a value beside a label begins is settled within `_REACH`; how far it goes is not.
_STRIDE: Final = 500_000
_REACH: Final = 1_000


class Credentials:
    """Finds secrets; the label beside a value (`password:`) stays readable."""

    def find(self, text: str) -> Iterator[Span]:
        for match in _WHOLE.finditer(text):
            yield Span(match.start(), match.end(), KIND)
        for pattern in _BESIDE_LABEL:
            for match in _in_strides(pattern, text):
                yield Span(match.start(1), match.end(1), KIND)


def _in_strides(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """`finditer`, which keeps all other threads waiting until it has found something, be it for seconds."""
    position = 0
    while position < len(text):
        stride = position + _STRIDE
        limit = stride + _REACH
        for match in pattern.finditer(text, position, limit):
            if match.start() >= stride:
                break
            whole = match if match.end() < limit else pattern.match(text, match.start())
            yield whole or match
            position = (whole or match).end()
        position = max(position, stride)
