"""The command line: one function a command, each thin. Nothing heavy is imported before a command needs it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.audit_commands import audit_app
from serving.cli.ending import perform
from serving.cli.key_commands import keys_app
from serving.cli.memory_commands import memory_app
from serving.cli.options import Json, Run
from serving.cli.profile_commands import profiles_app
from serving.cli.webhook_commands import webhooks_app

app = typer.Typer(
    name="trireme",
    help="Runs goals with planner, worker and critic over your documents; survives any kill.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(memory_app, name="memory")
app.add_typer(profiles_app, name="profiles")
app.add_typer(keys_app, name="keys")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(audit_app, name="audit")

ChangedBounds = Annotated[
    list[str] | None, typer.Option("--bounds", metavar="NAME=VALUE", help="change a bound, such as cost_usd=5; repeat")
]


@app.command()
def run(
    goal: Annotated[
        str, typer.Argument(metavar="GOAL", help="what you want to know or have done; - reads it from stdin")
    ],
    docs: Annotated[
        str | None, typer.Option("--docs", metavar="DIR", help="folder of Markdown, text, HTML, PDF and CSV files")
    ] = None,
    json: Json = False,
    thread: Annotated[str | None, typer.Option("--thread", metavar="ID", help="continue a conversation")] = None,
    review_plan: Annotated[bool, typer.Option("--review-plan", help="show the plan and wait for approval")] = False,
    model: Annotated[str | None, typer.Option("--model", help="a model_name of routes.yaml")] = None,
    max_cost: Annotated[float | None, typer.Option("--max-cost", min=0, help="stop at this many USD")] = None,
    max_seconds: Annotated[float | None, typer.Option("--max-seconds", min=0.1, help="stop after so long")] = None,
    priority: Annotated[
        int, typer.Option("--priority", min=-100, max=100, help="-100 to 100; a higher one starts first")
    ] = 0,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="NAME", help="answer as for this channel: trireme profiles list")
    ] = None,
    after: Annotated[float, typer.Option("--after", metavar="SECONDS", min=0, help="start it so much later")] = 0.0,
) -> None:
    """Answer a goal, from your documents."""
    from serving.cli.run import RunCommand, run_goal

    text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape") if goal == "-" else goal
    bounds = {"cost_usd": max_cost, "seconds": max_seconds}
    limits = {name: value for name, value in bounds.items() if value is not None}
    command = RunCommand(
        goal=text,
        docs=docs,
        json=json,
        thread=thread,
        review_plan=review_plan,
        model=model,
        bounds=limits,
        priority=priority,
        channel=channel,
        after_seconds=after,
    )
    perform(run_goal, command)


@app.command()
def up(
    routes: Annotated[Path | None, typer.Option("--routes", help="a routes.yaml in LiteLLM's shape")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="a langgraph.json: host its graphs too")] = None,
) -> None:
    """Start everything and print the addresses; Ctrl-C stops it."""
    from serving.cli.up import stay_up

    perform(stay_up, routes, config)


@app.command()
def doctor() -> None:
    """Say what is set, what is missing and how to mend it."""
    from serving.cli.doctor import examine

    perform(examine)


@app.command()
def status(run: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None, json: Json = False) -> None:
    """Show a run, or list the latest ones."""
    from serving.cli.runs import show_status

    perform(show_status, run, json)


@app.command()
def logs(
    run: Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until the run ends")] = False,
    json: Json = False,
) -> None:
    """Show what a run has done, line by line."""
    from serving.cli.runs import show_logs

    perform(show_logs, run, follow, json)


@app.command()
def plan(
    run: Run,
    edit: Annotated[
        bool, typer.Option("--edit", help="edit it while it waits for approval or the run is paused")
    ] = False,
    file: Annotated[Path | None, typer.Option("--file", help="with --edit: the new plan (YAML or JSON)")] = None,
) -> None:
    """Show a run's plan, or edit it."""
    from serving.cli.plan import show_plan

    perform(show_plan, run, edit, file)


@app.command()
def artifact(
    run: Run,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="print this file; without it, list them")] = None,
) -> None:
    """Print a file that a run wrote, or list its files."""
    from serving.cli.artifacts import show_artifact

    perform(show_artifact, run, name)


