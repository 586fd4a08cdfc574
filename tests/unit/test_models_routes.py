"""routes.yaml: what it says, and the one line that each mistake in it gets: file, line, field, mend."""

from pathlib import Path
from textwrap import dedent

import pytest

from graph.errors import ModelRefused
from serving.errors import SettingsError
from serving.models.prices import Price, PriceList, price_of
from serving.models.routes import Routes
from serving.models.routes_file import load_routes

GOOD = """\
model_list:
  - model_name: local
    litellm_params:
      model: hosted_vllm/qwen
      api_base: os.environ/VLLM_URL
      input_cost_per_token: 1.0e-7
      output_cost_per_token: 2.0e-7
    model_info:
      cache_salt: true
      affinity_header: Modal-Session-ID
  - model_name: frontier
    litellm_params:
      model: anthropic/claude-sonnet-5-5
      api_key: os.environ/ANTHROPIC_API_KEY
router_settings:
  num_retries: 3
  fallbacks:
    - frontier: [local]
agent:
  roles:
    planner: frontier
    worker: local
  classification:
    public: [frontier, local]
    confidential: [local]
  bounds:
    timeout_s: 60
    max_cost_usd: 0.5
  affinity: true
"""
ENVIRON = {"VLLM_URL": "http://127.0.0.1:8000/v1", "ANTHROPIC_API_KEY": "sk-ant-secret"}


def write(folder: Path, text: str) -> Path:
    path = folder / "routes.yaml"
    path.write_text(dedent(text))
    return path


def fault(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_routes(write(folder, text), ENVIRON if environ is None else environ)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder) + "/", "")


