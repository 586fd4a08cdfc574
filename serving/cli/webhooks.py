"""`trireme webhooks`: what was told to whom, telling it again, and what messages are signed with."""

from typing import Any

from serving.cli.output import aligned, print_json
from serving.cli.owner import owned_database
from serving.cli.session import connected
from serving.errors import BadRequest
from serving.keys.key import check_tenant
from serving.runs.requests.limits import parse_id
from serving.settings import load_settings, secret_of

_STATES = ("pending", "delivered", "failed")


async def list_deliveries(run: str | None, state: str | None, json: bool) -> int:
    """The newest 200."""
    if state is not None and state not in _STATES:
        raise BadRequest(f"no state {state[:40]!r}", f"states are {', '.join(_STATES)}")
    query = {"limit": 200, "status": state, "run_id": parse_id(run, "run") if run else None}
    async with connected(load_settings(), worker=False) as client:
        given = {name: value for name, value in query.items() if value is not None}
        found = (await client.get("/webhooks/deliveries", **given))["deliveries"]
    if json:
        print_json(found)
    elif found:
        print("\n".join(aligned([("delivery", "state", "tries", "last", "run"), *map(_cells, found)])))
    else:
        print("nothing was sent to a webhook")
    return 0


async def replay_delivery(delivery: str) -> int:
    id_ = parse_id(delivery, "delivery")
    async with connected(load_settings(), worker=False) as client:
        await client.post(f"/webhooks/deliveries/{id_}/replay")
    print("a worker sends it again, under the same id")
    return 0


async def show_secret(tenant: str, rotate: bool) -> int:
    """Made when there is none yet. Works on the database itself, with the deployment's key."""
    from privacy.sealer import Sealer
    from serving.vault import vault_key
    from serving.webhooks.secret import change_secret, signing_secrets

    check_tenant(tenant)
    settings = load_settings()
    sealer = Sealer(vault_key(secret_of(settings.vault_key), settings.home))
    async with owned_database() as connection:
        if rotate:
            await change_secret(connection, sealer, tenant)
        print((await signing_secrets(connection, sealer, tenant))[0])
    return 0


def _cells(delivery: dict[str, Any]) -> tuple[str, ...]:
    last = delivery["error"] or str(delivery["answer"] or "-")
    return delivery["delivery_id"], delivery["status"], str(delivery["attempts"]), last, delivery["run_id"]
