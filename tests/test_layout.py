"""Which room may import which (design: imports only go down), and what importing costs a DAG file."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

import airflow_bda

PACKAGE = Path(airflow_bda.__file__).parent

WITHOUT_AIRFLOW = frozenset(
    {
        "service",
        "access",
        "engine",
        "emulator",
        "archive",
        "aws_lambda",
        "mwaa",
        "projects",
        "report",
        "tables",
        "__init__",
    }
)

# Room (a folder or a module of the package) to the rooms that it may import besides itself.
BELOW = {
    "__init__": set(),
    "_compat": {"service"},
    "service": set(),
    "exceptions": {"_compat", "service"},
    "access": {"service"},
    "engine": {"service"},
    "projects": {"service"},
    "archive": set(),
    "aws_lambda": {"access", "archive", "service"},
    "mwaa": {"archive"},
    "emulator": {"access", "report", "service"},
}
BELOW["tables"] = {"service"}
BELOW["report"] = {"service", "tables"}
BELOW["hooks"] = {"_compat", "exceptions", "service", "access", "engine", "projects"}
BELOW["links"] = BELOW["hooks"]
BELOW["triggers"] = BELOW["hooks"] | {"hooks"}
BELOW["sensors"] = BELOW["triggers"] | {"triggers", "links"}
BELOW["operators"] = BELOW["sensors"] | {"report", "tables"}
# What stands above all the rest.
BELOW["demo"] = BELOW["commands"] = BELOW["operators"] | {
    "operators",
    "sensors",
    "aws_lambda",
    "mwaa",
    "emulator",
    "tables",
    "report",
}
BELOW["cli"] = BELOW["commands"] | {"commands", "demo"}

# What a room may import from outside the standard library, where that is not everything.
ONLY = {
    "service": {"botocore"},
    # packaging compares versions; Airflow itself needs it.
    "access": {"botocore", "packaging"},
    "engine": {"botocore"},
    "projects": {"botocore"},
    "aws_lambda": {"boto3", "botocore"},
    "__init__": set(),
}
ONLY["archive"] = ONLY["mwaa"] = set()

# `service` describes BDA and does nothing: no client, no network, no process, no file of its own.
ACTING = frozenset(
    {"boto3", "botocore.client", "botocore.httpsession", "botocore.session"}
    | {"http", "io", "multiprocessing", "shutil", "socket", "sqlite3", "subprocess", "tempfile", "urllib.request"}
)

# What a DAG file may never make the scheduler load.
HEAVY = frozenset(
    {"PIL", "aiobotocore", "av", "moto", "onnxruntime", "pdfplumber", "pyarrow", "pypdf", "pypdfium2", "rapidocr"}
)


@dataclass(frozen=True)
class Import:
    """A module that a module imports, in a line that runs (not only for type checkers)."""

    importer: str
    line: int
    imported: str

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def room_of(module: str) -> str:
    """Return the room of a module: `hooks` for `airflow_bda.hooks.bda`, `__init__` for the package itself."""
    _, _, rest = module.partition(".")
    return rest.partition(".")[0] or "__init__"


def imports_of(source: str, importer: str) -> list[Import]:
    """List what a module's lines import, those within functions too."""
    found = []
    for node in _running(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [Import(importer, node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(filter(None, [*importer.split(".")[: -node.level], base]))
            # `from airflow_bda import hooks` is about the room, `from airflow_bda import __version__` is not.
            rooms = [f"{base}.{alias.name}" for alias in node.names if base == "airflow_bda" and alias.name in BELOW]
            found += [Import(importer, node.lineno, name) for name in rooms or [base]]
    return found


def _running(tree: ast.AST) -> list[ast.AST]:
    """Walk a tree without what stands under `if TYPE_CHECKING:`."""
    nodes = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            nodes += [found for child in node.orelse for found in [child, *_running(child)]]
        else:
            nodes += [node, *_running(node)]
    return nodes


def problem_of(found: Import) -> str | None:
    """Say which rule an import breaks, if any."""
    room = room_of(found.importer)
    if room not in BELOW:
        return f"{room} has no place in this test's table of rooms"
    top = found.imported.partition(".")[0]
    if top == "airflow_bda":
        target = room_of(found.imported)
        return None if target in {room, "__init__"} | BELOW[room] else f"{found}, which is not below {room}"
    if top == "airflow" and room in WITHOUT_AIRFLOW:
        return f"{found}, and {room} works without Airflow"
    if room == "service" and any(f"{found.imported}.".startswith(f"{name}.") for name in ACTING):
        return f"{found}, and service only describes"
    if top not in sys.stdlib_module_names and top not in ONLY.get(room, {top}):
        return f"{found}, and {room} needs no more than {sorted(ONLY[room]) or 'the standard library'}"
    return None


def modules() -> dict[str, str]:
    """Read every module of the package, by its dotted name."""
    sources = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = ["airflow_bda", *file.relative_to(PACKAGE).with_suffix("").parts]
        if "example_dags" not in parts:  # users' code, in wheels
            sources[".".join(parts)] = file.read_text()
    return sources


def test_imports_only_go_down():
    problems = [
        problem
        for name, source in modules().items()
        for found in imports_of(source, name)
        if (problem := problem_of(found))
    ]

    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("airflow_bda.service.model", "import airflow"),
        ("airflow_bda.service.model", "def f():\n    import boto3"),
        ("airflow_bda.service.model", "from botocore.session import get_session"),
        ("airflow_bda.service.model", "from urllib.request import urlopen"),
        ("airflow_bda.service.model", "from airflow_bda.engine.poller import Poller"),
        ("airflow_bda.engine.poller", "from airflow_bda import hooks"),
        ("airflow_bda.engine.poller", "import aiobotocore.session"),
        ("airflow_bda.hooks.bda", "from ..operators import BdaInvokeOperator"),
        ("airflow_bda.sensors.bda", "from airflow_bda.operators import BdaInvokeOperator"),
        ("airflow_bda.emulator.server.server", "from airflow.models import DAG"),
        ("airflow_bda.aws_lambda.handler", "import requests"),
        ("airflow_bda.__init__", "from airflow_bda.service import arns"),
        ("airflow_bda.operators.bda", "from airflow_bda.cli import main"),
        ("airflow_bda.attic.bda", "import os"),
    ],
)
def test_a_breach_is_seen(importer, source):
    """The rules above bite."""
    assert any(problem_of(found) for found in imports_of(source, importer))


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("airflow_bda.service.model", "if TYPE_CHECKING:\n    from airflow_bda.engine import poller"),
        ("airflow_bda.service.model", "from botocore.model import ServiceModel"),
        ("airflow_bda.hooks.bda", "from airflow_bda import __version__"),
        ("airflow_bda.hooks.bda", "from .settings import wait_limits"),
    ],
)
def test_what_the_rules_allow(importer, source):
    assert not any(problem_of(found) for found in imports_of(source, importer))


