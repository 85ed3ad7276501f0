"""
The results key by key: which keys are there with each option of a project, and which without it.

The expected keys are those of AWS's user guide ([docs]), of code and recorded output in AWS's repositories
([aws-code]) and of files that the service wrote ([live]); none of them comes from the emulator.
"""

import io
import json
from functools import cache

import pytest
from making_inputs import EVERYTHING, INVOICE, RECEIPT, pdf, request
from PIL import Image, ImageDraw, ImageFont
from test_processing_documents import PAGE, ruled_table_pdf, word_file
from test_processing_matching import INVOICE_PAGE, LETTER
from test_processing_media import video as make_video
from test_processing_media import wav

from airflow_bda.emulator.documents import InputError, Processor
from airflow_bda.emulator.documents.contract import MadeBlueprint, ProjectConfiguration
from airflow_bda.emulator.documents.reading.images import has_ocr
from airflow_bda.service.s3 import Modality

video = cache(make_video)
DEFAULT = ProjectConfiguration()
# [live]: a file of a job; [docs]: the same without file_type. s3_prefix stands in AWS's example alone.
DOCUMENT_METADATA = {
    "asset_id", "logical_subdocument_id", "semantic_modality", "s3_bucket", "s3_key", "number_of_pages",
    "start_page_index", "end_page_index", "file_type",
}  # fmt: skip
ELEMENT_COUNTS = {"element_count", "table_count", "figure_count"}
ASSET_METADATA = {"rectified_image_width_pixels", "rectified_image_height_pixels", "corners"}


def document(granularity=("PAGE", "ELEMENT"), *, boxes=False, formats=("MARKDOWN",), files=False, generative=False):
    state = {True: {"state": "ENABLED"}, False: {"state": "DISABLED"}}
    return ProjectConfiguration(
        standard_output={
            "document": {
                "extraction": {"granularity": {"types": list(granularity)}, "boundingBox": state[boxes]},
                "generativeField": state[generative],
                "outputFormat": {"textFormat": {"types": list(formats)}, "additionalFileFormat": state[files]},
            }
        }
    )


def segment(data, project=DEFAULT, **options):
    return Processor().process(request(data, project=project, **options)).assets[0].segments[0]


def standard(data, project=DEFAULT, **options):
    return segment(data, project, **options).standard


@cache
def photo(form="JPEG", text=""):
    file = io.BytesIO()
    # Small where nothing is written in it, for the sake of the OCR's time.
    image = Image.linear_gradient("L").resize((640, 480) if text else (64, 48)).convert("RGB")
    if text:
        ImageDraw.Draw(image).text((40, 300), text, font=ImageFont.load_default(48), fill="black")
    image.save(file, form)
    return file.getvalue()


# --- documents


def test_the_default_is_markdown_of_pages_and_elements_and_no_text_of_the_whole():
    """[live]: PAGE and ELEMENT; `document` holds statistics alone, nothing has locations or another format."""
    result = standard(pdf(PAGE))

    assert set(result) == {"metadata", "document", "pages", "elements"}
    assert set(result["metadata"]) == DOCUMENT_METADATA
    assert set(result["document"]) == {"statistics"}
    assert set(result["document"]["statistics"]) == ELEMENT_COUNTS | {"hyperlink_count"}
    (page,) = result["pages"]
    assert set(page) == {"id", "page_index", "detected_page_number", "representation", "statistics", "asset_metadata"}
    assert set(page["representation"]) == {"markdown"}
    assert set(page["statistics"]) == ELEMENT_COUNTS
    assert set(page["asset_metadata"]) == ASSET_METADATA
    assert len(page["asset_metadata"]["corners"]) == 4
    for element in result["elements"]:
        assert set(element) == {"id", "type", "sub_type", "representation", "reading_order", "page_indices"}
        assert set(element["representation"]) == {"markdown"}


