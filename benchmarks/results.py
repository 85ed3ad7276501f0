"""
What results cost: a document of 3,000 pages with every word (about 300 MB), and the tables of 10,000 documents.

Each measurement has a process of its own, since memory is the process's peak. S3 is replaced by files of this machine,
so that what is measured is this package: fetching, checking, decoding, writing rows. A task beside the async reader
wants to run every millisecond. How long it waits (loop_wait) has the pauses in it that a busy machine gives to others;
how much processor time this process used meanwhile (loop_block) has not: no more than that can the reader have kept it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from typing_extensions import Self

from airflow_bda.hooks.results import read_result, read_result_async
from airflow_bda.service.results.rows import rows_of_job
from airflow_bda.tables import open_table

METADATA = "s3://b/out/job/job_metadata.json"
STANDARD = "s3://b/out/job/0/standard_output/0/result.json"
CUSTOM = "s3://b/out/job/0/custom_output/0/result.json"
WORDS_A_PAGE = 330


def main() -> None:
    """Measure all, or be one of the measuring processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=3000)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--one", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(MEASUREMENTS[arguments.one](arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        write_document(file, arguments.pages)
        measured: dict[str, float] = {}
        for name in MEASUREMENTS:
            command = [sys.executable, __file__, f"--one={name}", f"--file={file}"]
            command += [f"--pages={arguments.pages}", f"--documents={arguments.documents}"]
            ended = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  ourselves
            measured |= json.loads(ended.stdout.splitlines()[-1])
        megabytes = file.stat().st_size / 1e6
    table = Table(
        title=f"results of {arguments.pages} pages ({megabytes:.0f} MB); tables of {arguments.documents} jobs"
    )
    table.add_column("what")
    table.add_column("measured", justify="right")
    for name, value in measured.items():
        table.add_row(name, f"{value:,.1f}")
    Console(stderr=True).print(table)
    for name, value in measured.items():
        print(name, round(value, 2))


def measure_sync(arguments: argparse.Namespace) -> dict[str, float]:
    """Read the large document, its text, and every word."""
    before, began = peak_mb(), time.process_time()
    (segment,) = read_result(Files({METADATA: metadata(), STANDARD: arguments.file}), METADATA).segments
    pages, read = segment.pages, time.process_time() - began
    began = time.process_time()
    words = sum(1 for _ in segment.standard.text_words)
    return {
        "results.seconds_per_1000_pages": read * 1000 / pages,
        "results.seconds_per_million_words": (time.process_time() - began) * 1e6 / words,
        "results.peak_mb_per_segment": peak_mb() - before,
    }


