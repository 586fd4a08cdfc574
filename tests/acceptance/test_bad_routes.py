"""A routes.yaml that no worker can start with: told by file, line and field."""

import pytest

from tests.acceptance.conftest import Home
from tests.acceptance.processes import left_behind
from tests.acceptance.refusal import refused

ROUTES = """model_list:
  - model_name: small
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: none
agent:
  roles:
    planner: {planner}
"""
UNKNOWN_PROVIDER = """model_list:
  - model_name: small
    litellm_params:
      model: Qwen/Qwen3-4B
      api_base: http://127.0.0.1:8000/v1
      api_key: none
      input_cost_per_token: 0
      output_cost_per_token: 0
"""


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (ROUTES.format(planner="large"), 8, 'agent.roles.planner: alias "large" is not in model_list'),
        (ROUTES.format(planner="small") + "    plumber: small\n", 9, "agent.roles.plumber"),
        (
            ROUTES.replace("model_name: small", "model_nam: small").format(planner="small"),
            2,
            "model_list[0].model_nam: unknown field",
        ),
        (
            UNKNOWN_PROVIDER,
            4,
            'model_list[0].litellm_params.model: LiteLLM knows no provider for "Qwen/Qwen3-4B"',
        ),
        ("model_list: [\n", 2, "mend the YAML"),
        ("model_list: &all [*all]\n", 1, "a part of it holds itself"),
        ("", 1, "model_list"),
    ],
)
def test_a_malformed_routes_file_is_told_by_file_line_and_field(home: Home, text: str, line: int, says: str) -> None:
    file = home.path / "routes.yaml"
    file.write_text(text)
    done = home.run("doctor", TRIREME_ROUTES=str(file))
    assert done.returncode == 1
    (finding,) = [found for found in done.stdout.splitlines() if "PROBLEM" in found]
    assert f"{file}:{line}: " in finding
    assert says in finding


def test_up_stops_again_when_its_routes_file_is_malformed(home: Home) -> None:
    file = home.path / "routes.yaml"
    file.write_text(ROUTES.format(planner="large"))
    told = refused(Home(home.path, {"TRIREME_PORT": "0"}), "up", "--routes", str(file))
    assert f'{file}:8: agent.roles.planner: alias "large" is not in model_list' in told
    assert left_behind(home.path) == []


def test_a_worker_that_cannot_start_for_its_models_says_it_in_one_line(home: Home) -> None:
    file = home.path / "routes.yaml"
    file.write_text(UNKNOWN_PROVIDER)
    told = refused(Home(home.path, {"TRIREME_PORT": "0"}), "up", "--routes", str(file))
    assert f'{file}:4: model_list[0].litellm_params.model: LiteLLM knows no provider for "Qwen/Qwen3-4B"' in told
    assert "Traceback" not in (home.path / "logs" / "worker.log").read_text()
    assert left_behind(home.path) == []


def test_a_routes_file_that_is_missing_is_named(home: Home) -> None:
    file = home.path / "none.yaml"
    done = home.run("doctor", TRIREME_ROUTES=str(file))
    assert done.returncode == 1
    assert f"{file}: No such file" in done.stdout
