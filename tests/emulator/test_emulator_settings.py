from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_bda.emulator import EmulatorSettings
from airflow_bda.service.s3 import Modality


def test_settings_go_through_json_and_back():
    settings = EmulatorSettings(
        created_seconds=1,
        concurrency={Modality.VIDEO: 3},
        requests_per_second={"GetDataAutomationStatus": 5},
        job_times=False,
        blueprints_dir=Path("blueprints"),
    )
    assert EmulatorSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_a_modality_that_is_left_out_keeps_its_quota():
    assert EmulatorSettings(concurrency={Modality.VIDEO: 3}).concurrency == {
        Modality.DOCUMENT: 25,
        Modality.IMAGE: 20,
        Modality.AUDIO: 20,
        Modality.VIDEO: 3,
    }


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"in_progress_seconds": -1}, "in_progress_seconds"),
        ({"processing_threads": 0}, "processing_threads"),
        ({"concurrency": {"AUDIO": 0}}, "AUDIO"),
        ({"concurrency": {"SMELL": 1}}, "SMELL"),
        ({"requests_per_second": {"TagResource": 0}}, "TagResource"),
        ({"tempo": 1}, "tempo"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(wrong, told):
    with pytest.raises(ValueError, match=told):
        EmulatorSettings.from_json(wrong)