def test_a_good_file_gives_roles_prices_and_bounds(tmp_path: Path) -> None:
    routes = load_routes(write(tmp_path, GOOD), ENVIRON)
    assert routes.roles == {"planner": "frontier", "worker": "local", "critic": "local", "writer": "local"}
    local, frontier = routes.deployments
    assert local.price == Price(1e-7, 2e-7, 1e-7, 1e-7)
    assert frontier.price == Price(2e-6, 1e-5, 1e-7, 2.5e-6)
    assert local.params["api_base"] == "http://127.0.0.1:8000/v1"
    assert (local.cache_salt, local.affinity_header, frontier.affinity_header) == (True, "Modal-Session-ID", None)
    assert (routes.timeout_s, routes.max_cost_usd, routes.router_settings["num_retries"]) == (60, 0.5, 3)
    assert (local.native_schema, frontier.native_schema) == (True, False)
    assert frontier.key_variable == "ANTHROPIC_API_KEY"


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    assert "sk-ant-secret" not in repr(load_routes(write(tmp_path, GOOD), ENVIRON))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "planner: frontier",
            "planner: gtp-5",
            '21: agent.roles.planner: alias "gtp-5" is not in model_list (known: local, frontier)',
        ),
        (
            "worker: local",
            "workers: local",
            "routes.yaml:22: agent.roles.workers: unknown field (known: planner, worker, critic, writer)",
        ),
        ("timeout_s: 60", "timeout_s: soon", "routes.yaml:27: agent.bounds.timeout_s: input should be a valid number"),
        (
            "timeout_s: 60",
            "timeout: 60",
            "routes.yaml:27: agent.bounds.timeout: unknown field (known: timeout_s, max_cost_usd)",
        ),
        ("affinity: true", "sticky: true", "routes.yaml:29: agent.sticky: unknown field"),
        ("num_retries: 3", "num_retrys: 3", "routes.yaml:16: router_settings.num_retrys: unknown field"),
        ("num_retries: 3", "num_retries: -1", "routes.yaml:16: router_settings.num_retries: input should be greater"),
        (
            "[local]\nagent",
            "[lokal]\nagent",
            '18: router_settings.fallbacks[0].frontier: alias "lokal" is not in model_list',
        ),
        (
            "confidential: [local]",
            "confidential: [loc]",
            'routes.yaml:25: agent.classification.confidential[0]: alias "loc"',
        ),
        (
            "frontier: [local]",
            "local: [frontier]",
            '"local" falls back to "frontier", which may not see confidential data',
        ),
        ("      model: hosted_vllm/qwen\n", "", "routes.yaml:3: model_list[0].litellm_params.model: missing"),
        ("      output_cost_per_token: 2.0e-7\n", "", "output_cost_per_token is missing beside the prices given"),
        (
            "anthropic/claude-sonnet-5-5",
            "anthropic/claude-99",
            '13: model_list[1].litellm_params.model: the price of "anthropic/claude-99" is unknown (add',
        ),
        (
            "api_key: os.environ/ANTHROPIC_API_KEY",
            "api_key: os.environ/NOT_SET",
            "14: model_list[1].litellm_params.api_key: the variable NOT_SET is not set (set",
        ),
        (
            "os.environ/VLLM_URL",
            "127.0.0.1:8000/v1",
            "routes.yaml:5: model_list[0].litellm_params.api_base: it is no web address (begin it with http://",
        ),
        ("os.environ/VLLM_URL", "'http://['", "routes.yaml:5: model_list[0].litellm_params.api_base: it is no web"),
        (
            "      api_base: os.environ/VLLM_URL\n",
            "",
            "routes.yaml:8: model_list[0].model_info.cache_salt: only a self-hosted vLLM takes it",
        ),
        ("Modal-Session-ID", "'a b'", "routes.yaml:10: model_list[0].model_info.affinity_header"),
        ("  affinity: true", "  affinity: true\n  affinity: false", "routes.yaml:30: agent.affinity: said twice"),
        ("roles:", "roles: [", "routes.yaml:"),
        ("model_list:", "models:", "routes.yaml:1: models: unknown field"),
    ],
)
def test_a_mistake_is_named_with_file_line_field_and_mend(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    told = fault(tmp_path, GOOD.replace(old, new))
    assert told.startswith("routes.yaml:")
    assert said in told


@pytest.mark.parametrize("text", ["", "just words", "- a list", "model_list: []", "model_list: {}", "agent: null"])
def test_a_file_without_models_is_refused(tmp_path: Path, text: str) -> None:
    assert fault(tmp_path, text).startswith("routes.yaml:1: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere.yaml: No such file"):
        load_routes(tmp_path / "nowhere.yaml", {})
    (tmp_path / "latin.yaml").write_bytes(b"model_list: \xe9")
    with pytest.raises(SettingsError, match="byte 12 is not UTF-8"):
        load_routes(tmp_path / "latin.yaml", {})
    with pytest.raises(SettingsError, match="directory"):
        load_routes(tmp_path, {})


def test_a_file_that_would_never_be_read_to_its_end_is_refused(tmp_path: Path) -> None:
    layers = (f"- &l{n + 1} [{', '.join([f'*l{n}'] * 9)}]\n" for n in range(1, 9))
    told = fault(tmp_path, f"general_settings:\n- &l1 [x]\n{''.join(layers)}")
    assert told.startswith("routes.yaml:")
    assert "more than 20000 values, with what * repeats" in told
    with pytest.raises(SettingsError, match="/dev/zero: longer than 200000 bytes"):
        load_routes(Path("/dev/zero"), {})


def test_litellms_own_proxy_blocks_are_left_alone(tmp_path: Path) -> None:
    text = GOOD + "litellm_settings: {drop_params: true}\ngeneral_settings: {master_key: sk-1}\n"
    assert len(load_routes(write(tmp_path, text), ENVIRON).deployments) == 2


def routes(tmp_path: Path) -> Routes:
    return load_routes(write(tmp_path, GOOD), ENVIRON)


def test_a_role_goes_where_it_is_routed_and_a_named_model_wins(tmp_path: Path) -> None:
    known = routes(tmp_path)
    assert known.alias_for("planner", None, "public") == "frontier"
    assert known.alias_for("planner", "local", "public") == "local"
    assert known.alias_for("worker", "claude-sonnet-5-5", "public") == "frontier"
    with pytest.raises(ModelRefused, match=r'"gpt-99" is not in the routes; known: local, frontier'):
        known.alias_for("planner", "gpt-99", "public")


def test_confidential_data_only_goes_where_it_is_allowed(tmp_path: Path) -> None:
    known = routes(tmp_path)
    assert known.alias_for("worker", None, "confidential") == "local"
    with pytest.raises(ModelRefused, match="frontier may not see confidential data"):
        known.alias_for("planner", None, "confidential")
    with pytest.raises(ModelRefused, match="allows nothing"):
        known.alias_for("worker", None, "secret")


def test_a_call_reaches_its_fallbacks_and_theirs(tmp_path: Path) -> None:
    known = routes(tmp_path)
    assert [place.alias for place in known.reachable("frontier")] == ["local", "frontier"]
    assert [place.alias for place in known.reachable("local")] == ["local"]


def test_a_cost_counts_cached_written_and_long_prompts_at_their_own_price() -> None:
    price = price_of(
        {
            "input_cost_per_token": 2.0,
            "output_cost_per_token": 10.0,
            "cache_read_input_token_cost": 0.5,
            "cache_creation_input_token_cost": 3.0,
            "input_cost_per_token_above_200k_tokens": 4.0,
        }
    )
    assert price is not None
    assert price.cost(100, 10, cached=60, written=30) == 10 * 2.0 + 60 * 0.5 + 30 * 3.0 + 10 * 10.0
    assert price.cost(200_000, 0) == 400_000.0
    assert price.cost(200_001, 1) == 200_001 * 4.0 + 10.0


def test_a_price_without_one_of_its_halves_is_no_price() -> None:
    assert price_of({"input_cost_per_token": 1.0}) is None
    assert price_of({}) is None


def test_the_bundled_list_knows_a_model_only_under_its_own_provider() -> None:
    prices = PriceList()
    assert prices.price("anthropic/claude-sonnet-5-5") == prices.price("claude-sonnet-5-5")
    assert prices.price("openai/claude-sonnet-5-5") is None
    assert prices.price("hosted_vllm/never-heard-of") is None
    assert prices.provider("gpt-6.1-sol") == "openai"
