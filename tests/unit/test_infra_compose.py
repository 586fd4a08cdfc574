"""compose.yaml: complete, pinned, without secrets in it, and its optional parts don't stand in the way of the core."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpu.engines import QWEN3_5_4B, VLLM_VERSION, launch_arguments
from serving.models.routes_file import load_routes
from serving.models.select import Credentials, select_routes
from serving.settings import Settings

FILE = Path(__file__).parents[2] / "infra" / "compose.yaml"
CONFIG = (FILE.parent / "kubernetes" / "config.yaml").read_text()
# YAML is Any by nature; the assertions below are its types.
Service = dict[str, Any]
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, Service] = COMPOSE["services"]
PROFILES = sorted({profile for service in SERVICES.values() for profile in service.get("profiles", [])})
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:[?-])?([^}]*)\}")

every_service = pytest.mark.parametrize("name", SERVICES)
every_profile = pytest.mark.parametrize("profile", PROFILES)


def words(node: Any) -> Iterator[str]:
    """Every text in a piece of YAML, keys left out."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from words(item)
    elif node is not None:
        yield str(node)


def variables(service: Service) -> dict[str, str]:
    """Variable -> the operator it is filled in with (':?', ':-' or '')."""
    return {found[1]: found[2] or "" for text in words(service) for found in VARIABLE.finditer(text)}


def needs(name: str) -> set[str]:
    """All services that start before this one."""
    direct = set(SERVICES[name].get("depends_on", {}))
    return direct.union(*(needs(other) for other in direct))


def profile_services(profile: str) -> dict[str, Service]:
    return {name: service for name, service in SERVICES.items() if profile in service.get("profiles", [])}


def is_one_shot(service: Service) -> bool:
    return bool(service["restart"] == "no")


def settings_variables() -> set[str]:
    return {str(field.validation_alias or f"TRIREME_{name}").upper() for name, field in Settings.model_fields.items()}


def test_the_core_and_the_three_profiles_are_there() -> None:
    assert {"api", "worker", "migrate", "postgres"} <= {name for name in SERVICES if "profiles" not in SERVICES[name]}
    assert PROFILES == ["langfuse", "litellm", "vllm"]


@every_service
def test_images_are_pinned(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].rpartition(":")
    assert re.fullmatch(r"v?\d[\w.-]*", tag), f"{SERVICES[name]['image']} has no fixed tag"


