"""`trireme profiles`: how answers are given on each channel."""

from collections.abc import Mapping
from typing import Any

from serving.cli.output import print_json
from serving.cli.session import connected
from serving.errors import BadRequest
from serving.runs.requests.limits import check_channel
from serving.settings import load_settings


async def list_profiles(json: bool) -> int:
    async with connected(load_settings(), worker=False) as client:
        found = await client.get("/profiles")
    if json:
        print_json(found)
        return 0
    for each in found:
        _print(each)
    return 0


async def set_profile(channel: str, changes: Mapping[str, str | None]) -> int:
    named = {name: value for name, value in changes.items() if value is not None}
    if not named:
        raise BadRequest("say what to change", f"trireme profiles set {channel} --length brief")
    check_channel(channel)
    async with connected(load_settings(), worker=False) as client:
        _print(await client.put(f"/profiles/{channel}", named))
    return 0


async def remove_profile(channel: str) -> int:
    check_channel(channel)
    async with connected(load_settings(), worker=False) as client:
        await client.delete(f"/profiles/{channel}")
    print("removed")
    return 0


def _print(each: Mapping[str, Any]) -> None:
    fields = "  ".join(f"{name}={value}" for name, value in each["profile"].items())
    print(f"{each['channel']:<10}  {fields}" + ("  (your own)" if each["own"] else ""))
