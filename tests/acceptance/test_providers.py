"""Models that nobody knows and providers that fail: each run ends clearly, and resume finishes it."""

import httpx
import orjson
import pytest

from tests.acceptance.conftest import DEMO, Up
from tests.acceptance.hosted import ACCEPT, PLAN, Hosted, reported, story
from tests.integration.model_server import Answer

DOCUMENTS = str(DEMO / "documents")
VACATION = "How many unused vacation days can be carried over?"


def test_an_unknown_model_ends_the_run_with_the_names_that_are_known(hosted: Hosted) -> None:
    hosted.says(*story("never asked"))
    done = hosted.up.home.run("run", VACATION, "--model", "gpt-nonsense", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    error = orjson.loads(done.stdout)["error"]
    assert error["code"] == "model_refused"
    assert "gpt-nonsense" in error["message"]
    assert "self-hosted" in error["message"]


def test_an_unknown_model_is_refused_by_the_offline_model_too(up: Up) -> None:
    done = up.home.run("run", VACATION, "--docs", DOCUMENTS, "--model", "gpt-nonsense", "--json")
    assert done.returncode == 1, done.stdout
    assert orjson.loads(done.stdout)["error"]["code"] == "model_refused"


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (Answer(status=401), "model_refused", "refuses the key (401)"),
        (Answer(status=404), "model_refused", "is not known by"),
        (Answer(status=429, headers={"Retry-After": "1"}), "model_unavailable", "rate limit (429)"),
        (Answer(status=500), "model_unavailable", "the provider failed (500)"),
        (Answer(raw=b"<html>It works!</html>"), "bad_reply", "no chat completion"),
        (Answer(text="I'd rather not."), "bad_reply", "no Plan"),
    ],
    ids=["401", "404", "429", "500", "garbage", "no-plan"],
)
def test_a_run_ends_clearly_when_its_provider_fails_and_resume_finishes_it(
    hosted: Hosted, fault: Answer, code: str, says: str
) -> None:
    hosted.says(*[fault] * 9)
    failed = httpx.post(f"{hosted.up.url}/runs", params={"wait": True}, json={"goal": VACATION}, timeout=120).json()
    assert failed["status"] == "error"
    assert failed["error"]["code"] == code
    assert says in failed["error"]["message"]
    logged = (hosted.up.home.path / "logs" / "worker.log").read_text()
    (line,) = [line for line in logged.splitlines() if f"run={failed['run_id']}" in line and " ERROR " in line]
    assert line.endswith(failed["error"]["message"])
    assert 'File "' not in logged, "an operator needs no traceback of what was foreseen"
    hosted.says(*story("Six days."))
    resumed = hosted.up.home.run("resume", failed["run_id"])
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "Six days." in resumed.stdout


def test_a_provider_that_fails_later_does_not_cost_what_was_done(hosted: Hosted) -> None:
    home = hosted.up.home
    hosted.says(PLAN, reported("Six days."), *[Answer(status=401)] * 4)
    failed = orjson.loads(home.run("run", VACATION, "--json").stdout)
    assert failed["status"] == "error"
    seen = hosted.says(ACCEPT, Answer(text="Six days."))
    assert home.run("resume", failed["run_id"]).returncode == 0
    assert len(seen) == 2, "planner and worker were not asked again"


def test_a_short_rate_limit_is_waited_out(hosted: Hosted) -> None:
    hosted.says(Answer(status=429, headers={"Retry-After": "1"}), *story("Six days."))
    run = httpx.post(f"{hosted.up.url}/runs", params={"wait": True}, json={"goal": VACATION}, timeout=60).json()
    assert run["answer"] == "Six days."
