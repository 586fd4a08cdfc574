"""infra/compatibility.md: each of the SDK's methods and parameters, and what came of it in the tests."""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

import langgraph_sdk

from tests.sdk.compatibility.recorder import Call, Recorder
from tests.sdk.compatibility.surface import SIDES, Method, Side, surface

PAGE: Final = Path(__file__).parents[3] / "infra" / "compatibility.md"
UNTESTED: Final = "not tested"
# What means nothing here, and why; it is taken and left alone.
LEFT_OUT: Final = {"langsmith_tracing": "taken and left alone: traces go where this server's own settings say"}
# What is taken and doesn't do all that it does there, and why.
NOTES: Final = {
    "feedback_keys": "kept with the run; no `feedback` event comes, for its links are LangSmith's, and a `Warning` "
    "header says so (`langgraph dev` without LangSmith ends such a run with an error)"
}
_JAVASCRIPT: Final = "\n## JavaScript"
_HEAD: Final = """# What of the LangGraph SDK works here

langgraph_sdk {version}, every method and parameter of its clients, as the tests in `tests/sdk` found it with two API
processes and two workers behind a round-robin. `make test-cluster` writes this page; nobody edits it.

"yes": a test that passed got an answer with it. "refused": the server says why instead. "{untested}": no test gives it.
A test of the async client runs with the sync one too, except where the test is the other's own.
"""


def write(recorder: Recorder) -> None:
    lines = [*_lines(recorder.calls, recorder.failed), *_javascript(recorder.in_javascript), ""]
    PAGE.write_text("\n".join(lines))


def listed() -> set[tuple[str, str]]:
    """(method, parameter) of the page that there is; the method itself has the parameter ""."""
    page = PAGE.read_text().partition(_JAVASCRIPT)[0]
    rows, method = set(), ""
    for name, parameter in re.findall(r"^\| (?:`([^`]+)` )?\| (?:`([^`]+)` )?\|", page, re.MULTILINE):
        method = name or method
        rows.add((method, parameter))
    return rows


def _lines(calls: Sequence[Call], failed: AbstractSet[str]) -> Iterator[str]:
    yield _HEAD.format(version=langgraph_sdk.__version__, untested=UNTESTED)
    there = {side: surface(side) for side in SIDES}
    methods = {**there["async"], **{name: each for name, each in there["sync"].items() if name not in there["async"]}}
    before = ""
    for method in methods.values():
        part = method.name.partition(".")[0]
        part = "threads.stream()" if method.name.startswith("threads.stream().") else part
        if part != before:
            yield f"\n## {part}\n\n| Method | Parameter | Result | Shown by |\n| --- | --- | --- | --- |"
            before = part
        sides = [side for side in SIDES if method.name in there[side]]
        own = [call for call in calls if call.method == method.name]
        yield from _rows(method, sides, own, failed)


def _javascript(methods: Mapping[str, AbstractSet[str] | None]) -> Iterator[str]:
    yield f"{_JAVASCRIPT}\n\n@langchain/langgraph-sdk on Node; its tests are in `tests/sdk/javascript`.\n"
    yield "| Method | Result | With |\n| --- | --- | --- |"
    for name, options in methods.items():
        given = ", ".join(f"`{option}`" for option in sorted(options or ()))
        yield f"| `{name}` | {UNTESTED if options is None else 'yes'} | {given} |"


def _rows(method: Method, sides: Sequence[Side], calls: Sequence[Call], failed: AbstractSet[str]) -> Iterator[str]:
    for parameter in ("", *method.parameters):
        given = [call for call in calls if not parameter or parameter in call.given]
        cells = {
            side: _cell([call for call in given if call.client == side], failed, method, parameter) for side in sides
        }
        result = next(iter(cells.values()))
        if len(sides) < len(SIDES) or len(set(cells.values())) > 1:
            result = "; ".join(f"{side}: {cell}" for side, cell in cells.items())
        tests = {call.test for call in given if not call.refusal and call.test not in failed}
        shown = _best(tests, method).replace(".py::", " ")
        name = f"`{method.name}`" if not parameter else ""
        yield f"| {name} | {parameter and f'`{parameter}`'} | {result} | {shown} |".replace("  ", " ")


def _best(tests: AbstractSet[str], method: Method) -> str:
    """One of the method's own, if there is one."""
    part = method.name.partition(".")[0].rstrip("s")
    return min(tests, key=lambda test: ("test_calls" in test, part not in test.partition("::")[0], test), default="")


def _cell(calls: Sequence[Call], failed: AbstractSet[str], method: Method, parameter: str) -> str:
    if parameter in LEFT_OUT:
        return LEFT_OUT[parameter]
    whole, values = _outcome(calls, failed), method.parameters.get(parameter)
    if parameter in NOTES:
        return f"{whole}: {NOTES[parameter]}"
    if not values:
        return whole
    outcomes = {value: _outcome([call for call in calls if value in call.given[parameter]], failed) for value in values}
    if set(outcomes.values()) == {whole}:
        return f"{whole}: {', '.join(values)}"
    told = dict.fromkeys(outcomes.values())
    return "; ".join(f"{word}: {', '.join(value for value in values if outcomes[value] == word)}" for word in told)


def _outcome(calls: Sequence[Call], failed: AbstractSet[str]) -> str:
    if any(not call.refusal and call.test not in failed for call in calls):
        return "yes"
    if any(call.test in failed for call in calls):
        return "**fails**"
    refusals = sorted({call.refusal for call in calls})
    return f"refused ({refusals[0].replace('|', '/')})" if refusals else UNTESTED