def test_types_are_those_of_the_service():
    """[live]: asset_id and logical_subdocument_id are texts, page indices numbers."""
    metadata = standard(pdf(PAGE))["metadata"]

    assert (metadata["asset_id"], metadata["logical_subdocument_id"]) == ("0", "0")
    assert (metadata["start_page_index"], metadata["end_page_index"], metadata["number_of_pages"]) == (0, 0, 1)
    assert metadata["file_type"] == "PDF"


@pytest.mark.parametrize(
    ("granularity", "keys", "in_document"),
    [
        (["DOCUMENT"], set(), {"representation"}),
        (["PAGE"], {"pages"}, set()),
        (["ELEMENT"], {"elements"}, {"statistics"}),
        (["LINE"], {"text_lines"}, {"statistics"}),
        (["WORD"], {"text_words"}, {"statistics"}),
        (["DOCUMENT", "PAGE"], {"pages"}, {"representation"}),
        (
            ["DOCUMENT", "PAGE", "ELEMENT", "LINE", "WORD"],
            {"pages", "elements", "text_lines", "text_words"},
            {"representation", "statistics"},
        ),
    ],
)
def test_granularity_decides_the_parts(granularity, keys, in_document):
    """[docs]: each granularity has its own part; [live]: DOCUMENT and PAGE alone give metadata, document and pages."""
    result = standard(pdf(PAGE), document(granularity))

    assert set(result) == {"metadata", "document"} | keys
    assert set(result["document"]) == in_document


@pytest.mark.parametrize(
    ("granularity", "counts"),
    [
        (["LINE"], {"line_count"}),
        (["WORD"], {"word_count"}),
        (["ELEMENT"], ELEMENT_COUNTS | {"hyperlink_count"}),
        (["ELEMENT", "LINE", "WORD"], ELEMENT_COUNTS | {"hyperlink_count", "word_count", "line_count"}),
    ],
)
def test_statistics_count_what_was_asked_for(granularity, counts):
    """[docs]: the five counts; [live]: without words and lines where these were not asked for."""
    assert set(standard(pdf(PAGE), document(granularity))["document"]["statistics"]) == counts


@pytest.mark.parametrize("boxes", [True, False])
def test_bounding_boxes_are_there_where_they_are_enabled(boxes):
    """[docs, live]: no `locations` at all where boxes are off."""
    result = standard(pdf(PAGE), document(["ELEMENT", "LINE", "WORD"], boxes=boxes))

    for part in ("elements", "text_lines", "text_words"):
        for item in result[part]:
            assert ("locations" in item) is boxes
            for place in item.get("locations", ()):
                assert set(place) == {"page_index", "bounding_box"}
                assert set(place["bounding_box"]) == {"left", "top", "width", "height"}


def test_lines_and_words_name_their_page_and_line():
    """[live]: both carry page_index, words line_id; a line's confidence is about 0.01, whatever its words have."""
    result = standard(pdf(PAGE), document(["LINE", "WORD"]))

    for line in result["text_lines"]:
        assert set(line) == {"id", "text", "reading_order", "page_index", "confidence"}
        assert line["confidence"] == 0.01
    ids = {line["id"] for line in result["text_lines"]}
    for word in result["text_words"]:
        assert set(word) == {"id", "text", "line_id", "reading_order", "page_index", "confidence"}
        assert word["line_id"] in ids
        assert word["confidence"] == 1.0


FORMATS = {"PLAIN_TEXT": "text", "MARKDOWN": "markdown", "HTML": "html", "CSV": "csv"}


@pytest.mark.parametrize("asked", [[name] for name in FORMATS] + [list(FORMATS), ["PLAIN_TEXT", "HTML"]])
def test_text_formats_decide_the_representations(asked):
    """[docs]: any number of formats; CSV only for tables."""
    result = standard(ruled_table_pdf(), document(["DOCUMENT", "PAGE", "ELEMENT"], formats=asked))

    keys = {FORMATS[name] for name in asked}
    table = next(each for each in result["elements"] if each["type"] == "TABLE")
    text = next(each for each in result["elements"] if each["type"] == "TEXT")
    assert set(table["representation"]) == keys
    assert set(text["representation"]) == keys - {"csv"}
    assert set(result["document"]["representation"]) == set(result["pages"][0]["representation"]) == keys