@app.command()
def approve(
    run: Run,
    approval: Annotated[str | None, typer.Option("--id", help="which question, when several wait")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="turn it down instead")] = False,
    reason: Annotated[str, typer.Option("--reason", help="why, for the agent and the log")] = "",
) -> None:
    """Approve what a run waits for: its plan or a tool call."""
    from serving.cli.runs import decide

    perform(decide, run, approval, reject, reason)


@app.command()
def effects(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="the run's id; without it, all runs")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="proposed, approved, prepared, done, failed or unknown")
    ] = None,
    decide: Annotated[
        tuple[str, str] | None,
        typer.Option("--decide", metavar="KEY WORD", help="say of an unknown one: happened, did-not or retry"),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="with --decide: why, for the agent and the log")] = "",
    json: Json = False,
) -> None:
    """List what runs changed outside, and say what became of a call that nobody knows about."""
    from serving.cli.effects import show_effects

    perform(show_effects, run, state, decide, note, json)


@app.command()
def pause(run: Run) -> None:
    """Let a run stand still until it is resumed."""
    from serving.cli.control import pause_run

    perform(pause_run, run)


@app.command()
def resume(run: Run, bounds: ChangedBounds = None) -> None:
    """Go on with a run that is paused, failed or was cancelled."""
    from serving.cli.control import resume_run

    perform(resume_run, run, bounds or ())


@app.command()
def cancel(run: Run) -> None:
    """Stop a run."""
    from serving.cli.control import cancel_run

    perform(cancel_run, run)


@app.command()
def fork(
    run: Run,
    at: Annotated[
        int | None, typer.Option("--at", metavar="LINE", max=2**53, help="a line of its log; else the latest point")
    ] = None,
    points: Annotated[bool, typer.Option("--list", help="only list the points to choose from")] = False,
    paused: Annotated[bool, typer.Option("--paused", help="let it wait, to edit its plan before it goes on")] = False,
    bounds: ChangedBounds = None,
    json: Json = False,
) -> None:
    """Go on from an earlier point of a run, in a new run; the old one is left alone."""
    from serving.cli.control import fork_run, list_points

    if points:
        perform(list_points, run, json)
    perform(fork_run, run, at, paused, bounds or (), json)


@app.command()
def retention(
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", metavar="T", help="whose; without it, of those without a line"),
    ] = None,
    events: Annotated[
        str | None, typer.Option("--events", metavar="DAYS", help="keep logs this long after a run's end: 90d, forever")
    ] = None,
    checkpoints: Annotated[
        str | None, typer.Option("--checkpoints", metavar="DAYS", help="after this, only a thread's newest is kept")
    ] = None,
    artifacts: Annotated[
        str | None, typer.Option("--artifacts", metavar="DAYS", help="keep the files that runs wrote this long")
    ] = None,
    keys: Annotated[
        str | None, typer.Option("--keys", metavar="DAYS", help="keep Idempotency-Keys this long, a day at least")
    ] = None,
    json: Json = False,
) -> None:
    """Show or set how long what runs leave behind is kept; trireme prune takes away what is over."""
    from serving.cli.retention import show_retention

    new = {"events": events, "checkpoints": checkpoints, "artifacts": artifacts, "keys": keys}
    perform(show_retention, tenant, new, json)


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False, json: Json = False
) -> None:
    """Take away logs, checkpoints and files of ended runs whose days are over. Safe beside running workers."""
    from serving.cli.retention import prune as apply

    perform(apply, dry_run, json)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="port to listen on")] = None,
    fd: Annotated[int | None, typer.Option(hidden=True, help="a socket that is bound already")] = None,
) -> None:
    """Run the API process alone (needs DATABASE_URL)."""
    import uvloop

    from serving.processes.serve import serve_api

    perform(serve_api, host, port, fd, loop_factory=uvloop.new_event_loop)


@app.command()
def worker() -> None:
    """Run a worker process alone (needs DATABASE_URL)."""
    from serving.processes.loop import WorkerLoop
    from serving.processes.serve import serve_worker

    perform(serve_worker, loop_factory=WorkerLoop)


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    from serving.processes.serve import migrate_database

    perform(migrate_database)
