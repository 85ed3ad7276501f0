"""The report: what it shows of a job's files, and that nothing in them becomes markup or leaves the page."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from airflow_bda import report
from airflow_bda.report import ReportedJob, build_report, write_report
from airflow_bda.report.data import report_data
from airflow_bda.service.results.job_result import assemble_result
from airflow_bda.service.results.metadata import JobMetadata

SCRIPT = "</script><script>document.title='taken over'</script><img src=x onerror=alert(1)>"
FOLDER = "s3://out/p/7a1f2c3d-0000-4000-8000-000000000001"


def box(left, top, width=0.2, height=0.02):
    return {"left": left, "top": top, "width": width, "height": height}


# In the shape of the service's files, PAGE and ELEMENT granularity with words; the values are made up.
STANDARD = {
    "metadata": {"semantic_modality": "DOCUMENT", "number_of_pages": 2, "start_page_index": 0, "end_page_index": 1},
    "document": {"statistics": {"element_count": 1}, "summary": "A letter about a boat."},
    "pages": [
        {
            "id": f"page-{index}",
            "page_index": index,
            "representation": {"markdown": f"# Page {index + 1}"},
            "asset_metadata": {"rectified_image_width_pixels": 1700, "rectified_image_height_pixels": 2200},
        }
        for index in (0, 1)
    ],
    "text_words": [
        {
            "id": "w1",
            "line_id": "l1",
            "page_index": 1,
            "text": "boat",
            "confidence": 0.41,
            "locations": {"page_index": 1, "bounding_box": box(0.3, 0.4)},
        }
    ],
}
CUSTOM = {
    "matched_blueprint": {"arn": "arn:aws:bedrock:us-east-1:aws:blueprint/x", "name": "Letter", "confidence": 0.93},
    "document_class": {"type": "Letter"},
    "split_document": {"page_indices": [0, 1]},
    "inference_result": {"Sender": SCRIPT, "Lines": [{"Text": "one"}, {"Text": "two"}], "Date": "", "Total": 12.5},
    "explainability_info": [
        {
            "Sender": {
                "success": True,
                "confidence": 0.31,
                "type": "string",
                "geometry": [
                    {"boundingBox": box(0.1, 0.1), "page": 1},
                    {"boundingBox": box(0.1, 0.2), "page": 2},
                    {"boundingBox": box(0, 0, 0, 0), "page": -1},
                ],
            },
            "Lines": [{"Text": {"confidence": 0.9}}, {"Text": {"confidence": 0.7}}],
            "Date": {"success": True, "confidence": 0.95},
            "Total": {"confidence": 0.88, "geometry": [{"boundingBox": box(0.5, 0.6), "page": 2}]},
        }
    ],
}


def job(custom=CUSTOM, standard=STANDARD, modality="DOCUMENT", key="letters/<b>a.png"):
    standard_uri, custom_uri = (f"{FOLDER}/0/{kind}_output/0/result.json" for kind in ("standard", "custom"))
    segment = {"standard_output_path": standard_uri, "custom_output_status": "NO_MATCH"}
    files = {standard_uri: json.dumps(standard)}
    if custom is not None:
        segment |= {"custom_output_path": custom_uri, "custom_output_status": "MATCH"}
        files[custom_uri] = json.dumps(custom)
    metadata = {
        "job_id": "7a1f2c3d-0000-4000-8000-000000000001",
        "job_status": "PROCESSED",
        "semantic_modality": modality,
        "output_metadata": [
            {
                "asset_id": 0,
                "asset_input_path": {"s3_bucket": "in", "s3_key": key},
                "segment_metadata": [segment],
            }
        ],
    }
    return assemble_result(JobMetadata.parse(json.dumps(metadata), f"{FOLDER}/job_metadata.json"), files)


def shown(*jobs):
    return report_data(jobs)["documents"]


def picture(size=(400, 600), kind="PNG", pages=1):
    made = io.BytesIO()
    frames = [Image.new("RGB", size, "white") for _ in range(pages)]
    more = {"save_all": True, "append_images": frames[1:]} if pages > 1 else {}
    frames[0].save(made, kind, **more)
    return made.getvalue()


def fields_of(document):
    return {field["path"]: field for field in document["segments"][0]["fields"]}


def test_every_valid_place_of_a_value_is_a_box():
    """`page: -1` with an empty box is no place; the pages count from 1 over the whole input."""
    (document,) = shown(ReportedJob(job()))

    assert fields_of(document)["Sender"]["places"] == [[1, 0.1, 0.1, 0.2, 0.02], [2, 0.1, 0.2, 0.2, 0.02]]
    assert [page["number"] for page in document["pages"]] == [1, 2]
    assert document["pages"][1]["words"] == [["boat", 0.3, 0.4, 0.2, 0.02, 0.41]]


def test_what_was_not_found_is_said_and_counts_in_no_confidence():
    (document,) = shown(ReportedJob(job()))

    assert fields_of(document)["Date"]["found"] is False
    assert document["segments"][0]["confidence"][0] == pytest.approx(0.31)
    assert document["segments"][0]["confidence"][1] == pytest.approx((0.31 + 0.9 + 0.7 + 0.88) / 4)


def test_pages_are_drawn_from_the_input_where_it_can_be_read():
    asked = []

    def read(uri):
        asked.append(uri)
        return picture(kind="TIFF", pages=2)

    (document,) = shown(ReportedJob(job(), read_input=read))

    assert asked == ["s3://in/letters/<b>a.png"]
    for page in document["pages"]:
        drawn = Image.open(io.BytesIO(base64.b64decode(page["picture"].removeprefix("data:image/webp;base64,"))))
        assert (drawn.size, (page["width"], page["height"])) == ((400, 600), (400, 600))


def test_pdf_pages_are_drawn(sample_pdf):
    (document,) = shown(ReportedJob(job(), read_input=lambda _: sample_pdf))

    assert document["pages"][0]["picture"].startswith("data:image/webp;base64,")
    assert document["pages"][1]["picture"] is None  # the PDF has one page
    assert document["pages"][1]["text"] == "# Page 2"


@pytest.mark.parametrize("content", [b"", b"no picture", b"%PDF-1.4 broken", picture()[:60]])
def test_a_document_that_cannot_be_drawn_still_has_its_report(content):
    (document,) = shown(ReportedJob(job(), read_input=lambda _: content))

    assert "The pages have no pictures" in document["notes"][0]
    assert [page["text"] for page in document["pages"]] == ["# Page 1", "# Page 2"]
    assert "Sender" in fields_of(document)


def test_an_input_that_cannot_be_read_still_has_its_report():
    def read(_):
        raise OSError("gone")

    (document,) = shown(ReportedJob(job(), read_input=read))

    assert document["notes"] == ["The pages have no pictures: s3://in/letters/<b>a.png cannot be read (OSError)."]


def test_no_more_pages_are_drawn_than_asked_for():
    (document,) = shown(ReportedJob(job(), read_input=lambda _: picture(kind="TIFF", pages=2), most_pages=1))

    assert [bool(page["picture"]) for page in document["pages"]] == [True, False]
    assert document["notes"] == ["1 of 2 pages have pictures; the others show their text."]


def test_an_earlier_run_is_compared_field_by_field():
    before = json.loads(json.dumps(CUSTOM))
    before["inference_result"] |= {"Total": 12, "Lines": [{"Text": "one"}], "Gone": "x"}

    fields = fields_of(shown(ReportedJob(job(), earlier=job(before)))[0])

    assert {path: field["change"] for path, field in fields.items()} == {
        "Sender": "same",
        "Lines[0].Text": "same",
        "Lines[1].Text": "added",
        "Date": "same",
        "Total": "changed",
        "Gone": "removed",
    }
    assert fields["Total"]["before"] == 12


def test_audio_has_a_timeline_and_a_transcript():
    audio = {
        "metadata": {"semantic_modality": "AUDIO", "duration_millis": 9000, "format": "wav"},
        "audio": {"summary": "A call."},
        "audio_segments": [
            {
                "segment_index": 0,
                "text": "Good morning.",
                "start_timestamp_millis": 500,
                "end_timestamp_millis": 2000,
                "speaker": {"speaker_label": "spk_0"},
            }
        ],
        "topics": [
            {"topic_index": 0, "summary": "Greeting", "start_timestamp_millis": 0, "end_timestamp_millis": 3000}
        ],
    }
    (document,) = shown(ReportedJob(job(None, audio, "AUDIO", "call.wav")))
    media = document["segments"][0]["media"]

    assert media["millis"] == 9000
    assert {track["name"]: track["items"] for track in media["tracks"]} == {
        "Topics": [{"start": 0, "end": 3000, "label": "Topic 1", "text": "Greeting"}],
        "Transcript": [{"start": 500, "end": 2000, "label": "spk_0", "text": "Good morning."}],
    }


def test_video_has_chapters_and_shots():
    video = {
        "metadata": {"semantic_modality": "VIDEO", "duration_millis": 60000},
        "video": {"transcript": {"representation": {"text": "All that is said."}}},
        "chapters": [
            {"chapter_index": 0, "start_timestamp_millis": 0, "end_timestamp_millis": 60000, "summary": "One."}
        ],
        "shots": [{"shot_index": 0, "start_timestamp_millis": 0, "end_timestamp_millis": 5000}],
    }
    (document,) = shown(ReportedJob(job(None, video, "VIDEO", "a.mp4")))

    tracks = {track["name"]: track["items"] for track in document["segments"][0]["media"]["tracks"]}
    assert tracks["Chapters"] == [{"start": 0, "end": 60000, "label": "Chapter 1", "text": "One."}]
    assert tracks["Shots"] == [{"start": 0, "end": 5000, "label": "Shot 1", "text": ""}]
    assert tracks["Transcript"] == [{"start": None, "end": None, "label": "", "text": "All that is said."}]


def test_an_image_shows_its_size_and_words():
    image = {
        "metadata": {"semantic_modality": "IMAGE", "image_width_pixels": 800, "image_height_pixels": 600},
        "image": {
            "text_words": [{"text": "SALE", "confidence": 0.99, "locations": [{"bounding_box": box(0.1, 0.1)}]}],
        },
    }
    (document,) = shown(ReportedJob(job(None, image, "IMAGE", "a.png")))

    assert [(page["width"], page["height"]) for page in document["pages"]] == [(800, 600)]
    assert document["pages"][0]["words"] == [["SALE", 0.1, 0.1, 0.2, 0.02, 0.99]]


class Elements(HTMLParser):
    """Collect the elements, attributes and script texts of a page, as a browser would see them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self._in = [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._in = tag

    def handle_data(self, data):
        self.texts.setdefault(self._in, []).append(data)

    def handle_endtag(self, tag):
        self._in = None


def test_nothing_in_a_document_becomes_markup():
    """Not its values, not its name, not its title."""
    plain = Elements(build_report([ReportedJob(job(key="a.png"))], title="plain"))
    hostile = Elements(build_report([ReportedJob(job(key=f"{SCRIPT}.png"))], title=SCRIPT))

    assert hostile.tags == plain.tags
    assert not [name for _, name, _ in hostile.attributes if name.startswith("on")]
    assert json.loads(hostile.texts["script"][0])["documents"][0]["segments"][0]["fields"][0]["value"] == SCRIPT


def test_the_page_allows_itself_no_more_than_what_is_in_it():
    page = build_report([ReportedJob(job())])
    policy = next(
        value for tag, name, value in Elements(page).attributes if tag == "meta" and (value or "").startswith("default")
    )

    assert "default-src 'none'" in policy
    for element in ("style", "script"):
        (text,) = re.findall(rf"<{element}>(.*?)</{element}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    assert not re.search(r"\bstyle=", page)


@pytest.mark.parametrize("value", ["\ud83d", 10**400, "\u2028", "\x00"])
def test_odd_values_still_make_a_page(value, tmp_path):
    custom = {**CUSTOM, "inference_result": {"Odd": value, "Nested": {"Value": [value]}}}
    file = tmp_path / "report.html"

    write_report(file, [ReportedJob(job(custom))])

    (data,) = re.findall(r'id="report-data">(.*?)</script>', file.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert json.loads(data, parse_constant=pytest.fail)
    assert list(tmp_path.iterdir()) == [file]


def colours(style, scheme):
    """Return a style's colours by name: the light ones, or those that a dark scheme puts over them."""
    light, dark = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light + (dark if scheme == "dark" else "")))
    return {name: tuple(int(code[place : place + 2], 16) / 255 for place in (1, 3, 5)) for name, code in found.items()}


def luminance(colour):
    """Return the relative luminance of WCAG 2."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def over(colour, opacity, back):
    return tuple(part * opacity + behind * (1 - opacity) for part, behind in zip(colour, back, strict=True))


STYLE = (Path(report.__file__).parent / "assets" / "report.css").read_text(encoding="utf-8")
BACKS = ("back", "panel", "accent-back")
TEXTS = [(text, back) for text in ("text", "quiet", "good", "unsure", "low", "none") for back in BACKS] + [
    *((kind, f"{kind}-back") for kind in ("good", "unsure", "low")),
    *(("text", back) for back in ("none-back", "unsure-back")),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_told_from_what_is_behind_it(scheme):
    """WCAG 2.2, level AA: 4.5 to 1 for text (1.4.3), 3 to 1 for edges of controls and for bars (1.4.11)."""
    shades = colours(STYLE, scheme)
    bars = {
        over(shades["accent"], float(opacity), shades["panel"]) for opacity in re.findall(r"opacity: (0?\.\d+)", STYLE)
    }

    assert {pair for pair in TEXTS if contrast(*(shades[name] for name in pair)) < 4.5} == set()
    assert [back for back in BACKS if contrast(shades["edge"], shades[back]) < 3] == []
    assert len(bars) == 2
    assert [bar for bar in bars if contrast(bar, shades["panel"]) < 3] == []


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def browsed(file, folder):
    """Return a page as it is when a browser has run its script."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    ended = subprocess.run(
        [
            CHROMIUM,
            *options,
            f"--user-data-dir={folder / 'profile'}",
            # Pictures load when a frame shows that they are in view.
            "--run-all-compositor-stages-before-draw",
            "--virtual-time-budget=5000",
            "--dump-dom",
            f"file://{file}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return ended.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH, in which the page's script could run")
def test_a_browser_shows_the_fields(tmp_path):
    """The script runs under the page's own policy, and shows what is in the files as text."""
    file = tmp_path / "report.html"
    write_report(file, [ReportedJob(job(), read_input=lambda _: picture(kind="TIFF", pages=2))])

    shown_page = Elements(browsed(file, tmp_path))

    assert "5 fields, 2 below 0.8, 1 not found" in shown_page.texts["span"]
    assert SCRIPT in shown_page.texts["span"]
    assert "img" in shown_page.tags  # the pictures of later pages load when they come into view
    assert "taken over" not in " ".join(shown_page.texts["title"])


AUDIO = {
    "metadata": {"semantic_modality": "AUDIO", "duration_millis": 9000, "format": "wav"},
    "audio": {"summary": "A call."},
    "audio_segments": [{"text": "Good morning.", "start_timestamp_millis": 500, "end_timestamp_millis": 2000}],
}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH, in which the page's script could run")
def test_a_browser_shows_what_was_said_where_there_are_no_fields(tmp_path):
    file = tmp_path / "report.html"
    write_report(file, [ReportedJob(job(None, AUDIO, "AUDIO", "call.wav"))])

    shown_page = browsed(file, tmp_path)

    assert 'id="tab-text" data-tab="text" aria-controls="panel" aria-selected="true"' in shown_page
    assert "Good morning." in Elements(shown_page).texts["span"]
