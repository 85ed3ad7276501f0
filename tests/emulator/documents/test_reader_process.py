"""Files that need much memory or time end their job, and nothing else."""

import io
import signal
import socket
import zipfile
import zlib
from dataclasses import replace
from importlib import resources

import docx
import pytest
from making_inputs import pdf, request
from PIL import Image

from airflow_bda.emulator.documents import InputError, Processor, reader_process
from airflow_bda.emulator.documents.pipeline import Work
from airflow_bda.emulator.documents.reader_process import ReaderPool
from airflow_bda.emulator.documents.reading import input_limits
from airflow_bda.emulator.documents.reading.docx import read_docx
from airflow_bda.emulator.documents.reading.images import has_ocr
from airflow_bda.emulator.documents.reading.input_limits import format_of

PAGE = [(50, 60, "A report", 20)]


def refused(data):
    with pytest.raises(InputError) as caught:
        Processor().process(request(data))
    assert caught.value.error_type == input_limits.LIMIT_EXCEEDED
    return caught.value.error_message


def deflated(pieces):
    packer = zlib.compressobj(1)
    return b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])


def raw_pdf(content, form=b""):
    """Make a page of a compressed content stream, with a form XObject /X."""
    resources = b"/Font<</F1 5 0 R>>/XObject<</X 6 0 R>>"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<<%b>>>>" % resources,
        b"<</Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</Font<</F1 5 0 R>>>>/Length %d>>stream\n%b\nendstream"
        % (len(form), form),
    ]
    file = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%b\nendobj\n" % (at, each) for at, each in enumerate(objects, 1))
    return file + b"trailer<</Size 7/Root 1 0 R>>\n%%EOF"


def test_a_page_that_unpacks_to_more_memory_than_a_reader_has_ends_its_job_alone():
    bomb = raw_pdf(deflated([b" " * 1_000_000] * 1_200))
    assert len(bomb) < 10_000_000

    assert "2,000 MB of memory" in refused(bomb)
    assert Processor().process(request(pdf(PAGE))).assets


@pytest.mark.parametrize(
    "data",
    [
        raw_pdf(deflated([b"BT /F1 1 Tf ", b"1 0 0 1 10 10 Tm (a b) Tj " * 40_000, b"ET"])),
        raw_pdf(deflated([b"/X Do " * 1_000]), b"BT /F1 1 Tf " + b"(abcdefghi) Tj " * 100 + b"ET"),
        raw_pdf(deflated([b"0 0 m 9 9 l S " * 101_000])),
    ],
    ids=["words", "a form drawn again and again", "lines"],
)
def test_a_page_that_draws_too_much_is_refused(data):
    assert len(data) < 20_000
    assert "Page 1 draws more than the 100,000 characters and paths" in refused(data)


def nested_forms(depth):
    """Make a page of forms that draw the next one twice, and the last one nothing."""
    forms = [
        b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X %d 0 R>>>>/Length 11>>"
        b"stream\n/X Do /X Do\nendstream" % (number + 6)
        for number in range(depth)
    ]
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>>>>>",
        b"<</Length 5>>stream\n/X Do\nendstream",
        *forms,
        b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Length 0>>stream\n\nendstream",
    ]
    file = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%b\nendobj\n" % (at, each) for at, each in enumerate(objects, 1))
    return file + b"trailer<</Size %d/Root 1 0 R>>\n%%%%EOF" % (len(objects) + 1)


def test_forms_that_double_are_refused():
    assert "Page 1 draws more than the 10,000 forms" in refused(nested_forms(30))
    assert Processor().process(request(nested_forms(5))).assets


def word_file(body):
    file = io.BytesIO()
    docx.Document().save(file)
    made = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, text.replace(b"<w:body>", b"<w:body>" + body) if name == "word/document.xml" else text)
    return made.getvalue()


def test_a_docx_of_very_many_elements_is_refused_before_it_is_parsed():
    bomb = word_file(b"<w:p/>" * 2_000_000)
    assert len(bomb) < 100_000

    assert "more than 1,000,000 tags" in refused(bomb)


def test_a_docx_of_very_many_words_is_refused():
    words = b"<w:p><w:r><w:t>" + b"a " * 60_000 + b"</w:t></w:r></w:p>"

    assert "Page 1 has 60,000 words" in refused(word_file(words))


