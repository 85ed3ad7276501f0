"""What our own tools install: only files whose hashes the lists in constraints/ have."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LISTS = sorted((ROOT / "constraints").glob("*.txt"))
PIN = re.compile(r"\S+==\S+( ; .+)? \\(\n    --hash=sha256:[0-9a-f]{64} \\)*\n    --hash=sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("file", LISTS, ids=lambda file: file.stem)
def test_every_pin_has_hashes_and_no_list_names_an_index(file):
    text = file.read_text()

    pins = [match.group() for match in PIN.finditer(text)]
    assert "\n".join(pins) + "\n" == text
    assert "://" not in text


INSTALLER = '#!/bin/sh\nexec {python} {script} {log} "$@"\n'
NOTES = "import sys\nopen(sys.argv[1], 'a').write(' '.join(sys.argv[2:]) + '\\n')\n"


def test_setup_installs_others_packages_by_hash_and_its_own_without_dependencies(tmp_path):
    """With a stand-in for uv that writes down what it is asked for."""
    for folder in ("tools", "constraints", "airflow_bda"):
        (tmp_path / folder).mkdir()
    for file in (
        "tools/setup",
        "tools/find_python",
        "tools/package_metadata.py",
        "pyproject.toml",
        "airflow_bda/__init__.py",
    ):
        shutil.copy(ROOT / file, tmp_path / file)
    for file in ("newest.txt", "build.txt"):
        shutil.copy(ROOT / "constraints" / file, tmp_path / "constraints")
    (tmp_path / "notes.py").write_text(NOTES)
    uv, asked = tmp_path / "tools" / "uv", tmp_path / "asked.txt"
    uv.write_text(INSTALLER.format(python=sys.executable, script=tmp_path / "notes.py", log=asked))
    uv.chmod(0o755)
    (tmp_path / ".venv").mkdir()

    subprocess.run(
        ["bash", "tools/setup"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        check=True,
    )

    installed = [line for line in asked.read_text().splitlines() if line.startswith("pip install")]
    assert installed
    for line in installed:
        assert ("--require-hashes" in line and "--requirements" in line) or "--no-deps" in line, line


WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def package(tmp_path):
    """Return a wheel with nothing in it, and its right line in a list."""
    wheel = tmp_path / "nothing_at_all-1.0-py3-none-any.whl"
    info = "nothing_at_all-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: nothing-at-all\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.mark.skipif(not (ROOT / ".tools").is_dir(), reason="uv is there only in a checkout that `make setup` has seen")
@pytest.mark.parametrize("tampered", [False, True])
def test_a_file_with_another_hash_is_refused(package, tmp_path, tampered):
    """By the very options of tools/setup."""
    digest = hashlib.sha256(package.read_bytes() + b"x" * tampered).hexdigest()
    pins = tmp_path / "pins.txt"
    pins.write_text(f"nothing-at-all==1.0 \\\n    --hash=sha256:{digest}\n")
    ended = subprocess.run(
        [
            *(str(ROOT / "tools" / "uv"), "pip", "install", "--require-hashes", "--requirements", str(pins)),
            *("--no-index", f"--find-links={tmp_path}", f"--target={tmp_path / 'installed'}", "--no-cache"),
        ],
        env={name: value for name, value in os.environ.items() if not name.startswith("UV_")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode != 0) == tampered, ended.stderr
    assert ("Hash mismatch" in ended.stderr) == tampered
