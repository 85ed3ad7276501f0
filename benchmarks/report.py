"""
What a report costs, by page, and what a DAG file pays for importing operators.

The document has 50 pages of text, each with 300 words that have a place and ten fields. The pages are drawn and the
file is written as `airflow-bda report` does. Seconds are processor time, so that other programs count for nothing.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from reportlab.pdfgen.canvas import Canvas
from rich.console import Console
from rich.table import Table

from airflow_bda.report import ReportedJob, write_report
from airflow_bda.service.results.job_result import assemble_result
from airflow_bda.service.results.metadata import JobMetadata

PAGES, WORDS_A_LINE, LINES_A_PAGE, FIELDS_A_PAGE = 50, 10, 30, 10
FOLDER = "s3://b/out/job"
STANDARD, CUSTOM = f"{FOLDER}/0/standard_output/0/result.json", f"{FOLDER}/0/custom_output/0/result.json"
IMPORTS = """
import json, time
from airflow.sdk import DAG, BaseOperator, Param, dag, task
sdk = time.process_time()
import airflow.providers.amazon.aws.operators.base_aws
amazon = time.process_time()
import airflow.triggers.base
triggers = time.process_time()
from airflow_bda import operators
for name in operators.__all__:
    getattr(operators, name)
ours = time.process_time()
print(json.dumps([ours - sdk, ours - amazon, ours - triggers, amazon - sdk]))
"""


def main() -> None:
    """Measure both; a folder as an argument keeps the report."""
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(sys.argv[1] if len(sys.argv) > 1 else temporary) / "report.html"
        measured = measure_report(file) | measure_imports()
    table = Table(title=f"a report of {PAGES} pages; the import of all operators")
    table.add_column("what")
    table.add_column("measured", justify="right")
    for name, value in measured.items():
        table.add_row(name, f"{value:,.3f}")
    Console(stderr=True).print(table)
    for name, value in measured.items():
        print(name, round(value, 3))


def measure_report(file: Path) -> dict[str, float]:
    """Write a report, and look at its size."""
    document, job = pdf(), result()
    began = time.process_time()
    write_report(file, [ReportedJob(job, read_input=lambda _uri: document)])
    seconds = time.process_time() - began
    return {
        "report.seconds_per_page": seconds / PAGES,
        "report.kb_per_page": file.stat().st_size / 1e3 / PAGES,
    }


def measure_imports() -> dict[str, float]:
    """Import what a DAG file imports, each time in a process of its own."""
    runs = []
    for _ in range(5):
        command = [sys.executable, "-c", IMPORTS]
        ended = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  ourselves
        runs.append(json.loads(ended.stdout.splitlines()[-1]))
    names = (
        "import.over_sdk_seconds",
        # What is ours: the Amazon provider's base class, from which every AWS operator is derived, brings boto3.
        "import.over_amazon_base_seconds",
        # Without Airflow's base class of triggers too, which every operator that can defer needs.
        "import.over_deferrable_base_seconds",
        "import.amazon_base_seconds",
    )
    return {name: median(run[place] for run in runs) for place, name in enumerate(names)}


def pdf() -> bytes:
    """Return a document with as much text on a page as a letter has."""
    file = io.BytesIO()
    canvas = Canvas(file, invariant=1)
    for page in range(PAGES):
        for line in range(LINES_A_PAGE):
            words = " ".join(f"word{page}.{line}.{number}" for number in range(WORDS_A_LINE))
            canvas.setFont("Helvetica", 8)
            canvas.drawString(50, 790 - 25 * line, words)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def result() -> Any:
    """Return what the service would have found in it."""
    place = {"s3_bucket": "b", "s3_key": "in.pdf"}
    segment = {
        "standard_output_path": STANDARD,
        "custom_output_path": CUSTOM,
        "custom_output_status": "MATCH",
    }
    asset = {"asset_id": 0, "asset_input_path": place, "segment_metadata": [segment]}
    metadata = {"job_id": "job", "semantic_modality": "DOCUMENT", "output_metadata": [asset]}
    parsed = JobMetadata.parse(json.dumps(metadata), f"{FOLDER}/job_metadata.json")
    return assemble_result(parsed, {STANDARD: json.dumps(standard()), CUSTOM: json.dumps(custom())})


def standard() -> dict[str, Any]:
    """Return pages and words."""
    pages = [{"id": f"p{page}", "page_index": page, "representation": {"text": "word " * 300}} for page in range(PAGES)]
    words = [
        {
            "id": f"w{page}-{line}-{number}",
            "text": f"word{page}.{line}.{number}",
            "confidence": 0.99,
            "page_index": page,
            "locations": [{"page_index": page, "bounding_box": box(0.08 + number * 0.08, 0.05 + line * 0.03)}],
        }
        for page in range(PAGES)
        for line in range(LINES_A_PAGE)
        for number in range(WORDS_A_LINE)
    ]
    facts = {"semantic_modality": "DOCUMENT", "number_of_pages": PAGES}
    return {"metadata": facts, "document": {}, "pages": pages, "text_words": words}


def custom() -> dict[str, Any]:
    """Return fields with places."""
    names = [(page, number) for page in range(PAGES) for number in range(FIELDS_A_PAGE)]
    return {
        "matched_blueprint": {"arn": "arn", "name": "Letter", "confidence": 0.9},
        "inference_result": {f"Field{page}_{number}": f"word{page}.{number}.0" for page, number in names},
        "explainability_info": [
            {
                f"Field{page}_{number}": {
                    "success": True,
                    "confidence": 0.4 + number / 20,
                    "type": "string",
                    "geometry": [{"page": page + 1, "boundingBox": box(0.08, 0.05 + number * 0.03)}],
                }
                for page, number in names
            }
        ],
    }


def box(left: float, top: float) -> dict[str, float]:
    """Return a box as large as a word."""
    return {"left": left, "top": top, "width": 0.07, "height": 0.012}


if __name__ == "__main__":
    main()
