"""
Write the files for Amazon MWAA into build/mwaa/, and install them the way MWAA does. `make mwaa` runs this.

    .venv/bin/python tools/mwaa.py [VERSION ...]

What is installed from is the files alone: no index is asked. What is installed into is a virtual environment that has
what MWAA's image has of Airflow and the amazon provider, at that version's pins, and none of this project's other
dependencies.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from rows import PYTHON, ROOT, ROWS, Row, pins

from airflow_bda.mwaa import DISTRIBUTION, PLUGINS_FOLDER, WEB_SERVERS

BUILT = ROOT / "build" / "mwaa"
COMMAND = (sys.executable, "-m", "airflow_bda.cli", "mwaa")

# Every image of MWAA installs these by name.
IMAGE = ("apache-airflow", "apache-airflow-providers-amazon[aiobotocore]")

INSTALLED = """
import importlib.metadata as metadata, json
print(json.dumps(sorted(f"{found.name}=={found.version}" for found in metadata.distributions())))
"""
USE = """
from importlib import import_module
for room in ("hooks", "links", "operators", "sensors", "triggers"):
    package = import_module(f"airflow_bda.{room}")
    for name in package.__all__:
        getattr(package, name)
"""


class InstallError(Exception):
    """The files do not do on MWAA what they should."""


@dataclass(frozen=True)
class Image:
    """A virtual environment that stands for MWAA's image, and its Airflow's version."""

    folder: Path
    airflow: str

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(self, *arguments: str, **variables: str) -> str:
        """
        Run its Python, and return what it prints.

        :raises InstallError: if it fails, with what it said.
        """
        ended = subprocess.run(
            [str(self.python), *arguments],
            env={**_without_settings_of_pip(), "AIRFLOW_HOME": str(self.folder), **variables},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise InstallError(f"`{' '.join(arguments)}`:\n{ended.stdout}\n{ended.stderr}".strip())
        return ended.stdout

    def installed(self) -> set[str]:
        """Return what is installed, as `name==version`."""
        return set(json.loads(self.run("-I", "-c", INSTALLED)))


def main() -> int:
    """Write and check the files of the versions that were asked for."""
    rows = _select()
    (wheel,) = (ROOT / "dist").glob("*.whl")
    failed = 0
    for row in rows:
        folder = BUILT / row.name
        try:
            check(row, (*COMMAND, f"--wheel={wheel}"))
            _write(row, (*COMMAND, f"--wheel={wheel}"), folder)
        except InstallError as error:
            print(f"mwaa: {row.name}: {error}", file=sys.stderr)
            failed += 1
        else:
            print(f"mwaa: {folder.relative_to(ROOT)}/plugins.zip and requirements.txt, installed on {row.name}'s pins")
    print("mwaa: `airflow-bda mwaa --help` and docs/how-to/mwaa.md tell how they get there")
    return 1 if failed else 0


def check(row: Row, command: tuple[str, ...]) -> None:
    """
    Install the files of both kinds of web server as MWAA would, one after the other.

    :param command: `airflow-bda mwaa`, and where its wheel comes from.
    :raises InstallError: if anything but this package is installed or changed, or it cannot be imported.
    """
    with tempfile.TemporaryDirectory(prefix=f"mwaa-{row.name}-") as folder:
        image = _make_image(row, Path(folder))
        before = image.installed()
        for web_server in WEB_SERVERS:
            files = Path(folder) / web_server
            _write(row, (*command, f"--web-server={web_server}"), files)
            _install(image, row, files)
            added = image.installed() ^ before
            if {change.partition("==")[0] for change in added} != {DISTRIBUTION}:
                raise InstallError(f"{web_server}: the installation changed {', '.join(sorted(added)) or 'nothing'}")
            image.run("-c", USE)
            image.run("-m", "pip", "uninstall", "--quiet", "--yes", DISTRIBUTION)


def _select() -> list[Row]:
    known = {row.name: row for row in ROWS if row.wanted}
    parser = argparse.ArgumentParser(description="Write the files for Amazon MWAA, and install them as MWAA does.")
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"of Airflow: {', '.join(known)} (all)")
    names = parser.parse_args().versions
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no such Airflow on MWAA: {', '.join(unknown)}. There are: {', '.join(known)}")
    return [known[name] for name in names] or list(known.values())


def _write(row: Row, command: tuple[str, ...], folder: Path) -> None:
    """Run the command as a user would."""
    ended = subprocess.run(
        [*command, f"--airflow={row.name}", f"--output={folder}", "--overwrite"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise InstallError(ended.stderr.strip())


def _make_image(row: Row, folder: Path) -> Image:
    found = subprocess.run([str(ROOT / "tools" / "find_python"), PYTHON], stdout=subprocess.PIPE, text=True, check=True)
    image = Image(folder / "image", row.name)
    # By Python's own means, because MWAA installs with pip, and this brings it.
    subprocess.run([found.stdout.strip(), "-m", "venv", str(image.folder)], check=True)
    subprocess.run(
        [
            *(str(ROOT / "tools" / "uv"), "pip", "install", "--quiet", f"--python={image.python}"),
            *(f"--constraints={row.file}", *IMAGE),
        ],
        check=True,
        cwd=ROOT,
    )
    return image


def _install(image: Image, row: Row, files: Path) -> None:
    """Do what MWAA does: unpack the one file, then install by the other, with the constraints that MWAA insists on."""
    plugins, requirements = files / "plugins", files / "unpacked.txt"
    with zipfile.ZipFile(files / "plugins.zip") as archive:
        archive.extractall(plugins)
    text = (files / "requirements.txt").read_text()
    requirements.write_text(text.replace(PLUGINS_FOLDER, str(plugins)))
    essential = files / "essential.txt"
    essential.write_text(f"apache-airflow=={image.airflow}\n")
    # Where the file names no constraints, MWAA adds its own list.
    listed = files / "list.txt"
    # Without hashes, as MWAA's own list is: pip would ask for one of the wheel too.
    listed.write_text("".join(f"{name}=={version}\n" for name, version in pins(row.file).items()))
    own_list = () if "--constraint " in text else (f"--constraint={listed}",)
    image.run(
        *("-m", "pip", "install", "--quiet", f"--constraint={essential}", f"--requirement={requirements}", *own_list),
        PIP_NO_INDEX="1",
    )


def _without_settings_of_pip() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


if __name__ == "__main__":
    sys.exit(main())
