"""The Agent Protocol's document (langchain-ai/agent-protocol, version 0.1.6, of 2026) as a table of facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Operation:
    """`answers`: its success; `refuses`: other statuses that it names; `needs` and `takes`: fields of its body, those
    that must be there and those that may."""

    answers: int
    refuses: str
    schema: str = ""
    needs: str = ""
    takes: str = ""


_RUN: Final = (
    "thread_id agent_id input messages metadata config webhook on_completion on_disconnect if_not_exists stream_mode"
)
_PAGE: Final = "limit offset"
OPERATIONS: Final[Mapping[str, Operation]] = {
    "POST /agents/search": Operation(200, "404 422", "[Agent]", takes=f"name metadata {_PAGE}"),
    "GET /agents/{agent_id}": Operation(200, "404", "Agent"),
    "GET /agents/{agent_id}/schemas": Operation(200, "404 422", "AgentSchema"),
    "POST /threads": Operation(200, "409 422", "Thread", takes="thread_id metadata if_exists"),
    "POST /threads/search": Operation(200, "422", "[Thread]", takes=f"metadata values status {_PAGE}"),
    "GET /threads/{thread_id}/history": Operation(200, "404 422", "[ThreadState]"),
    "POST /threads/{thread_id}/copy": Operation(200, "404 422", "Thread"),
    "GET /threads/{thread_id}": Operation(200, "404 422", "Thread"),
    "DELETE /threads/{thread_id}": Operation(204, "404 422"),
    "PATCH /threads/{thread_id}": Operation(200, "404 422", "Thread", takes="checkpoint metadata values messages"),
    "POST /runs": Operation(200, "404 409 422", "Run", takes=_RUN),
    "POST /runs/search": Operation(200, "404 422", "[Run]", takes=f"metadata status thread_id agent_id {_PAGE}"),
    "GET /runs/{run_id}": Operation(200, "404 422", "Run"),
    "DELETE /runs/{run_id}": Operation(204, "404 422"),
    "GET /runs/{run_id}/wait": Operation(200, "404 422", "RunWaitResponse"),
    "GET /runs/{run_id}/stream": Operation(200, "404 422"),
    "POST /runs/{run_id}/cancel": Operation(204, "404 422"),
    "POST /runs/stream": Operation(200, "404 409 422", takes=_RUN),
    "POST /runs/wait": Operation(200, "404 409 422", "RunWaitResponse", takes=_RUN.removesuffix(" stream_mode")),
    "POST /threads/{thread_id}/stream": Operation(200, "404 422", needs="channels", takes="namespaces depth since"),
    "GET /threads/{thread_id}/stream": Operation(101, "404 422"),
    "POST /threads/{thread_id}/commands": Operation(
        200, "404 422", "StreamingCommandResponse", needs="id method", takes="params"
    ),
    "PUT /store/items": Operation(204, "422", needs="namespace key value"),
    "DELETE /store/items": Operation(204, "404 422", needs="key", takes="namespace"),
    "GET /store/items": Operation(200, "404 422", "Item"),
    "POST /store/items/search": Operation(200, "422", "Items", takes=f"namespace_prefix filter {_PAGE}"),
    "POST /store/namespaces": Operation(200, "422", "[[string]]", takes=f"prefix suffix max_depth {_PAGE}"),
}
# Of each schema that is answered with: what must be there, and what may.
SCHEMAS: Final[Mapping[str, tuple[str, str]]] = {
    "Agent": ("agent_id name capabilities", "description metadata"),
    "AgentSchema": ("agent_id input_schema output_schema", "state_schema config_schema"),
    "Thread": ("thread_id created_at updated_at metadata status", "values messages"),
    "ThreadState": ("checkpoint values", "messages metadata"),
    "Run": ("run_id created_at updated_at status metadata", "thread_id agent_id input messages"),
    "RunWaitResponse": ("", "run values messages"),
    "StreamingCommandResponse": ("type id", ""),
    "Item": ("namespace key value created_at updated_at", ""),
    "Message": ("role content", ""),
}
RUN_STATUSES: Final = {"pending", "error", "success", "timeout", "interrupted"}
THREAD_STATUSES: Final = {"idle", "busy", "interrupted", "error"}
