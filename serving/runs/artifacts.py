"""Port `Artifacts`: files that a run leaves behind, kept with it in Postgres."""

from typing import LiteralString

from graph.faults import point
from graph.tools.content import clean
from serving.database import Pool, connected
from serving.runs.fence import OWNED, fence_lost

_WRITE: LiteralString = """
insert into artifacts (run_id, name, media_type, content)
select run_id, %(name)s, %(media_type)s, %(content)s from owned
on conflict (run_id, name) do update
    set media_type = excluded.media_type, content = excluded.content, created_at = now()
returning name
"""


class PostgresArtifacts:
    """One attempt's artifacts; the last write of a name wins."""

    def __init__(self, pool: Pool, run_id: str, fence: int) -> None:
        self._pool, self._run_id, self._fence = pool, run_id, fence

    async def write(self, name: str, media_type: str, content: str) -> str:
        """Returns the path at which the API serves it. Raises FenceLost when a newer attempt owns the run."""
        values = {"name": name, "media_type": media_type, "content": clean(content)}
        owner = {"run_id": self._run_id, "fence": self._fence}
        point("artifact.ready")
        async with connected(self._pool) as connection:
            row = await (await connection.execute(OWNED + _WRITE, {**owner, **values})).fetchone()
        point("artifact.committed")
        if row is None:
            raise fence_lost(self._run_id, "write artifacts")
        return f"/runs/{self._run_id}/artifacts/{name}"


class MemoryArtifacts:
    """The same for one process (Studio)."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, str]] = {}

    async def write(self, name: str, media_type: str, content: str) -> str:
        self.files[name] = (media_type, content)
        return f"memory:{name}"
