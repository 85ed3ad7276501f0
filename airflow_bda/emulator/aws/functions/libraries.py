"""
The libraries that Lambda's Python runtime has, and no others, from this machine's installed ones.

A function that imports anything else must bring it in its zip, here as on AWS.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

# https://docs.aws.amazon.com/lambda/latest/dg/python-package.html#python-package-dependencies: the AWS SDK and what it
# needs. Below it, the runtime client and what that needs.
_NAMES = (
    *("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"),
    *("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py"),
)


class MissingLibraryError(Exception):
    """Functions cannot be run with what is installed."""


def link_libraries(folder: Path) -> None:
    """
    Fill *folder* with links to the libraries.

    :raises MissingLibraryError: names one that is not installed.
    """
    for name in _NAMES:
        source = _source(name)
        link = folder / (source.name if source.suffix else name)
        link.symlink_to(source, target_is_directory=source.is_dir())


def _source(name: str) -> Path:
    """Return a package's folder or a module's file."""
    spec = find_spec(name)
    if spec is not None and spec.origin is not None:
        file = Path(spec.origin)
        # By its file: six, a module, calls itself a package once it is imported.
        return file.parent if file.name == "__init__.py" else file
    if name == "runtime_client":
        return Path(__file__).with_name("runtime_client.py")
    raise MissingLibraryError(f"{name} is not installed; functions need: pip install 'airflow-provider-bda[local]'")
