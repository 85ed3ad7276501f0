"""A job's files become types: every segment, all four modalities, whatever is missing or new in them."""

import copy
import functools
import json
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.service.errors import BdaError
from airflow_bda.service.results.custom import CustomOutput, ExtractedField
from airflow_bda.service.results.document import DocumentOutput, ImageOutput
from airflow_bda.service.results.job_result import assemble_result, parse_standard_output
from airflow_bda.service.results.media import AudioOutput, VideoOutput
from airflow_bda.service.results.metadata import JobMetadata, SegmentPaths
from airflow_bda.service.results.parts import BoundingBox, Location, StandardOutput
from airflow_bda.service.s3 import Modality
from airflow_bda.service.statuses import JobStatus

BASE = "s3://out-bucket/p/c0ffee00-1111-2222-3333-444455556666/0"
URI = "s3://out-bucket/p/c0ffee00-1111-2222-3333-444455556666/job_metadata.json"


def segment_metadata(index, status="MATCH"):
    paths = {"standard_output_path": f"{BASE}/standard_output/{index}/result.json"}
    if status == "MATCH":
        paths["custom_output_path"] = f"{BASE}/custom_output/{index}/result.json"
    return paths | ({"custom_output_status": status} if status else {})


def metadata(*segments, **changes):
    return {
        "job_id": "c0ffee00-1111-2222-3333-444455556666",
        "job_status": "PROCESSED",
        "semantic_modality": "DOCUMENT",
        "output_metadata": [
            {
                "asset_id": 0,
                "asset_input_path": {"s3_bucket": "in-bucket", "s3_key": "inbox/a.pdf"},
                "segment_metadata": list(segments),
            }
        ],
    } | changes


DOCUMENT = {
    "metadata": {
        "asset_id": "0",
        "semantic_modality": "DOCUMENT",
        "number_of_pages": 2,
        "start_page_index": 0,
        "end_page_index": 1,
        "file_type": "PDF",
    },
    "document": {
        "representation": {"text": "Title", "markdown": "# Title"},
        "description": "A letter",
        "summary": "A letter about a title.",
    },
    "pages": [
        {"id": "p0", "page_index": 0, "detected_page_number": 7, "representation": {"markdown": "# Title"}},
        {"id": "p1", "page_index": 1},
    ],
    "elements": [
        {
            "id": "e0",
            "type": "TEXT",
            "sub_type": "TITLE",
            "reading_order": 0,
            "page_indices": [0],
            "representation": {"markdown": "# Title"},
            "locations": [{"page_index": 0, "bounding_box": {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.05}}],
        },
        {"id": "e1", "type": "TABLE", "csv_s3_uri": "s3://out-bucket/t.csv", "representation": {"html": "<table/>"}},
        {"id": "e2", "type": "FIGURE", "summary": "A chart"},
    ],
    "text_lines": [{"id": "l0", "text": "Title", "confidence": 0.9}],
    "text_words": [{"id": "w0", "text": "Title"}, {"id": "w1", "text": "two"}],
}
CUSTOM = {
    "matched_blueprint": {
        "arn": "arn:aws:bedrock:us-west-2:aws:blueprint/bedrock-data-automation-public-invoice",
        "name": "Invoice",
        "confidence": 0.99,
    },
    "document_class": {"type": "Invoice"},
    "split_document": {"page_indices": [0, 1]},
    "inference_result": {
        "InvoiceNumber": "A-17",
        "Total": 12.5,
        "Items": [{"Desc": "x", "Price": None}, {"Desc": "y"}],
        "Vendor": {"Name": "Acme", "Address": {"City": "Ulm"}},
        "Notes": [],
    },
    "explainability_info": [
        {
            "InvoiceNumber": {
                "success": True,
                "confidence": 0.88,
                "value": "A-17",
                "type": "string",
                "geometry": [
                    {"page": 1, "boundingBox": {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.05}},
                    {"page": 2, "boundingBox": {"left": 0, "top": 0, "width": 1, "height": 1}},
                ],
            },
            "Items": [{"Desc": {"confidence": 0.7}}],
            "Vendor": {"Address": {"City": {"confidence": 1, "geometry": []}}},
        }
    ],
}