def test_a_table_is_written_in_each_format():
    table = next(
        each
        for each in standard(ruled_table_pdf(), document(["ELEMENT"], formats=FORMATS))["elements"]
        if each["type"] == "TABLE"
    )

    assert table["representation"]["html"].startswith("<table><tr><th>Name</th><th>Size</th></tr><tr><td>Oak</td>")
    assert table["representation"]["csv"] == "Name,Size\nOak,20 m\nElm,30 m\n"
    assert set(table) == {"id", "type", "representation", "reading_order", "page_indices", "headers"}


@pytest.mark.parametrize("generative", [True, False])
def test_generated_fields_are_marked_placeholders(generative):
    """[docs]: a description and a summary of the document."""
    found = standard(pdf(PAGE), document(generative=generative))["document"]

    assert ({"description", "summary"} <= set(found)) is generative
    assert all("placeholder" in found[name] for name in ("description", "summary") if generative)


def test_additional_files_are_written_beside_the_result_and_named_in_it():
    """[docs]: texts, a CSV for each table and rectified images below standard_output/<n>/assets/."""
    found = segment(ruled_table_pdf(), document(formats=["PLAIN_TEXT", "MARKDOWN"], files=True))

    folder = "s3://out/p/job/0/standard_output/0/assets/"
    named = {found.standard["pages"][0]["asset_metadata"]["rectified_image"]}
    named |= {each["csv_s3_uri"] for each in found.standard["elements"] if each["type"] == "TABLE"}
    assert named <= {folder + name for name in found.files}
    suffixes = sorted(name.rpartition(".")[2] for name in found.files)
    assert suffixes == ["csv", "md", "png", "txt"]
    page = found.standard["pages"][0]["asset_metadata"]
    picture = Image.open(io.BytesIO(next(each for name, each in found.files.items() if name.endswith(".png"))))
    assert picture.size == (page["rectified_image_width_pixels"], page["rectified_image_height_pixels"])


def test_a_synchronous_call_writes_no_files_and_calls_its_document_1():
    """[docs]: the sync API outputs nothing beside the JSON, and logical_subdocument_id is always 1."""
    found = segment(ruled_table_pdf(), document(files=True), sync=True)

    assert found.files == {}
    assert found.standard["metadata"]["logical_subdocument_id"] == "1"
    assert set(found.standard["pages"][0]["asset_metadata"]) == ASSET_METADATA


def test_a_docx_has_no_places_but_the_same_keys():
    result = standard(word_file(lambda file: file.add_paragraph("Hello")), document(boxes=True))

    assert set(result["pages"][0]["asset_metadata"]) == ASSET_METADATA
    assert all("locations" not in element for element in result["elements"])


SUB_TYPES = {"PARAGRAPH", "SECTION_HEADER", "TITLE", "LIST", "HEADER", "FOOTER", "PAGE_NUMBER"}


def test_sub_types_are_words_of_the_service():
    """[live]: the sub-types of TEXT."""
    page = [
        (50, 60, "A report", 24),
        (50, 100, "Part one", 13),
        *[(50, 120 + 14 * n, "Words of it.") for n in range(9)],
    ]
    result = standard(pdf(page))

    assert {element["sub_type"] for element in result["elements"]} == {"TITLE", "SECTION_HEADER", "PARAGRAPH"}
    assert {element["sub_type"] for element in standard(pdf(PAGE))["elements"]} <= SUB_TYPES


# --- custom output of documents


