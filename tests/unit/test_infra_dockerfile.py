"""The Dockerfile: pinned, non-root, and installing what the lock says and nothing else."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "infra" / "Dockerfile").read_text()
INSTRUCTIONS = [
    re.sub(r"\\\n\s*", "", line)
    for line in re.findall(r"^[A-Z]+ (?:.*\\\n)*.*$", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE), re.MULTILINE)
]
FINAL_STAGE = INSTRUCTIONS[max(i for i, line in enumerate(INSTRUCTIONS) if line.startswith("FROM ")) :]
COPIED = [line.split()[1:-1] for line in INSTRUCTIONS if line.startswith("COPY ") and "--from" not in line]


def test_every_base_image_has_a_fixed_tag() -> None:
    images = [line.split()[1] for line in INSTRUCTIONS if line.startswith("FROM ")]
    assert len(images) == 3
    assert all(re.search(r":\d+\.\d+[\w.-]*$", image) for image in images)


def test_no_download_address_stands_in_it() -> None:
    assert set(re.findall(r"https?://[^\s'\"/]+", TEXT)) == {"http://127.0.0.1:8123"}
    assert not re.search(r"index-url|curl |wget ", TEXT)


def test_it_runs_as_a_numbered_user_that_is_not_root() -> None:
    (user,) = (line for line in FINAL_STAGE if line.startswith("USER "))
    assert re.fullmatch(r"USER [1-9]\d+:[1-9]\d+", user)
    assert FINAL_STAGE.index(user) > max(i for i, line in enumerate(FINAL_STAGE) if line.startswith(("RUN ", "COPY ")))


def test_it_serves_where_its_healthcheck_asks() -> None:
    (check,) = (line for line in FINAL_STAGE if line.startswith("HEALTHCHECK "))
    (command,) = (line for line in FINAL_STAGE if line.startswith("CMD "))
    (port,) = re.findall(r"127\.0\.0\.1:(\d+)/ok", check)
    assert f'"--port", "{port}"' in command
    assert f"EXPOSE {port}" in FINAL_STAGE
    assert 'ENTRYPOINT ["trireme"]' in FINAL_STAGE


def test_every_package_of_the_project_is_in_it_and_tests_are_not() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["build-backend"]["module-name"]
    copied = {source.rstrip("/") for sources in COPIED for source in sources}
    assert copied == {*packages, "pyproject.toml", "requirements.lock", "README.md", "LICENSE"}


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    lines = (ROOT / "infra" / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {
        source.rstrip("/") for sources in COPIED for source in sources
    }


@pytest.mark.parametrize(("extra", "status"), [("", 0), ("left-pad==1.0.0\n", 123), ("h11==0.0.1\n", 123)])
def test_a_package_that_the_lock_does_not_have_stops_the_build(extra: str, status: int) -> None:
    (install,) = (line for line in INSTRUCTIONS if line.startswith("RUN uv pip install --requirements"))
    assert install.split("&&")[0].strip().endswith("--constraint requirements.lock")
    check = install.split("&&")[1].partition("|")[2]
    locked = "".join(f"{pin}\n" for pin in re.findall(r"^\S+==\S+", (ROOT / "requirements.lock").read_text(), re.M))
    done = subprocess.run(check, shell=True, input=locked + extra, text=True, cwd=ROOT, check=False)
    assert done.returncode == status
