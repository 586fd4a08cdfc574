"""What a run came to, as the Agent Protocol tells it, once it has ended."""

from contextlib import suppress

import orjson
from fastapi import Response
from fastapi.responses import StreamingResponse

from serving.api.agent_protocol.messages import split
from serving.api.agent_protocol.place import at
from serving.api.agent_protocol.run import shown
from serving.api.sdk.creation import LOCATION
from serving.api.sdk.run_streams import outcome, until_ended
from serving.database import Row
from serving.errors import NotFound
from serving.runs.store import refuse_pruned
from serving.services import ApiServices


def awaited(services: ApiServices, row: Row, *, cancel: bool) -> Response:
    """`cancel`: when whoever waits goes away before that. Raises Gone."""
    refuse_pruned(str(row["run_id"]), row["pruned_at"])
    told = until_ended(services, row, cancel, _told)
    return StreamingResponse(told, media_type="application/json", headers={LOCATION: at(row)})


async def _told(services: ApiServices, row: Row) -> bytes:
    parts = split(orjson.loads(await outcome(services, row)))
    with suppress(NotFound):  # forgotten in the meantime: then as it was
        row = await services.launches.get(None, str(row["run_id"]))
    return orjson.dumps({"run": shown(row), **parts})
