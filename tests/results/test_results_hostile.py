"""Result files from outside: whatever they hold, a result is read or a BdaError names the file."""

from __future__ import annotations

import io
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_bda.hooks.results import read_result
from airflow_bda.service.errors import BdaError
from airflow_bda.service.results.job_result import assemble_result
from airflow_bda.service.results.json_file import WINDOW, BytesContent, JsonFile
from airflow_bda.service.results.metadata import JobMetadata

# Longer by `make test-fuzz`.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3000"))
FOLDER = "s3://bda-results/out/job"
URI = f"{FOLDER}/job_metadata.json"
STANDARD, CUSTOM = f"{FOLDER}/0/standard_output/0/result.json", f"{FOLDER}/0/custom_output/0/result.json"


def metadata(**paths):
    segment = {f"{kind}_output_path": uri for kind, uri in paths.items()} | {"custom_output_status": "MATCH"}
    return {"job_id": "job", "job_status": "PROCESSED", "output_metadata": [{"segment_metadata": [segment]}]}


def opened(content):
    return JsonFile(BytesContent(content.encode() if isinstance(content, str) else content), STANDARD)


def use(result):
    """Do with a result what a DAG may do with it."""
    for segment in result.segments:
        _ = (segment.text, segment.pages, segment.fields(), segment.sensitive_data, segment.modality)
        for name in ("pages", "elements", "text_lines", "text_words", "chapters", "topics", "segments"):
            list(getattr(segment.standard, name, ()))
    return json.dumps(result.to_dict(), allow_nan=False).encode()


DEEP = "[" * 100_000
UNSOUND = {
    "nothing": "",
    "a word": "word",
    "half of it": '{"document": {"representation": {"text": "x',
    "more after it": '{"document": {}} {}',
    "a list": "[]",
    "not UTF-8": b'{"document": "\xff"}',
    "deep lists": '{"document": ' + DEEP + "]" * 100_000 + "}",
    "deep lists without an end": '{"elements": ' + DEEP,
    "deep objects": '{"document": ' + '{"a":' * 5_000 + "1" + "}" * 5_000 + "}",
    "deep in a long list": '{"elements": [' + '{"id": 1}, ' * 50_000 + '{"id": ' + DEEP + "]" * 100_000 + "}]}",
    "NaN": '{"document": {"confidence": NaN}}',
    "Infinity in a list": '{"text_words": [{"text": "a"}, {"text": "b", "confidence": -Infinity}]}',
    "a number over all bounds": '{"elements": [{"id": 1}, {"id": 1e999}]}',
    "a number of 5,000 digits": '{"metadata": {"number_of_pages": ' + "9" * 5_000 + "}}",
    "a number of a million digits": '{"metadata": 1.' + "9" * 1_000_000 + "}",
    "a name twice at the top": '{"document": {}, "document": {}}',
    "a name twice": '{"document": {"summary": "a", "summary": "b"}}',
    "a name twice in a list": '{"elements": [{"id": 1}, {"id": 2, "id": 3}]}',
    "a name twice in a large object": '{"document": {"a": "' + "x" * 2 * WINDOW + '", "a": 1}}',
    "a long name": '{"' + "x" * 1_000_000 + '": 1}',
    "a control character": '{"document": "a\x01b"}',
    "no comma": '{"elements": [{"id": 1} {"id": 2}]}',
    "a comma too many": '{"elements": [{"id": 1}, ]}',
    "an escape that is none": '{"document": "' + "x" * 2 * WINDOW + '\\q"}',
}


@pytest.mark.parametrize("content", UNSOUND.values(), ids=UNSOUND)
@pytest.mark.parametrize("uri", [STANDARD, CUSTOM])
def test_an_unsound_file_is_an_error_that_names_it(content, uri):
    kind = "standard" if uri == STANDARD else "custom"
    read = JobMetadata.parse(metadata(**{kind: uri}), URI)

    with pytest.raises(BdaError, match=uri) as refused:
        use(assemble_result(read, {uri: content}))
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("content", UNSOUND.values(), ids=UNSOUND)
def test_unsound_metadata_is_an_error_that_names_it(content):
    with pytest.raises(BdaError, match=URI):
        JobMetadata.parse(content, URI)


# Alone, and among objects that begin alike, which the check of the file goes through together.
DEEP_FIELDS = '{"id": 2, "inference_result": ' + '{"a":' * 300 + "1" + "}" * 300 + "}"
ALIKE = ", ".join(['{"id": 1}'] * 5_000)


@pytest.mark.parametrize("chapters", [DEEP_FIELDS, f"{ALIKE}, {DEEP_FIELDS}, {ALIKE}"], ids=["alone", "among others"])
def test_a_depth_that_only_a_reader_of_fields_meets_names_the_file(chapters):
    read = JobMetadata.parse(metadata(custom=CUSTOM), URI)

    with pytest.raises(BdaError, match=CUSTOM):
        use(assemble_result(read, {CUSTOM: f'{{"chapters": [{chapters}]}}'}))


@pytest.mark.parametrize(
    "path",
    [
        "s3://somebody-elses/out/job/0/result.json",
        "s3://bda-results/out/another-job/0/result.json",
        "s3://bda-results/out/job-2/0/result.json",
        "s3://bda-results/out/job/../another-job/0/result.json",
        "s3://bda-results/out/job/0/./../../x/result.json",
        "s3://bda-results/result.json",
        "https://example.com/result.json",
        "s3://",
        "file:///etc/passwd",
    ],
)
def test_a_file_outside_of_the_jobs_folder_is_not_read(path):
    class NoS3:
        def get_object(self, *, Bucket, Key):  # noqa: N803  boto3's names
            assert f"s3://{Bucket}/{Key}" == URI
            return {"Body": io.BytesIO(json.dumps(metadata(standard=path)).encode())}

    with pytest.raises(BdaError, match=URI):
        read_result(NoS3(), URI)


