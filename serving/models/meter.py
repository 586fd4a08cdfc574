"""Counts a prompt's tokens, and how many of them an earlier prompt of the run already held, as a prefix cache would."""

import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from graph.ports import Message, ToolSchema

BYTES_PER_TOKEN: Final = 4
BLOCK_TOKENS: Final = 16
BLOCK_BYTES: Final = BYTES_PER_TOKEN * BLOCK_TOKENS
MAX_BLOCKS: Final = 16_384


class PrefixMeter:
    """One run's simulated prefix cache: chained hashes of 16-token blocks, a token being 4 bytes of the prompt.

    The block chain follows vLLM's automatic prefix caching (docs.vllm.ai, design/prefix_caching): the first byte that
    differs ends the shared prefix. Holds at most `max_blocks` blocks, the least recently used go first.
    """

    def __init__(self, max_blocks: int = MAX_BLOCKS) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()
        self._max_blocks = max_blocks

    def measure(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> tuple[int, int]:
        """Returns (input_tokens, cached_tokens) of this prompt and remembers it for the next one."""
        prompt = render(messages, tools)
        tokens = -(-len(prompt) // BYTES_PER_TOKEN)
        chain = tuple(_chain(prompt))
        shared = self._shared(chain)
        self._remember(chain)
        # As in vLLM the last token is always computed: a fully known prompt still leaves one block to do.
        return tokens, min(shared, max(tokens - 1, 0) // BLOCK_TOKENS) * BLOCK_TOKENS

    def _shared(self, chain: Sequence[int]) -> int:
        return next((i for i, digest in enumerate(chain) if digest not in self._blocks), len(chain))

    def _remember(self, chain: Sequence[int]) -> None:
        # Tail first, so that the head of the prompt is the youngest and the last to be evicted.
        for digest in reversed(chain):
            self._blocks[digest] = None
            self._blocks.move_to_end(digest)
        while len(self._blocks) > self._max_blocks:
            self._blocks.popitem(last=False)


def render(messages: Sequence[Message], tools: Sequence[ToolSchema]) -> bytes:
    """The prompt as canonical UTF-8 lines, tools by name first; appending a message only appends bytes."""
    lines = [_line(tool.model_dump()) for tool in sorted(tools, key=lambda tool: tool.name)]
    lines += [_line(_message(message)) for message in messages]
    return b"".join(lines)


def _message(message: Message) -> dict[str, object]:
    value: dict[str, object] = {"role": message.role, "content": str(message.content)}
    if message.tool_calls:
        value["tool_calls"] = [call.model_dump() for call in message.tool_calls]
    if message.tool_call_id is not None:
        value["tool_call_id"] = message.tool_call_id
    return value


def _line(value: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # lone surrogates, huge integers
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return f"{text}\n".encode("utf-8", "surrogatepass")


def _chain(prompt: bytes) -> Iterator[int]:
    """Of this process alone: Python's own hash, 64 bits with a secret of the process."""
    digest = 0
    for start in range(0, len(prompt) - BLOCK_BYTES + 1, BLOCK_BYTES):
        digest = hash((digest, prompt[start : start + BLOCK_BYTES]))
        yield digest
