"""Engines as data: the argv they give is well formed, complete and stable, and nothing unpinned is launched."""

import dataclasses
import re

import pytest

from gpu.engines import ENGINES, QWEN3_5_4B, Engine, Gpu, by_name, launch_arguments
from gpu.errors import EngineError

REVISION = "0123456789abcdef0123456789abcdef01234567"

every_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)


def flags(argv: tuple[str, ...]) -> dict[str, str | None]:
    """Flag -> value (None for a switch). Fails on a value that stands without a flag, and on a flag given twice."""
    found: dict[str, str | None] = {}
    rest = list(argv[3:])
    while rest:
        flag = rest.pop(0)
        assert re.fullmatch(r"--[a-z]+(-[a-z]+)*", flag), f"{flag!r} is no flag"
        assert flag not in found, f"{flag} is given twice"
        found[flag] = rest.pop(0) if rest and not rest[0].startswith("--") else None
    return found


def launched(engine: Engine, host: str = "127.0.0.1", port: int = 8000) -> tuple[str, ...]:
    return launch_arguments(engine.pinned(REVISION), host, port)


@every_engine
def test_the_command_serves_the_pinned_model_where_it_is_told_to(engine: Engine) -> None:
    argv = launched(engine, "0.0.0.0", 8123)
    assert argv[:3] == ("vllm", "serve", engine.model)
    given = flags(argv)
    assert (given["--host"], given["--port"], given["--revision"]) == ("0.0.0.0", "8123", REVISION)
    assert given["--served-model-name"] == engine.served_name


@every_engine
def test_every_word_is_printable_and_needs_no_shell_quoting(engine: Engine) -> None:
    assert all(re.fullmatch(r"[\w./-]+", word) for word in launched(engine))


@every_engine
def test_prefix_caching_is_on_with_a_collision_proof_hash_and_usage_reports_cached_tokens(engine: Engine) -> None:
    given = flags(launched(engine))
    assert given["--prefix-caching-hash-algo"] == "sha256"
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= given.keys()


@every_engine
def test_tool_calls_are_parsed_and_held_to_their_schema(engine: Engine) -> None:
    given = flags(launched(engine))
    assert "--enable-auto-tool-choice" in given
    assert given["--tool-call-parser"] == engine.tool_call_parser
    assert given["--reasoning-parser"] == engine.reasoning_parser
    assert given["--tool-strict-level"] == "parameter"


@every_engine
def test_no_key_stands_on_the_command_line(engine: Engine) -> None:
    assert not any("key" in word for word in launched(engine))


@every_engine
def test_the_same_engine_gives_the_same_bytes_each_time(engine: Engine) -> None:
    assert launched(engine) == launched(dataclasses.replace(engine))


def test_only_the_flag_of_a_changed_field_moves() -> None:
    before = flags(launched(QWEN3_5_4B))
    after = flags(launched(dataclasses.replace(QWEN3_5_4B, max_model_len=1024)))
    assert {name for name in before if before[name] != after[name]} == {"--max-model-len"}


@pytest.mark.parametrize(
    ("change", "flag", "value"),
    [
        ({"quantization": "fp8"}, "--quantization", "fp8"),
        ({"gpu": Gpu(kind="H100", count=2)}, "--tensor-parallel-size", "2"),
        ({"dtype": "float16"}, "--dtype", "float16"),
        ({"tool_strict_level": "function"}, "--tool-strict-level", "function"),
        ({"max_num_seqs": 7}, "--max-num-seqs", "7"),
        ({"text_only": True}, "--language-model-only", None),
    ],
)
def test_each_field_reaches_its_flag(change: dict[str, object], flag: str, value: str | None) -> None:
    bare = dataclasses.replace(QWEN3_5_4B, text_only=False, quantization=None)
    given = flags(launched(dataclasses.replace(bare, **change)))  # type: ignore[arg-type]  # fields by name, as data
    assert given[flag] == value
    assert flag not in flags(launched(bare)) or flags(launched(bare))[flag] != value


@every_engine
def test_an_engine_without_a_revision_is_refused_and_the_variable_is_named(engine: Engine) -> None:
    with pytest.raises(EngineError, match=rf"{engine.revision_variable} to its 40-digit commit hash"):
        launch_arguments(engine, "127.0.0.1", 8000)


@pytest.mark.parametrize("revision", ["main", "", "0123456", REVISION.upper(), REVISION + "0", f" {REVISION}"])
def test_what_is_not_a_commit_hash_does_not_pin(revision: str) -> None:
    with pytest.raises(EngineError, match="not a commit of"):
        QWEN3_5_4B.pinned(revision)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Qwen 4B"}, "name"),
        ({"model": "qwen"}, "model"),
        ({"model": "a/b/c"}, "model"),
        ({"revision": "main"}, "revision"),
        ({"gpu": Gpu(kind="L4", count=0)}, "gpu.count"),
        ({"max_model_len": 0}, "max_model_len"),
        ({"max_num_seqs": -1}, "max_num_seqs"),
    ],
)
def test_a_wrong_field_is_refused_by_name(change: dict[str, object], field: str) -> None:
    with pytest.raises(EngineError, match=f": {field} must be "):
        dataclasses.replace(QWEN3_5_4B, **change)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(EngineError, match="port"):
        launched(QWEN3_5_4B, port=port)


def test_names_are_unique_and_find_their_engine() -> None:
    assert len({engine.name for engine in ENGINES}) == len({engine.revision_variable for engine in ENGINES}) == 3
    assert all(by_name(engine.name) is engine for engine in ENGINES)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(EngineError, match=f"no engine 'gpt-9': there are .*{QWEN3_5_4B.name}"):
        by_name("gpt-9")


def test_revision_variables_are_portable_environment_names() -> None:
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", engine.revision_variable) for engine in ENGINES)
