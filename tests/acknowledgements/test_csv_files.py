"""CSV files of acknowledgements: what spreadsheets do to them, and drafts that are written."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vendororders_async.acknowledgements.csv_columns import (
    DIRECT_FULFILLMENT_COLUMNS,
    RETAIL_COLUMNS,
)
from vendororders_async.acknowledgements.csv_files import draft_csv
from vendororders_async.acknowledgements.drafts import Draft, Line, Part
from vendororders_async.acknowledgements.files import read_drafts
from vendororders_async.errors import AcknowledgementError, InvalidArgument
from vendororders_async.models import direct_fulfillment, retail_procurement
from vendororders_async.models.common import ItemQuantity, Money

RETAIL, DF = "retail", "direct_fulfillment"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
HEADER = "purchase_order_number,item_sequence_number,code"


def drafts(*lines: str, api: str = RETAIL) -> tuple[Draft, ...]:
    """Return what a file of *lines* says."""
    return read_drafts("\n".join(lines).encode(), api=api)


def table(*rows: Mapping[str, str], api: str = RETAIL) -> tuple[Draft, ...]:
    """Return what a file of *rows* says, each by its columns."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return read_drafts(file.getvalue().encode(), api=api)


def row(**cells: str) -> dict[str, str]:
    """Return a row that accepts line 1 of order A1, but for *cells*."""
    return {
        "purchase_order_number": "A1",
        "item_sequence_number": "1",
        "code": "Accepted",
    } | cells


def wrong(*lines: str, api: str = RETAIL) -> list[tuple[str | None, str, str]]:
    """Return what is wrong with a file of *lines*: number, path and message."""
    with pytest.raises(AcknowledgementError) as caught:
        drafts(*lines, api=api)
    return _told(caught.value)


def wrong_table(*rows: Mapping[str, str], api: str = RETAIL) -> list[str]:
    """Return what is wrong with a file of *rows*: path and message in one."""
    with pytest.raises(AcknowledgementError) as caught:
        table(*rows, api=api)
    return [f"{path}: {message}" for _, path, message in _told(caught.value)]


def _told(error: AcknowledgementError) -> list[tuple[str | None, str, str]]:
    return [(one.purchase_order_number, one.path, one.message) for one in error.problems]


def test_a_row_has_all_that_a_draft_has() -> None:
    """What the maker saw of a line, the answer, and what it is as of."""
    [draft] = table(
        {
            "account": "acme",
            "purchase_order_number": "A1",
            "item_sequence_number": "00001",
            "amazon_product_identifier": "B07DFVDRAB",
            "vendor_product_identifier": "028877454078",
            "ordered_quantity": "10",
            "unit_of_measure": "Cases",
            "unit_size": "12",
            "net_cost": "10.20",
            "net_cost_currency": "USD",
            "code": "Backordered",
            "quantity": "4",
            "scheduled_ship_date": "2026-11-30",
            "scheduled_delivery_date": "30.11.2026 12:00",
            "rejection_reason": "ObsoleteProduct",
            "as_of": "2026-11-30T12:00:00.000000Z",
        }
    )

    assert draft == Draft(
        api=RETAIL,
        purchase_order_number="A1",
        where="line 2",
        account="acme",
        as_of=NOON,
        lines=(
            Line(
                parts=(
                    Part(
                        code="Backordered",
                        quantity=4,
                        scheduled_ship_date=NOON - timedelta(hours=12),
                        scheduled_delivery_date=NOON,
                        rejection_reason="ObsoleteProduct",
                    ),
                ),
                item_sequence_number="00001",
                amazon_product_identifier="B07DFVDRAB",
                vendor_product_identifier="028877454078",
                ordered_quantity=10,
                unit_of_measure="Cases",
                unit_size=12,
                net_cost=Decimal("10.20"),
                net_cost_currency="USD",
            ),
        ),
    )


def test_rows_of_one_line_split_it() -> None:
    """Wherever they stand, and however a spreadsheet spells the line's number."""
    first, second = table(
        row(item_sequence_number="00001", quantity="5", net_cost="1.50", account="acme"),
        row(purchase_order_number="A2"),
        row(item_sequence_number="2"),
        row(code="Rejected", rejection_reason="ObsoleteProduct", net_cost="1.5"),
    )

    assert (first.where, second.where) == ("line 2", "line 3")
    assert first.account == "acme"
    assert [one.item_sequence_number for one in first.lines] == ["00001", "2"]
    assert first.lines[0].parts == (
        Part(code="Accepted", quantity=5),
        Part(code="Rejected", rejection_reason="ObsoleteProduct"),
    )


