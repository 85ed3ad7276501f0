"""
The zip that Lambda runs: the functions, the modules that they import, and nothing else; the same bytes every time.

https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_bda.archive import build_zip

if TYPE_CHECKING:
    from collections.abc import Iterator

HANDLER = "airflow_bda.aws_lambda.handler.handle"
JOB_EVENTS_HANDLER = "airflow_bda.aws_lambda.job_events.handle"

_PACKAGE = "airflow_bda"
_BOTO3 = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")
# Of botocore's service models, which are most of its weight, the one that is called.
_SERVICE_DATA = "data/bedrock-data-automation-runtime"
_DATA_OF_BOTOCORE = frozenset({"_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json"})
_DATA_SUFFIXES = frozenset({".py", ".json", ".gz", ".pem"})


@dataclass(frozen=True)
class Package:
    """
    A zip in memory.

    :param content: its bytes.
    :param sizes: of what is in it, in bytes by the top folder's name, before the zip.
    :param boto3_version: of the boto3 in it; None where the runtime's own is used.
    """

    content: bytes
    sizes: dict[str, int]
    boto3_version: str | None

    @property
    def sha_256(self) -> str:
        """The digest of its bytes, as hex digits."""
        return hashlib.sha256(self.content).hexdigest()


def build_package(*, with_boto3: bool = False) -> Package:
    """
    Make the zip.

    :param with_boto3: whether to put in the installed boto3, with BDA's service model alone: for a runtime whose own
        is older than 1.37.4, or than a member of the request that is used.
    """
    files: dict[str, Path] = {}
    boto3_version = None
    for name in packaged_modules():
        file, folders = _file_of(name), name.replace(".", "/")
        files[f"{folders}/__init__.py" if file.name == "__init__.py" else f"{folders}.py"] = file
    if with_boto3:
        import boto3

        boto3_version = str(boto3.__version__)
        files |= dict(_boto3_files())
    contents = {path: file.read_bytes() for path, file in files.items()}
    sizes: dict[str, int] = {}
    for path, content in contents.items():
        top = path.partition("/")[0]
        sizes[top] = sizes.get(top, 0) + len(content)
    return Package(build_zip(contents), sizes, boto3_version)


def packaged_modules() -> tuple[str, ...]:
    """Return the modules of this package that the functions import, directly or not, and the packages around them."""
    found: set[str] = set()
    waiting = [handler.rpartition(".")[0] for handler in (HANDLER, JOB_EVENTS_HANDLER)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
            waiting += filter(None, [name.rpartition(".")[0]])
    return tuple(sorted(found))


def _imports(name: str) -> Iterator[str]:
    """Return what a module of ours imports of ours, in functions too; not what only type checkers see."""
    for node in _running_nodes(ast.parse(_file_of(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == _PACKAGE)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == _PACKAGE:
            module, file = str(node.module), _file_of(str(node.module))
            yield module
            if file.name == "__init__.py":
                names = [alias.name for alias in node.names if (file.parent / f"{alias.name}.py").exists()]
                yield from (f"{module}.{name}" for name in names)


def _running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from _running_nodes(node)


def _file_of(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed as a file")
    return Path(spec.origin)


def _boto3_files() -> Iterator[tuple[str, Path]]:
    for name in _BOTO3:
        file = _file_of(name)
        if file.name != "__init__.py":
            yield file.name, file
            continue
        for path in file.parent.rglob("*"):
            inner = path.relative_to(file.parent).as_posix()
            if path.is_file() and path.suffix in _DATA_SUFFIXES and _is_needed(name, inner):
                yield f"{name}/{inner}", path


def _is_needed(library: str, path: str) -> bool:
    if "__pycache__" in path or path.startswith("examples/"):
        return False
    folder, _, rest = path.partition("/")
    if folder != "data" or library not in {"boto3", "botocore"}:
        return True
    return library == "botocore" and (rest in _DATA_OF_BOTOCORE or path.startswith(f"{_SERVICE_DATA}/"))