class TestJobMetadata:
    def test_reads_the_document_from_its_text_or_its_content(self):
        content = metadata(segment_metadata(0))
        read = JobMetadata.parse(json.dumps(content), URI)
        assert read == JobMetadata.parse(content, URI) == JobMetadata.parse(json.dumps(content).encode(), URI)
        assert read.status is JobStatus.SUCCESS
        assert (read.status_text, read.modality, read.uri) == ("PROCESSED", Modality.DOCUMENT, URI)
        (asset,) = read.assets
        assert (asset.asset_id, asset.input_s3_uri) == (0, "s3://in-bucket/inbox/a.pdf")
        assert asset.segments == (
            SegmentPaths(0, f"{BASE}/standard_output/0/result.json", f"{BASE}/custom_output/0/result.json", "MATCH"),
        )

    def test_lists_every_file_of_every_segment_and_asset(self):
        two_assets = metadata(segment_metadata(0), segment_metadata(1, "NO_MATCH"))["output_metadata"] * 2
        two_assets[1] = two_assets[1] | {"asset_id": "1", "segment_metadata": [segment_metadata(2, None)]}
        read = JobMetadata.parse(metadata(output_metadata=two_assets))
        assert read.output_uris() == (
            f"{BASE}/standard_output/0/result.json",
            f"{BASE}/custom_output/0/result.json",
            f"{BASE}/standard_output/1/result.json",
            f"{BASE}/standard_output/2/result.json",
        )
        assert [(asset.asset_id, segment.index) for asset, segment in read.segments()] == [(0, 0), (0, 1), (1, 0)]

    def test_a_segments_index_is_its_place_in_the_list(self):
        """The folders' numbers need not come in order."""
        read = JobMetadata.parse(metadata(segment_metadata(3), segment_metadata(0)))
        assert [segment.standard_output_uri for _, segment in read.segments()] == [
            f"{BASE}/standard_output/3/result.json",
            f"{BASE}/standard_output/0/result.json",
        ]
        assert [segment.index for _, segment in read.segments()] == [0, 1]

    def test_keeps_words_that_it_does_not_know(self):
        read = JobMetadata.parse(
            metadata(segment_metadata(0, "FALLBACK"), job_status="PARTLY", semantic_modality="HOLOGRAM", added=1)
        )
        assert (read.status, read.status_text, read.modality) == (JobStatus.UNKNOWN, "PARTLY", None)
        assert read.assets[0].segments[0].custom_output_status == "FALLBACK"

    def test_tolerates_what_is_missing(self):
        assert JobMetadata.parse({"job_id": "x"}).assets == ()
        read = JobMetadata.parse({"output_metadata": [{}, {"asset_id": "first", "segment_metadata": [{}]}]})
        assert [asset.asset_id for asset in read.assets] == [0, "first"]
        assert read.assets[0].input_s3_uri is None
        assert (read.job_id, read.output_uris()) == (None, ())

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ("", "not JSON"),
            ("<Error/>", "not JSON"),
            (b"\xff\xfe", "not JSON"),
            ("[]", "its top is a JSON list"),
            ("{}", "no job_metadata.json"),
            (CUSTOM, "no job_metadata.json"),
            ({"job_id": "x", "output_metadata": {}}, "output_metadata is not a list"),
        ],
    )
    def test_another_document_is_refused_by_its_uri(self, content, why):
        with pytest.raises(BdaError, match=f"{URI} cannot be read.*{why}"):
            JobMetadata.parse(content, URI)


