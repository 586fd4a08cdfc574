"""The store of hosted graphs as the LangGraph SDK reads and writes it."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from serving.api.runs import Services
from serving.api.sdk.answer import answer
from serving.api.sdk.schemas import Item, Items, Namespaces
from serving.errors import Unprocessable
from serving.jsonb import jsonb
from serving.search import Paged
from serving.services import ApiServices

if TYPE_CHECKING:
    from serving.items.scoped import ScopedStore

router = APIRouter(prefix="/store", tags=["store"])
_Labels = Annotated[list[str], Field(max_length=100)]
_Key = Annotated[str, Field(min_length=1, max_length=1_000)]
_LONGEST = 500
_TTL = Annotated[float, Field(gt=0, le=525_600_000)]
_OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")


class Place(BaseModel):
    namespace: _Labels
    key: _Key


class NewItem(Place):
    """`index`: which fields are searched by meaning; false for none. `ttl` in minutes."""

    value: dict[str, Any]
    index: Literal[False] | list[str] | None = None
    ttl: _TTL | None = None


class ItemSearch(Paged):
    """`filter`: values that must be equal, or {"$gt": ...} and the like. `query`: what to find by meaning."""

    namespace_prefix: _Labels | None = None
    filter: dict[str, Any] | None = None
    query: str | None = Field(default=None, max_length=32_000)
    refresh_ttl: bool | None = None


class NamespaceSearch(Paged):
    """`*` stands for any label."""

    prefix: _Labels | None = None
    suffix: _Labels | None = None
    max_depth: int | None = Field(default=None, ge=1, le=100)
    limit: int = Field(default=100, ge=1, le=1_000)


@router.put("/items", status_code=204)
async def put_item(body: NewItem, services: Services) -> None:
    """Stores a value under namespace and key, in the place of one that is there."""
    namespace = _namespace(body.namespace)
    jsonb(body.value, "value")
    given: dict[str, Any] = {} if body.ttl is None else {"ttl": body.ttl}
    fields = list(dict.fromkeys(body.index)) if body.index else body.index  # one named twice can't be written
    await (await _store(services)).aput(namespace, body.key, body.value, index=fields, **given)


@router.get("/items", response_model=Item | None)
async def get_item(
    services: Services,
    namespace: Annotated[str, Query(description="labels with dots between them", max_length=10_000)],
    key: Annotated[str, Query(min_length=1, max_length=1_000)],
    refresh_ttl: bool | None = None,
) -> Response:
    """The item, or null."""
    return answer(await item_of(services, namespace.split("."), key, refresh_ttl))


@router.delete("/items", status_code=204)
async def delete_item(body: Place, services: Services) -> None:
    await (await _store(services)).adelete(_namespace(body.namespace), body.key)


@router.post("/items/search", response_model=Items)
async def search_items(body: ItemSearch, services: Services) -> Response:
    """The newest first; with a `query`, and an index in langgraph.json, the nearest in meaning."""
    found = await (await _store(services)).asearch(
        labels_of(body.namespace_prefix or []),
        query=body.query,
        filter=_filter(body.filter),
        limit=body.limit,
        offset=body.offset,
        refresh_ttl=body.refresh_ttl,
    )
    return answer({"items": [item.dict() for item in found]})


@router.post("/namespaces", response_model=Namespaces)
async def list_namespaces(body: NamespaceSearch, services: Services) -> Response:
    return answer({"namespaces": await namespaces_of(services, body)})


async def item_of(
    services: ApiServices, labels: list[str], key: str, refresh_ttl: bool | None = None
) -> dict[str, Any] | None:
    """Raises Unprocessable for labels that can't be a namespace."""
    found = await (await _store(services)).aget(_namespace(labels), key, refresh_ttl=refresh_ttl)
    return found.dict() if found else None


async def namespaces_of(services: ApiServices, wanted: NamespaceSearch) -> list[tuple[str, ...]]:
    prefix, suffix = labels_of(wanted.prefix or []), labels_of(wanted.suffix or [])
    return await (await _store(services)).alist_namespaces(
        prefix=prefix or None,
        suffix=suffix or None,
        max_depth=wanted.max_depth,
        limit=wanted.limit,
        offset=wanted.offset,
    )


async def _store(services: ApiServices) -> "ScopedStore":
    return await services.stores.of(services.runs.tenant)


def _namespace(labels: list[str]) -> tuple[str, ...]:
    """Raises Unprocessable."""
    if not labels or labels == [""]:
        raise Unprocessable("the namespace is empty", "give it at least one label", "bad_namespace")
    return labels_of(labels)


def labels_of(labels: list[str]) -> tuple[str, ...]:
    for label in labels:
        if not label or "." in label or len(label) > _LONGEST:
            raise Unprocessable(
                f"{label[:100]!r} is no label of a namespace",
                f"a label has 1 to {_LONGEST} characters and no dot",
                "bad_namespace",
            )
    if labels and labels[0] == "langgraph":
        raise Unprocessable(
            "namespaces that begin with langgraph are LangGraph's own", "choose another", "bad_namespace"
        )
    return tuple(labels)


def _filter(given: dict[str, Any] | None) -> dict[str, Any] | None:
    jsonb(given, "filter")
    for name, wanted in (given or {}).items():
        for operator in wanted if isinstance(wanted, dict) else ():
            if operator not in _OPERATORS:
                known = ", ".join(_OPERATORS)
                raise Unprocessable(
                    f"filter.{name[:100]}: there is no operator {operator[:50]!r}", f"there are: {known}"
                )
    return given