def test_a_doubled_slash_is_the_same_folder():
    """A prefix that ends in a slash gives s3://bucket/prefix//<job>/..."""
    read = JobMetadata.parse(
        metadata(standard="s3://bda-results/out//job/0/standard_output/0/result.json"),
        "s3://bda-results/out/job/job_metadata.json",
    )
    assert len(read.own_output_uris()) == 1


def test_halves_of_emoji_become_characters_that_can_be_stored():
    content = r'{"document": {"representation": {"text": "a\ud83d b\ud83d\ude00 c\\ud83d \ude00\u0000"}}}'
    result = assemble_result(
        JobMetadata.parse(metadata(standard=STANDARD) | {"semantic_modality": "DOCUMENT"}, URI), {STANDARD: content}
    )

    assert result.segments[0].text == "a\ufffd b\N{GRINNING FACE} c\\ud83d \ufffd\0"
    plain = result.to_dict()["segments"][0]["text"]
    assert plain == "a\ufffd b\N{GRINNING FACE} c\\ud83d \ufffd\ufffd"


def test_numbers_that_no_column_holds_stay_readable():
    content = {"inference_result": {"big": 10**30, "page": 2**64 - 1}, "split_document": {"page_indices": [10**30, 1]}}
    result = assemble_result(JobMetadata.parse(metadata(custom=CUSTOM), URI), {CUSTOM: json.dumps(content)})

    fields = result.to_dict()["segments"][0]["fields"]
    assert [field["value"] for field in fields] == ["1" + "0" * 30, 2**64 - 1]
    assert result.pages == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def check_like_the_json_module(document, indent):
    content = json.dumps(document, indent=indent).encode()
    read = opened(content)
    assert dict(read) == json.loads(json_text(content))
    assert list(read) == list(document)


def json_text(content):
    """Return the text with lone surrogates replaced, as the reader does."""
    return json.dumps(replaced(json.loads(content)))


def replaced(value):
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [replaced(item) for item in value]
    return {replaced(name): replaced(item) for name, item in value.items()} if isinstance(value, dict) else value


MEMBERS = (
    *("metadata", "document", "pages", "elements", "text_lines", "text_words", "image", "audio", "video", "topics"),
    *("chapters", "matched_blueprint", "split_document", "inference_result", "explainability_info"),
)
documents = st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, json_values))


def check_any_json(standard, custom, modality):
    read = JobMetadata.parse(metadata(standard=STANDARD, custom=CUSTOM) | {"semantic_modality": modality}, URI)
    assert use(assemble_result(read, {STANDARD: json.dumps(standard), CUSTOM: json.dumps(custom)}))


def check_anything(content):
    try:
        read = JobMetadata.parse(metadata(standard=STANDARD), URI)
        outcome = use(assemble_result(read, {STANDARD: content}))
    except BdaError as error:
        outcome = str(error)
        assert STANDARD in outcome
    assert outcome


def check_metadata(content):
    """Whatever the list of a job's files holds, it is read or refused by name."""
    try:
        read = JobMetadata.parse(content, URI)
        outcome = use(assemble_result(read, dict.fromkeys(read.own_output_uris(), "{}")))
    except BdaError as error:
        outcome = str(error)
        assert "s3://" in outcome
    assert outcome


@st.composite
def spoiled(draw):
    """Draw JSON of which a part was taken out, doubled or overwritten."""
    content = json.dumps(draw(documents)).encode()
    start, end = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
    between = draw(st.sampled_from([b"", content[start:end] * 2, b"\xff", b"NaN", b"1e999", b"[" * 3000]))
    return content[:start] + between + content[end:]


segments = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("standard_output_path", "custom_output_path", "custom_output_status"), json_values),
        "standard_output_path": st.sampled_from([STANDARD, f"{FOLDER}/../x", "s3://", "\ud800", FOLDER]) | json_values,
    },
)
lists_of_files = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("job_id", "job_status", "semantic_modality"), json_values),
        "output_metadata": json_values
        | st.lists(json_values | st.fixed_dictionaries({"segment_metadata": st.lists(segments | json_values)})),
    },
)
CHECKS = {
    "like the json module": (
        st.tuples(st.dictionaries(st.text(max_size=4), json_values, max_size=5), st.sampled_from([None, 0, 3])),
        check_like_the_json_module,
    ),
    "any JSON": (
        st.tuples(documents, documents, st.sampled_from(["DOCUMENT", "IMAGE", "AUDIO", "VIDEO", "", "HOLOGRAM"])),
        check_any_json,
    ),
    "anything": (
        st.tuples(st.binary(max_size=200) | st.text(max_size=200) | json_values.map(json.dumps) | spoiled()),
        check_anything,
    ),
    "metadata": (st.tuples(lists_of_files | json_values.map(json.dumps) | st.binary(max_size=200)), check_metadata),
}
_SHARED = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@pytest.mark.parametrize("name", CHECKS)
@settings(max_examples=100, derandomize=True, **_SHARED)
@given(data=st.data())
def test_no_file_breaks_the_reader(name, data):
    values, check = CHECKS[name]
    check(*data.draw(values))


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", CHECKS)
@settings(max_examples=EXAMPLES, **_SHARED)
@given(data=st.data())
def test_no_file_breaks_the_reader_for_long(name, data):
    values, check = CHECKS[name]
    check(*data.draw(values))
