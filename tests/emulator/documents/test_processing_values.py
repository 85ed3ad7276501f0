"""Numbers and dates as documents print them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.emulator.documents.fields.values import (
    date_format,
    find_date,
    find_numbers,
    parse_digits,
    parse_truth,
)

AMOUNTS = st.integers(min_value=0, max_value=10**12 - 1)
DATES = st.dates(min_value=date(1970, 1, 1), max_value=date(2069, 12, 31))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.56", 1234.56),
        ("1.234,56", 1234.56),
        ("1'234.50", 1234.5),
        ("1 234,56", 1234.56),
        ("1,23,456.00", 123456.0),
        ("1.234", 1234.0),
        ("0.125", 0.125),
        ("12.5", 12.5),
        ("2026", 2026.0),
        ("1.2.3", None),
        ("12,34,5", None),
    ],
)
def test_digits_are_read_with_either_kind_of_separators(text, value):
    assert parse_digits(text) == value


@given(cents=AMOUNTS)
def test_an_amount_is_the_same_in_american_and_in_european_print(cents):
    american = f"{cents / 100:,.2f}"
    european = american.translate(str.maketrans(",.", ".,"))

    assert parse_digits(american) == parse_digits(european) == pytest.approx(cents / 100)


@given(
    cents=AMOUNTS, pattern=st.sampled_from(["-{}", "({})", "-${}", "$-{}", "{}-", "\u2212{}", "({} EUR)", "-{} USD"])
)
def test_every_print_of_a_negative_amount_is_negative(cents, pattern):
    (number,) = find_numbers(f"Balance {pattern.format(f'{cents / 100:,.2f}')} today")

    assert number.value == pytest.approx(-cents / 100)
    assert number.is_money


@pytest.mark.parametrize("text", ["A-17", "2026-01-05", "05/01/2026", "8:30", "INV2026", "12.50.2026", "v1.2.3", "1/2"])
def test_codes_dates_and_times_are_no_numbers(text):
    assert find_numbers(text) == []


def test_percents_and_plain_numbers_are_told_from_money():
    found = find_numbers("VAT 20 % of 3 items at $5: 1,000.00")

    assert [(each.value, each.is_percent, each.is_money) for each in found] == [
        (20.0, True, False),
        (3.0, False, False),
        (5.0, False, True),
        (1000.0, False, True),
    ]


@given(text=st.text(max_size=60))
def test_no_text_breaks_the_parsers(text):
    for number in find_numbers(text):
        assert text[number.start : number.end]
    found = find_date(text)
    assert found is None or text[found.start : found.end]


@given(
    day=DATES,
    form=st.sampled_from(
        ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d %B %Y", "%B %d, %Y", "%d %b %Y", "%m/%d/%y", "%d-%b-%Y"]
    ),
)
def test_a_date_is_read_from_every_usual_print(day, form):
    text = f"on {day.strftime(form)} at noon"
    found = find_date(text)

    assert found is not None
    assert found.value == day
    assert text[found.start : found.end] == day.strftime(form)


@given(day=DATES)
def test_the_day_comes_first_where_the_caller_says_so(day):
    assert find_date(day.strftime("%d/%m/%Y"), day_first=True).value == day


@pytest.mark.parametrize("text", ["31/31/2026", "2026-13-01", "February 30, 2026", "10.10.10.10", "1234567890", "noon"])
def test_what_is_in_no_calendar_is_no_date(text):
    assert find_date(text) is None


def test_a_day_above_twelve_shows_the_order():
    assert find_date("25/12/2026").value == date(2026, 12, 25)


def test_a_time_glued_to_a_date_does_not_hide_it():
    """OCR often loses the blank between the two."""
    assert find_date("03/14/202608:42").value == date(2026, 3, 14)


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("The date in MM/DD/YYYY format", "%m/%d/%Y"),
        ("as dd.mm.yy", "%d.%m.%y"),
        ("as YYYY-MM-DD", "%Y-%m-%d"),
        ("The date of the invoice", "%Y-%m-%d"),
    ],
)
def test_the_instruction_may_ask_for_a_date_format(instruction, expected):
    assert date_format(instruction) == expected


@pytest.mark.parametrize(
    ("text", "truth"), [("Yes", True), ("no.", False), ("[x]", True), ("☐", False), ("maybe", None)]
)
def test_truth_values(text, truth):
    assert parse_truth(text) is truth
