"""
Look at a running Airflow in headless Chromium, as a user does, and keep pictures of it.

    .venvs/browser/bin/python tools/browse_airflow.py URL FOLDER WHAT DAG RUN TASK

WHAT is one of

    dags     the list of DAGs, with the DAG's description and what examples need
    wait     the pages of a DAG, of its form, and of a task that waits for a job; prints the task's link to the emulator
    graph    the graph of the run
    form     the form in which the task asks a person
    report   the task's link to a report, and the report
    log      the task's log, which must show the lines of a JSON list on stdin without a click

The password is read from AIRFLOW_ADMIN_PASSWORD. Each page must show what it is for, or the status is 1.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selenium.webdriver.remote.webelement import WebElement

PATIENCE_SECONDS = 120
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OUTPUT_LINK = "BDA output folder"
REPORT_LINK = "BDA report"
EMULATORS_JOBS = "/_bda/jobs/"
NEEDS = ("needs a Lambda function", "needs a queue and a rule", "waits for a person")
LOG = '[data-testid="virtual-scroll-container"]'
LOG_LINE = f'{LOG} [data-testid^="virtualized-item"]'


class Visit:
    """
    One user's visit.

    :param base_url: where the UI is.
    :param folder: where the pictures go.
    """

    def __init__(self, driver: Chrome, base_url: str, folder: Path) -> None:
        self._driver = driver
        self._base_url = base_url
        self._folder = folder

    def log_in(self, user: str, password: str) -> None:
        """Come to the first page by way of the login's."""
        self._driver.get(self._base_url)
        self._see(By.NAME, "username").send_keys(user)
        self._see(By.NAME, "password").send_keys(password)
        self._keep("login")
        self._see(By.CSS_SELECTOR, "button[type=submit]").click()
        self._see_text("Dags")
        self._keep("home")

    def look_at_dags(self, dag_id: str, description: str) -> None:
        """See in the list what DAGs need and, under the pointer, what one of them does."""
        self._driver.get(f"{self._base_url}/dags")
        for tag in NEEDS:
            self._see_text(tag)
        link = self._see(By.XPATH, f'//a[text()="{dag_id}"]')
        self._driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", link)
        # The pointer has to move over it, and not only to be there.
        ActionChains(self._driver).move_to_element(link).pause(1).move_by_offset(2, 1).perform()
        self._see(By.XPATH, f'//*[@role="tooltip" and contains(., "{description}")]')
        self._keep("dags")

    def look_at_graph(self, dag_id: str, run_id: str, *task_ids: str) -> None:
        """See the graph of a run, with its tasks."""
        self._driver.get(f"{self._base_url}/dags/{dag_id}/runs/{run_id}")
        self._see(By.CSS_SELECTOR, 'button[aria-label^="Show Graph"]').click()
        for task_id in task_ids:
            self._see(By.XPATH, f'//*[contains(@class, "react-flow__node") and contains(., "{task_id}")]')
        self._keep("graph")

    def look_at_report(self, dag_id: str, run_id: str, task_id: str, *texts: str) -> None:
        """See the link to a task's report, and the report that it leads to."""
        self._driver.get(f"{self._base_url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/details")
        link = self._see(By.XPATH, f'//a[contains(., "{REPORT_LINK}")]').get_attribute("href") or ""
        self._keep("report-link")
        self._driver.get(link)
        for text in texts:
            self._see(By.XPATH, f'//body[contains(., "{text}")]')
        self._keep("report")

    def read_log(self, dag_id: str, run_id: str, task_id: str, wanted: Sequence[str]) -> None:
        """Find lines in a task's log by scrolling alone: what Airflow folds away is not there to be read."""
        self._driver.get(f"{self._base_url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}")
        self._see(By.CSS_SELECTOR, LOG_LINE)
        self._keep("log-end")
        scroll = (
            "const log = document.querySelector(arguments[0]); log.scrollTop = arguments[1]; return log.scrollHeight"
        )
        read, at, height = "", 0, 1
        while at < height:
            height = self._driver.execute_script(scroll, LOG, at)
            # Only the lines that are to be seen are in the page.
            time.sleep(0.5)
            read += "\n".join(line.text for line in self._driver.find_elements(By.CSS_SELECTOR, LOG_LINE))
            if at == 0:
                self._keep("log")
            at += 200
        if missing := [line for line in wanted if line not in read]:
            raise AssertionError(f"the log of {dag_id}.{task_id} does not show {len(missing)} lines: {missing[:3]}")

    def look_at_grid(self, dag_id: str, run_id: str, task_id: str) -> None:
        """See the grid of a DAG's runs, with a task of one of them in it."""
        self._driver.get(f"{self._base_url}/dags/{dag_id}")
        self._see(By.CSS_SELECTOR, f'a[href$="/runs/{run_id}/tasks/{task_id}"]')
        self._see_text("Failed Run", "Failed Runs")
        self._keep("grid")

    def read_docs(self, headline: str) -> None:
        """Open the DAG's page of documentation."""
        self._see(By.CSS_SELECTOR, 'button[aria-label="Dag Docs"]').click()
        self._see_text(headline)
        self._keep("docs")
        self._leave_dialog()

    def open_params_form(self, *titles: str) -> None:
        """Open the form that starts a run, and see the DAG's params in it."""
        self._see(By.CSS_SELECTOR, 'button[aria-label="Trigger Dag"]').click()
        for title in titles:
            self._see_text(title)
        self._keep("params")
        self._leave_dialog()

    def look_at_task(self, dag_id: str, run_id: str, task_id: str) -> str:
        """See the details of a task in a run, with its link to the emulator's page of the job, and give that link."""
        self._driver.get(f"{self._base_url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/details")
        link = self._see(By.XPATH, f'//a[contains(., "{OUTPUT_LINK}")]').get_attribute("href") or ""
        self._keep("task")
        if EMULATORS_JOBS not in link:
            raise AssertionError(f"{OUTPUT_LINK} leads to {link!r}, which is no page of the emulator's")
        return link

    def look_at_form(self, dag_id: str, run_id: str, task_id: str, *texts: str) -> None:
        """See the form in which a task asks a person."""
        self._driver.get(f"{self._base_url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/required_actions")
        for text in texts:
            self._see_text(text)
        self._see(By.XPATH, '//button[contains(., "Save")]')
        self._keep("form")

    def look_at_templates(self, dag_id: str, run_id: str, task_id: str, *values: str) -> None:
        """See what the task's templates were rendered to."""
        self._driver.get(f"{self._base_url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/rendered_templates")
        for value in values:
            # What is coloured as code is in pieces, each an element of its own.
            self._see(By.XPATH, f'//body[contains(., "{value}")]')
        self._keep("templates")

    def _see(self, by: str, wanted: str) -> WebElement:
        """Wait until something is there to be seen."""

        def look(driver: Chrome) -> WebElement | None:
            return next((found for found in driver.find_elements(by, wanted) if found.is_displayed()), None)

        wait = WebDriverWait(self._driver, PATIENCE_SECONDS, ignored_exceptions=[WebDriverException])
        try:
            found: WebElement = wait.until(look)
        except TimeoutException:
            self._keep("failed")
            raise AssertionError(f"{self._driver.current_url} does not show {wanted}") from None
        return found

    def _see_text(self, *texts: str) -> None:
        """Wait until one of these texts is there to be seen."""
        self._see(By.XPATH, " | ".join(f'//*[contains(text(), "{text}")]' for text in texts))

    def _leave_dialog(self) -> None:
        self._driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        WebDriverWait(self._driver, PATIENCE_SECONDS).until(
            lambda driver: not driver.find_elements(By.CSS_SELECTOR, '[role=dialog][data-state="open"]')
        )

    def _keep(self, name: str) -> None:
        self._driver.save_screenshot(str(self._folder / f"{name}.png"))


