"""Whatever comes in, a result or an InputError comes out."""

from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making_inputs import EVERYTHING, INVOICE, PAYSLIP, RECEIPT, request

from airflow_bda.emulator.documents import InputError, Processor
from airflow_bda.emulator.documents.contract import OutputOptions, Source
from airflow_bda.emulator.documents.custom_output import document_custom_result
from airflow_bda.emulator.documents.document_output import DocumentResult, TableElement, _lines_outside
from airflow_bda.emulator.documents.fields.catalogue import Catalogue
from airflow_bda.emulator.documents.fields.matching import Candidates, match_segments
from airflow_bda.emulator.documents.reading.layout import Box, Page, Run, Table, Word, lines_of

SAMPLES = resources.files("airflow_bda.emulator") / "samples"
PROCESSOR = Processor()
CATALOGUE = Catalogue.load(None)
BLUEPRINTS = tuple(CATALOGUE.find(arn) for arn in (INVOICE, RECEIPT, PAYSLIP))

MARKS = [
    b"%PDF-1.7\n", b"PK\x03\x04word/", b"II*\x00", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x00\x00\x00\x00WAVE",
    b"RIFF\x00\x00\x00\x00AVI ", b"ID3", b"\xff\xfb", b"fLaC", b"OggS", b"#!AMR\n", b"\x00\x00\x00\x18ftypisom",
    b"\x00\x00\x00\x18ftypqt  ", b"\x1a\x45\xdf\xa3webm", b"",
]  # fmt: skip
RATIOS = st.floats(min_value=0, max_value=1)
BOXES = st.builds(Box, RATIOS, RATIOS, st.floats(min_value=0, max_value=0.3), st.floats(min_value=0, max_value=0.05))
TEXTS = st.one_of(
    st.sampled_from(["Invoice", "Number", "Total", "Date:", "Bill", "to", "Description", "Qty", "Amount", "$5.00"]),
    st.text(alphabet=st.characters(exclude_categories=["Zs", "Cc", "Cs"]), min_size=1, max_size=12),
)
PAGES = st.builds(
    lambda words: Page(0, 600, 800, lines_of(words)),
    st.lists(st.builds(Word, TEXTS, BOXES, st.floats(min_value=0, max_value=1)), max_size=40),
)


@settings(deadline=None, max_examples=150)
@given(mark=st.sampled_from(MARKS), rest=st.binary(max_size=300))
def test_noise_behind_a_mark_is_refused(mark, rest):
    with pytest.raises(InputError):
        PROCESSOR.process(request(mark + rest))


@settings(deadline=None, max_examples=40)
@given(data=st.data(), name=st.sampled_from(["invoice.pdf", "note.wav"]))
def test_a_damaged_file_is_read_or_refused(data, name):
    content = bytearray((SAMPLES / name).read_bytes())
    for _ in range(data.draw(st.integers(min_value=1, max_value=20))):
        content[data.draw(st.integers(min_value=0, max_value=len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        processed = PROCESSOR.process(request(bytes(content), blueprints=[INVOICE]))
    except InputError as error:
        assert error.error_message  # noqa: PT017 - either outcome is right
    else:
        assert processed.assets[0].segments[0].standard


@settings(deadline=None, max_examples=150)
@given(page=PAGES)
def test_no_arrangement_of_words_breaks_the_extraction(page):
    (segment,) = match_segments([page], Candidates(BLUEPRINTS), split=True)

    options = OutputOptions.of(EVERYTHING).document
    result = DocumentResult(Source("b", "k"), "PDF", segment.pages, options=options).to_json()
    assert result["document"]["statistics"]["word_count"] == len(page.words)
    assert sum(len(each["representation"]["text"].split()) for each in result["elements"]) == len(page.words)
    if segment.match:
        custom = document_custom_result(segment.match, segment.pages)
        assert 0 <= custom["matched_blueprint"]["confidence"] <= 1


@settings(deadline=None)
@given(st.lists(BOXES, max_size=8), st.lists(BOXES, max_size=8))
def test_lines_in_tables_are_left_out_however_the_tables_lie(tables, lines):
    placed = sorted((TableElement(Table((("a",),), box)) for box in tables), key=lambda table: table.box.top)
    runs = [Run((Word("a", box),)) for box in lines]

    expected = [run for run in runs if not any(table.box.contains(run.box) for table in placed)]
    assert list(_lines_outside(placed, runs)) == expected
