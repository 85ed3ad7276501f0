"""
The zip that Lambda runs, and the command ``airflow-bda lambda`` that writes it and the template.

The zip holds the functions, the modules that they import, and nothing else; its bytes are the same every time.
https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_bda.archive import build_zip
from airflow_bda.aws_lambda.template import build_template
from airflow_bda.aws_lambda.template_parts import HANDLER, JOB_EVENTS_HANDLER
from airflow_bda.service.arns import UnknownRegionError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

_KIB = 1024


def add_arguments(parser: ArgumentParser) -> None:
    """Add the sub-commands ``package`` and ``template``."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    package = what.add_parser("package", help="write the zip with the functions", description="Write the zip.")
    package.add_argument(
        "-o", "--output", type=Path, default=Path("bda_lambda.zip"), metavar="FILE", help="(default: %(default)s)"
    )
    package.add_argument(
        "--with-boto3",
        action="store_true",
        help="put the installed boto3 in, for a runtime whose own is older than 1.37.4 or lacks what is used",
    )
    package.add_argument("--json", action="store_true", help="print what was written as JSON")
    package.set_defaults(make=_write_package)
    template = what.add_parser(
        "template", help="print the CloudFormation template", description="Print the CloudFormation template, as JSON."
    )
    template.add_argument(
        "--region",
        default=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        help="where it will be deployed, which decides the profile (default: AWS_REGION or AWS_DEFAULT_REGION)",
    )
    template.set_defaults(make=_print_template)


def run(args: Namespace) -> int:
    """
    Make what was asked for.

    :return: the exit status.
    """
    status: int = args.make(args)
    return status


def _write_package(args: Namespace) -> int:
    package = build_package(with_boto3=args.with_boto3)
    try:
        args.output.write_bytes(package.content)
    except OSError as error:
        _say(f"airflow-bda lambda package: {args.output} cannot be written: {error.strerror}")
        return 1
    _say(_summary(package))
    data = {
        "file": str(args.output),
        "sha256": package.sha_256,
        "bytes": len(package.content),
        "boto3": package.boto3_version,
        "handlers": [HANDLER, JOB_EVENTS_HANDLER],
    }
    sys.stdout.write(f"{json.dumps(data) if args.json else args.output}\n")
    return 0


def _summary(package: Package) -> str:
    sizes = (f"  {name:<12} {size / _KIB:>8.0f} KiB" for name, size in sorted(package.sizes.items()))
    boto3 = f"boto3 {package.boto3_version} is in it" if package.boto3_version else "boto3 is the runtime's own"
    return "\n".join(
        (
            *sizes,
            f"  {'the zip':<12} {len(package.content) / _KIB:>8.0f} KiB, sha256 {package.sha_256}",
            f"{boto3}. Handlers: {HANDLER} and {JOB_EVENTS_HANDLER}",
        )
    )


def _print_template(args: Namespace) -> int:
    if not args.region:
        _say("airflow-bda lambda template: pass --region, or set AWS_REGION; the region decides the profile")
        return 2
    try:
        template = build_template(args.region)
    except UnknownRegionError as error:
        _say(f"airflow-bda lambda template: {error}")
        return 2
    sys.stdout.write(f"{json.dumps(template, indent=2)}\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


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
