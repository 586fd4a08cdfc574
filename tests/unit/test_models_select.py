"""Which models an installation gets, from what is set, without paying for LiteLLM's import."""

import subprocess
import sys
from pathlib import Path

import pytest

from serving.errors import SettingsError
from serving.models.prices import PriceList
from serving.models.routes import Routes
from serving.models.select import Credentials, models_for, select_routes


def test_nothing_set_means_offline() -> None:
    routes = select_routes(Credentials())
    assert routes.offline
    assert getattr(models_for(routes, secret=b"s"), "name", "") == "offline"


def test_offline_can_be_asked_for_beside_keys_and_a_file() -> None:
    assert select_routes(Credentials(openai_api_key="k", model="offline")).offline
    assert select_routes(Credentials(model="offline"), Path("nowhere.yaml")).offline


@pytest.mark.parametrize(
    ("credentials", "model"),
    [
        (Credentials(anthropic_api_key="k"), "anthropic/claude-sonnet-5-5"),
        (Credentials(openai_api_key="k"), "openai/gpt-6-sol"),
        (Credentials(gemini_api_key="k"), "gemini/gemini-3.8-flash"),
        (Credentials(anthropic_api_key="k", openai_api_key="k"), "anthropic/claude-sonnet-5-5"),
        (Credentials(anthropic_api_key="k", model="claude-opus-5-5"), "anthropic/claude-opus-5-5"),
        (Credentials(anthropic_api_key="k", openai_api_key="k", model="gpt-5.4"), "openai/gpt-5.4"),
        (Credentials(gemini_api_key="k", model="gemini/gemini-4-argon"), "gemini/gemini-4-argon"),
        (Credentials(openai_base_url="http://gpu:8000/v1", model="qwen3"), "hosted_vllm/qwen3"),
        (Credentials(openai_base_url="http://gpu/v1", model="org/qwen3"), "hosted_vllm/org/qwen3"),
        (Credentials(openai_base_url="https://api.openai.com/v1", openai_api_key="k"), "openai/gpt-6-sol"),
    ],
)
def test_the_key_that_is_given_chooses_provider_and_model(credentials: Credentials, model: str) -> None:
    routes = select_routes(credentials)
    assert [deployment.model for deployment in routes.deployments] == [model]
    assert set(routes.roles.values()) == set(routes.aliases)
    assert "k" not in [*map(str, routes.notices)]


def test_the_default_models_have_prices_tools_and_schemas_in_the_bundled_list() -> None:
    prices = PriceList()
    for key in ("anthropic_api_key", "openai_api_key", "gemini_api_key"):
        (deployment,) = select_routes(Credentials(**{key: "k"})).deployments
        entry = prices._entry(deployment.model)
        assert deployment.price.input > 0
        assert entry["supports_function_calling"]
        assert entry["supports_response_schema"]
        assert "deprecation_date" not in entry


def test_a_self_hosted_server_is_free_and_that_is_said() -> None:
    routes = select_routes(Credentials(openai_base_url="http://gpu:8000/v1", model="qwen3"))
    assert routes.deployments[0].price.cost(1000, 1000) == 0
    assert routes.notices == ("hosted_vllm/qwen3: its price is given as 0, so the run's bound on money can't hold it",)
    assert routes.deployments[0].params["api_key"] == "none"


@pytest.mark.parametrize(
    ("credentials", "said"),
    [
        (Credentials(openai_base_url="http://gpu:8000/v1"), "OPENAI_BASE_URL is set, but no model.*TRIREME_MODEL"),
        (Credentials(model="gpt-5.4"), "there is no key for it.*OPENAI_API_KEY"),
        (Credentials(anthropic_api_key="k", model="gpt-5.4"), "the keys given are for anthropic"),
        (Credentials(anthropic_api_key="k", model="made-up"), "PROVIDER/MODEL"),
        (Credentials(anthropic_api_key="k", model="anthropic/made-up"), "the price of .* is unknown"),
    ],
)
def test_what_does_not_fit_together_says_what_to_set(credentials: Credentials, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        select_routes(credentials)


def test_a_named_file_wins_and_a_model_then_names_one_of_its_aliases(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    entry = "  - {model_name: NAME, litellm_params: {model: openai/gpt-5.4, api_key: os.environ/MY_KEY}}\n"
    file.write_text("model_list:\n" + entry.replace("NAME", "first") + entry.replace("NAME", "second"))
    environ = {"MY_KEY": "k"}
    assert set(select_routes(Credentials(anthropic_api_key="k"), file, environ).roles.values()) == {"first"}
    assert set(select_routes(Credentials(model="second"), file, environ).roles.values()) == {"second"}
    with pytest.raises(SettingsError, match=r"TRIREME_MODEL: .*known: first, second"):
        select_routes(Credentials(model="third"), file, environ)


def test_keys_are_not_shown() -> None:
    shown = repr(Credentials(anthropic_api_key="sk-1", openai_api_key="sk-2", gemini_api_key="sk-3"))
    assert "sk-" not in shown


def test_choosing_models_and_using_the_offline_one_never_imports_litellm() -> None:
    program = (
        "import sys\n"
        "from serving.models.select import Credentials, models_for, select_routes\n"
        "models_for(select_routes(Credentials()), secret=b's')\n"
        "routes = select_routes(Credentials(anthropic_api_key='k'))\n"
        "models_for(routes, secret=b's')\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('litellm', 'openai', 'tiktoken')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_empty_routes_are_the_offline_ones() -> None:
    assert Routes().offline