def test_an_order_of_direct_fulfillment_is_one_row() -> None:
    """With the code that a spreadsheet has cut, and columns that are for the eye."""
    first, second = table(
        {
            "account": "acme",
            "purchase_order_number": "A1",
            "customer_order_number": "1.2E+10",
            "required_ship_date": "30/11/26",
            "code": "0",
            "vendor_order_number": "V-1",
            "as_of": "2026-11-30 12:00",
        },
        {"purchase_order_number": "A2", "code": "99", "description": "as agreed"},
        api=DF,
    )

    assert first == Draft(
        api=DF,
        purchase_order_number="A1",
        where="line 2",
        account="acme",
        as_of=NOON,
        code="00",
        vendor_order_number="V-1",
    )
    assert (second.code, second.description) == ("99", "as agreed")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("is_declared", [True, False])
def test_a_file_is_read_however_it_is_separated(
    delimiter: str, end: str, is_declared: bool
) -> None:
    """Lines are counted as an editor does, after blank ones and breaks inside quotes."""
    lines = [
        delimiter * 3,
        (
            f"Purchase Order Number{delimiter} CODE {delimiter}item-sequence-number"
            f"{delimiter}Note{delimiter}{delimiter}"
        ),
        f'A1{delimiter}Accepted{delimiter}1{delimiter}"two{end}lines, or; more"',
        "",
        delimiter * 4,
        f"A2{delimiter}Accepted{delimiter}1{delimiter}{delimiter}{delimiter}",
        delimiter * 5,
    ]
    if is_declared:
        lines.insert(0, f"sep={delimiter}")
    found = read_drafts(end.join(lines).encode(), api=RETAIL)
    first = 3 + is_declared

    assert [one.purchase_order_number for one in found] == ["A1", "A2"]
    assert [one.where for one in found] == [f"line {first}", f"line {first + 4}"]


@pytest.mark.parametrize("lines", [[HEADER], ["", HEADER, ",,", ""]])
def test_a_header_alone_is_a_problem(lines: list[str]) -> None:
    """Nothing to submit is hardly what is meant."""
    assert wrong(*lines) == [(None, "line 1", "there is no row with an answer")]


def test_a_file_without_a_header_is_a_problem() -> None:
    """All columns that are missing are named."""
    assert [message for _, _, message in wrong("A1,1,Accepted")] == [
        "there is no column purchase_order_number",
        (
            "there is no column item_sequence_number or amazon_product_identifier or "
            "vendor_product_identifier"
        ),
        "there is no column code",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("quantitiy", "quantity"),
        ("Order quantity", "ordered_quantity"),
        ("accepted quantity", "quantity"),
        ("Schedule ship date", "scheduled_ship_date"),
        ("rejected reason", "rejection_reason"),
        ("accounts", "account"),
    ],
)
def test_a_column_that_may_be_misspelled_is_a_problem(name: str, meant: str) -> None:
    """A quantity that is not read would be all of the line."""
    [(_, path, message)] = wrong(f"{HEADER},{name}", "A1,1,Accepted,5")

    assert path == "line 1"
    assert message == f"unknown column {name!r}; {meant} may be meant"


@pytest.mark.parametrize(
    "name", ["note", "title", "EAN barcode", "customer order number", "ship_method", "unit", ""]
)
def test_a_column_of_the_user_s_own_is_not_looked_at(name: str) -> None:
    """Nor one that direct fulfillment has."""
    assert drafts(f"{HEADER},{name},quantity", "A1,1,Accepted,1.2E+10,5")[0].lines[0].parts == (
        Part(code="Accepted", quantity=5),
    )


def test_a_column_that_is_there_twice_is_a_problem() -> None:
    """Nobody knows which of them counts."""
    [(_, _, message)] = wrong(f"{HEADER},Code", "A1,1,Accepted,Rejected")

    assert message == "there are two columns code"


