"""docker-compose.yaml by its text; `make test-stack` runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cryptography.fernet import Fernet

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docker-compose.yaml"
TEXT = FILE.read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
OF_AIRFLOW = {
    name: service
    for name, service in SERVICES.items()
    if "AIRFLOW__CORE__EXECUTION_API_SERVER_URL" in service.get("environment", {})
}
LASTING = {name: service for name, service in SERVICES.items() if name not in {"migrate", "function", "events"}}
SHARED = ("AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY")
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)([^}]*)\}")


def default(setting: str) -> str:
    """Return what a setting is where .env has nothing."""
    (value,) = {service["environment"][setting] for service in OF_AIRFLOW.values()}
    return VARIABLE.sub(lambda found: found[2].lstrip(":-"), value)


def compose() -> list[str]:
    """Find compose, of either generation; none of it needs a Docker that runs."""
    if shutil.which("docker"):
        asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return ["docker", "compose"]
    found = shutil.which("docker-compose")
    return [found] if found else pytest.skip("there is no compose here")


@pytest.mark.parametrize("profiles", [[], ["events"], ["celery"], ["celery", "events"]], ids="+".join)
def test_compose_takes_it(profiles, tmp_path):
    env_file = tmp_path / "env"
    env_file.touch()
    options = [f"--env-file={env_file}", *(f"--profile={profile}" for profile in profiles)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "DOCKER_"))}

    ended = subprocess.run(
        [*compose(), *options, "config"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert "variable is not set" not in ended.stderr


def test_all_parts_are_there():
    always = {name for name, service in SERVICES.items() if "profiles" not in service}

    assert always >= {"postgres", "emulator", "api-server", "scheduler", "dag-processor", "triggerer"}
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["celery"]} == {
        *("redis", "worker-1", "worker-2", "triggerer-2")
    }
    assert [name for name, service in SERVICES.items() if service.get("profiles") == ["events"]] == ["events"]


def test_ports_are_this_machines_own():
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"postgres"}))
def test_runs_as_no_root(name):
    """PostgreSQL's image begins as root to own its volume, and goes on as its own user."""
    assert str(SERVICES[name]["user"]).partition(":")[0] not in {"", "0", "root"}
    assert SERVICES[name]["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("setting", SHARED)
def test_secrets_are_shared_by_all_of_airflow(setting):
    assert len({service["environment"][setting] for service in OF_AIRFLOW.values()}) == 1
    assert set(OF_AIRFLOW) >= {"migrate", "api-server", "scheduler", "dag-processor", "triggerer", "worker-1"}


def test_default_secrets_are_long_enough():
    """Airflow signs by HS512, whose keys have 64 bytes; Fernet takes no key but of its own length."""
    assert len(default("AIRFLOW__API_AUTH__JWT_SECRET")) >= 64
    assert Fernet(default("AIRFLOW__CORE__FERNET_KEY"))


def test_images_are_pinned_and_airflow_is_the_tested_one(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from rows import CONSTRAINTS, pins

    version = pins(CONSTRAINTS / "newest.txt")["apache-airflow"]
    (base, *others) = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert base == f"apache/airflow:{version}-python3.12"
    assert set(others) == {"airflow"}
    assert {service["image"] for service in SERVICES.values() if "build" not in service} == {"postgres:17", "redis:7"}


@pytest.mark.parametrize("name", LASTING)
def test_is_looked_after(name):
    check = SERVICES[name]["healthcheck"]

    assert int(check["interval"].removesuffix("s")) >= 5
    assert int(check["interval"].removesuffix("s")) * check["retries"] >= 60


def test_airflow_waits_for_its_database():
    for name in set(OF_AIRFLOW) - {"migrate"}:
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}


def test_each_variable_has_a_default_that_both_generations_of_compose_understand():
    assert [found[0] for found in VARIABLE.finditer(TEXT) if not re.match(":?-", found[2])] == []


def test_each_variable_is_explained():
    explained = set(re.findall(r"^#(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert explained - {"COMPOSE_PROFILES"} == {found[1] for found in VARIABLE.finditer(TEXT)}


def test_the_example_file_changes_nothing_by_itself():
    lines = (ROOT / ".env.example").read_text().splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == []


def test_the_queue_is_the_one_of_the_example():
    assert default("BDA_EVENTS_QUEUE_URL") in (ROOT / "dags" / "bda_on_event.py").read_text()


def test_the_image_gets_what_it_copies_and_no_secrets():
    ignored, *kept = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    sources = re.findall(r"^COPY --chown=\S+ (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert ignored == "*"
    assert ".env" not in " ".join(kept)
    for source in " ".join(sources).split():
        assert (ROOT / source).exists()
        assert any(f"!{folder}" in kept for folder in (source, *map(str, Path(source).parents))), source


def test_requirements_of_the_image_keep_what_it_has(tmp_path):
    """What an image with Airflow has keeps its version, but for the AWS SDK, whose parts fit only one another."""
    for file in ("pyproject.toml", "constraints/newest.txt", "tools/stack/dependencies.py"):
        shutil.copy(ROOT / file, tmp_path)
    if sys.version_info < (3, 11):
        pytest.skip("the image has Python 3.12, whose tomllib the script uses")

    subprocess.run([sys.executable, "dependencies.py"], cwd=tmp_path, check=True)

    constraints = (tmp_path / "constraints.txt").read_text().splitlines()
    names = [line.partition("==")[0] for line in constraints if ";" not in line]
    assert len(names) == len(set(names))
    import pydantic

    assert f"pydantic=={pydantic.VERSION}" in constraints
    pinned = (tmp_path / "newest.txt").read_text().splitlines()
    assert [line.rstrip(" \\") for line in pinned if line.startswith("boto3==")] == [
        line for line in constraints if line.startswith("boto3==")
    ]
    assert not any("--hash" in line or "\\" in line for line in constraints)
    assert any(line.startswith("moto") for line in (tmp_path / "requirements.txt").read_text().splitlines())


def test_the_image_gets_what_the_wheel_is_made_with():
    """Hatchling runs a script of ours at each build, and takes the example DAGs into the wheel."""
    configured = re.findall(r'^(?:path|dags) = "(\S+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    scripts = {path for path in configured if path.startswith("tools/")}
    copied = re.findall(r"^COPY --chown=\S+ (.+) /tmp/source", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert scripts
    assert {*scripts, "airflow_bda", "dags", "pyproject.toml"} <= set(" ".join(copied).split())
