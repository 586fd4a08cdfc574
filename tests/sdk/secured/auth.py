"""Who knows a name comes in, and sees what is theirs: what a user's own `auth` looks like. Some names misbehave."""

from typing import Any

from langgraph_sdk import Auth

auth = Auth()
Context = Auth.types.AuthContext


@auth.authenticate
async def authenticate(
    authorization: str | None, headers: dict[bytes, bytes], path_params: dict[str, str], method: str
) -> dict[str, Any]:
    if authorization is None and (cookie := headers.get(b"cookie")):
        authorization = f"Bearer {cookie.decode().removeprefix('name=')}"
    scheme, _, name = (authorization or "").partition(" ")
    if scheme != "Bearer" or not name:
        raise Auth.exceptions.HTTPException(status_code=401, detail="say who you are", headers={"X-Asked": method})
    if name == "nobody":
        return None  # type: ignore[return-value]
    if name == "breaks":
        raise RuntimeError("the ledger of names is wet")
    return {"identity": name, "permissions": ["sail"], "berth": f"{name}'s own", "asked": path_params.get("thread_id")}


@auth.on
async def their_own(ctx: Context, value: dict[str, Any]) -> dict[str, str] | None:
    if ctx.user.identity == "admiral":
        return None
    assert ctx.action != "create" or {"thread_id", "assistant_id", "schedule"} & value.keys()
    value.setdefault("metadata", {})["owner"] = ctx.user.identity
    return {"owner": ctx.user.identity}


@auth.on.threads.read
async def shared(ctx: Context, value: Auth.types.ThreadsRead) -> Any:
    """Crews read each other's threads."""
    if ctx.user.identity == "admiral":
        return True
    if ctx.user.identity == "harbourmaster":
        return {"crew": {"$contains": "harbourmaster"}}
    return {"owner": ctx.user.identity}


@auth.on.threads.create_run
async def runs(ctx: Context, value: Auth.types.RunsCreate) -> dict[str, str]:
    assert "sail" in ctx.permissions
    assert value["kwargs"]["input"] != {"forbidden": True}, "not this one"
    value["multitask_strategy"] = "interrupt"
    value["kwargs"]["config"] = {**value["kwargs"]["config"], "recursion_limit": 60}
    value["metadata"]["owner"] = ctx.user.identity
    return {"owner": ctx.user.identity}


@auth.on.threads.delete
async def deletes(ctx: Context, value: Auth.types.ThreadsDelete) -> Any:
    if ctx.user.identity in ("admiral", "stowaway"):
        return ctx.user.identity == "admiral"
    return 7 if ctx.user.identity == "muddled" else {"owner": ctx.user.identity}


@auth.on.store
async def holds(ctx: Context, value: dict[str, Any]) -> Any:
    if ctx.user.identity == "stowaway":
        return {"owner": "stowaway"}
    value["namespace"] = (ctx.user.identity, *(value["namespace"] or ()))
    return None
