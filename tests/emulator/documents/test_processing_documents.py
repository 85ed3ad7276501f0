"""Documents of each format, whole and broken."""

import io
import zipfile

import docx
import pytest
from docx.enum.text import WD_BREAK
from making_inputs import INVOICE, pdf, request, table
from PIL import Image
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Table, TableStyle

from airflow_bda.emulator.documents import InputError, Processor
from airflow_bda.emulator.documents.pipeline import Work, process
from airflow_bda.emulator.documents.reading import docx as docx_reading
from airflow_bda.emulator.documents.reading import images, input_limits
from airflow_bda.service.s3 import Modality

PAGE = [
    (50, 60, "A report", 20),
    (50, 100, "The first paragraph has"),
    (50, 112, "two lines."),
    (50, 150, "The second one has one."),
    (280, 800, "Page 1 of 1", 8),
]


def standard(data, **options):
    processed = Processor().process(request(data, **options))
    assert processed.modality is Modality.DOCUMENT
    return processed.assets[0].segments[0].standard


def refused(data, **options):
    with pytest.raises(InputError) as caught:
        Processor().process(request(data, **options))
    return caught.value


def ruled_table_pdf():
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4)
    drawn = Table([["Name", "Size"], ["Oak", "20 m"], ["Elm", "30 m"]], colWidths=100)
    drawn.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 1, colors.black)]))
    drawn.wrapOn(canvas, 300, 300)
    drawn.drawOn(canvas, 50, 600)
    canvas.drawString(50, 700, "Trees")
    canvas.save()
    return file.getvalue()


def picture(size=(640, 480), mode="RGB", form="PNG", **options):
    file = io.BytesIO()
    Image.new(mode, size, "white").save(file, form, **options)
    return file.getvalue()


def word_file(build):
    document = docx.Document()
    build(document)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


# --- PDF


def test_a_pdf_gives_its_text_with_the_places_of_lines_and_words():
    result = standard(pdf(PAGE))

    assert result["metadata"] == {
        "asset_id": "0",
        "semantic_modality": "DOCUMENT",
        "s3_bucket": "in-bucket",
        "s3_key": "in/a.pdf",
        "logical_subdocument_id": "0",
        "number_of_pages": 1,
        "start_page_index": 0,
        "end_page_index": 0,
        "file_type": "PDF",
    }
    assert result["document"]["representation"]["text"].startswith("A report\nThe first paragraph has\ntwo lines.")
    assert result["document"]["statistics"] == {
        "element_count": 4,
        "table_count": 0,
        "figure_count": 0,
        "hyperlink_count": 0,
        "word_count": 17,
        "line_count": 5,
    }
    box = result["text_words"][0]["locations"][0]["bounding_box"]
    assert box["left"] == pytest.approx(50 / A4[0], abs=0.002)
    assert box["top"] + box["height"] == pytest.approx(60 / A4[1], abs=0.01)
    line_ids = {line["id"] for line in result["text_lines"]}
    assert {word["line_id"] for word in result["text_words"]} == line_ids


def test_elements_are_titles_paragraphs_and_page_numbers():
    result = standard(pdf(PAGE))

    assert [(each["sub_type"], each["representation"]["text"]) for each in result["elements"]] == [
        ("TITLE", "A report"),
        ("PARAGRAPH", "The first paragraph has\ntwo lines."),
        ("PARAGRAPH", "The second one has one."),
        ("PAGE_NUMBER", "Page 1 of 1"),
    ]
    assert result["document"]["representation"]["markdown"].startswith("# A report\n\nThe first")
    assert [each["reading_order"] for each in result["elements"]] == [0, 1, 2, 3]


def test_drawn_tables_are_elements_with_markdown_and_csv():
    result = standard(ruled_table_pdf())

    (found,) = (each for each in result["elements"] if each["type"] == "TABLE")
    assert found["representation"]["markdown"] == "| Name | Size |\n| --- | --- |\n| Oak | 20 m |\n| Elm | 30 m |"
    assert found["representation"]["csv"] == "Name,Size\nOak,20 m\nElm,30 m\n"
    assert found["headers"] == ["Name", "Size"]
    assert result["document"]["statistics"]["table_count"] == 1
    assert [each["representation"]["text"] for each in result["elements"] if each["type"] == "TEXT"] == ["Trees"]


def test_the_same_file_gives_the_same_result():
    data = pdf(PAGE)

    assert standard(data) == standard(data)


def test_an_empty_page_is_a_page():
    result = standard(pdf(PAGE, []))

    assert [page["page_index"] for page in result["pages"]] == [0, 1]
    assert result["pages"][1]["representation"]["text"] == ""


