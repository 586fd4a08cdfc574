"""A look at a running vLLM server: is it up, what does it serve, how full is it, what does its prefix cache save."""

from dataclasses import dataclass

import httpx

from gpu.errors import EngineUnavailable

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """vLLM's own counters since its start, over all its engine cores. Cache figures are in tokens, not requests."""

    requests_running: int
    requests_waiting: int
    kv_cache_usage: float
    prefix_queries: int
    prefix_hits: int

    @property
    def prefix_hit_rate(self) -> float | None:
        """Share of prompt tokens found in the prefix cache, 0 to 1; None before the first request."""
        return self.prefix_hits / self.prefix_queries if self.prefix_queries else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    url: str
    models: tuple[str, ...]
    load: Load


async def is_healthy(client: httpx.AsyncClient, url: str) -> bool:
    """Whether the server at `url` (without /v1) is ready for requests. A server that isn't there is not."""
    try:
        response = await client.get(f"{url}/health", timeout=TIMEOUT_SECONDS)
    except httpx.TransportError:
        return False
    return response.status_code == httpx.codes.OK


async def probe(url: str, api_key: str = "") -> ServerStatus:
    """The state of the vLLM server at `url` (without /v1). Raises EngineUnavailable with what to look at."""
    url = url.rstrip("/")
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        if not await is_healthy(client, url):
            raise EngineUnavailable(f"{url}/health does not answer 200: the server is down or still loading its model")
        models = await _models(client, url, api_key)
        metrics = await _get(client, f"{url}/metrics")
    return ServerStatus(url=url, models=models, load=read_load(metrics.text))


def read_load(exposition: str) -> Load:
    """Reads vLLM's Prometheus text. Raises EngineUnavailable when a metric is missing or the text is malformed."""
    samples = _samples(exposition)

    def values(name: str) -> list[float]:
        found = samples.get(f"vllm:{name}")
        if not found:
            raise EngineUnavailable(f"/metrics has no vllm:{name}: not vLLM, or its statistics are off")
        return found

    return Load(
        requests_running=int(sum(values("num_requests_running"))),
        requests_waiting=int(sum(values("num_requests_waiting"))),
        # The fullest engine core is the one that preempts, so the highest share tells more than the mean.
        kv_cache_usage=max(values("kv_cache_usage_perc")),
        prefix_queries=int(sum(values("prefix_cache_queries_total"))),
        prefix_hits=int(sum(values("prefix_cache_hits_total"))),
    )


def _samples(exposition: str) -> dict[str, list[float]]:
    from prometheus_client.parser import text_string_to_metric_families

    samples: dict[str, list[float]] = {}
    try:
        for family in text_string_to_metric_families(exposition):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append(sample.value)
    except ValueError as error:
        raise EngineUnavailable(f"/metrics is not Prometheus text: {error}") from None
    return samples


async def _models(client: httpx.AsyncClient, url: str, api_key: str) -> tuple[str, ...]:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    response = await _get(client, f"{url}/v1/models", headers)
    try:
        return tuple(str(model["id"]) for model in response.json()["data"])
    except (ValueError, LookupError, TypeError):
        raise EngineUnavailable(f"{url}/v1/models answers something else than a list of models") from None


async def _get(client: httpx.AsyncClient, address: str, headers: dict[str, str] | None = None) -> httpx.Response:
    try:
        response = await client.get(address, headers=headers)
    except httpx.TransportError as error:
        raise EngineUnavailable(f"{address} broke off: {type(error).__name__}") from None
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise EngineUnavailable(f"{address} answers 401: give the key that the server was started with (VLLM_API_KEY)")
    if response.status_code != httpx.codes.OK:
        raise EngineUnavailable(f"{address} answers {response.status_code}")
    return response
