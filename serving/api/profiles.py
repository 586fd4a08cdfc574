"""Response profiles over HTTP: how answers are given on each channel."""

from typing import Any

from fastapi import APIRouter

from serving.api.runs import Services
from serving.profiles.store import ChannelProfile

router = APIRouter(prefix="/profiles", tags=["profiles"])


@router.get("", response_model=list[ChannelProfile])
async def list_profiles(services: Services) -> Any:
    return await services.profiles.all()


@router.get("/{channel}", response_model=ChannelProfile)
async def get_profile(channel: str, services: Services) -> Any:
    return await services.profiles.get(channel)


@router.put("/{channel}", response_model=ChannelProfile)
async def set_profile(channel: str, changes: dict[str, Any], services: Services) -> Any:
    """Changes what the body names; a new channel begins as `api`. Runs that exist keep the profile they have."""
    return await services.profiles.set(channel, changes)


@router.delete("/{channel}", status_code=204)
async def remove_profile(channel: str, services: Services) -> None:
    """Takes your own away; the one that came with the product holds again, if there is one."""
    await services.profiles.remove(channel)
