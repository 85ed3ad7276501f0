"""
Tests on a real AWS account: operator, sensor, events, Lambda, and what only the service can answer.

They cost money, a few pages of BDA's price, and say how much before they start. Run them from a checkout that was set
up (`make setup`), with credentials that the AWS SDKs find and that may start jobs, deploy the template of
`airflow-bda lambda template`, and read and write under the prefix::

    export BDA_SYSTEM_TESTS="s3://my-bucket/tests arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123"
    export AWS_REGION=us-east-1
    make test-system

Everything is made under a name of its own, ``bda-system-tests-<date>-<id>`` (a folder under the prefix and a stack with
function, rule and queue), and deleted at the end, after failures and Ctrl-C too. What the service answered is written
to ``.system-tests/``, or to the folder that ``BDA_SYSTEM_TESTS_REPORT`` names: ``report.md`` and ``report.json`` name
nothing of the account; ``tokens.json`` keeps the client token of this run, which the next run asks about again: how
long the service remembers one shows after some days.

``BDA_SYSTEM_TESTS_PRICE`` is the price of a page in US dollars, for the estimate.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lambda_stack
import pytest
from airflow_processes.running import decoded
from airflow_processes.settings import XCOMS
from answers import Answers, kept_tokens, report_folder
from real_account import HOW_TO_NAME, Account, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
VARIABLE = "BDA_SYSTEM_TESTS"
PRICES_PAGE = "https://aws.amazon.com/bedrock/pricing/"
# Of standard and of custom output, in US dollars, as others reported them: for an estimate and no more.
PRICES_OF_A_PAGE = (0.01, 0.04)
# Two on Airflow, one each by event and by Lambda, and six for the questions: a page each, if all of them are billed.
# The token of an earlier run costs one more when it was forgotten.
PAGES = 10


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say what it will cost, before it starts."""
    ours = [item for item in session.items if item.path.is_relative_to(HERE)]
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if ours and terminal and os.environ.get(VARIABLE) and not session.config.option.collectonly:
        terminal.write_line(costs(), yellow=True)


def costs() -> str:
    """Return the estimate in words."""
    given = os.environ.get("BDA_SYSTEM_TESTS_PRICE")
    prices = (float(given),) if given else PRICES_OF_A_PAGE
    pages = PAGES + sum(token["remembered"] for token in kept_tokens())
    amounts = " to ".join(f"{pages * price:.2f}" for price in prices)
    each = " to ".join(f"{price:g}" for price in prices)
    return (
        f"The system tests send at most {pages} pages to BDA: about {amounts} US dollars at {each} a page. "
        f"Check the price at {PRICES_PAGE}; Lambda, SQS and S3 add their requests."
    )


@pytest.fixture(autouse=True)
def _no_state_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the developer's own credentials, which all other tests are kept away from, and no connection of his."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", '{"conn_type": "aws"}')


@pytest.fixture(scope="session")
def account() -> Iterator[Account]:
    """Return the account, and delete what tests left there."""
    text = os.environ.get(VARIABLE)
    if not text:
        pytest.skip(HOW_TO_NAME)
    if os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.skip("tests on a real account run one after another: make test-system")
    account = Account(Place.parse(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", account.region)
        yield account
        account.leave()


@pytest.fixture(scope="session")
def answers(account: Account) -> Iterator[Answers]:
    """Collect what the service answers, and write it down even when a test fails."""
    answers = Answers(account)
    yield answers
    answers.write(report_folder())


@pytest.fixture(scope="session")
def document(account: Account, sample_pdf: bytes) -> str:
    """Return the URI of a document of one page."""
    return account.upload("in/one page.pdf", sample_pdf)


@pytest.fixture(scope="session")
def stack(account: Account) -> dict[str, str]:
    """Return the outputs of the template's stack."""
    return lambda_stack.deploy(account)


@pytest.fixture
def run_dag(account: Account, document: str, airflow_db: Path) -> Iterator[Any]:
    """Return what runs a DAG of this folder's on Airflow, to success, and gives the XComs of each of its tasks."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag

    folder = airflow_db.parent / "dags" / "system"
    shutil.copytree(HERE / "dags", folder, ignore=shutil.ignore_patterns("__pycache__"))
    bag = DagBag(str(folder))

    def run(dag_id: str, **params: str) -> dict[str, dict[str, Any]]:
        assert bag.import_errors == {}
        places = {"input_s3_uri": document, "output_s3_uri": account.uri("out")}
        dag_run = bag.dags[dag_id].test(run_conf={**places, "project_arn": account.place.project_arn, **params})
        xcoms = _xcoms(airflow_db, dag_id)
        account.started |= {xcoms["invoke"]["return_value"]} if "return_value" in xcoms.get("invoke", {}) else set()
        assert str(dag_run.state) == "success"
        return xcoms

    yield run
    shutil.rmtree(folder)


def _xcoms(database: Path, dag_id: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with closing(sqlite3.connect(database)) as connection:
        for task_id, key, value in connection.execute(
            f"SELECT task_id, key, value FROM {XCOMS} WHERE dag_id = ?", (dag_id,)
        ):
            found.setdefault(task_id, {})[key] = decoded(value)
    return found