def main() -> int:
    """Visit what the command line names."""
    base_url, folder, what, *where = sys.argv[1:]
    lines = json.load(sys.stdin) if what == "log" else []
    driver = _chromium()
    try:
        visit = Visit(driver, base_url, Path(folder))
        visit.log_in("admin", os.environ["AIRFLOW_ADMIN_PASSWORD"])
        _look(visit, what, where, lines)
    except AssertionError as error:
        print(f"browser: {error}", file=sys.stderr)
        return 1
    finally:
        driver.quit()
    return 0


def _look(visit: Visit, what: str, where: Sequence[str], lines: Sequence[str]) -> None:
    dag_id, run_id, task_id = where
    if what == "dags":
        visit.look_at_dags(dag_id, "One document by way of a Lambda function. Needs the function")
    elif what == "graph":
        visit.look_at_graph(dag_id, run_id, "process", "tables", "review")
    elif what == "form":
        visit.look_at_form(dag_id, run_id, task_id, "Review", "VendorName", "Confidence 0.83")
    elif what == "report":
        visit.look_at_report(dag_id, run_id, task_id, "invoice.pdf", "receipt.png", "VendorName")
    elif what == "log":
        visit.read_log(dag_id, run_id, task_id, lines)
    else:
        visit.look_at_grid(dag_id, run_id, task_id)
        visit.read_docs("One document in one task")
        visit.open_params_form("Document", "Results", "Project")
        print(visit.look_at_task(dag_id, run_id, task_id))
        visit.look_at_templates(dag_id, run_id, task_id, "s3://bda-input/invoice.pdf", "s3://bda-output/results")


def _chromium() -> Chrome:
    """Start it, or end with what to install."""
    browser, chromedriver = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    if browser is None or chromedriver is None:
        missing = "Chromium" if browser is None else "chromedriver"
        sys.exit(f"browser: {missing} is not on PATH. Debian and Ubuntu: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--window-size=1600,1000", "--disable-dev-shm-usage", "--no-proxy-server"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        # Chromium's sandbox refuses root, as whom tests run in containers.
        options.add_argument("--no-sandbox")
    return Chrome(options=options, service=ChromeService(chromedriver))


if __name__ == "__main__":
    sys.exit(main())