@pytest.mark.skipif(not images.has_ocr(), reason="rapidocr is not installed")
def test_a_scanned_page_is_read_by_ocr():
    scan = io.BytesIO()
    page = Image.new("RGB", (700, 300), "white")
    from PIL import ImageDraw, ImageFont

    ImageDraw.Draw(page).text((40, 60), "Invoice Number: INV-2044", font=ImageFont.load_default(36), fill="black")
    page.save(scan, "PDF")
    result = standard(scan.getvalue())

    assert "INV-2044" in result["document"]["representation"]["text"]
    word = next(each for each in result["text_words"] if "INV-2044" in each["text"])
    assert 0.5 < word["confidence"] <= 1
    assert word["locations"][0]["bounding_box"]["left"] > 0.3


def test_a_pdf_with_a_password_is_refused_by_that_name():
    error = refused(pdf(PAGE, encrypt=StandardEncryption("secret", ownerPassword="owner")))

    assert error.error_type == input_limits.PASSWORD_PROTECTED
    assert "password" in error.error_message


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.95])
def test_a_cut_off_pdf_never_breaks_the_processor(keep):
    data = pdf(PAGE)
    try:
        standard(data[: int(len(data) * keep)])
    except InputError as error:
        assert error.error_type == input_limits.INVALID_INPUT  # noqa: PT017 - a reader may also mend it
        assert "PDF" in error.error_message  # noqa: PT017 - as above


def test_a_synchronous_call_takes_ten_pages():
    data = pdf(*[PAGE] * 11)

    assert standard(data)["metadata"]["number_of_pages"] == 11
    error = refused(data, sync=True)
    assert error.error_type == input_limits.LIMIT_EXCEEDED
    assert "11 pages" in error.error_message
    assert "10" in error.error_message


def test_a_pdf_page_beyond_the_size_limit_is_refused():
    error = refused(pdf(PAGE, pagesize=(input_limits.MAX_PDF_SIDE_POINTS + 100, 500)))

    assert "9100 points" in error.error_message


@pytest.mark.parametrize(
    "data", [b"hello", b"PK\x03\x04 some other zip", b"%!PS-Adobe", b"<html></html>", b"\x00" * 100]
)
def test_what_is_no_known_format_is_refused_whatever_its_name(data):
    error = refused(data, key="a.pdf")

    assert error.error_type == input_limits.UNSUPPORTED_FORMAT
    assert "PDF" in error.error_message


def test_an_empty_file_is_refused():
    assert refused(b"").error_type == input_limits.INVALID_INPUT


def test_the_format_is_told_by_the_content_not_by_the_name():
    assert standard(pdf(PAGE), key="picture.png")["metadata"]["file_type"] == "PDF"


# --- DOCX


def test_a_docx_gives_paragraphs_tables_and_pages():
    def build(document):
        document.add_heading("Minutes", 0)
        document.add_paragraph("We met at noon.")
        cells = document.add_table(rows=2, cols=2)
        for row, column, text in ((0, 0, "Who"), (0, 1, "What"), (1, 0, "Ann"), (1, 1, "Tea")):
            cells.cell(row, column).text = text
        document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
        document.add_paragraph("The second page.")

    result = standard(word_file(build), key="a.docx")

    assert result["metadata"]["file_type"] == "DOCX"
    assert result["metadata"]["number_of_pages"] == 2
    assert result["document"]["representation"]["markdown"].startswith("# Minutes\n\nWe met at noon.\n\n| Who | What |")
    assert result["document"]["statistics"]["table_count"] == 1
    assert result["pages"][1]["representation"]["text"] == "The second page."
    assert "locations" not in result["text_words"][0]


def test_fields_are_found_in_a_docx_but_no_boxes_are_made_up():
    def build(document):
        document.add_heading("Invoice", 0)
        document.add_paragraph("Invoice Number:\tINV-77")
        document.add_paragraph("Invoice Date: 5 May 2026")
        cells = document.add_table(rows=2, cols=4)
        for column, (head, value) in enumerate(
            (("Description", "Desk"), ("Qty", "2"), ("Unit Price", "100.00"), ("Amount", "200.00"))
        ):
            cells.cell(0, column).text, cells.cell(1, column).text = head, value
        document.add_paragraph("Total:\t$200.00")

    segment = Processor().process(request(word_file(build), blueprints=[INVOICE])).assets[0].segments[0]

    found = segment.custom["inference_result"]
    assert (found["InvoiceNumber"], found["InvoiceDate"], found["Total"]) == ("INV-77", "2026-05-05", 200)
    assert found["LineItems"] == [{"Description": "Desk", "Quantity": 2, "UnitPrice": 100, "Amount": 200}]
    assert "geometry" not in segment.custom["explainability_info"][0]["Total"]


def test_a_synchronous_call_takes_no_docx():
    error = refused(word_file(lambda document: document.add_paragraph("x")), sync=True)

    assert error.error_type == input_limits.UNSUPPORTED_FORMAT


