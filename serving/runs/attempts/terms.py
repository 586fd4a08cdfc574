"""On which terms an attempt works: with what is installed, or with what its run began with on another version."""

from dataclasses import dataclass
from typing import Any, LiteralString

from graph.events import Noted
from graph.prompt import Prompts
from serving.database import Pool, fetch_all
from serving.errors import ServingError
from serving.runs.attempts.bundle import Bundle, differing, lost
from serving.runs.log import AttemptLog
from serving.runs.queue import Claim

_KEEP: LiteralString = """
insert into prompt_texts (digest, content) select * from unnest(%s::text[], %s::text[]) on conflict do nothing
"""
_FIND: LiteralString = "select digest, content from prompt_texts where digest = any(%s)"


class BundleChanged(ServingError):
    """The run began with a version that this worker can't go on with."""

    code, status, exit_code = "bundle_changed", 409, 2


@dataclass(frozen=True, slots=True)
class Terms:
    """What an attempt works with: of the installed tools those named."""

    prompts: Prompts
    tools: frozenset[str]


class Bundles:
    """Of one process: its own bundle, and what the threads of others are pinned to."""

    def __init__(self, pool: Pool, bundle: Bundle, prompts: Prompts) -> None:
        self._pool, self._bundle = pool, bundle
        self._terms = Terms(prompts, frozenset(bundle.tools))

    async def publish(self) -> None:
        """Keeps this version's prompts for workers of others. Once, before the first claim."""
        texts = self._terms.prompts
        async with self._pool.connection() as connection:
            await connection.execute(_KEEP, (list(texts.digests().values()), list(texts.texts.values())))

    async def terms(self, claim: Claim, events: AttemptLog) -> Terms:
        """What the run works with; what isn't this worker's own is noted in its log. Raises BundleChanged."""
        pinned = _read(claim.bundle) if claim.bundle else self._bundle
        others = differing(pinned, self._bundle)
        if not others:
            return self._terms
        if not any(event.body.kind == "model_called" for event in events.history):
            # Nothing rests on the thread's bundle yet: the claim has pinned this worker's.
            message = f"the thread began with version {pinned.version}; this run works with other {others}"
            await events.append(Noted(code="bundle_repinned", message=message))
            return self._terms
        terms = await self._kept(pinned)
        message = f"began with version {pinned.version}: keeps its prompts and tools, though here are other {others}"
        await events.append(Noted(code="bundle_kept", message=message))
        return terms

    async def _kept(self, pinned: Bundle) -> Terms:
        gone = lost(pinned, self._bundle)
        prompts = await self._prompts(pinned)
        if gone or prompts is None:
            parts = ", ".join([*gone, *([] if prompts else ["prompts"])])
            raise BundleChanged(
                f"the run began with version {pinned.version}, and this worker can't go on with it: other {parts}",
                "start a worker of that version and resume the run, or start a new run",
            )
        return Terms(prompts, frozenset(pinned.tools))

    async def _prompts(self, pinned: Bundle) -> Prompts | None:
        """None when nobody has kept them."""
        if pinned.prompts == self._bundle.prompts:
            return self._terms.prompts
        rows = await fetch_all(self._pool, _FIND, (list(pinned.prompts.values()),))
        found = {row["digest"]: row["content"] for row in rows}
        if not found.keys() >= set(pinned.prompts.values()):
            return None
        return Prompts({name: found[digest] for name, digest in pinned.prompts.items()})


def _read(bundle: dict[str, Any]) -> Bundle:
    try:
        return Bundle(**bundle)
    except TypeError:
        raise BundleChanged(
            "the thread is pinned to a version whose bundle this worker can't read",
            "start a worker of that version, or start a new run on a new thread",
        ) from None
