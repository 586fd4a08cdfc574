"""`trireme webhooks`: the commands."""

from typing import Annotated

import typer

from serving.cli.ending import perform
from serving.cli.options import Json, group

webhooks_app = group("What runs' ends were told to.")


@webhooks_app.command("list")
def webhooks_list(
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="only those of this run")] = None,
    state: Annotated[str | None, typer.Option("--state", help="pending, delivered or failed")] = None,
    json: Json = False,
) -> None:
    """List what was sent to webhooks, newest first, and how it went."""
    from serving.cli.webhooks import list_deliveries

    perform(list_deliveries, run, state, json)


@webhooks_app.command("replay")
def webhooks_replay(delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="its id")]) -> None:
    """Send a message again, under the same id."""
    from serving.cli.webhooks import replay_delivery

    perform(replay_delivery, delivery)


@webhooks_app.command("secret")
def webhooks_secret(
    tenant: Annotated[str, typer.Option("--tenant", metavar="T", help="whose messages")] = "default",
    rotate: Annotated[
        bool, typer.Option("--rotate", help="make a new one; messages carry both signatures for a day")
    ] = False,
) -> None:
    """Print what a receiver checks signatures with (Standard Webhooks); it is made the first time."""
    from serving.cli.webhooks import show_secret

    perform(show_secret, tenant, rotate)
