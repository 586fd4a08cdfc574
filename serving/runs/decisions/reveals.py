"""Values behind placeholders that an action needs: whoever lets it happen must have shown them to its run."""

from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

from graph.ports import ApprovalRequest
from graph.tools.content import canonical
from privacy.placeholder import find
from serving.database import Connection
from serving.errors import Conflict

_SHOW: LiteralString = """
insert into vault (tenant, scope, placeholder, kind, number, fingerprint, sealed, expires_at)
values (%(tenant)s, %(scope)s, %(placeholder)s, %(placeholder)s, 0, %(fingerprint)s, %(sealed)s,
    now() + interval '1 hour')
on conflict (tenant, scope, placeholder) do update set sealed = excluded.sealed, fingerprint = excluded.fingerprint,
    expires_at = excluded.expires_at
"""
_HIDDEN: LiteralString = """
select placeholder from unnest(%(placeholders)s::text[]) asked (placeholder)
where not exists (
    select from vault join runs using (tenant)
    where runs.run_id = %(run_id)s and vault.placeholder = asked.placeholder
        and scope in ('', %(run_id)s::text) and (expires_at is null or expires_at > now()))
order by placeholder
"""
_ASKED: LiteralString = "select request from approvals where run_id = %s and request ->> 'effect_key' = %s"


async def show(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keeps what a person released (rows of `PostgresVault.sealed`) for an hour, in the transaction of the decision:
    one that is refused shows nothing."""
    for row in rows:
        await connection.execute(_SHOW, row)


async def refuse_hidden(
    connection: Connection, run_id: str, request: ApprovalRequest, arguments: dict[str, Any]
) -> None:
    """Raises Conflict that names the placeholders whose values the tool needs and can't have."""
    text = canonical([arguments.get(name) for name in request.in_clear])
    if not (placeholders := sorted({str(found.placeholder) for found in find(text)})):
        return
    values = {"run_id": run_id, "placeholders": placeholders}
    rows = await (await connection.execute(_HIDDEN, values)).fetchall()
    if hidden := ", ".join(row["placeholder"] for row in rows):
        raise Conflict(
            f"{request.name} needs the values behind {hidden}",
            f"nothing is used up: send them under `reveal`, or trireme approve {run_id} where the run was started",
            "reveal_needed",
        )


async def refuse_hidden_retry(connection: Connection, run_id: str, key: str) -> None:
    """The same for an effect that is to be tried again: what was shown for it is forgotten after an hour."""
    for row in await (await connection.execute(_ASKED, (run_id, key))).fetchall():
        request = ApprovalRequest.model_validate(row["request"])
        await refuse_hidden(connection, run_id, request, request.arguments)
