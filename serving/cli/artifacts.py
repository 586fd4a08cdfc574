"""`trireme artifact`: the files that a run wrote, with the personal values put back."""

from urllib.parse import quote

from serving.cli.private import open_private
from serving.cli.session import connected
from serving.settings import load_settings


async def show_artifact(run_id: str, name: str | None) -> int:
    settings = load_settings()
    with open_private(settings) as private:
        async with connected(settings, worker=False) as client:
            names = (await client.get(f"/runs/{run_id}"))["artifacts"]
            if name is None:
                print("\n".join(names) or "this run wrote no files")
                return 0
            print(private.restore(await client.text(f"/runs/{run_id}/artifacts/{quote(name, safe='')}")))
    return 0
