"""`trireme retention` and `trireme prune`: how long what runs leave behind is kept, and taking away what is over.

Both work on the database itself, as the owner of its tables: no server's role may delete a log.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict

from serving.cli.output import aligned, print_json
from serving.cli.owner import owned_database
from serving.errors import BadRequest
from serving.runs.prune import Pruning, Share
from serving.runs.retention import EVERYONE, KINDS, RetentionTerms, set_terms, terms

_TENANT = re.compile(r"[^\x00-\x20\x7f]{1,100}")
_DAYS = re.compile(r"(\d{1,5})d?")
_FOREVER = "forever"


async def show_retention(tenant: str | None, new: Mapping[str, str | None], json: bool) -> int:
    """`new`: by kind what was asked for, `90d` or `forever`; None leaves it as it is."""
    days = {kind: _days(kind, text) for kind, text in new.items() if text is not None}
    if tenant is not None and not _TENANT.fullmatch(tenant):
        raise BadRequest("--tenant takes 1 to 100 visible characters", f"leave it out to mean everyone ({EVERYONE})")
    async with owned_database() as connection:
        if days:
            await set_terms(connection, tenant or EVERYONE, days)
        found = [each for each in await terms(connection) if tenant in (None, each.tenant) or each.tenant == EVERYONE]
    if json:
        print_json([asdict(each) for each in found])
        return 0
    print("\n".join(aligned([("tenant", *KINDS), *map(_cells, found)])))
    print(f"\ndays after a run's end, of keys after their first use; {EVERYONE}: of tenants without a line")
    print("trireme prune applies them")
    return 0


async def prune(dry_run: bool, json: bool) -> int:
    async with owned_database() as connection:
        pruning = Pruning(connection)
        await (pruning.plan() if dry_run else pruning.apply())
    if json:
        shares = [asdict(share) for share in pruning.shares]
        report = {"dry_run": dry_run, "shares": shares, "left_whole": pruning.left_whole}
        print_json(report)
        return 0
    if pruning.shares:
        print("would go:" if dry_run else "gone:")
        print("\n".join(aligned([("tenant", "kind", "rows", "bytes"), *map(_counts, pruning.shares)])))
    else:
        print("nothing is over: trireme retention shows how long what is kept")
    for thread_id in pruning.left_whole:
        print(f"left whole: thread {thread_id}: a DeltaChannel of its graph is read back from its older checkpoints")
    return 0


def _days(kind: str, text: str) -> int | None:
    if text == _FOREVER:
        return None
    if (found := _DAYS.fullmatch(text)) and (kind != "keys" or int(found[1])):
        return int(found[1])
    raise BadRequest(f"--{kind} takes days, as in 90d, or {_FOREVER}, not {text[:40]!r}", "trireme retention --help")


def _cells(of: RetentionTerms) -> tuple[str, ...]:
    shown = (_FOREVER if days is None else f"{days}d" for days in (of.events, of.checkpoints, of.artifacts, of.keys))
    return of.tenant, *shown


def _counts(share: Share) -> tuple[str, ...]:
    return share.tenant, share.kind, f"{share.rows:,}", f"{share.bytes:,}"