@pytest.mark.parametrize(
    ("api", "lines"),
    [
        (RETAIL, ("purchase_order_number,ship_method,code", "A1,UPS,00")),
        (DF, ("purchase_order_number,item_sequence_number,code,quantity", "A1,1,Accepted,2")),
    ],
)
def test_a_table_for_the_other_api_says_so(api: str, lines: tuple[str, str]) -> None:
    """Instead of what is missing."""
    [(_, path, message)] = wrong(*lines, api=api)

    assert path == "line 1"
    assert message.endswith("--api direct-fulfillment" if api == RETAIL else "--api retail")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("purchase_order_number", "1.23457E+12", "has cut this number"),
        ("vendor_product_identifier", "8,80681E+12", "has cut this number"),
        ("amazon_product_identifier", "B0\u200b7", "cannot be seen"),
        ("ordered_quantity", "12,5", "no whole number"),
        ("unit_size", "1.000", "no whole number"),
        ("quantity", "2.0", "no whole number"),
        ("quantity", "0", "too little"),
        ("quantity", "-3", "too little"),
        ("quantity", "\u0663", "no whole number"),
        ("quantity", "9" * 5_000, "no whole number"),
        ("net_cost", "12,50", "in two ways"),
        ("net_cost", "1,250.00", "in two ways"),
        ("net_cost", "$12.50", "no amount"),
        ("net_cost", "1E+2", "no amount"),
        ("scheduled_ship_date", "30/11/2026", "in two ways"),
        ("scheduled_ship_date", "11-12-26", "in two ways"),
        ("scheduled_ship_date", "30.02.2026", "not in the calendar"),
        ("scheduled_ship_date", "2026-02-30", "not in the calendar"),
        ("scheduled_delivery_date", "30.11.26", "no time"),
        ("as_of", "46356.5", "no time"),
    ],
)
def test_what_may_be_meant_in_two_ways_is_a_problem(name: str, text: str, words: str) -> None:
    """The line, the column and what to write instead are told; nothing is guessed."""
    [message] = wrong_table(row(**{name: text}))

    assert message.startswith(f"line 2: {name}: ")
    assert words in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-30", datetime(2026, 11, 30, tzinfo=UTC)),
        ("1.2.2026", datetime(2026, 2, 1, tzinfo=UTC)),
        ("30.11.2026 9:05", datetime(2026, 11, 30, 9, 5, tzinfo=UTC)),
        ("2026-11-30 12:00", NOON),
        ("2026-11-30T13:00:00+01:00", NOON),
        ("2026-11-30T12:00:00.000Z", NOON),
    ],
)
def test_a_date_alone_is_its_midnight_in_utc(text: str, instant: datetime) -> None:
    """And a time without a zone is in UTC."""
    [draft] = table(row(as_of=text))

    assert draft.as_of == instant


def test_an_order_number_with_an_e_in_it_is_no_cut_one() -> None:
    """What spreadsheets write has a sign in it."""
    [draft] = table(row(purchase_order_number="12E45678"))

    assert draft.purchase_order_number == "12E45678"


def test_a_row_that_is_split_by_a_comma_is_a_problem() -> None:
    """Otherwise each cell after it would stand in the wrong column."""
    [(_, path, message)] = wrong(f"{HEADER},net_cost,,", "A1,1,Accepted,12,50,,")

    assert path == "line 2"
    assert "decimal comma" in message


def test_a_quote_that_is_never_closed_is_a_problem() -> None:
    """It would swallow the rows after it."""
    [(_, path, message)] = wrong(HEADER, "A1,1,Accepted", 'A2,"1,Accepted', "A3,1,Accepted")
    of_the_header = wrong(f'{HEADER},"', "A1,1,Accepted")

    assert path == "line 3"
    assert "never closed" in message
    assert [path for _, path, _ in of_the_header] == ["line 1"]


