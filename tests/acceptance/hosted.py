"""A stack whose language model is a server on loopback that we script, and whose traces come to a receiver of ours."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.conftest import Up, running
from tests.integration.model_server import Answer, ModelServer, Seen
from tests.integration.telemetry_receiver import Receiver, receiving

_NAME = "tiny"
STEP = {"id": "s1", "goal": "Find what the goal asks for", "done_when": "it is found"}
PLAN = Answer(text=json.dumps({"steps": [STEP]}))
ACCEPT = Answer(text=json.dumps({"decision": "accept"}))


def tool(name: str, **arguments: object) -> Answer:
    return Answer(calls=((name, json.dumps(arguments)),))


def reported(finding: str, *sources: str) -> Answer:
    return tool("report", status="done", finding=finding, sources=list(sources))


def story(text: str) -> tuple[Answer, ...]:
    """All that a run of one step asks for: a plan, a finding, a verdict, and the answer `text`."""
    return (PLAN, reported(text), ACCEPT, Answer(text=text))


@dataclass(frozen=True, slots=True)
class Hosted:
    up: Up
    model: ModelServer
    traces: Receiver

    def says(self, *answers: Answer) -> list[Seen]:
        """Sets what the model answers next, first to last; returns the list that its requests will be in."""
        return self.model.will(_NAME, *answers)


@contextmanager
def hosting(path: Path, dsn: str, *known_names: str) -> Iterator[Hosted]:
    names = path / "names.txt"
    names.write_text("\n".join(known_names))
    with closing(ModelServer()) as model, receiving() as traces:
        settings = {
            "DATABASE_URL": dsn,
            "OPENAI_BASE_URL": model.base(_NAME),
            "TRIREME_MODEL": "tiny-test-model",
            "TRIREME_KNOWN_NAMES": str(names),
            "LANGFUSE_PUBLIC_KEY": "pk-test",
            "LANGFUSE_SECRET_KEY": "sk-test",
            "LANGFUSE_BASE_URL": traces.base_url,
        }
        (path / "home").mkdir()
        with running(path / "home", **settings) as up:
            yield Hosted(up, model, traces)
