"""`trireme artifact`: the files that a run wrote, with the personal values put back."""

import sys
from urllib.parse import quote

from serving.cli.printable import printable
from serving.cli.private import open_private
from serving.cli.session import connected
from serving.settings import load_settings


async def show_artifact(run_id: str, name: str | None) -> int:
    settings = load_settings()
    with open_private(settings) as private:
        async with connected(settings, worker=False) as client:
            view = await client.get(f"/runs/{run_id}")
            if name is None:
                none = "none are left: retention pruned this run" if view["pruned_at"] else "this run wrote no files"
                print(printable("\n".join(view["artifacts"])) or none)
                return 0
            text = private.restore(await client.text(f"/runs/{run_id}/artifacts/{quote(name, safe='')}"))
            print(printable(text) if sys.stdout.isatty() else text)
    return 0