def test_a_zip_bomb_is_refused_before_it_unpacks(monkeypatch):
    monkeypatch.setattr(docx_reading, "MAX_DOCX_UNPACKED_BYTES", 1_000_000)
    file = io.BytesIO(word_file(lambda document: document.add_paragraph("x")))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/bomb.xml", b"0" * 2_000_000)

    with pytest.raises(InputError) as caught:
        process(Work(request(file.getvalue())))
    assert caught.value.error_type == input_limits.LIMIT_EXCEEDED
    assert len(file.getvalue()) < 100_000


def test_a_zip_that_lies_about_its_size_is_no_docx():
    """The size that an archive announces is not what it unpacks to; the reader stops at the announced one."""
    data = bytearray(word_file(lambda document: document.add_paragraph("x" * 100_000)))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")

    assert refused(bytes(data)).error_type == input_limits.INVALID_INPUT


@pytest.mark.parametrize("data", [b"PK\x03\x04word/", b"PK\x03\x04word/document.xml" + b"\xff" * 500])
def test_a_broken_docx_is_refused(data):
    assert refused(data).error_type == input_limits.INVALID_INPUT


# --- pictures


def test_the_frames_of_a_tiff_are_pages():
    file = io.BytesIO()
    frames = [Image.new("1", (200, 100), 1) for _ in range(3)]
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    result = standard(file.getvalue(), key="fax.tif")

    assert result["metadata"]["file_type"] == "TIFF"
    assert result["metadata"]["number_of_pages"] == 3


def test_a_picture_without_words_is_an_image():
    processed = Processor().process(request(picture(form="JPEG"), key="photo.jpg"))
    result = processed.assets[0].segments[0].standard

    assert processed.modality is Modality.IMAGE
    assert result["metadata"] == {
        "semantic_modality": "IMAGE",
        "s3_bucket": "in-bucket",
        "s3_key": "photo.jpg",
        "image_width_pixels": 640,
        "image_height_pixels": 480,
        "image_encoding": "jpeg",
    }
    assert result["image"]["text_words"] == []
    assert result["statistics"]["word_count"] == 0


def test_a_photo_is_turned_upright():
    file = io.BytesIO()
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (640, 480), "white").save(file, "JPEG", exif=turned)
    metadata = Processor().process(request(file.getvalue())).assets[0].segments[0].standard["metadata"]

    assert (metadata["image_width_pixels"], metadata["image_height_pixels"]) == (480, 640)


def test_an_image_of_more_than_five_megabytes_is_refused():
    data = picture() + b"\x00" * input_limits.MAX_IMAGE_BYTES

    error = refused(data)
    assert error.error_type == input_limits.LIMIT_EXCEEDED
    assert "5 MB" in error.error_message


def test_an_image_with_too_long_a_side_is_refused():
    error = refused(picture(size=(input_limits.MAX_IMAGE_SIDE_PIXELS + 1, 10)))

    assert "8001" in error.error_message


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_unopened():
    """One black bit for each of 144 million pixels: some kilobytes that decode to hundreds of megabytes."""
    data = picture(size=(12_000, 12_000), mode="1")
    assert len(data) < 100_000

    assert refused(data).error_type == input_limits.LIMIT_EXCEEDED


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_a_cut_off_picture_is_refused(form):
    data = picture(form=form)

    assert refused(data[: len(data) // 2]).error_type == input_limits.INVALID_INPUT


def test_pictures_have_no_text_where_no_ocr_is_installed(monkeypatch):
    monkeypatch.setattr(images, "_engine_parameters", lambda: None)
    processed = process(Work(request(picture())))

    assert any("pip install 'airflow-provider-bda[ocr]'" in note for note in processed.notes)


# --- before processing


@pytest.mark.parametrize(
    ("data", "key", "modality"),
    [
        (pdf(PAGE), "a", Modality.DOCUMENT),
        (picture(), "a.pdf", Modality.DOCUMENT),
        (picture(mode="RGB", form="JPEG"), "a.jpg", Modality.DOCUMENT),
        (b"RIFF\x00\x00\x00\x00WAVE", "a", Modality.AUDIO),
        (b"\x00\x00\x00\x20ftypisom", "a", Modality.VIDEO),
        (b"nonsense", "a.mp4", Modality.VIDEO),
        (b"nonsense", "a", Modality.DOCUMENT),
        (b"\x89PNG\r\n\x1a\n broken", "a.png", Modality.IMAGE),
    ],
)
def test_the_modality_is_guessed_for_anything(data, key, modality):
    assert Processor().modality_of(key, data) is modality


def test_a_colourful_picture_is_guessed_to_be_an_image():
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").point(lambda level: level // 2).save(file, "PNG")

    assert Processor().modality_of("a.png", file.getvalue()) is Modality.IMAGE


def test_tables_helper_places_cells():
    """The layouts of other tests rest on it."""
    assert table(10, (1, -2), ("a", "b"), ("c", "")) == [(1, 10, "a"), (-2, 10, "b"), (1, 28, "c")]