def test_the_custom_output_of_a_document_has_five_keys():
    """[live]: exactly these, no metadata; matched_blueprint without a version."""
    custom = segment(pdf(INVOICE_PAGE), blueprints=[INVOICE, RECEIPT]).custom

    assert set(custom) == {
        "matched_blueprint",
        "document_class",
        "split_document",
        "inference_result",
        "explainability_info",
    }
    assert set(custom["matched_blueprint"]) == {"arn", "name", "confidence"}
    assert isinstance(custom["explainability_info"], list)
    assert len(custom["explainability_info"]) == 1


def test_what_was_not_found_is_an_empty_text_of_any_type():
    """[live]: "" for texts, numbers and truth values alike; success true, no geometry; a list has one such item."""
    schema = {
        "class": "Order",
        "properties": {
            "name": {"type": "string"},
            "count": {"type": "number"},
            "paid": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "rows": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "address": {"type": "object", "properties": {"street": {"type": "string"}}},
        },
    }
    arn = "arn:aws:bedrock:us-east-1:123456789012:blueprint/aaaabbbbcccc"
    made = MadeBlueprint(arn, "orders", json.dumps(schema))
    asked = request(pdf([(50, 60, "Nothing of it")]), blueprints=[arn], project=DEFAULT)
    custom = Processor().process(with_blueprints(asked, made)).assets[0].segments[0].custom

    assert custom["inference_result"] == {
        "name": "", "count": "", "paid": "", "tags": [""], "rows": [{"a": ""}], "address": {"street": ""},
    }  # fmt: skip
    (explained,) = custom["explainability_info"]
    for entry in (explained["count"], explained["tags"][0], explained["rows"][0]["a"], explained["address"]["street"]):
        assert set(entry) == {"success", "confidence", "type", "value"}
        assert (entry["success"], entry["value"]) == (True, "")


def test_a_found_value_says_where_it_stands_and_counts_pages_from_1():
    """[live]: an entry for each line of a value, with boundingBox, vertices and page."""
    page = [*INVOICE_PAGE, (50, 200, "Bill to"), (50, 214, "Acme"), (50, 228, "9 High Street"), (50, 242, "Leeds LS1")]
    (explained,) = segment(pdf(page), blueprints=[INVOICE]).custom["explainability_info"]

    number = explained["InvoiceNumber"]
    assert set(number) == {"success", "confidence", "type", "value", "geometry"}
    assert len(number["geometry"]) == 1
    assert len(explained["CustomerAddress"]["geometry"]) == 2
    for place in (*number["geometry"], *explained["CustomerAddress"]["geometry"]):
        assert set(place) == {"boundingBox", "vertices", "page"}
        assert set(place["boundingBox"]) == {"left", "top", "width", "height"}
        assert place["page"] == 1


def with_blueprints(asked, *made):
    return type(asked)(**{**asked.__dict__, "made_blueprints": made})


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, None),
        ({"blueprints": [INVOICE, RECEIPT]}, "NO_MATCH"),
        ({"blueprints": [RECEIPT]}, "MATCH"),
        ({"blueprints": [INVOICE, RECEIPT], "project": ProjectConfiguration(fallback_arn=INVOICE)}, "FALLBACK"),
    ],
)
def test_the_status_of_a_custom_output(options, status):
    """[live]: NO_MATCH without an output, FALLBACK with the project's one, the only blueprint forced."""
    found = segment(pdf(LETTER), **options)

    assert found.custom_status == status
    assert (found.custom is not None) == (status in {"MATCH", "FALLBACK"})


# --- images


def types(names):
    return {"state": "ENABLED", "types": list(names)} if names else {"state": "DISABLED"}


def image(categories, *, boxes=True, generated=()):
    return ProjectConfiguration(
        standard_output={
            "image": {
                "extraction": {
                    "category": {"state": "ENABLED", "types": list(categories)}
                    if categories
                    else {"state": "DISABLED"},
                    "boundingBox": {"state": "ENABLED" if boxes else "DISABLED"},
                },
                "generativeField": {"state": "ENABLED", "types": list(generated)}
                if generated
                else {"state": "DISABLED"},
            }
        }
    )