class TestStandardOutput:
    def test_document(self):
        read = parse_standard_output(json.dumps(DOCUMENT))
        assert isinstance(read, DocumentOutput)
        assert (read.representation.text, read.representation.markdown) == ("Title", "# Title")
        assert (read.summary, read.description, read.file_type) == ("A letter about a title.", "A letter", "PDF")
        assert (read.number_of_pages, read.start_page_index, read.end_page_index, read.page_count) == (2, 0, 1, 2)
        assert [(page.index, page.detected_page_number) for page in read.pages] == [(0, "7"), (1, None)]
        title, table, figure = read.elements
        assert (title.type, title.sub_type, title.reading_order, title.page_indices) == ("TEXT", "TITLE", 0, (0,))
        assert title.locations[0].page_index == 0
        assert title.locations[0].box == BoundingBox(0.1, 0.2, 0.3, 0.05)
        assert (table.csv_s3_uri, table.representation.html) == ("s3://out-bucket/t.csv", "<table/>")
        assert figure.summary == "A chart"
        assert [word.text for word in read.text_words] == ["Title", "two"]
        assert (read.text_lines[0].id, read.text_lines[0].confidence) == ("l0", 0.9)
        assert read.raw == DOCUMENT

    def test_pages_are_counted_where_their_number_is_not_told(self):
        read = parse_standard_output(DOCUMENT | {"metadata": {"semantic_modality": "DOCUMENT"}})
        assert read.page_count == 2

    def test_image(self):
        read = parse_standard_output(
            {
                "metadata": {
                    "semantic_modality": "IMAGE",
                    "image_width_pixels": 640,
                    "image_height_pixels": 480,
                    "color_depth": 24,
                    "image_encoding": "png",
                },
                "image": {
                    "summary": "A cup",
                    "iab_categories": [{"id": "1", "type": "IAB", "category": "Food", "confidence": 0.8}],
                    "content_moderation": [{"category": "Alcohol", "confidence": 0.6}],
                    "logos": [
                        {
                            "name": "Acme",
                            "confidence": 0.7,
                            "locations": [{"bounding_box": {"left": 0, "top": 0, "width": 1, "height": 1}}],
                        }
                    ],
                    "text_lines": [{"text": "HOT"}],
                    "text_words": [{"text": "HOT"}],
                },
            }
        )
        assert isinstance(read, ImageOutput)
        assert (read.width_pixels, read.height_pixels, read.color_depth, read.encoding) == (640, 480, 24, "png")
        assert read.summary == "A cup"
        assert [(label.name, label.confidence) for label in read.categories] == [("Food", 0.8)]
        assert [label.name for label in read.content_moderation] == ["Alcohol"]
        assert read.logos[0].locations[0].box == BoundingBox(0, 0, 1, 1)
        assert read.logos[0].locations[0].page_index is None
        assert read.text_lines[0].text == read.text_words[0].text == "HOT"

    def test_audio(self):
        read = parse_standard_output(
            {
                "metadata": {
                    "semantic_modality": "AUDIO",
                    "duration_millis": 141000,
                    "format": "wav",
                    "codec": "pcm_s16le",
                    "sample_rate": "16000",
                    "number_of_channels": 1,
                    "dominant_asset_language": "EN",
                },
                "audio": {"summary": "A call", "transcript": {"representation": {"text": "Hello. Hi."}}},
                "audio_segments": [
                    {
                        "segment_index": 0,
                        "type": "TRANSCRIPT",
                        "text": "Hello.",
                        "start_timestamp_millis": 0,
                        "end_timestamp_millis": 900,
                        "speaker": {"speaker_label": "spk_0"},
                        "channel": {"channel_label": "ch_0"},
                        "language": "EN",
                    },
                    {"segment_index": 1, "text": "Hi.", "speaker": None},
                ],
                "topics": [
                    {
                        "topic_index": 0,
                        "summary": "Greetings",
                        "transcript": {"representation": {"text": "Hello."}},
                        "audio_segment_indices": [0, 1],
                    }
                ],
            }
        )
        assert isinstance(read, AudioOutput)
        assert (read.duration_millis, read.format, read.codec) == (141000, "wav", "pcm_s16le")
        assert (read.sample_rate, read.channels, read.language) == (16000, 1, "EN")
        assert (read.summary, read.transcript) == ("A call", "Hello. Hi.")
        first, second = read.segments
        assert (first.text, first.start_millis, first.end_millis) == ("Hello.", 0, 900)
        assert (first.speaker, first.channel, second.speaker) == ("spk_0", "ch_0", None)
        assert (read.topics[0].summary, read.topics[0].audio_segment_indices) == ("Greetings", (0, 1))
        assert read.topics[0].transcript == "Hello."

    def test_video(self):
        read = parse_standard_output(
            {
                "metadata": {
                    "semantic_modality": "VIDEO",
                    "duration_millis": 60000,
                    "format": "mp4",
                    "codec": "h264",
                    "frame_rate": 29.97,
                    "frame_width": 1280,
                    "frame_height": 720,
                },
                "video": {"summary": "A tour", "transcript": {"representation": {"text": "Welcome."}}},
                "shots": [
                    {
                        "shot_index": 0,
                        "start_timestamp_millis": 0,
                        "end_timestamp_millis": 30000,
                        "confidence": 0.9,
                        "chapter_indices": [0],
                    }
                ],
                "chapters": [
                    {
                        "chapter_index": 0,
                        "start_timestamp_millis": 0,
                        "end_timestamp_millis": 60000,
                        "shot_indices": [0],
                        "summary": "All of it",
                        "iab_categories": [{"category": "Travel", "confidence": 0.5}],
                        "audio_segments": [{"text": "Welcome.", "speaker": {"speaker_label": "spk_0"}}],
                    }
                ],
            }
        )
        assert isinstance(read, VideoOutput)
        assert (read.frame_rate, read.frame_width, read.frame_height) == (29.97, 1280, 720)
        assert (read.duration_millis, read.codec, read.summary, read.transcript) == (
            60000,
            "h264",
            "A tour",
            "Welcome.",
        )
        assert (read.shots[0].start_millis, read.shots[0].end_millis, read.shots[0].chapter_indices) == (0, 30000, (0,))
        (chapter,) = read.chapters
        assert (chapter.summary, chapter.shot_indices, chapter.categories[0].name) == ("All of it", (0,), "Travel")
        assert chapter.audio_segments[0].speaker == "spk_0"

    def test_a_document_that_names_no_modality_is_of_its_jobs(self):
        assert isinstance(parse_standard_output({}, modality=Modality.IMAGE), ImageOutput)

    def test_a_modality_that_is_not_known_keeps_what_it_says(self):
        read = parse_standard_output({"metadata": {"semantic_modality": "HOLOGRAM"}})
        assert type(read) is StandardOutput
        assert read.raw["metadata"]["semantic_modality"] == "HOLOGRAM"

    def test_no_repr_holds_a_document(self):
        """Reprs end in logs and tracebacks."""
        assert "Title" not in repr(parse_standard_output(DOCUMENT))
        assert "A-17" not in repr(CustomOutput.parse(CUSTOM))