def test_all_problems_of_a_table_are_told_in_the_order_of_its_lines() -> None:
    """With the number of the order where it is known."""
    found = wrong(
        f"{HEADER},quantity,as_of",
        "A1,1,Accepted,5,2026-11-30",
        ",1,Accepted,x,",
        "A2,,,,",
        "A1,2,Accepted,,2026-12-01",
    )

    assert [(number, path, message.split(":")[0]) for number, path, message in found] == [
        (None, "line 3", "quantity"),
        (None, "line 3", "purchase_order_number"),
        (
            "A2",
            "line 4",
            "item_sequence_number or amazon_product_identifier or vendor_product_identifier",
        ),
        ("A2", "line 4", "code"),
        ("A1", "line 5", "as_of"),
    ]


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("account", "acme", "other"),
        ("as_of", "2026-11-30", "2026-12-01"),
        ("ordered_quantity", "10", "11"),
        ("net_cost", "1.50", "1.51"),
        ("amazon_product_identifier", "B1", "B2"),
    ],
)
def test_rows_of_one_line_have_to_agree(name: str, one: str, other: str) -> None:
    """On all but the answer itself."""
    rows = (row(quantity="1", **{name: one}), row(code="Rejected", **{name: other}))

    assert wrong_table(*rows) == [f"line 3: {name}: line 2 says another one"]


def test_only_one_row_of_a_line_is_what_the_others_leave() -> None:
    """Two blank quantities would be anybody's guess."""
    [message] = wrong_table(row(), row(code="Rejected"))

    assert message.startswith("line 3: quantity: blank is all that is left")


def test_a_line_known_by_its_product_alone_is_not_mixed_up() -> None:
    """The same product may be on several lines: then their numbers tell."""
    name = "amazon_product_identifier"
    numbered = [row(item_sequence_number=n, **{name: "B1"}) for n in ("1", "2")]
    unnumbered = row(item_sequence_number="", **{name: "B1"})
    [draft] = table(*numbered)

    assert len(draft.lines) == 2
    assert "line 3: amazon_product_identifier: line 2 has the same one" in str(
        wrong_table(numbered[0], unnumbered)
    )


def test_an_order_of_two_accounts_is_a_problem() -> None:
    """In direct fulfillment, too, where it is two rows."""
    rows = [{"purchase_order_number": "A1", "code": "00", "account": one} for one in "xy"]

    assert wrong_table(*rows, api=DF) == ["line 3: the order is answered at line 2 already"]


# --- writing -----------------------------------------------------------------------------

ITEM = retail_procurement.OrderItem(
    item_sequence_number="00001",
    amazon_product_identifier="B07DFVDRAB",
    vendor_product_identifier="=1+1",
    ordered_quantity=ItemQuantity(amount=10, unit_of_measure="Cases", unit_size=12),
    net_cost=Money(currency_code="USD", amount=Decimal("1E+1")),
)
CANCELLED = retail_procurement.OrderItem(
    item_sequence_number="2", ordered_quantity=ItemQuantity(amount=0)
)


def order(*items: retail_procurement.OrderItem, number: str = "A1") -> retail_procurement.Order:
    """Return a retail order of *items*."""
    details = retail_procurement.OrderDetails(items=list(items))
    return retail_procurement.Order(purchase_order_number=number, order_details=details)


def df_order(number: str = "A1") -> direct_fulfillment.Order:
    """Return an order of direct fulfillment."""
    return direct_fulfillment.Order(
        purchase_order_number=number,
        order_details=direct_fulfillment.OrderDetails(
            customer_order_number="111-2",
            shipment_details=direct_fulfillment.ShipmentDetails(
                ship_method="UPS_GR",
                shipment_dates=direct_fulfillment.ShipmentDates(required_ship_date=NOON),
            ),
            ship_to_party=direct_fulfillment.Address(name="Canary", address_line1="Canary"),
        ),
    )


def test_a_draft_accepts_all_lines_that_are_not_cancelled() -> None:
    """With what the order says beside the answer, and nothing that a spreadsheet would run."""
    text = draft_csv(RETAIL, [("+acme", order(ITEM, CANCELLED), NOON)])

    assert text.split("\r\n") == [
        ",".join(RETAIL_COLUMNS),
        (
            "'+acme,A1,00001,B07DFVDRAB,'=1+1,10,Cases,12,10,USD,Accepted,,,,,"
            "2026-11-30T12:00:00.000000Z"
        ),
        "",
    ]


def test_a_draft_of_direct_fulfillment_names_no_customer() -> None:
    """Only the order, how and until when it is shipped."""
    text = draft_csv(DF, [("acme", df_order(), None)])

    assert text.split("\r\n") == [
        ",".join(DIRECT_FULFILLMENT_COLUMNS),
        "acme,A1,111-2,UPS_GR,2026-11-30T12:00:00.000000Z,00,,,",
        "",
    ]


