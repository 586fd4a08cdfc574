"""`trireme audit`: the commands."""

from typing import Annotated

import typer

from serving.cli.ending import perform
from serving.cli.options import Json, Run, group

audit_app = group("Whether a run's log is what was written.")


@audit_app.command("verify")
def audit_verify(
    run: Run,
    head: Annotated[
        str, typer.Option("--head", metavar="HEX", help="the log_head you kept: proves that nothing was cut off since")
    ] = "",
    json: Json = False,
) -> None:
    """Compute a log's chain of hashes anew; exit code 1 when it is broken."""
    from serving.cli.audit import verify

    perform(verify, run, head, json)
