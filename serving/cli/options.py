"""What several commands take, and what groups of commands have in common."""

from typing import Annotated

import typer

Run = Annotated[str, typer.Argument(metavar="RUN", help="the run's id")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object instead of text")]


def group(about: str) -> typer.Typer:
    return typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
