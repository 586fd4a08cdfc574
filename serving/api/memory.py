"""What is remembered about the caller, over HTTP: list and delete."""

from typing import Any

from fastapi import APIRouter

from serving.api.runs import Services
from serving.errors import NotFound

router = APIRouter(prefix="/memory", tags=["memory"])


@router.get("")
async def list_memory(services: Services) -> Any:
    items = await services.memory.list()
    return await services.restore([{"id": item.id, "text": item.text, "source": item.source} for item in items])


@router.delete("/{memory_id}", status_code=204)
async def delete_memory(memory_id: str, services: Services) -> None:
    if not await services.memory.delete(memory_id):
        raise NotFound("no such memory", "trireme memory list shows them", "memory_not_found")


@router.delete("", status_code=204)
async def delete_all_memory(services: Services) -> None:
    await services.memory.delete_all()
