"""
Every code block of the manual, the README and the other pages runs, so that what readers copy works.

A page's blocks run from top to bottom, as a reader would run them, with the emulator as AWS. What stands behind a
block's fence says how: CONTRIBUTING.md lists the kinds. A kind that is not known fails.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import re
from importlib import resources

import pytest
import yaml
from manual_pages import PAGES, ROOT, blocks
from manual_shell import Shell

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

from airflow_bda._compat import HAS_EVENT_TRIGGERS
from airflow_bda.emulator.core.faults import FaultKind
from airflow_bda.hooks import BdaHook
from airflow_bda.service.model import CONTROL_SERVICE, service_model

EMULATOR = "http://127.0.0.1:4566"
SAMPLES = resources.files("airflow_bda.emulator") / "samples"


NEED_COPIED_STAGES = {"blueprints", "projects-from-files"}


class Reader:
    """A reader who runs a page's blocks, one after the other."""

    def __init__(self, page, *, request, emulator, folder, dags_folder, document):
        self.page = page
        self.request = request
        self.emulator = emulator
        self.folder = folder
        self.dags_folder = dags_folder
        self.document = document
        self.namespace = {"__name__": page.stem}
        self.printed = ""
        self.shell = Shell(folder)
        self.run = {
            "python": self.run_python,
            "python dag": self.run_dag,
            "python dag-on-airflow-3": self.load_dag_of_airflow_3,
            "python test": self.run_tests,
            "bash": self.run_shell,
            "text output": self.compare_output,
            "text message": lambda block: None,  # test_troubleshooting.py has the program produce them
            "ini": check_settings,
            "json": lambda block: json.loads(block.code),
            "yaml": lambda block: list(yaml.load_all(block.code, AnyTag)),
        }
        self.seed()

    def seed(self):
        """Put in what the manual's emulator is started with, and a few documents more."""
        for sample in ("invoice.pdf", "receipt.png"):
            self.emulator.upload((SAMPLES / sample).read_bytes(), sample, bucket="bda-input")
        for name in ("inbox/a.pdf", "inbox/b.pdf"):
            self.emulator.upload(self.document, name, bucket="bda-input")
        self.emulator.make_bucket("bda-output")

    def compiled(self, block):
        """Compile with empty lines before it, so that a traceback names the page's own line."""
        code = block.code.replace("<job id>", self.some_job()) if "<job id>" in block.code else block.code
        return compile("\n" * (block.line - 1) + code, str(block.page), "exec")

    def some_job(self):
        hook = BdaHook()
        request = {"input_s3_uri": "s3://bda-input/invoice.pdf", "output_s3_uri": "s3://bda-output/results"}
        arn = hook.invoke(hook.build_request(**request))
        hook.wait(arn)
        return arn.rpartition("/")[2]

    def run_python(self, block):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(self.compiled(block), self.namespace)  # noqa: S102  the manual is ours
        self.printed = printed.getvalue()

    def load_dag(self, block):
        """Airflow runs only what lies in its own folder."""
        file = self.dags_folder / f"{block.page.stem}_{block.line}.py"
        file.write_text(block.code)
        bag = DagBag(str(file))
        assert bag.import_errors == {}
        (dag,) = bag.dags.values()
        return dag

    def run_dag(self, block):
        dag = self.load_dag(block)
        if self.page.stem == "test-your-dags":  # the page's own next block runs it
            return
        run = dag.test()

        assert str(run.state) == "success"

    def load_dag_of_airflow_3(self, block):
        if HAS_EVENT_TRIGGERS:
            self.load_dag(block)
        else:
            with pytest.raises(ImportError):
                self.run_python(block)

    def run_tests(self, block):
        namespace = {"__name__": f"{self.page.stem}_{block.line}"}
        exec(self.compiled(block), namespace)  # noqa: S102  as above
        tests = [value for name, value in namespace.items() if name.startswith("test_")]

        assert tests
        for test in tests:
            self.emulator.reset()
            test(**{name: self.request.getfixturevalue(name) for name in inspect.signature(test).parameters})
        self.emulator.reset()
        self.seed()

    def run_shell(self, block):
        status, self.printed = self.shell.run(block.code.replace(EMULATOR, self.emulator.endpoint_url))

        assert status == 0, self.printed

    def compare_output(self, block):
        """Find the block's lines in what was printed, in their order; three dots stand for anything."""
        rest = [" ".join(line.split()) for line in self.printed.splitlines()]
        for line in filter(str.strip, block.code.splitlines()):
            wanted = re.compile(".*".join(map(re.escape, " ".join(line.split()).split("..."))))
            found = next((number for number, other in enumerate(rest) if wanted.fullmatch(other)), None)
            assert found is not None, f"nothing reads {line!r} in:\n{self.printed}"
            rest = rest[found + 1 :]


def check_settings(block):
    """Hold a file of settings against the example that explains each of them."""
    explained = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    settings = [line.partition("=")[0] for line in block.code.splitlines() if line.strip()]

    assert set(settings) <= set(explained)


class AnyTag(yaml.SafeLoader):
    """Reads CloudFormation's short forms, such as ``!GetAtt``, as what stands behind them."""


AnyTag.add_multi_constructor("!", lambda loader, suffix, node: loader.construct_scalar(node))


@pytest.fixture
def reader_of(request, bda_emulator, tmp_path, airflow_db, sample_pdf, monkeypatch):  # noqa: PLR0917  fixtures
    """Return a reader in an empty folder; what the page changes in the environment is undone."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        monkeypatch.setenv(name, os.environ[name])
    dags_folder = airflow_db.parent / "dags" / "manual"
    dags_folder.mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    readers = []

    def make(page):
        reader = Reader(
            page,
            request=request,
            emulator=bda_emulator,
            folder=tmp_path,
            dags_folder=dags_folder,
            document=sample_pdf,
        )
        readers.append(reader)
        return reader

    yield make
    for reader in readers:
        reader.shell.close()
    for file in dags_folder.glob("*.py"):
        file.unlink()


def test_the_manual_is_there():
    assert {"README.md", "CONTRIBUTING.md", "docs/tutorial.md"} <= {str(page.relative_to(ROOT)) for page in PAGES}


def test_contributors_are_told_of_every_target():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = (ROOT / "CONTRIBUTING.md").read_text()

    assert [target for target in targets if f"make {target}" not in told and target != "help"] == []


def test_testers_are_told_of_every_fault():
    told = (ROOT / "docs" / "how-to" / "test-your-dags.md").read_text()

    assert [str(kind) for kind in FaultKind if f"`{kind}`" not in told] == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Tried to parse AWS:UserWarning")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_its_blocks_run(page, reader_of):
    if page.stem in NEED_COPIED_STAGES and "CopyBlueprintStage" not in service_model(CONTROL_SERVICE).operation_names:
        pytest.skip("this botocore has no CopyBlueprintStage, which the page shows")
    reader = reader_of(page)
    for block in blocks(page):
        assert block.kind in reader.run, f"{block}: no such kind of block; CONTRIBUTING.md lists them"
        if block.file:
            (reader.folder / block.file).write_text(block.code)
        try:
            reader.run[block.kind](block)
        except Exception as error:
            raise AssertionError(f"{block} does not run") from error
