"""Real input files, made for the tests."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from airflow_bda.emulator.documents import ProcessingRequest
from airflow_bda.emulator.documents.contract import ProjectConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REGION, ACCOUNT = "us-east-1", "123456789012"
INVOICE, RECEIPT, PAYSLIP = (
    f"arn:aws:bedrock:{REGION}:aws:blueprint/bedrock-data-automation-public-{name}"
    for name in ("invoice", "receipt", "payslip")
)

# x in points from the left, y in points from the top, the text; a fourth entry is the size of the print.
Placed = tuple[float, float, str] | tuple[float, float, str, float]


# A project that asks for all that a document's result can hold, short of generated fields and more files.
EVERYTHING = ProjectConfiguration(
    standard_output={
        "document": {
            "extraction": {
                "granularity": {"types": ["DOCUMENT", "PAGE", "ELEMENT", "LINE", "WORD"]},
                "boundingBox": {"state": "ENABLED"},
            },
            "outputFormat": {
                "textFormat": {"types": ["PLAIN_TEXT", "MARKDOWN", "HTML", "CSV"]},
                "additionalFileFormat": {"state": "DISABLED"},
            },
        }
    },
    override={"document": {"splitter": {"state": "ENABLED"}}},
)


def request(
    data: bytes,
    *,
    key: str = "in/a.pdf",
    blueprints: Sequence[str] = (),
    sync: bool = False,
    project: ProjectConfiguration = EVERYTHING,
):
    return ProcessingRequest(
        "in-bucket", key, data, tuple(blueprints), REGION, ACCOUNT, sync, project=project, job_folder="s3://out/p/job"
    )


def pdf(*pages: Iterable[Placed], pagesize=A4, **canvas_options) -> bytes:
    """Make a PDF with these texts; a negative x counts from the right edge and aligns to the right."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=pagesize, **canvas_options)
    for page in pages:
        for x, y, text, *size in page:
            canvas.setFont("Helvetica", size[0] if size else 10)
            if x < 0:
                canvas.drawRightString(pagesize[0] + x, pagesize[1] - y, text)
            else:
                canvas.drawString(x, pagesize[1] - y, text)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def table(top: float, columns: Sequence[float], *rows: Sequence[str], step: float = 18) -> list[Placed]:
    """Place rows of cells; a negative column is the right edge of its cells."""
    return [
        (x, top + step * number, text)
        for number, row in enumerate(rows)
        for x, text in zip(columns, row, strict=True)
        if text
    ]