@every_service
def test_what_a_service_waits_for_exists_and_can_come_true(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        if wait["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert is_one_shot(SERVICES[other])


@every_service
def test_a_service_that_stays_up_tells_its_health(name: str) -> None:
    service = SERVICES[name]
    if not is_one_shot(service) and name != "worker":
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries"} <= service["healthcheck"].keys()


@every_service
def test_networks_and_volumes_are_declared(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("networks", [])) <= COMPOSE["networks"].keys()
    named = {volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith(".")}
    assert named <= COMPOSE["volumes"].keys()
    mounted = [volume.split(":")[0] for volume in service.get("volumes", []) if volume.startswith(".")]
    assert all((FILE.parent / path).exists() for path in mounted)


@every_service
def test_no_secret_stands_in_the_file(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|SALT|TOKEN|AUTH$|_KEY$", key):
            assert value is None or VARIABLE.match(value), f"{name}: {key} has a literal value"
        for credentials in re.findall(r"://\w+:(.*)@", value or ""):
            assert VARIABLE.match(credentials), f"{name}: {key} has a literal password"


def test_no_name_but_those_the_settings_read_reaches_api_worker_and_migrations() -> None:
    for name in ("api", "worker", "migrate"):
        assert set(SERVICES[name]["environment"]) <= settings_variables()


@every_service
def test_nothing_listens_beyond_this_machine(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_the_api_cannot_come_up_without_a_key() -> None:
    assert SERVICES["api"]["environment"]["TRIREME_HOST"] == "0.0.0.0"
    assert SERVICES["api"]["environment"]["TRIREME_API_KEY"].startswith("${TRIREME_API_KEY:?")


def test_api_worker_and_migrations_are_one_image_without_privileges() -> None:
    ours = [SERVICES[name] for name in ("api", "worker", "migrate")]
    assert len({service["image"] for service in ours}) == 1
    for service in ours:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert (FILE.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_provider_keys_reach_the_worker_alone() -> None:
    keys = {"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "LANGFUSE_SECRET_KEY", "SMTP_URL"}
    assert keys <= SERVICES["worker"]["environment"].keys()
    assert not keys & (SERVICES["api"]["environment"].keys() | SERVICES["migrate"]["environment"].keys())


def test_postgres_18_keeps_its_data_where_its_image_puts_it() -> None:
    for name in ("postgres", "langfuse-postgres"):
        assert SERVICES[name]["image"].endswith("pg18")
        assert SERVICES[name]["volumes"] == [f"{name}:/var/lib/postgresql"]


def test_the_plain_up_asks_for_the_cores_variables_alone() -> None:
    required = {name for service in SERVICES.values() for name, how in variables(service).items() if how == ":?"}
    assert required == {"POSTGRES_PASSWORD", "TRIREME_API_KEY"}
    assert not any(how == "" for service in SERVICES.values() for how in variables(service).values())


@every_profile
def test_a_profile_starts_nothing_before_its_variables_are_checked(profile: str) -> None:
    for name in profile_services(profile):
        if name != f"{profile}-settings":
            assert f"{profile}-settings" in needs(name)


@every_profile
def test_a_profile_checks_every_variable_it_fills_in(profile: str) -> None:
    used = {name for service in profile_services(profile).values() for name in variables(service)}
    assert used == set(SERVICES[f"{profile}-settings"]["environment"])
    checked = re.findall(r"\$\$\{(\w+):\?", SERVICES[f"{profile}-settings"]["command"][0])
    assert sorted(checked) == sorted(used)


def run_check(profile: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The check as the container runs it: compose turns $$ into $."""
    service = SERVICES[f"{profile}-settings"]
    command = [*service["entrypoint"], *(text.replace("$$", "$") for text in service["command"])]
    environment = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@every_profile
def test_the_check_passes_when_all_is_set_and_names_what_is_missing(profile: str) -> None:
    names = list(SERVICES[f"{profile}-settings"]["environment"])
    assert run_check(profile, dict.fromkeys(names, "x")).returncode == 0
    for missing in names:
        refused = run_check(profile, {**dict.fromkeys(names, "x"), missing: ""})
        assert refused.returncode != 0
        assert f"{missing}: set it in .env" in refused.stderr


def test_vllm_is_started_with_the_engines_own_arguments() -> None:
    vllm, revision = SERVICES["vllm"], "0" * 40
    given = [word.replace(f"${{{QWEN3_5_4B.revision_variable}:-}}", revision) for word in vllm["command"]]
    assert (*vllm["entrypoint"], *given) == launch_arguments(QWEN3_5_4B.pinned(revision), "0.0.0.0", 8000)
    assert vllm["image"] == f"vllm/vllm-openai:v{VLLM_VERSION}"


def test_the_model_that_the_worker_is_told_to_ask_vllm_for_is_the_one_it_serves() -> None:
    told = [*re.findall(r"TRIREME_MODEL=(\S+)", FILE.read_text()), *re.findall(r"TRIREME_MODEL: (\S+)", CONFIG)]
    assert len(told) == 2
    for model in told:
        (asked,) = select_routes(Credentials(openai_base_url="http://vllm:8000/v1", model=model)).deployments
        assert asked.model == f"hosted_vllm/{QWEN3_5_4B.served_name}"


def test_the_routes_for_several_tenants_lead_to_vllm_with_a_salt_for_each() -> None:
    environ = {"OPENAI_BASE_URL": "http://vllm:8000/v1", "OPENAI_API_KEY": "k"}
    (asked,) = load_routes(FILE.parent / "routes.yaml", environ).deployments
    assert asked.model == f"hosted_vllm/{QWEN3_5_4B.served_name}"
    assert asked.cache_salt
    (mounted,) = (volume for volume in SERVICES["worker"]["volumes"] if "routes.yaml" in volume)
    assert f"TRIREME_ROUTES={mounted.split(':')[1]}" in FILE.read_text()


def test_vllm_is_reached_by_worker_and_proxy_alone() -> None:
    assert "ports" not in SERVICES["vllm"]
    assert {name for name in SERVICES if "inference" in SERVICES[name].get("networks", [])} == {
        "vllm",
        "worker",
        "litellm",
    }


def test_the_proxy_serves_the_engine_under_its_own_name_and_takes_keys_from_the_environment() -> None:
    config = yaml.safe_load((FILE.parent / "litellm" / "config.yaml").read_text())
    models = {model["model_name"]: model["litellm_params"] for model in config["model_list"]}
    assert models[QWEN3_5_4B.served_name]["model"] == f"hosted_vllm/{QWEN3_5_4B.served_name}"
    keys = [config["general_settings"]["master_key"], *(model["api_key"] for model in models.values())]
    passed = SERVICES["litellm"]["environment"]
    assert all(key.removeprefix("os.environ/") in passed for key in keys)