def test_an_order_without_details_cannot_be_drafted() -> None:
    """It is said, rather than left out."""
    bare = retail_procurement.Order(purchase_order_number="A1")

    with pytest.raises(AcknowledgementError, match="A1: orderDetails"):
        draft_csv(RETAIL, [("acme", bare, None)])


def test_a_draft_is_for_an_api_that_there_is() -> None:
    """As reading is."""
    with pytest.raises(InvalidArgument):
        draft_csv("seller", [])


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.sampled_from("'=+-@,;\""),
    min_size=1,
    max_size=8,
).filter(lambda text: "E+" not in text.upper() and "E-" not in text.upper())
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
INSTANTS = st.none() | st.datetimes(min_value=datetime(1900, 1, 1)).map(  # noqa: DTZ001 - it gets its zone in the next line
    lambda moment: moment.replace(tzinfo=UTC)
)


@st.composite
def items(draw: st.DrawFn, number: str) -> retail_procurement.OrderItem:
    """Return an item of this sequence number."""
    counts = st.none() | st.integers(-(10**17), 10**17)
    return retail_procurement.OrderItem(
        item_sequence_number=number,
        amazon_product_identifier=draw(st.none() | TEXTS),
        vendor_product_identifier=draw(st.none() | TEXTS),
        ordered_quantity=ItemQuantity(
            amount=draw(counts),
            unit_of_measure=draw(st.none() | TEXTS),
            unit_size=draw(counts),
        ),
        net_cost=Money(amount=draw(st.none() | AMOUNTS), currency_code=draw(st.none() | TEXTS)),
    )


@st.composite
def orders(draw: st.DrawFn) -> list[tuple[str, retail_procurement.Order, datetime | None]]:
    """Return orders of several accounts."""
    numbers = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    return [
        (
            draw(TEXTS),
            order(
                *(draw(items(f"{n:05}")) for n in range(draw(st.integers(1, 3)))), number=one
            ),
            draw(INSTANTS),
        )
        for one in numbers
    ]


def expected(
    account: str, one: retail_procurement.Order, as_of: datetime | None
) -> dict[str, Any]:
    """Return what a draft that accepts all of an order says, without where it is."""
    assert one.order_details is not None
    lines = [
        Line(
            parts=(Part(code="Accepted"),),
            item_sequence_number=item.item_sequence_number,
            amazon_product_identifier=item.amazon_product_identifier,
            vendor_product_identifier=item.vendor_product_identifier,
            ordered_quantity=item.ordered_quantity.amount,
            unit_of_measure=item.ordered_quantity.unit_of_measure,
            unit_size=item.ordered_quantity.unit_size,
            net_cost=item.net_cost.amount,
            net_cost_currency=item.net_cost.currency_code,
        )
        for item in one.order_details.items
        if item.ordered_quantity and item.net_cost and item.ordered_quantity.amount != 0
    ]
    return {
        "account": account,
        "purchase_order_number": one.purchase_order_number,
        "as_of": as_of,
        "lines": tuple(lines),
    }


@settings(max_examples=60, deadline=None)
@given(given_orders=orders(), delimiter=st.sampled_from(",;\t"))
def test_what_is_written_is_read_back(
    given_orders: list[tuple[str, retail_procurement.Order, datetime | None]],
    delimiter: str,
) -> None:
    """Also after a spreadsheet has saved it in its own way."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows(csv.reader(io.StringIO(draft_csv(RETAIL, given_orders), newline="")))
    wanted = [one for one in (expected(*each) for each in given_orders) if one["lines"]]
    if not wanted:
        return
    found = read_drafts(file.getvalue().encode("utf-16"), api=RETAIL)

    assert [{name: getattr(one, name) for name in wanted[0]} for one in found] == wanted


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(TEXTS, min_size=1, max_size=5, unique=True), account=TEXTS, as_of=INSTANTS
)
def test_what_is_written_of_direct_fulfillment_is_read_back(
    numbers: list[str], account: str, as_of: datetime | None
) -> None:
    """Each order with the code that accepts it."""
    text = draft_csv(DF, [(account, df_order(one), as_of) for one in numbers])
    found = read_drafts(text.encode(), api=DF)

    assert [(one.purchase_order_number, one.account, one.as_of, one.code) for one in found] == [
        (number, account, as_of, "00") for number in numbers
    ]