# [aws-code]: recorded in a notebook; color_depth and asset_id are not in it.
IMAGE_METADATA = {
    "semantic_modality", "s3_bucket", "s3_key", "image_width_pixels", "image_height_pixels", "image_encoding",
}  # fmt: skip
IMAGE_COUNTS = {"iab_category_count", "content_moderation_count", "logo_count", "line_count", "word_count"}


def test_the_default_of_an_image_is_its_summary_and_its_text():
    """[docs]: image summary and text detection are enabled by default."""
    result = standard(photo())

    assert set(result) == {"metadata", "image", "statistics"}
    assert set(result["metadata"]) == IMAGE_METADATA
    assert result["metadata"]["image_encoding"] == "jpeg"
    assert set(result["image"]) == {"summary", "text_words", "text_lines"}
    assert "placeholder" in result["image"]["summary"]
    assert set(result["statistics"]) == IMAGE_COUNTS


@pytest.mark.parametrize(
    ("project", "keys"),
    [
        (image([]), set()),
        (image(["TEXT_DETECTION"]), {"text_words", "text_lines"}),
        (image(["CONTENT_MODERATION"]), {"content_moderation"}),
        (image(["LOGOS"]), {"logos"}),
        (image([], generated=["IAB"]), {"iab_categories"}),
        (image([], generated=["IMAGE_SUMMARY"]), {"summary"}),
        (
            image(["TEXT_DETECTION", "LOGOS", "CONTENT_MODERATION"], generated=["IAB", "IMAGE_SUMMARY"]),
            {"summary", "iab_categories", "content_moderation", "logos", "text_words", "text_lines"},
        ),
    ],
)
def test_categories_decide_what_an_image_has(project, keys):
    assert set(standard(photo(), project)["image"]) == keys


@pytest.mark.skipif(not has_ocr(), reason="rapidocr is not installed")
@pytest.mark.parametrize("boxes", [True, False])
def test_texts_of_an_image_have_the_keys_of_the_service(boxes):
    """[docs]: words and lines with a type, words with line_id, places with a polygon."""
    result = standard(photo(text="OPEN DAILY"), image(["TEXT_DETECTION"], boxes=boxes))["image"]

    place = {"locations"} if boxes else set()
    assert result["text_lines"]
    for line in result["text_lines"]:
        assert set(line) == {"id", "type", "text", "confidence"} | place
        assert line["type"] == "TEXT_LINE"
    for word in result["text_words"]:
        assert set(word) == {"id", "type", "text", "confidence", "line_id"} | place
        assert word["type"] == "TEXT_WORD"
        assert all(set(each) == {"bounding_box", "polygon"} for each in word.get("locations", ()))


def made(kind, version=None):
    schema = {"class": "Advert", "properties": {"brand": {"type": "string"}, "has_people": {"type": "boolean"}}}
    arn = "arn:aws:bedrock:us-east-1:123456789012:blueprint/aaaabbbbcccc"
    return MadeBlueprint(arn, "adverts", json.dumps(schema), kind, version)


def custom_of(data, blueprint):
    asked = with_blueprints(request(data, blueprints=[blueprint.arn], project=DEFAULT), blueprint)
    return Processor().process(asked).assets[0].segments[0]


@pytest.mark.parametrize(("version", "expected"), [(None, "1"), ("3", "3")])
def test_the_custom_output_of_an_image_names_the_version(version, expected):
    """[docs, aws-code]: matched_blueprint with a version, inference_result, and nothing else."""
    found = custom_of(photo(), made("IMAGE", version))

    assert found.custom_status == "MATCH"
    assert set(found.custom) == {"matched_blueprint", "inference_result"}
    assert set(found.custom["matched_blueprint"]) == {"arn", "name", "version", "confidence"}
    assert found.custom["matched_blueprint"]["version"] == expected
    assert found.custom["inference_result"] == {"brand": "", "has_people": ""}


