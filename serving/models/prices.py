"""What a token costs: from our routes, else from the price list that LiteLLM ships. An unknown price is no price."""

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import orjson

_LIST: Final = "model_prices_and_context_window_backup.json"
_LONG: Final = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
FIELDS: Final = (
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
)


@dataclass(frozen=True, slots=True)
class Price:
    """USD per token. A call with more than `long_from` input tokens is billed at `long` as a whole."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    long_from: int = 0
    long: "Price | None" = None

    def cost(self, input_tokens: int, output_tokens: int, cached: int = 0, written: int = 0) -> float:
        """USD of a call; `cached` and `written` are the parts of the input read from and put into a prefix cache."""
        if self.long and input_tokens > self.long_from:
            return self.long.cost(input_tokens, output_tokens, cached, written)
        fresh = max(input_tokens - cached - written, 0)
        return fresh * self.input + cached * self.cache_read + written * self.cache_write + output_tokens * self.output


def price_of(fields: Mapping[str, Any]) -> Price | None:
    """The price in LiteLLM's field names, or None when input or output cost is missing."""
    price = _tier(fields, "")
    marks = [int(found[1]) for name in fields if (found := _LONG.fullmatch(name))]
    if price is None or not marks:
        return price
    long = _tier(fields, f"_above_{min(marks)}k_tokens")
    return Price(price.input, price.output, price.cache_read, price.cache_write, min(marks) * 1000, long)


def _tier(fields: Mapping[str, Any], suffix: str) -> Price | None:
    def of(name: str) -> float | None:
        found = fields.get(name + suffix, fields.get(name))
        return None if found is None else float(found)

    fresh, output, read, write = (of(name) for name in FIELDS)
    if fresh is None or output is None:
        return None
    return Price(fresh, output, fresh if read is None else read, fresh if write is None else write)


class PriceList:
    """LiteLLM's bundled list, read as a file: importing LiteLLM would cost 3 s of CPU."""

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        spec = importlib.util.find_spec("litellm")
        if spec is None or spec.origin is None:
            return {}
        entries: dict[str, dict[str, Any]] = orjson.loads((Path(spec.origin).parent / _LIST).read_bytes())
        return entries

    def price(self, model: str) -> Price | None:
        """`model` as LiteLLM names it: `anthropic/claude-...`, `gpt-...`, `gemini/...`."""
        return price_of(self._entry(model))

    def provider(self, model: str) -> str:
        """The provider's prefix, empty when the list does not know the model."""
        return str(self._entry(model).get("litellm_provider", ""))

    def _entry(self, model: str) -> dict[str, Any]:
        if found := self._entries.get(model):
            return found
        provider, _, name = model.partition("/")
        found = self._entries.get(name, {})
        return found if found.get("litellm_provider") == provider else {}
