"""Results as the service writes them: where the text is, every place of a value, and what was not found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from airflow_bda.cli import main
from airflow_bda.service.results.custom import CustomOutput
from airflow_bda.service.results.document import Element, Page
from airflow_bda.service.results.job_result import parse_standard_output
from airflow_bda.service.results.metadata import FALLBACK, MATCH
from airflow_bda.service.results.parts import BoundingBox, TextSpan
from airflow_bda.service.s3 import Modality

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_first_example_prints_text_on_a_default_job(stored_job, capsys):
    """The default granularity has markdown of pages and elements, and no text of the document."""
    (example,) = re.findall(
        r"```python\n(from airflow_bda.hooks import BdaHook\n.*?)```", README.read_text(), re.DOTALL
    )
    uri = stored_job("packet")

    exec(re.sub(r"s3://[^\"]+", uri, example), {})  # noqa: S102  the README's own lines

    printed = capsys.readouterr().out
    assert "# Statement of earnings" in printed
    assert "Net pay 1840.50" in printed
    assert "None" not in printed


def test_the_text_is_the_pages_joined(read_job):
    first, *_, last = read_job("packet").segments

    assert first.text == "# Statement of earnings\n\nEmployee: Ada Quill\n\nNet pay 1840.50"
    assert last.text == "A drawing"


def test_the_text_of_elements_follows_the_order_of_reading_of_each_page(read_job):
    (segment,) = read_job("uncounted").segments

    assert segment.text == "<p>first</p>\n\nsecond\n\nthird"
    assert segment.pages == 2


def test_lines_are_filled_from_their_words_and_make_the_text(read_job):
    (segment,) = read_job("cells").segments

    assert segment.text == "Weight\n1159.3 grams"
    assert [line.page_index for line in segment.standard.text_lines] == [0, 0]
    assert [line.locations[0].box.left for line in segment.standard.text_lines] == [0.1, 0.4]
    assert [(word.line_id, word.page_index, word.locations[0].page) for word in segment.standard.text_words] == [
        ("line-1", 0, 1),
        ("line-2", 0, 1),
        ("line-2", 0, 1),
    ]


def test_a_packet_is_counted_by_its_states(read_job):
    result = read_job("packet")

    assert (result.segment_count, result.matched, result.fallback, result.unmatched, result.pages) == (3, 1, 1, 1, 4)
    assert [segment.index for segment in result.with_status(MATCH, FALLBACK)] == [0, 1]
    assert result.segments[1].fields()[0].value == "R. Vole"
    assert result.segments[1].paths.other_paths == {
        "redacted_standard_output_path": "s3://bda-results/out/packet/0/standard_output/1/redacted_result.json"
    }


def test_a_value_has_every_place_and_no_place_that_is_none(read_job):
    fields = {field.path: field for field in read_job("packet").segments[0].fields()}

    address = fields["EmployeeAddress"]
    assert [location.page for location in address.locations] == [1, 1, 2]
    assert (address.page, address.box) == (1, BoundingBox(0.1, 0.5, 0.1, 0.01))
    around = address.boxes_by_page()
    assert sorted(around) == [1, 2]
    assert (around[1].left, around[1].top) == (0.1, 0.5)
    assert around[1].width == pytest.approx(0.3)
    assert around[1].height == pytest.approx(0.03)
    assert fields["CurrentNetPay"].page == 2
    assert (fields["is_gross_pay_valid"].locations, fields["is_gross_pay_valid"].page) == ((), None)


def test_what_is_not_found_is_told_apart_from_what_is(read_job):
    segment = read_job("packet").segments[0]

    assert {field.path for field in segment.fields(found=True)} == {
        "EmployeeName.FirstName",
        "EmployeeAddress",
        "CurrentNetPay",
        "FederalTaxes[0].ItemDescription",
        "FederalTaxes[0].Period",
    }
    assert len(segment.fields()) == len(segment.fields(found=True)) + len(segment.fields(found=False))
    assert [field.path for field in segment.fields(below=0.8, found=True)] == ["CurrentNetPay"]


def test_a_page_has_the_size_that_its_boxes_are_ratios_of(read_job):
    page = read_job("packet").segments[0].standard.pages[0]

    assert (page.width_pixels, page.height_pixels) == (1700, 2200)
    assert page.corners == ((0.01, 0.0), (0.99, 0.02), (1.0, 1.0), (0.0, 0.98))


def test_audio_has_names_and_times(read_job):
    (segment,) = read_job("call").segments
    quiet, rude = segment.standard.content_moderation

    assert (rude.name, rude.confidence, rude.start_millis, rude.end_millis) == ("insult", 0.9, 2000, 4000)
    assert [category.name for category in quiet.categories][:2] == ["profanity", "hate_speech"]
    (topic,) = segment.standard.topics
    assert (topic.summary, topic.start_millis, topic.end_millis) == ("A greeting", 0, 4000)
    assert segment.text == "Good morning.\nYou fool."


def test_findings_of_sensitive_data_are_typed(read_job):
    email, name = read_job("call").segments[0].sensitive_data

    assert (email.type, email.text, email.confidence, email.source) == (
        "EMAIL",
        "ada@example.com",
        0.8,
        "sensitive_data_detection",
    )
    assert email.locations[0].page == 1
    assert (name.type, name.source) == ("NAME", "summary_sensitive_data_detection")
    assert "ada@" not in repr(email)


def test_a_video_has_fields_of_chapters_and_frames(read_job):
    (segment,) = read_job("film").segments
    fields = {field.path: field for field in segment.fields()}

    assert fields["genre"].value == "Documentary"
    assert [fields[f"chapters[{n}].mood"].value for n in (0, 1)] == ["tense", "calm"]
    assert fields["chapters[0].objects[1].label"].value == "desk"
    label = fields["chapters[0].frames[0].detections[0].label"]
    assert (label.value, label.start_millis, label.end_millis) == ("lamp", 3500, 3500)
    assert (fields["chapters[1].mood"].start_millis, fields["chapters[1].mood"].end_millis) == (10001, 20000)
    assert segment.text == "Welcome.\n\nGoodbye."
    (frame,) = segment.standard.chapters[0].frames
    assert (frame.index, frame.timestamp_millis, frame.text_lines[0].text, frame.logos[0].name) == (
        105,
        3500,
        "OPEN",
        "acme",
    )


@pytest.mark.parametrize("job", ["packet", "cells", "uncounted", "call", "film"])
def test_a_result_is_plain_data(read_job, job):
    result = read_job(job)

    plain = result.to_dict()

    assert json.loads(json.dumps(plain, allow_nan=False).encode()) == plain
    assert [segment["text"] for segment in plain["segments"]] == [segment.text for segment in result.segments]
    assert sum(len(segment["fields"]) for segment in plain["segments"]) == sum(
        len(segment.fields()) for segment in result.segments
    )


def test_the_command_prints_text_with_and_without_json(stored_job, capsys):
    uri = stored_job("packet")

    assert main(["results", uri, "--json"]) == 0
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["text"] for row in rows][1:] == ["Letter of a landlord", "A drawing"]
    assert "matched: 1, fallback: 1, unmatched: 1, pages: 4" in printed.err
    assert main(["results", uri]) == 0
    assert "  A drawing" in capsys.readouterr().out


BOX = {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.1}
EMPTY = {"left": 0, "top": 0, "width": 0, "height": 0}


@pytest.mark.parametrize(
    ("page", "box", "place"),
    [
        (0, BOX, True),
        (0, None, True),
        (None, BOX, True),
        (-1, BOX, False),
        (-1, EMPTY, False),
        (0, EMPTY, False),
        (0.5, BOX, False),
        (True, BOX, False),
        (10**30, BOX, False),
        ("page", BOX, False),
        (None, None, False),
    ],
)
def test_what_is_no_place_is_left_out_of_fields_and_of_elements(page, box, place):
    from_one = page + 1 if type(page) in {int, float} else page
    geometry = {name: value for name, value in (("page", from_one), ("boundingBox", box)) if value is not None}
    locations = {name: value for name, value in (("page_index", page), ("bounding_box", box)) if value is not None}
    explanations = [{"Total": {"geometry": [geometry]}}]
    (field,) = CustomOutput.parse({"inference_result": {"Total": 1}, "explainability_info": explanations}).fields()
    element = Element.parse({"locations": [locations]})

    assert (len(field.locations), len(element.locations)) == (place, place)


def test_an_item_on_no_page_has_none():
    assert TextSpan.parse({"text": "a", "page_index": -1}).page_index is None
    assert Element.parse({"page_indices": [-1, 2]}).page_indices == (2,)
    assert Page.parse({"page_index": -1}).index is None


def test_text_is_in_the_order_of_the_pages():
    pages = [{"page_index": index, "representation": {"markdown": str(index)}} for index in (2, 0, 1)]

    assert parse_standard_output({"document": {}, "pages": pages}).text == "0\n\n1\n\n2"
    # One that does not say where it belongs leaves the order as it is.
    assert parse_standard_output({"document": {}, "pages": [pages[0], {}, *pages[1:]]}).text == "2\n\n0\n\n1"


@pytest.mark.parametrize("modality", list(Modality))
def test_a_file_that_does_not_name_its_modality_is_known_by_its_members(modality):
    assert parse_standard_output({modality.value.lower(): {}}).modality is modality
    assert parse_standard_output({"metadata": {"semantic_modality": "HOLOGRAM"}, "image": {}}).modality is None
