"""What stands in a message: words, which the agent reads, and beside them pictures, sound and files.

These a hosted graph is given as the parts of a chat's message, which LangChain's models take.
"""

from collections.abc import Sequence
from typing import Any, Final

from serving.errors import BadRequest

Part = dict[str, Any]
Content = str | list[Part] | None
_WORDS: Final = frozenset({"text", "input_text", "output_text", "refusal"})
_OTHERS: Final = frozenset({"image_url", "input_audio", "file"})


def words_of(content: Content) -> str:
    """Without what else there is."""
    if not isinstance(content, list):
        return content or ""
    return "\n".join(_words(part) for part in content if _kind(part) in _WORDS)


def only_words(content: Content) -> str:
    """Raises BadRequest where there is anything else."""
    for part in content if isinstance(content, list) else ():
        if (kind := _kind(part)) not in _WORDS:
            hint = "send text; put documents into a collection"
            raise BadRequest(f"a part of type {kind[:40]!r} can't be used", hint, "unsupported_content")
    return words_of(content)


def for_graph(content: Content) -> str | list[Part]:
    """Text where there is nothing else. Raises BadRequest for kinds of parts that no chat has."""
    if not isinstance(content, list) or all(_kind(part) in _WORDS for part in content):
        return words_of(content)
    return [_chat_part(part) for part in content]


def as_input(content: str | Sequence[Part], kind: str) -> list[Part]:
    """What `for_graph` made, as parts of a response's item; `kind` is that of its words."""
    if isinstance(content, str):
        return [{"type": kind, "text": content}]
    return [_input_part(part, kind) for part in content]


def _kind(part: Part) -> str:
    return str(part.get("type"))


def _words(part: Part) -> str:
    return str(part.get("text") or part.get("refusal") or "")


def _chat_part(part: Part) -> Part:
    kind = _kind(part)
    if kind in _WORDS:
        return {"type": "text", "text": _words(part)}
    if kind in _OTHERS:
        return part
    if kind == "input_image" and isinstance(url := part.get("image_url"), str):
        return {"type": "image_url", "image_url": {"url": url, "detail": part.get("detail") or "auto"}}
    if kind == "input_file" and "file_data" in part:
        return {"type": "file", "file": {name: part[name] for name in ("filename", "file_data") if name in part}}
    hint = "send text, or an image_url, input_audio or file with its data; there are no uploaded files here"
    raise BadRequest(f"a part of type {kind[:40]!r} can't be used so", hint, "unsupported_content")


def _input_part(part: Part, kind: str) -> Part:
    match part:
        case {"type": "text"}:
            return {"type": kind, "text": part["text"]}
        case {"type": "image_url", "image_url": {"url": url, **others}}:
            return {"type": "input_image", "image_url": url, "detail": others.get("detail") or "auto"}
        case {"type": "file", "file": dict(file)}:
            return {"type": "input_file", **file}
    return part
