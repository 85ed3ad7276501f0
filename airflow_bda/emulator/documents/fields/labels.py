"""
How a field may be labelled in a document, and how near a printed text comes to that.

A field's labels are its own name as words (``InvoiceNumber``: "invoice number"), what its instruction quotes
('Inv. No.'), what its instruction calls it ("The number of the invoice ..."), the usual synonyms of all these, and,
less sure, its name without the name of the document ("number", "date").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from rapidfuzz import fuzz, process

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_bda.emulator.documents.fields.blueprint_schema import Field

# Below this similarity, two texts are different labels: "subtotal" is no "total" (0.77), "due date" no "date" (0.67).
LABEL_THRESHOLD = 0.85
# Shorter labels must be met exactly: "date" and "rate" differ in one letter.
_EXACT_UP_TO = 5

# How sure each source of a label is.
_OF_NAME, _OF_QUOTE, _OF_SYNONYM, _OF_INSTRUCTION, _OF_SHORT_NAME = 1.0, 1.0, 0.97, 0.95, 0.88

_ABBREVIATIONS = {
    "no": "number", "nr": "number", "num": "number", "nbr": "number", "#": "number", "№": "number",
    "inv": "invoice", "amt": "amount", "qty": "quantity", "acct": "account", "addr": "address", "desc": "description",
    "ref": "reference", "dt": "date", "tel": "phone", "telephone": "phone", "ytd": "ytd", "po": "po", "emp": "employee",
    "dob": "birth", "exp": "expiration", "vat": "tax", "gst": "tax", "hst": "tax", "taxes": "tax", "id": "id",
}  # fmt: skip

# Words of one row are printed for each other. The first of a row is the plainest.
_SYNONYMS = (
    ("invoice number", "invoice id", "invoice", "bill number", "document number"),
    ("invoice date", "date of invoice", "bill date", "date of issue", "issue date", "issued on", "issued", "dated"),
    ("due date", "payment due", "payment due date", "due by", "pay by", "payable by", "date due", "due on", "due"),
    ("purchase order number", "purchase order", "po number", "po", "order number", "your order"),
    ("payment terms", "terms", "terms of payment"),
    ("vendor name", "supplier name", "seller name", "vendor", "supplier", "seller", "from", "sold by", "billed by",
     "remit to"),
    ("vendor address", "supplier address", "seller address", "from", "sold by", "remit to"),
    ("merchant address", "store address", "shop address", "store", "merchant", "shop"),
    ("customer name", "bill to name", "billed to name", "buyer name", "client name", "customer", "bill to",
     "billed to", "sold to", "buyer", "client", "invoice to", "invoiced to"),
    ("customer address", "billing address", "bill to address", "bill to", "billed to", "invoice to"),
    ("shipping address", "ship to address", "ship to", "deliver to", "delivery address"),
    ("subtotal", "sub total", "net amount", "net total", "total net", "amount before tax", "total before tax",
     "total excluding tax", "total excl tax"),
    ("tax amount", "tax", "sales tax", "total tax", "tax total", "value added tax"),
    ("total amount", "total", "grand total", "total due", "amount due", "balance due", "invoice total",
     "total amount due", "total payable", "amount payable", "total including tax", "total incl tax", "gross total",
     "gross amount", "total to pay", "please pay"),
    ("discount", "discount amount", "less discount"),
    ("shipping", "freight", "shipping and handling", "delivery", "postage", "shipping cost", "shipping amount"),
    ("receipt number", "receipt id", "receipt", "transaction number", "transaction id", "ticket number", "ticket",
     "check number", "order number"),
    ("transaction date", "date of purchase", "purchase date", "receipt date", "sale date", "date"),
    ("payment method", "paid by", "paid with", "payment type", "tender", "payment"),
    ("merchant name", "store name", "store", "merchant", "shop"),
    ("amount paid", "paid", "amount tendered", "cash"),
    ("change", "change due"),
    ("description", "item", "item description", "product", "article", "service", "details", "product description",
     "product name", "services", "particulars"),
    ("quantity", "units", "hours", "count", "pieces", "pcs"),
    ("unit price", "price", "rate", "price each", "unit cost", "each", "price per unit", "cost", "hourly rate"),
    ("line total", "amount", "total", "line amount", "total price", "extended price", "ext price", "sum", "net amount",
     "value", "price"),
    ("item code", "sku", "code", "product code", "item number", "part number", "article number", "product id"),
    ("employee name", "employee", "name", "name of employee"),
    ("employee id", "employee number", "personnel number", "staff number", "payroll number", "staff id"),
    ("employer name", "employer", "company", "company name"),
    ("pay period start date", "period start", "period beginning", "pay period start", "pay begin date",
     "period from", "start date"),
    ("pay period end date", "period end", "period ending", "pay period end", "pay end date", "period to", "end date"),
    ("pay date", "payment date", "check date", "date paid", "paid on", "date of payment"),
    ("gross pay", "gross earnings", "total earnings", "gross", "total gross", "gross wages", "current gross pay"),
    ("net pay", "take home pay", "net earnings", "total net pay", "net", "current net pay", "net amount"),
    ("total deductions", "deductions", "current deductions"),
    ("statement date", "date of statement"),
    ("account holder", "account name", "account holder name", "account owner"),
    ("opening balance", "beginning balance", "starting balance", "previous balance", "balance brought forward"),
    ("closing balance", "ending balance", "new balance", "balance carried forward", "current balance"),
    ("phone number", "phone", "mobile"),
    ("email address", "email", "e mail"),
    ("license number", "licence number", "dl", "driver license number", "dl number"),
    ("date of birth", "birth date", "birth"),
    ("expiration date", "expiry date", "expires", "expiration", "valid until"),
    ("current amount", "current", "this period", "amount"),
    ("year to date amount", "ytd", "year to date", "ytd amount"),
)  # fmt: skip

_NAME_BREAKS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_TEXT_PARTS = re.compile(r"[^\W\d_]+|\d+|[#№]")
_QUOTED = re.compile(r"['\"\u2018\u201c]([^'\"\u2018\u2019\u201c\u201d]{2,40})['\"\u2019\u201d]")
_FILLERS = frozenset({
    "the", "a", "an", "extract", "find", "get", "return", "give", "read", "unique", "full", "complete", "value", "of",
    "text", "string", "this", "exact", "specific",
})  # fmt: skip
_ENDS_OF_NAME = frozenset({
    "of", "on", "in", "for", "from", "by", "at", "to", "as", "that", "which", "who", "assigned", "printed", "shown",
    "including", "include", "if", "when", "where", "with", "is", "are", "and", "or", "may", "can", "should", "must",
    "issuing", "issued", "without", "format", "it",
})  # fmt: skip
_MAX_NAME_WORDS = 4


@dataclass(frozen=True)
class Hit:
    """A printed text that is a label of a field, and how sure that is."""

    field: Field
    similarity: float


@lru_cache(maxsize=10_000)
def normalise(text: str) -> str:
    """Return the words of a printed text in lower case, abbreviations written out, marks left out."""
    parts = _TEXT_PARTS.findall(text.lower().replace("p.o.", "po"))
    return " ".join(_ABBREVIATIONS.get(part, part) for part in parts)


def words_of_name(name: str) -> str:
    """Return a field's or class's name as words: ``InvoiceNumber``, ``invoice_number``, ``INVOICE-NUMBER``."""
    return normalise(_NAME_BREAKS.sub(" ", name))


class LabelIndex:
    """
    Finds the fields that a text may be the label of.

    :param fields: what to look for.
    :param document_class: the class whose name may be left out of a label.
    """

    def __init__(self, fields: Iterable[Field], document_class: str) -> None:
        self._entries = [
            (label, weight, field) for field in fields for label, weight in _labels_of(field, document_class).items()
        ]
        self._texts = [label for label, _, _ in self._entries]
        self._known: dict[str, list[Hit]] = {}

    def hits(self, text: str) -> list[Hit]:
        """Return the fields that a normalised text is a label of, the surest first; each field once."""
        if text not in self._known:
            self._known[text] = self._compare(text)
        return self._known[text]

    def _compare(self, text: str) -> list[Hit]:
        best: dict[Field, float] = {}
        for label, score, position in process.extract(
            text, self._texts, scorer=fuzz.ratio, score_cutoff=LABEL_THRESHOLD * 100, limit=None
        ):
            if min(len(label), len(text)) <= _EXACT_UP_TO and label != text:
                continue
            _, weight, field = self._entries[position]
            best[field] = max(best.get(field, 0.0), score / 100 * weight)
        return sorted((Hit(*each) for each in best.items()), key=lambda hit: -hit.similarity)

    def is_label(self, text: str) -> bool:
        """Whether a printed text is, as a whole, a label of any field."""
        return bool(self.hits(normalise(text)))


def _labels_of(field: Field, document_class: str) -> dict[str, float]:
    labels: dict[str, float] = {}

    def add(label: str, weight: float) -> None:
        if label:
            labels[label] = max(labels.get(label, 0.0), weight)

    name = words_of_name(field.name)
    add(name, _OF_NAME)
    for parent in field.parents[-1:]:
        add(f"{words_of_name(parent)} {name}", _OF_NAME)
    for quoted in _QUOTED.findall(field.instruction):
        add(normalise(quoted), _OF_QUOTE)
    add(_name_in_instruction(field.instruction), _OF_INSTRUCTION)
    for label, weight in tuple(labels.items()):
        for synonym in _synonym_rows().get(label, ()):
            add(synonym, weight * _OF_SYNONYM)
    # Without the words of the document's class: "date" for the invoice date of an invoice.
    words_of_class = words_of_name(document_class).split()
    left_out = {word.removesuffix("s") for word in words_of_class} | set(words_of_class)
    rest = [word for word in name.split() if word not in left_out]
    if len(rest) < len(name.split()):
        add(" ".join(rest), _OF_SHORT_NAME)
    return labels


@cache
def _synonym_rows() -> dict[str, tuple[str, ...]]:
    """Return what else is printed for a label. Only the plainest word of a row stands for the whole row."""
    rows: dict[str, tuple[str, ...]] = {}
    for row in _SYNONYMS:
        words = tuple(dict.fromkeys(normalise(each) for each in row))
        # A word that is no plainer name of its own row may still lead to the row by its first, unambiguous entries.
        for word in words[:3]:
            rows.setdefault(word, words)
        rows[words[0]] = words
    return rows


def _name_in_instruction(instruction: str) -> str:
    """Return what an instruction calls the field: "The unique invoice number assigned by ..." says invoice number."""
    words = re.findall(r"[\w'#.]+", instruction.lower())
    while words and words[0] in _FILLERS:
        words.pop(0)
    name: list[str] = []
    for word in words:
        if word in _ENDS_OF_NAME or len(name) > _MAX_NAME_WORDS:
            break
        name.append(word.strip("."))
        if word.endswith("."):
            break
    return normalise(" ".join(name)) if len(name) <= _MAX_NAME_WORDS else ""
