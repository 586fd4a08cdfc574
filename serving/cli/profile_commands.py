"""`trireme profiles ...`: one function a command, each thin."""

from typing import Annotated

import typer

from serving.cli.ending import perform
from serving.cli.options import group

profiles_app = group("How answers are given on each channel.")
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="web, voice, cli, api, mcp or a name of your own")]


@profiles_app.command("list")
def profiles_list(
    json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """List the channels and how answers are given on them."""
    from serving.cli.profiles import list_profiles

    perform(list_profiles, json)


@profiles_app.command("set")
def profiles_set(
    channel: Channel,
    length: Annotated[str | None, typer.Option("--length", help="brief, normal or full")] = None,
    structure: Annotated[str | None, typer.Option("--structure", help="plain, markdown or facts")] = None,
    modality: Annotated[str | None, typer.Option("--modality", help="text, or speech: to be read aloud")] = None,
    progress: Annotated[
        str | None, typer.Option("--progress", help="what chat clients are told of the work: none, steps or all")
    ] = None,
    approval: Annotated[
        str | None, typer.Option("--approval", help="how chat clients decide: by a reply, or only at the run's link")
    ] = None,
    artifacts: Annotated[
        str | None, typer.Option("--artifacts", help="files that a run wrote: link, name or none")
    ] = None,
) -> None:
    """Change how answers are given on a channel, or make a channel of your own. Runs that exist stay as they are."""
    from serving.cli.profiles import set_profile

    changes = {
        "length": length,
        "structure": structure,
        "modality": modality,
        "progress": progress,
        "approval": approval,
        "artifacts": artifacts,
    }
    perform(set_profile, channel, changes)


@profiles_app.command("remove")
def profiles_remove(channel: Channel) -> None:
    """Take your own profile away; the one that came with the product holds again."""
    from serving.cli.profiles import remove_profile

    perform(remove_profile, channel)
