"""The models behind LiteLLM's Router: one call out, its text checked, its tokens and money counted."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from copy import copy
from typing import Any, Final

from graph.deadline import within
from graph.errors import BadReply, ModelRefused, ModelUnavailable, StreamCut, TriremeError
from graph.form import Form
from graph.ports import ModelCall, ModelReply, OnPiece, Usage, Wanted
from privacy.redact import from_record
from serving.models.faults import is_refused, translated
from serving.models.meter import BYTES_PER_TOKEN, render
from serving.models.reply import BrokenOff, RawReply, clean, streamed, whole
from serving.models.request import chat_body
from serving.models.router import check_providers, close_router, import_litellm, new_router, salt_calls
from serving.models.routes import Deployment, Routes
from serving.models.structured import Unparsable, name_of, parse, repair_request

# The most tokens that text can make: numbers and rare scripts come near 2 bytes a token.
_FEWEST_BYTES_PER_TOKEN: Final = 2


class Gateway:
    """`graph.ports.Models` over the deployments of `routes`. One gateway serves all runs of a process.

    `secret` (bytes, the server's own) makes cache salts and session ids that nobody can guess or choose;
    `classification` is the class of data that this gateway may carry.
    """

    name = "gateway"

    def __init__(
        self, routes: Routes, *, secret: bytes, tenant: str = "default", classification: str = "public"
    ) -> None:
        if not secret:
            raise ValueError("the gateway needs a secret to derive session ids and cache salts from")
        self._routes, self._classification = routes, classification
        self._secret, self._tenant = secret, tenant
        self._router: Any = None
        self._opening = asyncio.Lock()
        self._refusals: dict[str, str] = {}

    async def open(self) -> None:
        """Imports LiteLLM in a thread and builds the Router, once. A worker may do it early; `complete` does it too."""
        async with self._opening:
            if self._router is None:
                await asyncio.to_thread(import_litellm)
                check_providers(self._routes)
                self._router = new_router(self._routes)

    def of(self, tenant: str) -> "Gateway":
        """An open one for another tenant: what its calls leave in an engine's prefix cache is found by no other's."""
        other = copy(self)
        other._tenant = tenant
        return other

    async def close(self) -> None:
        if self._router is not None:
            await close_router(self._router)
            self._router = None

    def estimate(self, call: ModelCall) -> float:
        """Upper bound in USD: 2 bytes a token, a full reply, the dearest deployment in reach, one repair."""
        size = len(render(call.messages, call.tools)) // _FEWEST_BYTES_PER_TOKEN
        cost = self._dearest(call, size)
        if call.reply is None:
            return cost
        return cost + self._dearest(call, size + call.max_tokens + len(repair_request(Unparsable("", ""), call.reply)))

    async def complete(self, call: ModelCall, on_piece: OnPiece | None = None) -> ModelReply:
        """Raises ModelUnavailable, StreamCut, ModelRefused, BadReply; GatewayRefused for text that is not Redacted."""
        alias = self._alias(call)
        body = self._body(call, alias)
        self._check_cost(call)
        await self.open()
        try:
            reply = await self._ask(alias, body, on_piece)
        except BrokenOff as broken:
            raise self._cut(alias, broken.reply, call) from None
        usage, parsed = self._usage(alias, reply, call), None
        try:
            calls = reply.tool_calls() if call.allow_tools else ()
            if call.reply is not None and not calls:
                try:
                    parsed = await _parsed(reply, call.reply)
                except Unparsable as problem:
                    reply = await self._ask(alias, _repair(body, reply, problem, call.reply), None)
                    usage = _sum(usage, self._usage(alias, reply, call))
                    parsed = await _parsed_again(reply, call.reply)
            model = self._at(alias, reply).model
            if not reply.text and not calls:
                raise BadReply(f"{model}: the reply is empty ({_why_empty(reply)}); try again")
        except BadReply as error:
            told = BadReply(f"{error}{_ran_out(reply, call)}")
            told.usage = usage.model_dump()
            raise told from None
        return ModelReply(from_record(clean(reply.text)), model, usage, calls, parsed)

    async def _ask(self, alias: str, body: Mapping[str, Any], on_piece: OnPiece | None) -> RawReply:
        """One round trip, with the Router's retries and fallbacks, or two: the schema is a help that not every engine's
        grammar can give, and what comes is checked here."""
        limit = self._routes.timeout_s
        try:
            async with within(limit):
                try:
                    reply = await self._send(body, on_piece)
                except Exception as error:
                    if "response_format" not in body or not is_refused(error):
                        raise
                    reply = await self._send(_unbound(body), on_piece)
        except (TriremeError, BrokenOff):
            raise
        except TimeoutError:
            raise ModelUnavailable(f"{alias}: no answer within {limit:g} s (agent.bounds.timeout_s)") from None
        except Exception as error:
            # `from None`: the chain below holds the provider's words, which may echo the prompt.
            raise self._fault(alias, error) from None
        self._refusals.pop(alias, None)
        return reply

    async def _send(self, body: Mapping[str, Any], on_piece: OnPiece | None) -> RawReply:
        # Without the flag LiteLLM imports `mcp`, which is not among our packages, for every call with tools.
        body = {**body, "_skip_mcp_handler": True}
        salt_calls(self._derived("cache_salt", self._tenant))
        if on_piece is None:
            return whole(await self._router.acompletion(**body))
        stream = await self._router.acompletion(**body, stream=True, stream_options={"include_usage": True})
        try:
            return await streamed(stream, on_piece)
        finally:
            await stream.aclose()

    def _alias(self, call: ModelCall) -> str:
        return self._routes.alias_for(call.task.role, call.model, self._classification)

    def _body(self, call: ModelCall, alias: str) -> dict[str, Any]:
        """The chat completion, and under `affinity` the thread's id in each form that a provider or router knows."""
        deployments = self._routes.reachable(alias)
        body = {"model": alias, **chat_body(call, deployments)}
        if self._routes.affinity:
            session = self._derived("session", call.thread_id)[:32]
            body |= {"user": session, "prompt_cache_key": session, "metadata": {"session_id": session}}
            body["extra_headers"] = {header: session for place in deployments if (header := place.affinity_header)}
        return body

    def _dearest(self, call: ModelCall, size: int) -> float:
        prices = [deployment.price for deployment in self._routes.reachable(self._alias(call))]
        return max(price.cost(size, call.max_tokens, written=written) for price in prices for written in (0, size))

    def _check_cost(self, call: ModelCall) -> None:
        limit = self._routes.max_cost_usd
        if limit is not None and (cost := self.estimate(call)) > limit:
            raise ModelRefused(
                f"the call may cost ${cost:.4f}, and agent.bounds.max_cost_usd is ${limit:g}; raise it in routes.yaml"
            )

    def _fault(self, alias: str, error: Exception) -> TriremeError:
        if type(error).__name__.startswith("RouterRateLimitError"):
            if refused := self._refusals.get(alias):
                return ModelRefused(refused)
            return ModelUnavailable(f"{alias}: all its deployments rest after failures; try again in a minute")
        failed = self._routes.by_id(str(getattr(error, "failed_deployment_id", ""))) or self._routes.behind(alias)[0]
        fault = translated(error, failed)
        if isinstance(fault, ModelRefused):
            self._refusals[alias] = str(fault)
        return fault

    def _cut(self, alias: str, reply: RawReply, call: ModelCall) -> StreamCut:
        """The Router retries no stream that has begun."""
        model = self._at(alias, reply).model
        told = f"{model} ({alias}): the connection broke, or the stream ended, before the reply's end; try again"
        return StreamCut(told, self._usage(alias, reply, call).model_dump())

    def _usage(self, alias: str, reply: RawReply, call: ModelCall) -> Usage:
        """The provider's count; where it gives none, 4 bytes a token."""
        sent = reply.input_tokens or len(render(call.messages, call.tools)) // BYTES_PER_TOKEN
        said = reply.output_tokens or reply.size() // BYTES_PER_TOKEN
        cost = self._at(alias, reply).price.cost(sent, said, reply.cached_tokens, reply.written_tokens)
        return Usage(input_tokens=sent, output_tokens=said, cached_tokens=reply.cached_tokens, cost_usd=cost)

    def _at(self, alias: str, reply: RawReply) -> Deployment:
        return self._routes.by_id(reply.deployment_id) or self._routes.behind(alias)[0]

    def _derived(self, purpose: str, value: str) -> str:
        """64 hex digits: vLLM takes a salt of any length, but a fixed shape can't be probed or break its engine."""
        return hmac.new(self._secret, f"{purpose}\0{value}".encode(), hashlib.sha256).hexdigest()


def _unbound(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "response_format"}


def _repair(body: Mapping[str, Any], reply: RawReply, problem: Unparsable, wanted: Wanted) -> dict[str, Any]:
    said = {"role": "assistant", "content": clean(reply.text) or "(nothing)"}
    asked = {"role": "user", "content": repair_request(problem, wanted)}
    return {**body, "messages": [*body["messages"], said, asked]}


async def _parsed(reply: RawReply, wanted: Wanted) -> Any:
    """A caller's schema may take its time: other runs go on meanwhile."""
    return await asyncio.to_thread(parse, reply.text, wanted) if isinstance(wanted, Form) else parse(reply.text, wanted)


async def _parsed_again(reply: RawReply, wanted: Wanted) -> Any:
    try:
        return await _parsed(reply, wanted)
    except Unparsable as problem:
        raise BadReply(f"the reply is no {name_of(wanted)}, also after one repair: {problem}") from None


def _sum(first: Usage, second: Usage) -> Usage:
    return Usage(
        input_tokens=first.input_tokens + second.input_tokens,
        output_tokens=first.output_tokens + second.output_tokens,
        cached_tokens=first.cached_tokens + second.cached_tokens,
        cost_usd=first.cost_usd + second.cost_usd,
    )


def _ran_out(reply: RawReply, call: ModelCall) -> str:
    return f"; all of max_tokens={call.max_tokens} was used, by thinking perhaps" if reply.finish == "length" else ""


def _why_empty(reply: RawReply) -> str:
    return {"content_filter": "the provider's filter stopped it"}.get(reply.finish, "no text and no tool call")
