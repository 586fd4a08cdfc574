"""Response profiles by channel: a tenant's own, else those that come with the product."""

from collections.abc import Mapping
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, ValidationError

from graph.profile import Profile
from serving.database import Pool, Row
from serving.errors import BadRequest, NotFound
from serving.runs.requests.limits import check_channel

EVERYONE: Final = "*"
_MINE: LiteralString = """
select distinct on (channel) channel, tenant <> '*' as own, to_jsonb(profile) - 'tenant' - 'channel' as profile
from profiles profile where tenant in (%(tenant)s, '*') order by channel, tenant = '*'
"""
_SET: LiteralString = """
insert into profiles (tenant, channel, length, structure, modality, progress, approval, artifacts)
values (%(tenant)s, %(channel)s, %(length)s, %(structure)s, %(modality)s, %(progress)s, %(approval)s, %(artifacts)s)
on conflict (tenant, channel) do update set length = excluded.length, structure = excluded.structure,
    modality = excluded.modality, progress = excluded.progress, approval = excluded.approval,
    artifacts = excluded.artifacts
"""
_REMOVE: LiteralString = "delete from profiles where tenant = %(tenant)s and channel = %(channel)s"


class ChannelProfile(BaseModel):
    """`own`: set by this tenant; without it, the one that came with the product."""

    channel: str
    own: bool
    profile: Profile


class ProfileStore:
    def __init__(self, pool: Pool | AsyncConnectionPool[AsyncConnection], tenant: str = "default") -> None:
        self._pool, self._tenant = pool, tenant

    def of(self, tenant: str) -> "ProfileStore":
        return ProfileStore(self._pool, tenant)

    async def all(self) -> list[ChannelProfile]:
        return [ChannelProfile.model_validate(row) for row in await self._rows()]

    async def get(self, channel: str) -> ChannelProfile:
        """Raises BadRequest that names the known channels."""
        return found(await self.all(), channel)

    async def set(self, channel: str, changes: Mapping[str, Any]) -> ChannelProfile:
        """What `changes` doesn't name stays as it was; a new channel begins as `api`. Raises BadRequest."""
        check_channel(channel)
        before = {each.channel: each.profile for each in await self.all()}.get(channel, Profile())
        profile = _changed(before, changes)
        await self._execute(_SET, {"channel": channel, **profile.model_dump()})
        return ChannelProfile(channel=channel, own=True, profile=profile)

    async def remove(self, channel: str) -> None:
        """The tenant's own: the one that came with the product holds again, if there is one. Raises NotFound."""
        if not await self._execute(_REMOVE, {"channel": channel.replace("\x00", "")}):
            raise NotFound(
                f"no profile of your own for channel {channel[:50]!r}", "trireme profiles list", "no_profile"
            )

    async def _rows(self) -> list[Row]:
        async with self._pool.connection() as connection:
            rows = connection.cursor(row_factory=dict_row)
            return await (await rows.execute(_MINE, {"tenant": self._tenant})).fetchall()

    async def _execute(self, query: LiteralString, values: dict[str, Any]) -> bool:
        async with self._pool.connection() as connection:
            return (await connection.execute(query, {"tenant": self._tenant, **values})).rowcount > 0


def found(profiles: list[ChannelProfile], channel: str) -> ChannelProfile:
    for each in profiles:
        if each.channel == channel:
            return each
    known = ", ".join(each.channel for each in profiles)
    hint = "trireme profiles set makes a channel of your own"
    raise BadRequest(f"no channel {channel[:50]!r}: known are {known}", hint, "unknown_channel")


def _changed(before: Profile, changes: Mapping[str, Any]) -> Profile:
    try:
        return Profile.model_validate({**before.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = str(first["loc"][0])[:50]
        hint = f"a profile has: {', '.join(Profile.model_fields)}"
        raise BadRequest(f"{where}: {first['msg'].lower()}", hint, "bad_profile") from None
