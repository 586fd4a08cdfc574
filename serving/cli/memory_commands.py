"""`trireme memory`: the commands."""

from typing import Annotated

import typer

from serving.cli.ending import perform
from serving.cli.options import Json, group

memory_app = group("What is remembered about you.")


@memory_app.command("list")
def memory_list(json: Json = False) -> None:
    """List what is remembered."""
    from serving.cli.memory import list_memory

    perform(list_memory, json)


@memory_app.command("delete")
def memory_delete(
    memory_id: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    everything: Annotated[bool, typer.Option("--all", help="delete all of it")] = False,
) -> None:
    """Delete one remembered statement, or all."""
    from serving.cli.memory import delete_memory

    perform(delete_memory, memory_id, everything)