def edges_between_modules() -> dict[str, set[str]]:
    """List, for each module, the modules that it imports in lines that run; a package stands for its `__init__`."""
    sources = {name.removesuffix(".__init__"): source for name, source in modules().items()}
    edges: dict[str, set[str]] = {name: set() for name in sources}
    for name, source in sources.items():
        for node in _running(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and not node.level and node.module in sources:
                # `from package import module` is about the module.
                named = {f"{node.module}.{alias.name}" for alias in node.names}
                edges[name] |= named & sources.keys() or {node.module}
            elif isinstance(node, ast.Import):
                edges[name] |= {alias.name for alias in node.names if alias.name in sources}
        edges[name].discard(name)
    return edges


def edges_between_folders(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """Put the modules of a folder together, with its `__init__`; a module at the top is a room of its own."""
    folders = {name: name if _is_package(name) or name.count(".") == 1 else name.rpartition(".")[0] for name in edges}
    found: dict[str, set[str]] = {folder: set() for folder in folders.values()}
    for importer, imported in edges.items():
        found[folders[importer]] |= {folders[name] for name in imported} - {folders[importer]}
    return found


def _is_package(name: str) -> bool:
    return (PACKAGE.parent / Path(*name.split(".")) / "__init__.py").exists()


def circles_of(edges: dict[str, set[str]]) -> set[frozenset[str]]:
    """Find what reaches itself: the sets of names that import each other, however far around."""
    reached = {name: _reachable(name, edges) for name in edges}
    return {
        frozenset(other for other in reached[name] if name in reached[other]) for name in edges if name in reached[name]
    }


def _reachable(name: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = list(edges[name])
    while left:
        if (each := left.pop()) not in found:
            found.add(each)
            left += edges.get(each, ())
    return found


def test_no_modules_import_each_other():
    circles = [sorted(circle) for circle in circles_of(edges_between_modules())]

    assert circles == []


def test_no_folders_import_each_other():
    """One way only between a folder and its subfolders, and between two folders."""
    circles = [sorted(circle) for circle in circles_of(edges_between_folders(edges_between_modules()))]

    assert circles == []


def test_what_the_emulator_adds_to_moto_knows_no_bda():
    """Lambda functions, IAM and EventBridge: what they need of BDA they are given as callbacks."""
    own = "airflow_bda.emulator.aws"
    imported = {
        (name, other)
        for name, others in edges_between_modules().items()
        if f"{name}.".startswith(f"{own}.")
        for other in others
    }

    assert [pair for pair in imported if not f"{pair[1]}.".startswith(f"{own}.")] == []


def test_a_circle_is_seen():
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"d"}}

    assert circles_of(edges) == {frozenset("abc")}


IMPORT_LIKE_A_DAG_FILE = """
import importlib, json, sys
models = []
sys.addaudithook(
    lambda event, arguments: models.append(str(arguments[0]))
    if event == "open" and "service-2.json" in str(arguments[0]) else None
)
for room in sys.argv[1:]:
    package = importlib.import_module("airflow_bda." + room)
    for name in package.__all__:
        getattr(package, name)
print(json.dumps({"modules": sorted(sys.modules), "models": models}))
"""


# What it needs to make tasks of. What they need to run (clients, waits, batches, readers of results, reports) is loaded
# when they run.
LOADED_BY_A_DAG_FILE = frozenset(
    {"_compat", "exceptions", "links.bda", "sensors.bda", "triggers.bda", "triggers.bda_batch"}
    | {f"hooks.{name}" for name in ("bda", "connection", "task_arguments", "telemetry")}
    | {"operators.bda", "operators.one_job"}
    | {
        f"operators.bda_{name}"
        for name in ("apply_project", "batch", "lambda", "preflight", "results", "review", "sync")
    }
    | {f"engine.{name}" for name in ("pacing", "tasks")}
    | {f"service.{name}" for name in ("arguments", "arns", "aws_errors", "errors", "json_reading", "lambda_interface")}
    | {f"service.{name}" for name in ("model", "s3", "safe_values", "statuses")}
    | {f"service.{name}" for name in ("request.request", "request.rules", "results.rows")}
)


def run_python(code: str, *arguments: str) -> str:
    """Run code in an interpreter of its own, as a DAG processor would, and return its last line."""
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip().splitlines()[-1]


def test_a_dag_file_loads_nothing_heavy():
    """The DAG processor imports every DAG file again and again."""
    loaded = json.loads(run_python(IMPORT_LIKE_A_DAG_FILE, "operators", "sensors", "triggers", "hooks"))

    assert "airflow_bda.operators.bda" in loaded["modules"]
    assert HEAVY.isdisjoint(loaded["modules"]), HEAVY.intersection(loaded["modules"])
    assert loaded["models"] == []


def test_a_dag_file_loads_nothing_that_only_execution_needs():
    """Of this package a DAG file gets these modules, and the packages that they are in."""
    loaded = json.loads(run_python(IMPORT_LIKE_A_DAG_FILE, "operators", "sensors"))["modules"]
    ours = {name.removeprefix("airflow_bda.") for name in loaded if name.startswith("airflow_bda.")}

    assert {name for name in ours if not (PACKAGE / name.replace(".", "/")).is_dir()} == LOADED_BY_A_DAG_FILE


def test_the_package_itself_imports_no_airflow():
    """Airflow asks every provider for its information when it starts."""
    loaded = run_python("import airflow_bda, sys; airflow_bda.get_provider_info(); print(*sys.modules)").split()

    assert not {name for name in loaded if name.partition(".")[0] in {"airflow", "botocore", "boto3"}}


LONGEST_FUNCTION = 70
SHORTEST_MEDIAN = 5


def functions() -> list[tuple[str, int, int]]:
    """List the package's functions: where each is, its lines, and the lines of its body without the docstring."""
    found = []
    for name, source in modules().items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                found.append((f"{name}.{node.name}", (node.end_lineno or 0) - node.lineno + 1, lines))
    return found


def test_no_function_is_too_long_to_read_at_once():
    assert [(name, lines) for name, lines, _ in functions() if lines > LONGEST_FUNCTION] == []


def test_functions_are_long_enough_to_be_worth_their_names():
    """Of functions of four lines a reader has to follow too many."""
    assert median(body for _, _, body in functions()) >= SHORTEST_MEDIAN


# Most modules have 120 to 350 lines. What is much shorter or longer needs a reason.
SHORTEST_MODULE, LONGEST_MODULE = 60, 450
SHORT = {
    "airflow_bda.archive": "two rooms that do not import each other build zips with it",
    "airflow_bda.emulator.pytest_plugin": "every run of pytest loads it",
}
LONG = {
    "airflow_bda.hooks.bda": "the public hook: most of it are the docstrings of its methods",
    "airflow_bda.service.results.json_file": "where a file's parts are noted, and what reads them there",
    "airflow_bda.projects.plan": "the comparison of every kind of thing that files can describe",
}


def test_modules_are_long_enough_to_be_worth_a_file_and_short_enough_to_read():
    lines = {name: len(source.splitlines()) for name, source in modules().items() if not name.endswith("__init__")}

    assert {name for name, number in lines.items() if number < SHORTEST_MODULE} <= SHORT.keys()
    assert {name for name, number in lines.items() if number > LONGEST_MODULE} <= LONG.keys()
    assert sum(120 <= number <= 350 for number in lines.values()) > len(lines) / 2
