"""`/v1/models`: the agent, hosted graphs, and the agent over each collection of documents."""

from typing import Annotated, Any, Final, LiteralString

from fastapi import APIRouter, Path

from serving.api.openai.asking import MODEL
from serving.api.openai.failures import REFUSALS
from serving.api.openai.hosted import hosted_models
from serving.api.runs import Services
from serving.database import fetch_all
from serving.errors import NotFound
from serving.services import ApiServices

router = APIRouter(prefix="/v1/models", tags=["openai"], responses=REFUSALS)
_MOST: Final = 200
_COLLECTIONS: LiteralString = """
select name, extract(epoch from created_at)::bigint as created from collections where tenant = %s
order by collection_id desc limit %s
"""


@router.get("")
async def list_models(services: Services) -> Any:
    """`trireme`, hosted graphs by their ids, then `trireme:COLLECTION` for the newest collections."""
    return {"object": "list", "data": await _models(services)}


@router.get("/{model}")
async def get_model(model: Annotated[str, Path(max_length=200)], services: Services) -> Any:
    found = next((each for each in await _models(services) if each["id"] == model), None)
    if found is None:
        raise NotFound(f"the model {model[:60]!r} does not exist", "GET /v1/models lists them", "model_not_found")
    return found


async def _models(services: ApiServices) -> list[dict[str, Any]]:
    rows = await fetch_all(services.pool, _COLLECTIONS, (services.documents.tenant, _MOST))
    hosted = [_model(id_, 0) for id_ in hosted_models(services)]
    return [_model(MODEL, 0), *hosted, *(_model(f"{MODEL}:{row['name']}", row["created"]) for row in rows)]


def _model(id_: str, created: int) -> dict[str, Any]:
    return {"id": id_, "object": "model", "created": created, "owned_by": MODEL}
