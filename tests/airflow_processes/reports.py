"""What a task's process tells of itself when it starts: DAGs give :func:`report` as ``pre_execute``."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER_VARIABLE = "AIRFLOW_PROCESSES_REPORTS"


def report(context: Mapping[str, Any]) -> None:
    """Leave word of a start, with what the process sees of its own task instance."""
    ti = context["ti"]
    seen = {
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        "try_number": ti.try_number,
        "max_tries": ti.max_tries,
        "retries": ti.task.retries,
        "pid": os.getpid(),
        "parent_pid": os.getppid(),
    }
    # Renamed when it is whole: the process may be killed at any time.
    draft = Path(os.environ[FOLDER_VARIABLE], f"{uuid.uuid4()}.part")
    draft.write_text(json.dumps(seen))
    draft.rename(draft.with_suffix(".json"))
