"""Document collections over HTTP: which files are missing, store a batch, forget those that are gone.

A client sends text that it has parsed and redacted itself; here it is scanned once more, since this is the border.
"""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from serving.api.runs import Services
from serving.documents.document import MOST_SECTIONS, ParsedDocument, Section, StoredDocument
from serving.services import ApiServices

router = APIRouter(prefix="/collections/{collection}", tags=["documents"])
Collection = Annotated[str, Path(pattern=r"^[a-zA-Z0-9._-]{1,100}$")]


class SectionIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    heading: str = Field(default="", max_length=2_000)
    page: int | None = Field(default=None, ge=1, lt=2**31)
    text: str


class DocumentIn(BaseModel):
    """`digest` says when a document has changed: any text that differs with its content."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=1_000)
    media_type: str = Field(default="text/plain", max_length=100)
    digest: str = Field(min_length=1, max_length=128)
    table: bool = Field(default=False, description="CSV text that query_table may read")
    sections: list[SectionIn] = Field(min_length=1, max_length=MOST_SECTIONS)


class DocumentsIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    documents: list[DocumentIn] = Field(max_length=500)


class DigestsIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    digests: dict[str, str] = Field(max_length=20_000)


class KeepIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    paths: list[str] = Field(max_length=20_000)


@router.post("/missing")
async def missing(collection: Collection, body: DigestsIn, services: Services) -> dict[str, list[str]]:
    """Which of these documents are not stored yet, or stored with another digest."""
    return {"missing": sorted(await services.documents.missing(collection, body.digests))}


@router.put("/documents")
async def put(collection: Collection, body: DocumentsIn, services: Services) -> dict[str, int]:
    stored = await asyncio.to_thread(_redacted, body.documents, services)
    return {"changed": await services.documents.put(collection, stored)}


@router.post("/prune")
async def prune(collection: Collection, body: KeepIn, services: Services) -> dict[str, int]:
    """Forgets every document that is not named."""
    return {"deleted": await services.documents.prune(collection, body.paths)}


@router.get("")
async def overview(collection: Collection, services: Services) -> Any:
    return await services.restore((await services.documents.overview(collection)).model_dump(mode="json"))


def _redacted(documents: list[DocumentIn], services: ApiServices) -> list[StoredDocument]:
    parsed = (
        ParsedDocument(
            path=each.path,
            media_type=each.media_type,
            digest=each.digest,
            sections=tuple(Section(part.heading, part.page, part.text) for part in each.sections),
            table=each.table,
        )
        for each in documents
    )
    return [each.redacted(services.redactor.redact) for each in parsed]
