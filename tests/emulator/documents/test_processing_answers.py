"""Canned results instead of processing."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making_inputs import request

from airflow_bda.emulator.documents import AnswerFileError, InputError, Processor
from airflow_bda.service.s3 import Modality

ANSWER = {
    "modality": "AUDIO",
    "assets": [{"segments": [{"standard": {"audio": {}}, "custom": {"inference_result": {"mood": "calm"}}}]}],
}


@pytest.fixture
def folder(tmp_path):
    answers = tmp_path / "answers"
    (answers / "calls").mkdir(parents=True)
    (answers / "a.mp3.json").write_text(json.dumps(ANSWER))
    return answers


def process(folder, key):
    return Processor(answers_dir=folder).process(request(b"whatever", key=key))


@pytest.mark.parametrize("key", ["a.mp3", "calls/2026/a.mp3"])
def test_an_answer_is_taken_by_the_name_of_the_key(folder, key):
    processed = process(folder, key)

    (segment,) = processed.assets[0].segments
    assert processed.modality is Modality.AUDIO
    assert segment.custom["inference_result"] == {"mood": "calm"}
    assert segment.custom_status == "MATCH"


def test_the_whole_key_goes_before_the_name(folder):
    (folder / "calls" / "a.mp3.json").write_text(json.dumps({"modality": "VIDEO", "assets": []}))

    assert process(folder, "calls/a.mp3").modality is Modality.VIDEO
    assert Processor(answers_dir=folder).modality_of("calls/a.mp3", b"") is Modality.VIDEO


def test_an_answer_may_be_a_failure(folder):
    (folder / "bad.pdf.json").write_text(json.dumps({"error": {"type": "TooBlurred", "message": "Scan it again."}}))

    with pytest.raises(InputError) as caught:
        process(folder, "in/bad.pdf")
    assert (caught.value.error_type, caught.value.error_message) == ("TooBlurred", "Scan it again.")
    assert Processor(answers_dir=folder).modality_of("in/bad.pdf", b"") is Modality.DOCUMENT


def test_keys_without_an_answer_are_processed(folder):
    with pytest.raises(InputError, match="format"):
        process(folder, "other.mp3")


@pytest.mark.parametrize("key", ["../outside", "calls/../../outside", "/outside", "..", "a\x00b", "x" * 5000, "", "."])
def test_no_key_leads_out_of_the_folder(folder, key):
    (folder.parent / "outside.json").write_text(json.dumps(ANSWER))

    with pytest.raises(InputError, match="format"):
        process(folder, key)


def test_an_absolute_key_does_not_name_a_file_of_the_machine(folder):
    secret = folder.parent / "secret.json"
    secret.write_text(json.dumps(ANSWER))

    with pytest.raises(InputError, match="format"):
        process(folder, str(secret).removesuffix(".json"))


def test_a_link_out_of_the_folder_is_not_followed(folder):
    (folder.parent / "outside.json").write_text(json.dumps(ANSWER))
    (folder / "link.json").symlink_to(folder.parent / "outside.json")

    with pytest.raises(InputError, match="format"):
        process(folder, "link")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(max_size=40))
def test_no_key_breaks_the_lookup(folder, key):
    assert Processor(answers_dir=folder).modality_of(key, b"") in set(Modality)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting"),
        ("[]", "list"),
        ("{}", "'modality' is missing"),
        ('{"modality": "SMELL", "assets": []}', "SMELL"),
        ("[" * 100_000, "recursion"),
        ('{"modality": "AUDIO", "assets": [{}]}', "'segments' is missing"),
        ('{"modality": "AUDIO", "assets": [{"segments": [{"custom_status": "MAYBE"}]}]}', "MAYBE"),
    ],
)
def test_a_broken_answer_names_its_file(folder, content, reason):
    (folder / "broken.pdf.json").write_text(content)

    with pytest.raises(AnswerFileError, match=r"broken\.pdf\.json") as caught:
        process(folder, "broken.pdf")
    assert reason in str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(NotADirectoryError, match="nowhere"):
        Processor(answers_dir=tmp_path / "nowhere")
