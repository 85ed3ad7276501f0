"""What a test asks of a running Airflow, by its REST API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ANSWER_SECONDS = 60
ENDED = frozenset({"success", "failed"})


class AirflowApi:
    """
    A user who has logged in.

    :param base_url: where the UI is.
    """

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self._base_url = base_url
        self._session = requests.Session()
        # Neither a proxy nor a .netrc of the user's has a part in this.
        self._session.trust_env = False
        # A busy machine answers late; what only reads may ask again.
        self._session.mount(base_url, HTTPAdapter(max_retries=Retry(total=5, allowed_methods=["GET"])))
        token = self._ask("POST", "/auth/token", json={"username": user, "password": password})["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **params: Any) -> Any:
        """Read something."""
        return self._ask("GET", f"/api/v2{path}", params=params)

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        self._ask("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str) -> str:
        """Start a run with the DAG's own params, and give its id."""
        run = self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None})
        return str(run["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the states of a run's tasks."""
        return {instance["task_id"]: str(instance["state"]) for instance in self.task_instances(dag_id, run_id)}

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Read what is known of a task of a run."""
        return dict(self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"))

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Read what is known of all tasks of a run, each instance of a mapped one."""
        found = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return list(found["task_instances"])

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Read what a task returned."""
        return self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value")["value"]

    def log(
        self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """Read the lines of a task's log."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        return list(self.get(path, map_index=map_index, full_content=True)["content"])

    def form(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Read the form that a task asks a person to fill in."""
        return dict(self.get(_form_of(dag_id, run_id, task_id)))

    def answer_form(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Answer a task's form with its first option, and every field as it stands."""
        form = self.form(dag_id, run_id, task_id)
        values = {name: field["value"] for name, field in form["params"].items()}
        answer = {"chosen_options": form["options"][:1], "params_input": values}
        self._ask("PATCH", f"/api/v2{_form_of(dag_id, run_id, task_id)}", json=answer)

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        answer = self._session.request(method, f"{self._base_url}{path}", timeout=_ANSWER_SECONDS, **options)
        answer.raise_for_status()
        return answer.json()


def _form_of(dag_id: str, run_id: str, task_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"


def eventually(
    look: Callable[[], Any], *, what: str, seconds: float, meanwhile: Iterable[Callable[[], object]] = ()
) -> Any:
    """
    Look until there is something to see, and give that.

    :param what: what is waited for, for the message.
    :param meanwhile: what else is done at each look.
    :raises TimeoutError: when there is nothing for so long.
    """
    give_up = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"waited {seconds:.0f} s for this: {what}")
        for work in meanwhile:
            work()
        time.sleep(2)
    return seen