@pytest.mark.parametrize(
    ("data", "kind"), [(photo(), "DOCUMENT"), (pdf(PAGE), "IMAGE"), (wav(), "VIDEO"), (wav(), "DOCUMENT")]
)
def test_a_blueprint_of_another_modality_matches_nothing(data, kind):
    found = custom_of(data, made(kind))

    assert (found.custom, found.custom_status) == (None, "NO_MATCH")


# --- sounds and videos


def media(kind, categories, generated):
    return ProjectConfiguration(
        standard_output={kind: {"extraction": {"category": types(categories)}, "generativeField": types(generated)}}
    )


AUDIO_METADATA = {
    "asset_id", "semantic_modality", "s3_bucket", "s3_key", "sample_rate", "bitrate", "number_of_channels", "codec",
    "duration_millis", "format", "dominant_asset_language", "generative_output_language",
}  # fmt: skip


def test_the_standard_output_of_a_sound():
    """[docs]: the parts and metadata, format in lower case; [live]: speaker_count and channel_count too."""
    result = standard(wav())

    assert set(result) == {"metadata", "audio", "audio_items", "audio_segments", "topics", "statistics"}
    assert set(result["metadata"]) == AUDIO_METADATA
    assert result["metadata"]["format"] == "wav"
    assert result["metadata"]["generative_output_language"] == "DEFAULT"
    assert set(result["audio"]) == {"summary", "transcript"}
    assert set(result["statistics"]) == {"word_count", "topic_count", "speaker_count", "channel_count"}


@pytest.mark.parametrize(
    ("categories", "generated", "keys"),
    [
        ([], [], set()),
        (["TRANSCRIPT"], [], {"transcript"}),
        (["AUDIO_CONTENT_MODERATION"], [], {"content_moderation"}),
        ([], ["AUDIO_SUMMARY"], {"summary"}),
        (
            ["TRANSCRIPT", "AUDIO_CONTENT_MODERATION"],
            ["AUDIO_SUMMARY", "TOPIC_SUMMARY"],
            {"summary", "transcript", "content_moderation"},
        ),
    ],
)
def test_categories_decide_what_a_sound_has(categories, generated, keys):
    assert set(standard(wav(), media("audio", categories, generated))["audio"]) == keys


def test_the_language_of_a_sound_is_what_the_project_expects():
    language = {"inputLanguages": ["DE"], "generativeOutputLanguage": "EN"}
    project = ProjectConfiguration(override={"audio": {"languageConfiguration": language}})
    metadata = standard(wav(), project)["metadata"]

    assert (metadata["dominant_asset_language"], metadata["generative_output_language"]) == ("DE", "EN")


def test_the_custom_output_of_a_sound():
    """[live]: languages, matched_blueprint and inference_result; it explains nothing."""
    found = custom_of(wav(), made("AUDIO"))

    assert found.custom_status == "MATCH"
    assert set(found.custom) == {"metadata", "matched_blueprint", "inference_result"}
    assert set(found.custom["metadata"]) == {"dominant_asset_language", "generative_output_language"}


VIDEO_METADATA = {
    "asset_id", "semantic_modality", "s3_bucket", "s3_key", "format", "frame_rate", "codec", "duration_millis",
    "frame_width", "frame_height",
}  # fmt: skip


def test_the_standard_output_of_a_video():
    """[docs]: the parts, and "QuickTime / MOV" as the format of an MP4."""
    result = standard(video("mp4", "mpeg4"))

    assert set(result) == {"metadata", "video", "shots", "chapters", "statistics"}
    assert set(result["metadata"]) == VIDEO_METADATA
    assert result["metadata"]["format"] == "QuickTime / MOV"
    assert set(result["video"]) == {"summary", "transcript"}
    assert set(result["statistics"]) == {"shot_count", "chapter_count", "speaker_count"}


