"""Large result files: read in bounded memory and in short steps, with what a whole reading gives."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
import tracemalloc

import pytest

from airflow_bda.hooks.results import read_result_async
from airflow_bda.service import json_reading
from airflow_bda.service.results import json_file
from airflow_bda.service.results.job_result import assemble_result
from airflow_bda.service.results.json_file import BLOCK_BYTES, WINDOW, BytesContent, JsonFile
from airflow_bda.service.results.metadata import JobMetadata

FOLDER = "s3://bda-results/out/job"
URI = f"{FOLDER}/job_metadata.json"
STANDARD = f"{FOLDER}/0/standard_output/0/result.json"


def metadata():
    segment = {"standard_output_path": STANDARD, "custom_output_status": "MATCH"}
    return {"job_id": "job", "job_status": "PROCESSED", "output_metadata": [{"segment_metadata": [segment]}]}


def opened(content):
    return JsonFile(BytesContent(content if isinstance(content, bytes) else content.encode()), STANDARD)


def large_document(megabytes):
    """Return a document of words only, as text."""
    word = {
        "id": "word",
        "text": "w\u00f6rd",
        "line_id": "line",
        "locations": [{"page_index": 0, "bounding_box": {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.4}}],
    }
    one = json.dumps(word, ensure_ascii=False)
    many = ", ".join([one] * (megabytes * 1_000_000 // len(one.encode())))
    return f'{{"metadata": {{"semantic_modality": "DOCUMENT"}}, "text_words": [{many}]}}'.encode()


def test_a_long_list_is_gone_through_in_bounded_memory():
    content = large_document(20)
    (segment,) = assemble_result(JobMetadata.parse(metadata(), URI), {STANDARD: content}).segments
    words = segment.standard.text_words

    tracemalloc.start()
    try:
        count = sum(word.text == "w\u00f6rd" for word in words)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == len(words) == content.count(b'"id"')
    assert peak < 4_000_000
    assert words[-1] == words[0] == words[len(words) // 2]
    assert len(words[5:8]) == 3
    assert words == tuple(words)
    with pytest.raises(IndexError):
        words[len(words)]


def test_what_is_no_object_in_a_long_list_is_left_out():
    items = [{"text": str(n)} if n % 3 else [n, "\u00e4", None][n % 2] for n in range(200_000)]
    words = opened(json.dumps({"text_words": items}, indent=1)).objects("text_words", lambda word: word["text"])

    assert list(words) == [item["text"] for item in items if isinstance(item, dict)]
    assert (words[0], words[1000], words[-1]) == ("1", list(words)[1000], list(words)[-1])


def test_a_copy_for_another_process_has_everything():
    result = assemble_result(JobMetadata.parse(metadata(), URI), {STANDARD: large_document(2)})

    copy = pickle.loads(pickle.dumps(tuple(result.segments)))  # noqa: S301  our own bytes

    assert copy == result.segments
    assert len(copy[0].standard.text_words) == len(result.segments[0].standard.text_words)


class PretendedS3:
    """Streams one large file, and says in which thread it was asked for."""

    def __init__(self, content):
        self.contents = {URI: json.dumps(metadata()).encode(), STANDARD: content}

    async def get_object(self, *, Bucket, Key):  # noqa: N803  boto3's names
        return {"Body": PretendedBody(self.contents[f"s3://{Bucket}/{Key}"])}


class PretendedBody:
    def __init__(self, content):
        self.content = content

    async def __aenter__(self):
        return self

    async def __aexit__(self, *ended):
        return None

    async def iter_chunks(self, size):
        for start in range(0, len(self.content), size):
            yield self.content[start : start + size]
            await asyncio.sleep(0)


async def test_the_loop_decodes_nothing(monkeypatch):
    """How long it is blocked is for the benchmark: here a busy machine would decide."""
    threads = set()
    real = JsonFile.__init__

    def noted(self, *arguments):
        threads.add(threading.current_thread())
        real(self, *arguments)

    monkeypatch.setattr(JsonFile, "__init__", noted)
    content = large_document(20)

    result = await read_result_async(PretendedS3(content), URI)

    assert threads
    assert threading.current_thread() not in threads
    assert len(result.segments[0].standard.text_words) == content.count(b'"id"')


LARGE = {
    "a text": "words, \u00e4nd \u4e2d\u6587 " * 60_000,
    "a text of emoji": "\N{GRINNING FACE}\\" * 120_000,
    "a text of backslashes": "\\" * 700_000,
    "numbers": list(range(200_000)),
    "texts": ["a", "b, c", '", "', "\\"] * 60_000,
    "lists": [[1, [2]], [], [[3]]] * 60_000,
    "items of all kinds": [1, "a", None, [2, 3], {"b": 4}, 5.5, {}] * 40_000,
    "an object of many members": {f"name {number}": number for number in range(90_000)},
    "an object of long members": {name: [name, "x" * 400_000, {"y": "z" * 400_000}] for name in "abc"},
    "items that hold items like themselves": [{"id": 1, "inner": [{"id": 2}, {"id": 3}]}] * 40_000,
    "one long item among short ones": [
        {"id": 0},
        {"id": 1, "text": "\u00fc" * 300_000},
        *({"id": n} for n in range(9)),
    ],
}


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("name", LARGE)
def test_a_large_value_is_decoded_in_short_calls(name, escaped, monkeypatch):
    """A call of the decoder keeps all other threads waiting. What all get together bounds the time."""
    content = json.dumps({"before": 1, "large": LARGE[name], "after": 2}, ensure_ascii=escaped)
    lengths = []

    class Noted(json.JSONDecoder):
        def decode(self, text):
            lengths.append(len(text.encode("utf-8", "surrogatepass")))
            return super().decode(text)

    strict = json_reading.DECODER
    hooks = {hook: getattr(strict, hook) for hook in ("object_pairs_hook", "parse_float", "parse_constant")}
    monkeypatch.setattr(json_file, "_PLAIN", Noted())
    monkeypatch.setattr(json_file, "DECODER", Noted(**hooks))

    read = dict(opened(content))

    assert read == {"before": 1, "large": LARGE[name], "after": 2}
    assert max(lengths) < BLOCK_BYTES + 4 * WINDOW
    assert sum(lengths) < 4 * len(content.encode())


def test_large_metadata_is_decoded_in_short_calls_too(monkeypatch):
    lengths = []
    monkeypatch.setattr(json_file, "_PLAIN", plain := json.JSONDecoder())
    real = plain.decode
    monkeypatch.setattr(plain, "decode", lambda text: lengths.append(len(text)) or real(text))
    segments = [
        {"standard_output_path": f"{FOLDER}/0/standard_output/{number}/result.json"} for number in range(20_000)
    ]
    content = metadata() | {"output_metadata": [{"segment_metadata": segments}]}

    read = JobMetadata.parse(json.dumps(content), URI)

    assert len(read.output_uris()) == 20_000
    assert max(lengths) < BLOCK_BYTES + 4 * WINDOW


def test_an_item_that_is_longer_than_a_block_is_found_by_its_number():
    items = [{"id": str(number), "text": "x" * (500_000 if number in {3, 4, 9} else 10)} for number in range(12)]
    found = opened(json.dumps({"pages": items})).objects("pages", lambda page: (page["id"], len(page["text"])))

    assert type(found) is not tuple
    assert list(found) == [found[number] for number in range(12)] == [(each["id"], len(each["text"])) for each in items]
