"""How an answer is given on a channel: what the writer is told, and how a text that no model wrote is shaped."""

import re
from collections.abc import Iterable
from typing import Final, Literal

from graph.state import Value

Length = Literal["brief", "normal", "full"]
Structure = Literal["plain", "markdown", "facts"]
Modality = Literal["text", "speech"]
Progress = Literal["none", "steps", "all"]
ApprovalStyle = Literal["reply", "link"]
ArtifactPolicy = Literal["link", "name", "none"]

_LENGTH: Final[dict[Length, str]] = {
    "brief": "in two or three sentences",
    "normal": "no longer than the answer needs",
    "full": "with everything that the findings hold, and the list of sources at the end",
}
_STRUCTURE: Final[dict[Structure, str]] = {
    "plain": "plain sentences without Markdown, no greeting",
    "markdown": "short paragraphs or a list, Markdown",
    "facts": "a list of facts, one a line with its source, and nothing around it",
}
_ARTIFACTS: Final[dict[ArtifactPolicy, str]] = {
    "link": "Name the files that were written; their addresses are added to your answer.",
    "name": "Name the files that were written.",
    "none": "Don't speak of files that were written.",
}
_SPEECH: Final = "It is read aloud: spoken sentences, no Markdown, no list, no citation numbers."
_BRIEF_LINES: Final = 3
# Marks of emphasis come in pairs around words; one within a word is a product, a power, a name, a placeholder.
_STRONG: Final = r"(?<![\w)\]*])(?P<mark>\*\*)(?=[^\s*])(?P<words>.*?[^\s*])(?P=mark)(?!\*)"
_STARS: Final = _STRONG.replace(r"\*\*)(?=", r"\*{1,3})(?=")
_LINES: Final = r"(?<![\w)\]])(?P<line>_{1,3})(?=[^\s_])(?P<lined>.*?[^\s_])(?P=line)(?!\w)"
_MARKUP: Final = re.compile(f"{_STRONG}|`|^#+ ", re.MULTILINE)
_UNSPOKEN: Final = re.compile(f"{_STARS}|{_LINES}|[`“”]|^#+ |^[-*] ", re.MULTILINE)
_BREAK: Final = re.compile(r"\s*\n+(?:- )?")


class Profile(Value):
    """`progress` and `approval` are for chat clients: how much of the work they are told while it goes on, and whether
    a person answers a question in the conversation or at the run's own address."""

    length: Length = "normal"
    structure: Structure = "plain"
    modality: Modality = "text"
    progress: Progress = "steps"
    approval: ApprovalStyle = "link"
    artifacts: ArtifactPolicy = "link"

    @property
    def cites(self) -> bool:
        return self.modality == "text"

    def instruction(self) -> str:
        spoken = self.modality == "speech"
        how = f"Write {_LENGTH[self.length]}" + (f". {_SPEECH}" if spoken else f": {_STRUCTURE[self.structure]}.")
        return f"{how} {_ARTIFACTS[self.artifacts]}"

    def shaped(self, parts: Iterable[str], sources: Iterable[str] = ()) -> str:
        """Paragraphs as one text. `sources` are lines for the end of a full one."""
        kept = [self._part(part) for part in dict.fromkeys(parts)]
        if self.modality == "speech":
            return _BREAK.sub(" ", _bare(_UNSPOKEN, "\n\n".join(kept)))
        listed = "\n".join(sources) if self.length == "full" else ""
        ending = [f"Sources:\n{listed}"] if listed else []
        return ("\n" if self.structure == "facts" and not ending else "\n\n").join([*kept, *ending])

    def _part(self, part: str) -> str:
        lines = part.splitlines()
        if self.length == "brief" and (more := len(lines) - _BRIEF_LINES) > 0:
            lines = [*lines[:_BRIEF_LINES], f"- and {more} more"]
        if self.structure == "facts":
            lines = [f"- {line.removeprefix('- ')}" for line in lines if line.strip()]
        text = "\n".join(lines)
        return text if self.structure == "markdown" else _bare(_MARKUP, text)


def _bare(marks: re.Pattern[str], text: str) -> str:
    return marks.sub(lambda found: _bare(marks, found[found.lastgroup]) if found.lastgroup else "", text)
