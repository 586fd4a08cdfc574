"""What documents, models and file names say, before a terminal shows it: no character of theirs moves its cursor."""

import re
from typing import Any

_COMMANDS = re.compile(r"\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(value: Any) -> Any:
    """A JSON value whose texts hold U+FFFD for what would command a terminal, or turn its reading direction."""
    match value:
        case str():
            return _COMMANDS.sub("\ufffd", value)
        case dict():
            return {printable(name): printable(each) for name, each in value.items()}
        case list():
            return [printable(each) for each in value]
    return value
