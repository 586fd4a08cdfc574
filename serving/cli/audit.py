"""`trireme audit`: proves that a run's log is what was written, or says where it isn't."""

from serving.cli.output import print_json
from serving.cli.session import connected
from serving.runs.requests.limits import parse_id
from serving.settings import load_settings


async def verify(run_id: str, head: str, json: bool) -> int:
    """Exit code 0: intact; 1: it isn't."""
    parse_id(run_id, "run")
    async with connected(load_settings(), worker=False) as client:
        found = await client.get(f"/runs/{run_id}/audit", head=head)
    if json:
        print_json(found)
    elif found["intact"]:
        print(f"intact: {found['events']} events, head {found['head']}")
    else:
        print(f"BROKEN at {found['broken_at']}: {found['fault']}: {found['message']}")
    return 0 if found["intact"] else 1
