"""`search_documents` and `read_document`: what the caller's documents say, with the places to cite."""

from difflib import get_close_matches

from pydantic import Field

from graph.ports import Documents, Hit
from graph.state import Source
from graph.tools.registry import Arguments, Output, Problem, Tool, ToolContext


class SearchArguments(Arguments):
    query: str = Field(min_length=1, max_length=2_000, description="words or a question")
    limit: int = Field(default=6, ge=1, le=20, description="most hits to return")


class ReadArguments(Arguments):
    path: str = Field(min_length=1, max_length=1_000, description="a document's path as listed")
    offset: int = Field(default=0, ge=0, description="first character to read")


def search_documents(documents: Documents) -> Tool:
    async def call(arguments: SearchArguments, context: ToolContext) -> Output | Problem:
        hits = await documents.search(arguments.query, arguments.limit)
        return Output(data={"hits": [_shown(hit) for hit in hits]}, sources=tuple(hit.source for hit in hits))

    return Tool(
        name="search_documents",
        description="Find passages in the documents by meaning and words. Cite a passage by its ref.",
        parameters=SearchArguments,
        call=call,
    )


def read_document(documents: Documents) -> Tool:
    async def call(arguments: ReadArguments, context: ToolContext) -> Output | Problem:
        path, offset = arguments.path, arguments.offset
        totals = {document.path: document.characters for document in (await documents.overview()).documents}
        try:
            text = await documents.read(path, offset)
        except KeyError:
            return _unknown(path, list(totals))
        total = totals.get(path, offset + len(text))
        if not text and offset:
            return Problem(
                code="past_the_end", message=f"{path} has {total} characters", hint=f"use an offset below {total}"
            )
        data = {"path": path, "text": text, "offset": offset, "total": total}
        return Output(data=data, sources=(Source(ref=path, path=path),))

    return Tool(
        name="read_document",
        description="Read a document's text from an offset on. Goes on at offset + length of text until total.",
        parameters=ReadArguments,
        call=call,
    )


def _shown(hit: Hit) -> dict[str, object]:
    source = hit.source
    return {
        "ref": source.ref,
        "path": source.path,
        "heading": source.heading,
        "page": source.page,
        "text": hit.text,
        "score": round(hit.score, 4),
    }


def _unknown(path: str, paths: list[str]) -> Problem:
    name = path.rsplit("/", 1)[-1].lower()
    close = [known for known in paths if known.rsplit("/", 1)[-1].lower() == name]
    close += [known for known in get_close_matches(path, paths, n=5, cutoff=0.4) if known not in close]
    hint = f"did you mean {', '.join(close[:5])}?" if close else "search_documents finds documents by what they say"
    return Problem(code="unknown_path", message=f"there is no document {path!r}", hint=hint)
