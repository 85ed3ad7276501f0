"""Make the sample inputs of the emulator; the same files on every run."""

from __future__ import annotations

import math
import random
import struct
import wave
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFilter, ImageFont
from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Table, TableStyle

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = Path(__file__).parents[1] / "airflow_bda" / "emulator" / "samples"

LEFT, RIGHT = 56, A4[0] - 56
LINE_ITEMS = (
    ("Gauge mount GM-40", "12", "18.50", "222.00"),
    ("Rain gauge, tipping bucket", "6", "142.00", "852.00"),
    ("Sensor cable, 10 m", "12", "9.75", "117.00"),
    ("Data logger, 4 channels", "2", "389.00", "778.00"),
    ("Solar panel, 20 W", "2", "64.90", "129.80"),
    ("Site survey and installation", "8", "75.00", "600.00"),
)
TOTALS = (
    ("Subtotal", "$2,698.80"),
    ("Shipping", "$85.00"),
    ("Sales tax (7.5%)", "$202.41"),
    ("Total due", "$2,986.21"),
)
TERMS = (
    "Please pay by bank transfer and give the invoice number. Goods stay ours until they are",
    "paid. Claims within fourteen days of delivery. Thank you for working with us.",
)

# A text in the middle, a text and an amount at the edges, or a quantity, a text and an amount in columns.
RECEIPT = (
    ("Corner Bakery & Cafe",),
    ("27 Harbor Lane, Portland, ME",),
    ("",),
    ("RECEIPT",),
    ("Merchant: Corner Bakery & Cafe",),
    ("Receipt No: 004-18263",),
    ("Date: 03/14/2026  08:42",),
    ("Currency: USD",),
    ("",),
    ("Qty", "Item", "Amount"),
    ("2", "Cappuccino", "9.00"),
    ("1", "Almond croissant", "4.25"),
    ("1", "Rye bread", "6.80"),
    ("3", "Oat cookie", "5.25"),
    ("",),
    ("Subtotal", "25.30"),
    ("Tax", "1.39"),
    ("TOTAL", "$26.69"),
    ("Payment method", "VISA"),
    ("",),
    ("Thank you, see you soon!",),
)

SAMPLE_RATE = 16_000
TONES = ((440.0, 0.4), (554.37, 0.4), (659.25, 0.7))


def make_invoice(path: Path) -> None:
    """Two pages: a table of line items, then the totals and terms."""
    # Without this, each run writes the time and another document id.
    rl_config.invariant = 1
    canvas = Canvas(str(path), pagesize=A4, pageCompression=1)
    canvas.setTitle("Invoice TR-2026-0417")
    canvas.setFont("Helvetica", 9)
    canvas.drawString(LEFT, 803, "From:")
    canvas.setFont("Helvetica-Bold", 20)
    canvas.drawString(LEFT, 780, "Tern River Instruments")
    canvas.setFont("Helvetica", 9)
    canvas.drawString(LEFT, 764, "410 Quay Street, Duluth, MN 55802")
    canvas.setFont("Helvetica-Bold", 16)
    canvas.drawRightString(RIGHT, 780, "INVOICE")
    facts = (
        ("Invoice number:", "TR-2026-0417"),
        ("Invoice date:", "April 17, 2026"),
        ("Due date:", "May 17, 2026"),
        ("Purchase order:", "PO-88213"),
        ("Payment terms:", "Net 30 days"),
        ("Currency:", "USD"),
    )
    write_pairs(canvas, 340, RIGHT, 730, facts)
    canvas.setFont("Helvetica-Bold", 10)
    canvas.drawString(LEFT, 730, "Bill to:")
    canvas.setFont("Helvetica", 10)
    for number, line in enumerate(("Blue Heron Watershed Trust", "1200 Mill Road, Suite 4", "Asheville, NC 28801")):
        canvas.drawString(LEFT, 716 - 14 * number, line)
    table = Table(
        [("Description", "Quantity", "Unit price", "Amount"), *LINE_ITEMS],
        colWidths=[250, 70, 80, RIGHT - LEFT - 400],
        rowHeights=22,
    )
    table.setStyle(
        TableStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
                ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 10),
                ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
                ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ]
        )
    )
    table.wrapOn(canvas, RIGHT - LEFT, 400)
    table.drawOn(canvas, LEFT, 610 - 22 * (len(LINE_ITEMS) + 1))
    write_page_number(canvas, 1)
    canvas.showPage()
    canvas.setFont("Helvetica", 10)
    canvas.drawString(LEFT, 780, "Tern River Instruments")
    write_pairs(canvas, 340, RIGHT, 740, TOTALS)
    canvas.setFont("Helvetica", 9)
    for number, line in enumerate(TERMS):
        canvas.drawString(LEFT, 640 - 13 * number, line)
    write_page_number(canvas, 2)
    canvas.save()


