"""`write_artifact`: keeps a file with the run."""

import re

from pydantic import Field

from graph.ports import Artifacts
from graph.tools.registry import LOCAL_WRITE, Arguments, Output, Problem, Tool, ToolContext

_UNSAFE = re.compile(r"[^\w.() -]+")
_MEDIA_TYPES = {
    "csv": "text/csv",
    "eml": "message/rfc822",
    "htm": "text/html",
    "html": "text/html",
    "json": "application/json",
    "md": "text/markdown",
    "svg": "image/svg+xml",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}
LONGEST_NAME = 120


class WriteArguments(Arguments):
    name: str = Field(min_length=1, max_length=300, description="file name with its ending, such as report.md")
    content: str = Field(max_length=400_000, description="the whole text of the file")


def write_artifact(artifacts: Artifacts) -> Tool:
    async def call(arguments: WriteArguments, context: ToolContext) -> Output | Problem:
        name = file_name(arguments.name)
        where = await artifacts.write(name, media_type(name), arguments.content)
        return Output(data={"name": name, "where": where})

    return Tool(
        name="write_artifact",
        description="Write a text file that stays with the run. The same name again replaces it.",
        parameters=WriteArguments,
        call=call,
        risk=LOCAL_WRITE,
        reconcile="honours_key",
    )


def file_name(wanted: str) -> str:
    """The last part of a path as a plain visible file name of at most 120 characters, its ending kept."""
    last = wanted.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    plain = _UNSAFE.sub("-", last).strip(" .-") or "artifact"
    stem, dot, ending = plain.rpartition(".")
    if not dot or len(ending) > 10:
        return plain[:LONGEST_NAME]
    return f"{stem[: LONGEST_NAME - len(ending) - 1]}.{ending}"


def media_type(name: str) -> str:
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "text/plain")
