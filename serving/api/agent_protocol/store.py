"""The store of the Agent Protocol: the LangGraph SDK's, told a little differently."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from serving.api.agent_protocol.failures import ABSENT, UNFIT
from serving.api.runs import Services
from serving.api.sdk import store
from serving.api.sdk.answer import answer
from serving.api.sdk.schemas import Item
from serving.errors import NotFound

router = APIRouter(prefix="/store", tags=["Store"])


class Items(BaseModel):
    items: list[Item]


class Found(store.Place):
    namespace: list[str] = Field(default_factory=list, max_length=100)


router.put("/items", status_code=204, responses=UNFIT)(store.put_item)
router.post("/items/search", response_model=Items, responses=UNFIT)(store.search_items)


@router.delete("/items", status_code=204, responses=ABSENT)
async def delete_item(body: Found, services: Services) -> None:
    await store.delete_item(body, services)


@router.get("/items", response_model=Item, responses=ABSENT)
async def get_item(
    services: Services,
    key: Annotated[str, Query(min_length=1, max_length=1_000)],
    namespace: Annotated[list[str] | None, Query(max_length=100, description="label by label")] = None,
) -> Response:
    found = await store.item_of(services, namespace or [], key)
    if found is None:
        hint = "POST /store/items/search lists a namespace's items"
        raise NotFound("there is no such item", hint, "item_not_found")
    return answer(found)


@router.post("/namespaces", response_model=list[list[str]], responses=UNFIT)
async def list_namespaces(body: store.NamespaceSearch, services: Services) -> Response:
    return answer(await store.namespaces_of(services, body))
