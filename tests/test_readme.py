"""
Every code block of the README is run or checked, so that what newcomers copy works.

Python blocks run from top to bottom in one namespace, as a reader would run them, with the emulator as AWS. Commands of
shell blocks are checked against what defines them: the Makefile, the command line's parser, the package's extras.
"""

from __future__ import annotations

import re
import shlex
from importlib.metadata import metadata
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from airflow_bda.cli import _parser
from airflow_bda.hooks import BdaHook

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PROJECT = "arn:aws:bedrock:us-east-1:aws:data-automation-project/public-default"
BLOCKS = [token for token in MarkdownIt().parse(README.read_text(encoding="utf-8")) if token.type == "fence"]


def blocks(*languages: str) -> list:
    """List the README's code blocks in one of the languages, in order."""
    return [block for block in BLOCKS if block.info.strip() in languages]


def commands() -> list[str]:
    """List the commands of all shell blocks, a line each, without comments."""
    lines = "\n".join(block.content for block in blocks("bash", "sh")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def test_every_block_names_a_language_that_is_checked_here():
    unchecked = [block for block in BLOCKS if block not in blocks("python", "bash", "sh", "text")]

    assert [f"line {block.map[0] + 1}: {block.info!r}" for block in unchecked] == []


@pytest.fixture
def job_id(bda_emulator, sample_pdf) -> str:
    """Run the README's job, so that its results are there to be read."""
    document = bda_emulator.upload(sample_pdf, "invoice.pdf", bucket="bda-input")
    output = f"{bda_emulator.make_bucket('bda-output')}/results"
    hook = BdaHook()
    arn = hook.invoke(hook.build_request(input_s3_uri=document, output_s3_uri=output, project_arn=PROJECT))
    hook.wait(arn)
    return arn.rpartition("/")[2]


def test_python_blocks_run(bda_emulator, job_id, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}

    for block in blocks("python"):
        # Empty lines before it, so that a traceback names the README's own line.
        source = "\n" * (block.map[0] + 1) + block.content.replace("<job id>", job_id)
        exec(compile(source, str(README), "exec"), namespace)  # noqa: S102  the README is ours

    for name in [name for name in namespace if name.startswith("test_")]:
        bda_emulator.reset()
        namespace[name](bda_emulator)


@pytest.mark.parametrize("command", commands())
def test_shell_commands_exist(command):
    words = shlex.split(command, comments=True)
    while words and re.fullmatch(r"(export|[A-Z_]+=.*)", words[0]):  # settings before a command, or alone
        words.pop(0)
    if words:
        assert words[0] in CHECKS, f"no check here for {words[0]!r}: add one, so that the README cannot rot"
        CHECKS[words[0]](words[1:])


def check_make(arguments):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert [word for word in arguments if "=" not in word and word not in targets] == []


def check_airflow_bda(arguments):
    _parser(arguments).parse_args(arguments)


def check_pip(arguments):
    assert arguments[0] == "install"
    name, extras = re.fullmatch(r"([\w-]+)(?:\[([\w,]+)\])?", arguments[-1]).groups()
    told = metadata("airflow-provider-bda")

    assert name == told["Name"]
    assert set(filter(None, (extras or "").split(","))) <= set(told.get_all("Provides-Extra"))


def check_cd_or_clone(arguments):
    """Where a reader puts the checkout is his own."""
    assert arguments


CHECKS = {
    "airflow-bda": check_airflow_bda,
    "cd": check_cd_or_clone,
    "git": check_cd_or_clone,
    "make": check_make,
    "pip": check_pip,
}
