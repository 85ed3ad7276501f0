"""What the service answered to the questions that nothing else answers, as files that may be published."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from real_account import Account

FOLDER_VARIABLE = "BDA_SYSTEM_TESTS_REPORT"
DEFAULT_FOLDER = ".system-tests"
_TOKENS = "tokens.json"
_PLACEHOLDER_ACCOUNT = "123456789012"


def report_folder() -> Path:
    """Return where the reports are, and the tokens that later runs ask about."""
    return Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)


def kept_tokens() -> list[dict[str, Any]]:
    """Return the client tokens of earlier runs, with the requests that they were sent with."""
    kept = report_folder() / _TOKENS
    return json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []


def keep_tokens(tokens: list[dict[str, Any]]) -> None:
    """Keep client tokens for the next run."""
    report_folder().mkdir(parents=True, exist_ok=True)
    (report_folder() / _TOKENS).write_text(json.dumps(tokens, indent=2), encoding="utf-8")


@dataclass(frozen=True)
class Answer:
    """
    One question and what was seen.

    :param seen: what was seen, as JSON's own types.
    """

    question: str
    answer: str
    seen: dict[str, Any]


@dataclass
class Answers:
    """The answers of one run, which name neither the account nor its bucket and project."""

    account: Account
    given: list[Answer] = field(default_factory=list)

    def add(self, question: str, answer: str, **seen: Any) -> None:
        """Note one answer; a question may have several."""
        self.given.append(Answer(question, answer, seen))

    def write(self, folder: Path) -> None:
        """Write ``report.json`` and ``report.md``."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "answered_by": os.environ.get("AWS_ENDPOINT_URL") or "AWS",
            "region": self.account.region,
            "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
            "boto3": version("boto3"),
            "apache-airflow": version("apache-airflow"),
        }
        answers = [vars(answer) for answer in self.given]
        data = json.dumps({**facts, "answers": answers}, indent=2, ensure_ascii=False, default=str)
        (folder / "report.json").write_text(f"{self._published(data)}\n", encoding="utf-8")
        (folder / "report.md").write_text(self._published(_markdown(facts, self.given)), encoding="utf-8")

    def _published(self, text: str) -> str:
        """Leave out what is the account's own."""
        place = self.account.place
        for own, public in (
            (self.account.folder.key, "prefix"),
            (place.project_arn.rpartition("/")[2], "project"),
            (place.folder.bucket, "bucket"),
            (self.account.account_id, _PLACEHOLDER_ACCOUNT),
        ):
            text = text.replace(own, public)
        return text


def _markdown(facts: dict[str, str], answers: list[Answer]) -> str:
    lines = [
        "# What the service answered",
        "",
        f"Asked on {facts['date']} in {facts['region']}; answered by {facts['answered_by']}.",
        f"boto3 {facts['boto3']}, Airflow {facts['apache-airflow']}. Names of the account are replaced.",
        "",
    ]
    for answer in answers:
        seen = json.dumps(answer.seen, indent=2, ensure_ascii=False, default=str)
        lines += [f"## {answer.question}", "", answer.answer, "", "```json", seen, "```", ""]
    return "\n".join(lines)