def write_pairs(canvas: Canvas, left: float, right: float, top: float, pairs: Sequence[tuple[str, str]]) -> None:
    """Write labels on the left and their values on the right."""
    for number, (label, value) in enumerate(pairs):
        canvas.setFont("Helvetica-Bold", 10)
        canvas.drawString(left, top - 15 * number, label)
        canvas.setFont("Helvetica", 10)
        canvas.drawRightString(right, top - 15 * number, value)


def write_page_number(canvas: Canvas, page: int) -> None:
    """Write the foot of a page."""
    canvas.setFont("Helvetica", 8)
    canvas.drawCentredString(A4[0] / 2, 40, f"Page {page} of 2")


def make_receipt(path: Path) -> None:
    """Make a slip that looks scanned: turned a little, soft, grainy, on a darker ground."""
    chance = random.Random(20260314)  # noqa: S311 - grain of a picture, the same on every run
    width, line_height, margin = 560, 36, 36
    slip = Image.new("L", (width, margin * 2 + line_height * len(RECEIPT)), 250)
    draw = ImageDraw.Draw(slip)
    for number, texts in enumerate(RECEIPT):
        font = ImageFont.load_default(30 if number == 0 else 24)
        y = margin + line_height * number
        if len(texts) == 1:
            draw.text((width / 2, y), texts[0], font=font, fill=40, anchor="ma")
            continue
        *left, amount = texts
        for column, text in enumerate(left):
            draw.text((margin + 90 * column, y), text, font=font, fill=40)
        draw.text((width - margin, y), amount, font=font, fill=40, anchor="ra")
    scan = Image.new("L", (slip.width + 60, slip.height + 60), 205)
    turned = slip.rotate(1.2, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=205)
    scan.paste(turned, ((scan.width - turned.width) // 2, (scan.height - turned.height) // 2))
    scan = scan.filter(ImageFilter.GaussianBlur(0.6))
    coarse = (scan.width // 2, scan.height // 2)
    clean = Image.frombytes("L", coarse, bytes(chance.choice((0, 255, 255)) for _ in range(coarse[0] * coarse[1])))
    darker = scan.point(lambda level: max(level - 12, 0))
    scan = Image.composite(scan, darker, clean.resize(scan.size, Image.Resampling.NEAREST))
    # Few greys keep the file small and the grain visible.
    scan.quantize(12).save(path, optimize=True)


def make_note(path: Path) -> None:
    """Make three rising tones, each fading in and out."""
    frames = bytearray()
    for frequency, seconds in TONES:
        count = int(SAMPLE_RATE * seconds)
        for at in range(count):
            loudness = 9000 * math.sin(math.pi * at / count)
            frames += struct.pack("<h", int(loudness * math.sin(2 * math.pi * frequency * at / SAMPLE_RATE)))
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes(bytes(frames))


def main() -> None:
    """Write all samples."""
    SAMPLES.mkdir(exist_ok=True)
    make_invoice(SAMPLES / "invoice.pdf")
    make_receipt(SAMPLES / "receipt.png")
    make_note(SAMPLES / "note.wav")
    for path in sorted(SAMPLES.iterdir()):
        print(f"{path.name} {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