def test_a_docx_is_refused_at_the_first_word_too_many(monkeypatch):
    monkeypatch.setattr(input_limits, "MAX_PAGE_WORDS", 10)

    with pytest.raises(InputError, match="Page 1 has 11 words; the emulator reads 10"):
        read_docx(word_file(b"<w:p><w:r><w:t>a</w:t></w:r></w:p>" * 50), input_limits.ASYNC_DOCUMENT)


def test_a_docx_is_refused_at_the_first_page_too_many():
    limits = replace(input_limits.ASYNC_DOCUMENT, max_pages=2)
    page = b'<w:p><w:r><w:br w:type="page"/><w:t>a</w:t></w:r></w:p>'

    assert len(read_docx(word_file(page * 2), limits).pages) == 2
    with pytest.raises(InputError, match="The DOCX has more than 2 pages"):
        read_docx(word_file(page * 3), limits)


@pytest.mark.parametrize("body", [b"<w:p/>", b"<w:p><w:r><w:t>a</w:t></w:r></w:p>"], ids=["empty", "of a word"])
def test_the_steps_of_a_docx_are_short(body, monkeypatch):
    """A step has a time limit, and a DOCX of many paragraphs need not say where its pages end."""
    steps = []
    monkeypatch.setattr(input_limits.StepClock, "restart", lambda _: steps.append(None))
    read_docx(word_file(body * 5_500), input_limits.ASYNC_DOCUMENT)

    assert len(steps) == 6


def test_a_picture_beyond_any_decoder_is_refused_by_its_size():
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")

    assert "too big to be decoded" in refused(file.getvalue())


@pytest.fixture
def pool():
    made = ReaderPool()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGPROF, "took more than 20 s"), (signal.SIGKILL, "or broke the reader"), (signal.SIGSEGV, "or broke")],
)
def test_a_reader_that_dies_says_why_and_the_next_one_reads(pool, number, reason):
    pool.warm_up()
    pool._idle[0]._process.send_signal(number)
    pool._idle[0]._process.wait()

    with pytest.raises(InputError, match=reason) as caught:
        pool.read(Work(request(pdf(PAGE))))
    assert caught.value.error_type == input_limits.LIMIT_EXCEEDED
    assert pool.read(Work(request(pdf(PAGE)))).assets


def test_a_reader_that_had_no_work_for_long_is_replaced(pool):
    pool.warm_up()
    # As its own end after some minutes: it stops reading and leaves.
    with socket.socket(fileno=reader_process.os.dup(pool._idle[0]._pipe.fileno())) as ours:
        ours.shutdown(socket.SHUT_WR)
    assert pool._idle[0]._process.wait(10) == 0

    assert pool.read(Work(request(pdf(PAGE)))).assets


def test_a_process_is_used_again_and_given_up_after_many_inputs(pool, monkeypatch):
    used = set()
    monkeypatch.setattr(reader_process, "_MOST_INPUTS", 3)
    for _ in range(6):
        pool.warm_up()
        used.add(pool._idle[0]._process.pid)
        pool.read(Work(request(pdf(PAGE))))

    assert len(used) == 2


def test_only_one_process_with_the_engine_for_pictures_waits_for_more(pool):
    receipt = (resources.files("airflow_bda.emulator") / "samples" / "receipt.png").read_bytes()
    processes = []
    for other in (ReaderPool(), ReaderPool()):
        other.read(Work(request(receipt)))
        processes += other._idle
        pool._give_back(other._idle.pop())

    assert [process.has_engine for process in processes] == [has_ocr()] * 2
    assert pool._idle == (processes[:1] if has_ocr() else processes)


@pytest.mark.parametrize(
    "brand",
    [
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"hevc",
        b"hevx",
        b"hevm",
        b"hevs",
        b"mif1",
        b"mif2",
        b"msf1",
        b"avif",
        b"avis",
    ],
)
def test_no_brand_of_heif_is_a_video(brand):
    assert format_of(b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x00\x00") is None


def test_closing_a_pool_ends_its_processes(pool):
    pool.warm_up()
    process = pool._idle[0]._process
    pool.close()

    assert process.poll() is not None


def test_the_steps_of_a_file_have_a_limit_together(monkeypatch):
    monkeypatch.setattr(input_limits.signal, "setitimer", lambda *_: None)
    clock = input_limits.StepClock()
    clock.start()
    clock.restart()

    monkeypatch.setattr(input_limits, "MAX_CPU_SECONDS_OF_FILE", -1)
    with pytest.raises(InputError, match="Reading the file took more than"):
        clock.restart()
    clock.stop()
    clock.restart()