class TestCustomOutput:
    def test_reads_blueprint_class_and_pages(self):
        read = CustomOutput.parse(json.dumps(CUSTOM))
        assert read.matched_blueprint.name == "Invoice"
        assert read.matched_blueprint.confidence == 0.99
        assert read.matched_blueprint.version is None
        assert (read.document_class, read.page_indices) == ("Invoice", (0, 1))
        assert read.raw == CUSTOM

    def test_takes_fields_apart_with_what_is_said_of_each(self):
        number, *others = CustomOutput.parse(CUSTOM).fields()
        box = BoundingBox(0.1, 0.2, 0.3, 0.05)
        places = (Location(0, box), Location(1, BoundingBox(0, 0, 1, 1)))
        assert number == ExtractedField("InvoiceNumber", "A-17", confidence=0.88, locations=places, type="string")
        assert (number.page, number.box, number.found) == (1, box, True)
        assert [(field.path, field.value, field.confidence) for field in others] == [
            ("Total", 12.5, None),
            ("Items[0].Desc", "x", 0.7),
            ("Items[0].Price", None, None),
            ("Items[1].Desc", "y", None),
            ("Vendor.Name", "Acme", None),
            ("Vendor.Address.City", "Ulm", 1.0),
            ("Notes", [], None),
        ]

    def test_a_list_that_is_explained_as_a_whole(self):
        read = CustomOutput.parse(
            {"inference_result": {"Tags": ["a", "b"]}, "explainability_info": {"Tags": {"confidence": 0.5}}}
        )
        assert [(field.path, field.confidence) for field in read.fields()] == [("Tags[0]", 0.5), ("Tags[1]", 0.5)]

    def test_a_field_that_is_called_like_an_explanation(self):
        read = CustomOutput.parse(
            {
                "inference_result": {"confidence": {"type": "high"}},
                "explainability_info": [{"confidence": {"type": {"confidence": 0.4, "type": "string"}}}],
            }
        )
        assert read.fields() == (ExtractedField("confidence.type", "high", confidence=0.4, type="string"),)

    @pytest.mark.parametrize("split", [None, {}, {"page_indices": None}])
    def test_pages_that_are_not_told_are_none_and_not_zero(self, split):
        assert CustomOutput.parse(CUSTOM | {"split_document": split}).page_indices is None

    @pytest.mark.parametrize("explanations", [None, [], [None], {}, "none", [[]], 7])
    def test_explanations_may_be_missing(self, explanations):
        read = CustomOutput.parse(CUSTOM | {"explainability_info": explanations})
        assert len(read.fields()) == 8
        assert {field.confidence for field in read.fields()} == {None}

    def test_an_empty_document_has_no_fields(self):
        read = CustomOutput.parse({})
        assert (read.fields(), read.matched_blueprint, read.document_class) == ((), None, None)


