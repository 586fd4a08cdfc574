"""`trireme memory`: what is remembered, and forgetting it."""

from serving.cli.output import print_json
from serving.cli.printable import printable
from serving.cli.private import open_private
from serving.cli.session import connected
from serving.errors import BadRequest
from serving.runs.requests.limits import parse_id
from serving.settings import load_settings


async def list_memory(json: bool) -> int:
    settings = load_settings()
    with open_private(settings) as private:
        async with connected(settings, worker=False) as client:
            items = private.restore_json(await client.get("/memory"))
    if json:
        print_json(items)
        return 0
    for item in printable(items):
        print(f"{item['id']}  {item['text']}")
    if not items:
        print("nothing is remembered")
    return 0


async def delete_memory(memory_id: str | None, everything: bool) -> int:
    if (memory_id is None) != everything:
        raise BadRequest("say which memory to delete", "trireme memory delete ID, or --all")
    route = f"/memory/{parse_id(memory_id, 'memory')}" if memory_id is not None else "/memory"
    async with connected(load_settings(), worker=False) as client:
        await client.delete(route)
    print("deleted")
    return 0
