"""The manifests: valid to the last field, locked down, and consistent with each other and with the engines."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it ships no types
import pytest
import yaml

from gpu.engines import DRAIN_SECONDS, VLLM_VERSION, by_name, launch_arguments
from serving.settings import Settings

FOLDER = Path(__file__).parents[2] / "infra" / "kubernetes"
VERSIONS = ("1.33", "1.37")
# YAML is Any by nature; the assertions below are its types.
Manifest = dict[str, Any]


def load() -> Iterator[tuple[str, Manifest]]:
    for file in sorted(FOLDER.rglob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            yield f"{file.relative_to(FOLDER)}:{manifest['kind']}/{manifest['metadata']['name']}", manifest


MANIFESTS = dict(load())
# A CronJob is the template of a Job.
WORKLOADS = {
    name: workload
    for name, manifest in MANIFESTS.items()
    if "template" in (workload := manifest.get("spec", {}).get("jobTemplate", manifest)).get("spec", {})
}
PODS: dict[str, Manifest] = {name: manifest["spec"]["template"]["spec"] for name, manifest in WORKLOADS.items()}
LABELS: dict[str, dict[str, str]] = {
    name: manifest["spec"]["template"]["metadata"]["labels"] for name, manifest in WORKLOADS.items()
}
ENGINES = [name for name in WORKLOADS if name.startswith("vllm/")]
API, WORKER = "api.yaml:Deployment/trireme-api", "worker.yaml:Deployment/trireme-worker"
PRUNE = "prune.yaml:CronJob/trireme-prune"

every_manifest = pytest.mark.parametrize("name", MANIFESTS)
every_workload = pytest.mark.parametrize("name", WORKLOADS)


def of_kind(kind: str) -> dict[str, Manifest]:
    return {name: manifest for name, manifest in MANIFESTS.items() if manifest["kind"] == kind}


def containers(name: str) -> list[Manifest]:
    return [*PODS[name].get("initContainers", []), *PODS[name]["containers"]]


def selected(labels: dict[str, str]) -> set[str]:
    return {name for name, own in LABELS.items() if labels.items() <= own.items()}


def policy(name: str) -> Manifest:
    spec: Manifest = MANIFESTS[f"network.yaml:NetworkPolicy/{name}"]["spec"]
    return spec


@pytest.mark.parametrize("version", VERSIONS)
@every_manifest
def test_each_manifest_is_valid_to_the_last_field(name: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


@every_workload
def test_the_check_catches_a_planted_unknown_field(name: str) -> None:
    broken = copy.deepcopy(MANIFESTS[name])
    workload = broken["spec"].get("jobTemplate", broken)
    workload["spec"]["template"]["spec"]["containers"][0]["portz"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="portz"):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


@every_manifest
def test_everything_lives_in_the_one_namespace_which_is_made_first(name: str) -> None:
    kind, metadata = MANIFESTS[name]["kind"], MANIFESTS[name]["metadata"]
    assert metadata["name" if kind == "Namespace" else "namespace"] == "trireme"
    assert next(iter(MANIFESTS)).startswith("00-namespace.yaml:Namespace")


@every_workload
def test_pods_run_as_an_ordinary_user_without_a_token(name: str) -> None:
    pod = PODS[name]
    assert pod["serviceAccountName"] == "trireme"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


@every_workload
def test_containers_write_to_volumes_alone_and_hold_no_capability(name: str) -> None:
    for container in containers(name):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@every_workload
def test_containers_state_what_they_use_and_images_are_pinned(name: str) -> None:
    for container in containers(name):
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        assert re.search(r":v?\d[\w.-]*$", container["image"])


@every_workload
def test_every_mount_has_its_volume_and_every_claim_is_made(name: str) -> None:
    claims = {claim["metadata"]["name"] for claim in of_kind("PersistentVolumeClaim").values()}
    templates = {claim["metadata"]["name"] for claim in WORKLOADS[name]["spec"].get("volumeClaimTemplates", [])}
    volumes = {volume["name"] for volume in PODS[name].get("volumes", [])} | templates
    for container in containers(name):
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    for volume in PODS[name].get("volumes", []):
        assert volume.get("persistentVolumeClaim", {}).get("claimName", next(iter(claims))) in claims


@pytest.mark.parametrize("name", [name for name in WORKLOADS if name != PRUNE])
def test_selectors_match_their_own_pods_and_no_others(name: str) -> None:
    assert selected(WORKLOADS[name]["spec"]["selector"]["matchLabels"]) == {name}


@pytest.mark.parametrize("name", of_kind("Service"))
def test_services_reach_a_port_that_their_pods_open(name: str) -> None:
    spec = MANIFESTS[name]["spec"]
    (workload,) = selected(spec["selector"])
    opened = {port["name"] for container in containers(workload) for port in container.get("ports", [])}
    assert {port["targetPort"] for port in spec["ports"]} <= opened
    assert spec.get("type", "ClusterIP") == "ClusterIP"


def test_disruption_budgets_and_autoscalers_point_at_something() -> None:
    for budget in of_kind("PodDisruptionBudget").values():
        assert len(selected(budget["spec"]["selector"]["matchLabels"])) == 1
    for scaler in of_kind("HorizontalPodAutoscaler").values():
        target = scaler["spec"]["scaleTargetRef"]
        (workload,) = (name for name in WORKLOADS if name.endswith(f"{target['kind']}/{target['name']}"))
        assert "replicas" not in WORKLOADS[workload]["spec"], "a fixed number would fight the autoscaler"


def test_no_manifest_holds_a_secret_and_the_example_names_every_key_in_use() -> None:
    assert all(not secret["stringData"] and "data" not in secret for secret in of_kind("Secret").values())
    documented = (FOLDER / "examples" / "secret.yaml").read_text()
    for name in WORKLOADS:
        for container in containers(name):
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if reference and not name.startswith("trial/"):
                    assert f"  name: {reference['name']}\n" in documented
                    assert re.search(rf"^# {reference['key']}\b", documented, re.MULTILINE)
                elif not reference:
                    assert not re.search(r"PASSWORD|SECRET|_KEY$", variable["name"])


def test_no_name_but_those_the_settings_read_reaches_api_and_worker() -> None:
    known = {str(field.validation_alias or f"TRIREME_{name}").upper() for name, field in Settings.model_fields.items()}
    given = {variable["name"] for name in (API, WORKER) for one in containers(name) for variable in one["env"]}
    given |= MANIFESTS["config.yaml:ConfigMap/trireme"]["data"].keys()
    assert given <= known


def test_the_api_is_asked_on_ok_and_must_have_a_key() -> None:
    (api,) = PODS[API]["containers"]
    assert {api[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe")} == {"/ok"}
    assert api["livenessProbe"]["httpGet"]["path"] == "/ok?check_db=0"
    (key,) = (variable for variable in api["env"] if variable["name"] == "TRIREME_API_KEY")
    assert not key["valueFrom"]["secretKeyRef"].get("optional", False)


def test_api_and_worker_are_one_image_and_migrate_before_they_start() -> None:
    assert {container["image"] for name in (API, WORKER, PRUNE) for container in containers(name)} == {"trireme:0.1.0"}
    for name in (API, WORKER):
        assert [container["args"] for container in PODS[name]["initContainers"]] == [["migrate"]]


def test_provider_keys_reach_the_worker_alone() -> None:
    text = yaml.safe_dump(MANIFESTS[API])
    assert "trireme-providers" not in text
    assert "trireme-providers" in yaml.safe_dump(MANIFESTS[WORKER])


def test_a_worker_has_time_to_end_its_step() -> None:
    assert PODS[WORKER]["terminationGracePeriodSeconds"] >= 60


@pytest.mark.parametrize("name", ENGINES)
def test_vllm_is_started_with_the_engines_own_arguments(name: str) -> None:
    engine = by_name(name.partition(":")[0].removeprefix("vllm/").removesuffix(".yaml"))
    (vllm,) = PODS[name]["containers"]
    revision = "0" * 40
    given = [word.replace(f"$({engine.revision_variable})", revision) for word in vllm["args"]]
    assert (*vllm["command"], *given) == launch_arguments(engine.pinned(revision), "0.0.0.0", 8000)
    assert vllm["image"] == f"vllm/vllm-openai:v{VLLM_VERSION}"
    assert vllm["resources"]["limits"]["nvidia.com/gpu"] == str(engine.gpu.count)
    assert PODS[name]["nodeSelector"]["nvidia.com/gpu.product"].endswith(engine.gpu.kind)


@pytest.mark.parametrize("name", ENGINES)
def test_vllm_does_not_start_without_key_and_revision_and_has_time_to_load_and_drain(name: str) -> None:
    (vllm,) = PODS[name]["containers"]
    required = {variable["name"] for variable in vllm["env"] if "valueFrom" in variable}
    engine = by_name(name.partition(":")[0].removeprefix("vllm/").removesuffix(".yaml"))
    assert required == {"VLLM_API_KEY", engine.revision_variable}
    assert vllm["startupProbe"]["periodSeconds"] * vllm["startupProbe"]["failureThreshold"] >= 20 * 60
    assert PODS[name]["terminationGracePeriodSeconds"] > DRAIN_SECONDS


def test_only_workers_reach_vllm_and_nothing_outside_the_cluster_does() -> None:
    engine = policy("engine")
    assert selected(engine["podSelector"]["matchLabels"]) == set(ENGINES)
    (rule,) = engine["ingress"]
    (source,) = rule["from"]
    assert selected(source["podSelector"]["matchLabels"]) == {WORKER}
    assert [port["port"] for port in rule["ports"]] == [8000]


def test_retention_is_applied_every_day_one_at_a_time_and_reaches_postgres_alone() -> None:
    spec = MANIFESTS[PRUNE]["spec"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", spec["schedule"])
    assert spec["concurrencyPolicy"] == "Forbid"
    assert [container["args"] for container in containers(PRUNE)] == [["prune"]]
    assert selected(policy("prune")["podSelector"]["matchLabels"]) == {PRUNE}
    assert [port["port"] for rule in policy("prune")["egress"] for port in rule["ports"]] == [5432]


def test_what_no_policy_names_is_denied() -> None:
    assert policy("deny-all") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert "ingress" not in policy("worker")
    assert [port["port"] for rule in policy("api")["egress"] for port in rule["ports"]] == [5432]


def test_the_way_out_leaves_private_networks_and_the_metadata_service_alone() -> None:
    blocks = [
        target["ipBlock"]
        for name in ("worker", "engine")
        for rule in policy(name)["egress"]
        for target in rule.get("to", [])
        if "ipBlock" in target
    ]
    assert len(blocks) == 2
    assert all({"169.254.0.0/16", "10.0.0.0/8", "192.168.0.0/16"} <= set(block["except"]) for block in blocks)