class TestJobResult:
    def test_every_segment_is_there_with_honest_counts(self):
        read = JobMetadata.parse(
            metadata(
                segment_metadata(0),
                segment_metadata(1, "NO_MATCH"),
                segment_metadata(2, "FALLBACK"),
                segment_metadata(3, None),
            )
        )
        documents = {uri: CUSTOM if "custom" in uri else json.dumps(DOCUMENT) for uri in read.output_uris()}
        result = assemble_result(read, documents)
        assert (result.segment_count, result.matched, result.unmatched, result.pages) == (4, 1, 1, 8)
        assert [segment.index for segment in result.segments] == [0, 1, 2, 3]
        assert [segment.custom is not None for segment in result.segments] == [True, False, False, False]
        assert {segment.input_s3_uri for segment in result.segments} == {"s3://in-bucket/inbox/a.pdf"}
        assert result.metadata is read

    def test_pages_come_from_the_custom_output_where_there_is_no_other(self):
        """A call with blueprints alone may make no standard output."""
        paths = segment_metadata(0)
        del paths["standard_output_path"]
        read = JobMetadata.parse(metadata(paths))
        result = assemble_result(read, {read.output_uris()[0]: CUSTOM})
        assert result.segments[0].standard is None
        assert result.pages == 2

    def test_a_recording_has_no_pages(self):
        read = JobMetadata.parse(metadata(segment_metadata(0, None), semantic_modality="AUDIO"))
        result = assemble_result(read, {read.output_uris()[0]: {"audio": {}}})
        assert isinstance(result.segments[0].standard, AudioOutput)
        assert result.pages == 0

    def test_a_file_that_was_not_read_is_named(self):
        """A result that quietly lacks a segment would look complete."""
        read = JobMetadata.parse(metadata(segment_metadata(0), segment_metadata(1)))
        documents = dict.fromkeys(read.output_uris()[:-1], DOCUMENT)
        with pytest.raises(BdaError, match=r"custom_output/1/result\.json is listed .* and was not read"):
            assemble_result(read, documents)

    @pytest.mark.parametrize("kind", ["standard", "custom"])
    def test_a_broken_file_is_named(self, kind):
        read = JobMetadata.parse(metadata(segment_metadata(0)))
        documents = {uri: "half a docu" if kind in uri else {} for uri in read.output_uris()}
        with pytest.raises(BdaError, match=f"{kind}_output/0/result.json cannot be read"):
            assemble_result(read, documents)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def places(value, *path):
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield (*path, name)
        yield from places(item, *path, name)


@st.composite
def disfigured(draw, document):
    """Return the document with anything at all in up to three of its places, at any depth."""
    document = copy.deepcopy(document)
    chosen = draw(st.lists(st.sampled_from(list(places(document))), max_size=3, unique=True))
    # The deepest first: a change further up takes away what stands below it.
    for *path, name in sorted(chosen, key=len, reverse=True):
        holder = functools.reduce(operator.getitem, path, document)
        holder[name] = draw(json_values)
    return document


@given(disfigured(DOCUMENT), st.sampled_from(Modality))
def test_no_standard_output_is_too_odd_to_read(document, modality):
    assert parse_standard_output(document, modality=modality).raw is document


@given(disfigured(CUSTOM))
def test_no_custom_output_is_too_odd_to_read(document):
    read = CustomOutput.parse(document)
    assert all(field.path for field in read.fields()) or "" in read.inference_result


@given(disfigured(metadata(segment_metadata(0), segment_metadata(1, "NO_MATCH"))))
def test_metadata_is_read_or_refused_by_name(document):
    try:
        read = JobMetadata.parse(document, URI)
    except BdaError as error:
        refusal = str(error)
        read = None
    assert read or refusal.startswith(URI)


def leaves(value):
    if isinstance(value, (dict, list)) and value:
        inner = value.values() if isinstance(value, dict) else value
        return sum(leaves(item) for item in inner)
    return 1


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), json_values, min_size=1, max_size=4))
def test_no_value_of_a_blueprint_is_lost(inference_result):
    fields = CustomOutput.parse({"inference_result": inference_result}).fields()
    assert len(fields) == leaves(inference_result)