@pytest.mark.parametrize(
    ("categories", "generated", "keys"),
    [
        ([], [], set()),
        (["TRANSCRIPT"], [], {"transcript"}),
        ([], ["VIDEO_SUMMARY"], {"summary"}),
        (["TRANSCRIPT", "LOGOS"], ["VIDEO_SUMMARY"], {"summary", "transcript"}),
    ],
)
def test_categories_decide_what_a_video_has(categories, generated, keys):
    assert set(standard(video("mp4", "mpeg4"), media("video", categories, generated))["video"]) == keys


def test_the_custom_output_of_a_video():
    """[aws-code]: the metadata of the video, matched_blueprint, inference_result and chapters."""
    found = custom_of(video("mp4", "mpeg4"), made("VIDEO"))

    assert set(found.custom) == {"metadata", "matched_blueprint", "inference_result", "chapters"}
    assert set(found.custom["metadata"]) == VIDEO_METADATA


# --- overrides


@pytest.mark.parametrize(
    ("form", "wanted", "modality"),
    [
        ("PNG", "DOCUMENT", Modality.DOCUMENT),
        ("JPEG", "DOCUMENT", Modality.DOCUMENT),
        ("PNG", "IMAGE", Modality.IMAGE),
    ],
)
def test_modality_routing_decides_over_the_content(form, wanted, modality):
    """[docs]: JPEGs and PNGs go to the modality that the project names; [live]: with the file's own type."""
    project = ProjectConfiguration(override={"modalityRouting": {form.lower(): wanted}})
    processed = Processor().process(request(photo(form), project=project))

    assert processed.modality is modality
    assert project.routed_modality(photo(form)) is modality
    assert project.routed_modality(pdf(PAGE)) is None
    if modality is Modality.DOCUMENT:
        assert processed.assets[0].segments[0].standard["metadata"]["file_type"] == form


def test_bytes_of_a_picture_are_of_the_type_image():
    """[live]: a PNG sent as bytes to the synchronous API has file_type IMAGE, and no place in S3."""
    asked = request(photo("PNG"), project=ProjectConfiguration(override={"modalityRouting": {"png": "DOCUMENT"}}))
    sync = type(asked)(**{**asked.__dict__, "bucket": "", "key": "", "sync": True})
    metadata = Processor().process(sync).assets[0].segments[0].standard["metadata"]

    assert metadata["file_type"] == "IMAGE"
    assert "s3_bucket" not in metadata


@pytest.mark.parametrize(
    ("data", "modality"),
    [(pdf(PAGE), "document"), (photo(), "image"), (wav(), "audio"), (video("mp4", "mpeg4"), "video")],
)
def test_a_disabled_modality_is_not_processed(data, modality):
    project = ProjectConfiguration(override={modality: {"modalityProcessing": {"state": "DISABLED"}}})
    with pytest.raises(InputError, match="overrideConfiguration disables"):
        Processor().process(request(data, project=project))


@pytest.mark.parametrize("mode", ["DETECTION", "DETECTION_AND_REDACTION"])
def test_sensitive_data_is_not_looked_for_and_the_job_and_the_log_say_so(mode, caplog):
    """How the service writes findings is not public, so none are made up."""
    override = {"sensitiveDataConfiguration": {"detectionMode": mode}}
    processor = Processor()
    for modality in ("document", "document", "image"):
        project = ProjectConfiguration(override={modality: override})
        processed = processor.process(request(pdf(PAGE), project=project))
        (segment,) = processed.assets[0].segments

        assert segment.standard.keys() == standard(pdf(PAGE)).keys()
        assert any("sensitive" in note.lower() for note in processed.notes) == (modality == "document")
    assert [record.getMessage()[:14] for record in caplog.records] == ["Sensitive data"]


def test_results_hold_no_key_of_the_emulator():
    for data in (pdf(PAGE), photo(), wav(), video("mp4", "mpeg4")):
        for project in (DEFAULT, EVERYTHING):
            assert "emulator_notes" not in json.dumps(standard(data, project))
