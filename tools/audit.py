"""
Ask an advisory database about every pin in constraints/. `make audit` runs this; it needs the network.

    .venv/bin/python tools/audit.py [ROW ...]

A database that cannot be reached, or that has no data on a package, is a failure and not a clean list: a registry
beside PyPI often offers no advisories.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import own_environment
from rows import CONSTRAINTS

# How pip-audit marks, with status 0, what it could not look up: a registry without advisories answers so for all.
SKIPPED = "could not be audited"


def main() -> int:
    """Return 0 when every list was looked up and holds nothing that is known to be vulnerable."""
    names = sorted(file.stem for file in CONSTRAINTS.glob("*.txt"))
    parser = argparse.ArgumentParser(description="Ask an advisory database about every pin in constraints/.")
    parser.add_argument("lists", nargs="*", default=names, metavar="LIST", help=f"which: {', '.join(names)} (all)")
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi", help="which database (%(default)s)")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.lists) - set(names)):
        parser.error(f"no such list: {', '.join(unknown)}. There are: {', '.join(names)}")
    program = own_environment.make("audit") / "pip-audit"
    return max(_look_at(str(program), name, arguments.service) for name in arguments.lists)


def _look_at(program: str, name: str, service: str) -> int:
    print(f"audit: constraints/{name}.txt", flush=True)
    ended = subprocess.run(
        [
            *(program, "--progress-spinner=off", "--disable-pip", "--require-hashes"),
            *(f"--vulnerability-service={service}", f"--requirement={CONSTRAINTS / f'{name}.txt'}"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ended.stdout.splitlines()
    skipped = sum(SKIPPED in line for line in lines)
    print("\n".join(line for line in lines if SKIPPED not in line))
    if ended.returncode or not skipped:  # otherwise it says that it found nothing, having looked at nothing
        print(ended.stderr, end="", file=sys.stderr)
    if skipped:
        print(f"audit: {skipped} pins were NOT looked up: the database {service} does not know them", file=sys.stderr)
    return ended.returncode or bool(skipped)


if __name__ == "__main__":
    sys.exit(main())
