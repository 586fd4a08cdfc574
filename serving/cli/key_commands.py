"""`trireme keys`: the commands."""

from typing import Annotated

import typer

from serving.cli.ending import perform
from serving.cli.options import Json, group

keys_app = group("API keys: who may use the server.")


@keys_app.command("create")
def keys_create(
    tenant: Annotated[str, typer.Option("--tenant", metavar="T", help="whose: it sees this tenant alone")] = "default",
    name: Annotated[str, typer.Option("--name", help="what it is for, to tell it apart")] = "",
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="read, write or metrics; repeat. Without it: read and write")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DAYS", help="refuse it after so long: 90d. Without it: never")
    ] = None,
    json: Json = False,
) -> None:
    """Make a key and print it, this once. From then on the server wants a key from everyone."""
    from serving.cli.keys import create_key

    perform(create_key, tenant, name, scope or ["read", "write"], expires, json)


@keys_app.command("list")
def keys_list(
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="T", help="only this tenant's")] = None,
    json: Json = False,
) -> None:
    """List keys, without what makes them work."""
    from serving.cli.keys import list_keys

    perform(list_keys, tenant, json)


@keys_app.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="its id or prefix, as trireme keys list shows")],
) -> None:
    """Refuse a key from now on; every server does so within 5 seconds."""
    from serving.cli.keys import revoke_key

    perform(revoke_key, key)