def measure_async(arguments: argparse.Namespace) -> dict[str, float]:
    """Read the large document beside a task that wants to run every millisecond."""
    waits: list[float] = []
    blocks: list[float] = []

    async def tick() -> None:
        while True:
            began, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(0.001)
            waits.append((time.perf_counter() - began - 0.001) * 1000)
            blocks.append(min(waits[-1], (time.process_time() - used) * 1000))

    async def read() -> None:
        ticking = asyncio.ensure_future(tick())
        await read_result_async(Files({METADATA: metadata(), STANDARD: arguments.file}), METADATA)
        ticking.cancel()

    asyncio.run(read())
    return {
        "results.loop_block_ms_max": max(blocks),
        "results.loop_block_ms_p999": sorted(blocks)[len(blocks) * 999 // 1000],
        "results.loop_wait_ms_max": max(waits),
    }


def measure_tables(arguments: argparse.Namespace) -> dict[str, float]:
    """Write the tables of many small documents, as Parquet."""
    files = Files({METADATA: metadata(custom=CUSTOM), STANDARD: small_document(), CUSTOM: small_fields()})
    read_result(files, METADATA)
    before, began, rows = peak_mb(), time.perf_counter(), 0
    with tempfile.TemporaryFile() as segments, tempfile.TemporaryFile() as fields:
        targets: dict[str, IO[bytes]] = {"segments": segments, "fields": fields}
        tables = {table: open_table(table, "parquet", targets[table]) for table in targets}
        for _ in range(arguments.documents):
            for table, row in rows_of_job(read_result(files, METADATA)):
                tables[table].write(row)
                rows += 1
        for writer in tables.values():
            writer.close()
    seconds = time.perf_counter() - began
    return {"results.rows_per_second": rows / seconds, "results.table_peak_mb": peak_mb() - before}


MEASUREMENTS = {"sync": measure_sync, "async": measure_async, "tables": measure_tables}


def peak_mb() -> float:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


class Files:
    """S3, as far as a result is read: blocking and async."""

    def __init__(self, files: dict[str, bytes | Path]) -> None:
        self._files = files

    def get_object(self, *, Bucket: str, Key: str) -> Any:  # noqa: N803  boto3's names
        """Return a body that is a response in async code as well."""
        content = self._files[f"s3://{Bucket}/{Key}"]
        return Response({"Body": Body(content.open("rb") if isinstance(content, Path) else io.BytesIO(content))})


class Response(dict[str, Any]):
    """A dictionary that can be awaited."""

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return self


class Body:
    """A stream that returns chunks of a fixed size."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self) -> bytes:
        """Return everything."""
        return self._file.read()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *ended: object) -> None:
        self._file.close()

    def iter_chunks(self, size: int) -> Any:
        """Return chunks, for `for` and for `async for`."""
        return Chunks(self._file, size)


class Chunks:
    """The chunks of a file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size

    def __iter__(self) -> Any:
        return iter(lambda: self._file.read(self._size), b"")

    async def __aiter__(self) -> Any:
        for chunk in self:
            yield chunk
            await asyncio.sleep(0)


def metadata(**paths: str) -> bytes:
    """Return the job's metadata."""
    segment = {"standard_output_path": STANDARD} | {f"{name}_output_path": uri for name, uri in paths.items()}
    place = {"s3_bucket": "b", "s3_key": "in.pdf"}
    return json.dumps(
        {
            "job_id": "job",
            "job_status": "PROCESSED",
            "semantic_modality": "DOCUMENT",
            "output_metadata": [{"asset_id": 0, "asset_input_path": place, "segment_metadata": [segment]}],
        }
    ).encode()


def small_document() -> bytes:
    """Return the standard output of one page with a little text."""
    page = {"id": "p", "page_index": 0, "representation": {"markdown": "word " * 300}}
    facts = {"semantic_modality": "DOCUMENT", "number_of_pages": 1}
    return json.dumps({"metadata": facts, "document": {}, "pages": [page]}).encode()


def small_fields() -> bytes:
    """Return a custom output with 20 fields, each with a place."""
    names = [f"Field{number}" for number in range(20)]
    box = {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.01}
    known = {"success": True, "confidence": 0.9, "type": "string", "geometry": [{"page": 1, "boundingBox": box}]}
    return json.dumps(
        {
            "matched_blueprint": {"arn": "arn", "name": "Invoice", "confidence": 0.9},
            "document_class": {"type": "Invoice"},
            "inference_result": dict.fromkeys(names, "a value"),
            "explainability_info": [dict.fromkeys(names, known)],
        }
    ).encode()


def write_document(file: Path, pages: int) -> None:
    """Write the standard output of many pages, with every line and word."""
    text = "word " * WORDS_A_PAGE
    with file.open("w") as out:
        facts = json.dumps({"semantic_modality": "DOCUMENT", "number_of_pages": pages})
        out.write(f'{{"metadata": {facts}, "document": {{}}')
        lists = {
            "pages": lambda page: [{"id": f"p{page}", "page_index": page, "representation": {"markdown": text}}],
            "elements": lambda page: [element(page, number, text[: len(text) // 3]) for number in range(3)],
            "text_lines": lambda page: [span(page, "line", number, "word " * 8) for number in range(40)],
            "text_words": lambda page: [span(page, "word", number, "word") for number in range(WORDS_A_PAGE)],
        }
        for name, items_of in lists.items():
            out.write(f', "{name}": [')
            for page in range(pages):
                out.write((", " if page else "") + ", ".join(json.dumps(item) for item in items_of(page)))
            out.write("]")
        out.write("}")


def element(page: int, number: int, text: str) -> dict[str, Any]:
    """Return a paragraph."""
    item = {"id": f"e{page}-{number}", "type": "TEXT", "sub_type": "PARAGRAPH", "reading_order": number}
    return item | {"page_indices": [page], "representation": {"markdown": text}}


def span(page: int, kind: str, number: int, text: str) -> dict[str, Any]:
    """Return a line or a word with its place."""
    box = {"left": 0.1 + number / 1e4, "top": 0.2, "width": 0.05123456, "height": 0.0123456}
    item = {"id": f"{kind}-{page}-{number}", "text": text, "confidence": 0.991, "page_index": page}
    return item | {"line_id": f"line-{page}-{number // 8}", "locations": [{"page_index": page, "bounding_box": box}]}


if __name__ == "__main__":
    main()
