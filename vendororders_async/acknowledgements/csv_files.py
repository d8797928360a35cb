"""Acknowledgements in CSV: drafts of what is pending, and what people made of them.

Retail has a row for each answer: rows of the same order and line split it, and a blank
*quantity* is all that the others leave. Direct fulfillment has a row for each order. Other
columns than these are not looked at, and only the needed ones have to be there.

A date alone is its midnight in UTC. What spreadsheets do to files is understood where it can
be, and refused where it could be understood in two ways.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import msgspec

from ..errors import AcknowledgementError, Problem, one_line
from ..models import direct_fulfillment, retail_procurement
from ..models.retail_procurement import AcknowledgementCode
from ..spreadsheets import cell, text_of
from .csv_columns import (
    ANSWER,
    DIRECT_FULFILLMENT,
    KINDS,
    LINE_NAMES,
    RETAIL,
    SEEN,
    Kind,
    check_api,
)
from .drafts import Draft, Line, Part

_DELIMITERS = ",;\t"
_DECLARED = re.compile(
    r"\s*\"?sep=([,;\t|])\"?(\r\n|\r|\n)", re.IGNORECASE
)  # Excel's own first line
# Columns of a user's own are hardly ever as near to one of ours as this
_NEAR = 0.8


class _Row(msgspec.Struct, frozen=True):
    """What one row says, without what is blank."""

    line: int
    values: dict[str, Any]

    @property
    def number(self) -> str:
        return str(self.values["purchase_order_number"])


class _Problems:
    """What is wrong in a file, by the line that it is in."""

    def __init__(self) -> None:
        self.found: list[tuple[int, Problem]] = []

    def add(self, line: int, message: str, number: str | None = None) -> None:
        self.found.append((line, Problem(number, f"line {line}", message)))

    def in_order(self) -> list[Problem]:
        return [problem for _, problem in sorted(self.found, key=lambda found: found[0])]


def read_csv(text: str, api: str) -> tuple[list[Draft], list[Problem]]:
    """Return the drafts in *text*, and all that is wrong with it."""
    problems = _Problems()
    rows = list(_rows(text, api, problems))
    if not rows and not problems.found:
        problems.add(1, "there is no row with an answer")
    drafts: list[Draft] = []
    if api == RETAIL:
        orders: dict[str, list[_Row]] = {}
        for row in rows:
            orders.setdefault(row.number, []).append(row)
        drafts += [_retail_draft(its, problems) for its in orders.values()]
    else:
        drafts += [_direct_fulfillment_draft(row) for row in rows]
    return drafts, problems.in_order()


def _rows(text: str, api: str, problems: _Problems) -> Iterator[_Row]:
    records = _records(text, problems)
    header = next(records, None)
    if header is None:
        return
    line, names = header
    while not names[-1].strip():
        names.pop()
    columns = _columns(line, names, api, problems)
    if columns is None:
        return
    for line, cells in records:
        given = [text_of(one) for one in cells]
        if any(given[len(columns) :]):
            problems.add(
                line,
                "more cells than columns; a decimal comma, or a comma in a text, splits one",
            )
            continue
        named = {name: one for name, one in zip(columns, given, strict=False) if name and one}
        row = _row(line, named, api, problems)
        if row is not None:
            yield row


def _records(text: str, problems: _Problems) -> Iterator[tuple[int, list[str]]]:
    """Yield what is not blank, and the line that it begins in."""
    skipped = 0
    if declared := _DECLARED.match(text):
        delimiter, skipped = declared[1], 1
        text = text[declared.end() :]
    else:
        delimiter = max(_DELIMITERS, key=lambda one: _known_count(text, one))
    # strict: without it a quote that is never closed swallows the rest of the file
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1 + skipped
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield line, cells
            line = reader.line_num + 1 + skipped
    except csv.Error as error:
        problems.add(line, f"the quotes are not right here, or never closed: {error}")


def _known_count(text: str, delimiter: str) -> int:
    """Return how many of the columns are known if *delimiter* is between them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = next((cells for cells in reader if any(map(str.strip, cells))), ())
    except csv.Error:
        return 0
    return sum(_plain(one) in _EVERY_NAME for one in header)


def _plain(name: str) -> str:
    """Return a column's name without what people spell in different ways."""
    return "".join(one for one in name.casefold() if one.isalnum())


_EVERY_NAME = {_plain(name) for kind in KINDS.values() for name in kind.columns}


def _columns(
    line: int, cells: Sequence[str], api: str, problems: _Problems
) -> list[str | None] | None:
    """Return the column of each cell, None for one to ignore; None if they are of no use."""
    kind = KINDS[api]
    known = {_plain(name): name for name in kind.columns}
    other = next(one for name, one in KINDS.items() if name != api)
    columns = [known.get(_plain(one)) for one in cells]
    twice = dict.fromkeys(one for one in columns if one and columns.count(one) > 1)
    found = [f"there are two columns {name}" for name in twice]
    for one in cells:
        meant = None if _plain(one) in _EVERY_NAME else _meant(_plain(one), kind)
        if meant is not None:
            found.append(f"unknown column {one_line(repr(one))}; {meant} may be meant")
    missing = [group for group in kind.needed if not {*group} & {*columns}]
    given = {_plain(one) for one in cells}
    if given & {_plain(name) for name in other.telling} and (
        missing or api == DIRECT_FULFILLMENT
    ):
        found.append(f"this is for {other.option.replace('-', ' ')}: --api {other.option}")
    elif missing:
        found += [f"there is no column {' or '.join(group)}" for group in missing]
    for message in found:
        problems.add(line, message)
    return None if found else columns


def _meant(plain: str, kind: Kind) -> str | None:
    """Return the column that an unknown one may be a misspelling of."""
    known = {_plain(name): name for name in kind.columns}
    near = get_close_matches(plain, known, 1, _NEAR)
    # "accepted quantity" is not near enough, and would be taken for all of each line
    part_of = [name for name in kind.telling if _plain(name) in plain]
    return known[near[0]] if near else next(iter(part_of), None)


def _row(line: int, given: Mapping[str, str], api: str, problems: _Problems) -> _Row | None:
    kind, number = KINDS[api], given.get("purchase_order_number")
    values: dict[str, Any] = {}
    found = []
    for name, text in given.items():
        try:
            values[name] = kind.columns[name](text)
        except ValueError as error:
            found.append(f"{name}: {error}")
    found += [
        f"{' or '.join(group)}: nothing is given"
        for group in kind.needed
        if not {*group} & {*given}
    ]
    for message in found:
        problems.add(line, message, number)
    return None if found else _Row(line, values)


def _direct_fulfillment_draft(row: _Row) -> Draft:
    return Draft(
        api=DIRECT_FULFILLMENT,
        purchase_order_number=row.number,
        where=f"line {row.line}",
        account=row.values.get("account"),
        as_of=row.values.get("as_of"),
        code=row.values["code"],
        vendor_order_number=row.values.get("vendor_order_number"),
        description=row.values.get("description"),
    )


def _retail_draft(rows: Sequence[_Row], problems: _Problems) -> Draft:
    lines: dict[tuple[str, str], list[_Row]] = {}
    for row in rows:
        lines.setdefault(_line_key(row), []).append(row)
    _check_names(lines, problems)
    return Draft(
        api=RETAIL,
        purchase_order_number=rows[0].number,
        where=f"line {rows[0].line}",
        account=_agreed(rows, "account", problems),
        as_of=_agreed(rows, "as_of", problems),
        lines=tuple(_line(its, problems) for its in lines.values()),
    )


def _line(rows: Sequence[_Row], problems: _Problems) -> Line:
    rests = [row for row in rows if "quantity" not in row.values]
    for row in rests[1:]:
        problems.add(
            row.line,
            f"quantity: blank is all that is left, and it is blank at line {rests[0].line} too",
            row.number,
        )
    return Line(
        parts=tuple(
            Part(**{name: row.values[name] for name in ANSWER if name in row.values})
            for row in rows
        ),
        **{name: _agreed(rows, name, problems) for name in SEEN},
    )


def _line_key(row: _Row) -> tuple[str, str]:
    """Return by what the line of *row* is known: its number, or a product."""
    name = next(name for name in LINE_NAMES if name in row.values)
    return name, _comparable(name, row.values[name])


def _comparable(name: str, value: Any) -> Any:
    # spreadsheets make 1 of 00001
    if name == "item_sequence_number" and value.isascii() and value.isdigit():
        return value.lstrip("0")
    return value


def _agreed(rows: Sequence[_Row], name: str, problems: _Problems) -> Any:
    """Return what all *rows* say that do not leave it blank."""
    saying = [row for row in rows if name in row.values]
    if not saying:
        return None
    first = saying[0]
    said = _comparable(name, first.values[name])
    for row in saying[1:]:
        if _comparable(name, row.values[name]) != said:
            problems.add(row.line, f"{name}: line {first.line} says another one", row.number)
    return first.values[name]


def _check_names(lines: Mapping[tuple[str, str], Sequence[_Row]], problems: _Problems) -> None:
    """See to it that what is known by its product alone is not one of the other lines."""
    for (name, value), rows in lines.items():
        if name == "item_sequence_number":
            continue
        for key, others in lines.items():
            if key != (name, value) and any(one.values.get(name) == value for one in others):
                problems.add(
                    rows[0].line,
                    f"{name}: line {others[0].line} has the same one; give both an "
                    "item_sequence_number",
                    rows[0].number,
                )


def draft_csv(
    api: str,
    orders: Iterable[
        tuple[str, retail_procurement.Order | direct_fulfillment.Order, datetime | None]
    ],
) -> str:
    r"""Return a CSV file that accepts *orders*: each with its account, and what it is as of.

        path.write_text(draft_csv("retail", orders), "utf-8", newline="")

    Quantities are blank, which is all of a line; that of a row may be changed, and a row
    added for the rest. Cancelled lines are left out, and so are orders that have no others.

    Raises:
        AcknowledgementError: an order comes without details.
        InvalidArgument: there is no such API.
    """
    check_api(api)
    file = io.StringIO(newline="")
    table = csv.DictWriter(file, KINDS[api].columns)
    table.writeheader()
    for account, order, as_of in orders:
        if order.order_details is None:
            raise AcknowledgementError(
                (Problem(order.purchase_order_number, "orderDetails", "there are none"),)
            )
        known = {
            "account": account,
            "purchase_order_number": order.purchase_order_number,
            "as_of": as_of,
        }
        for row in _draft_rows(order):
            table.writerow({name: cell(value) for name, value in {**known, **row}.items()})
    return file.getvalue()


def _draft_rows(
    order: retail_procurement.Order | direct_fulfillment.Order,
) -> Iterator[dict[str, object]]:
    details = order.order_details
    if isinstance(details, retail_procurement.OrderDetails):
        yield from (
            row for row in map(_line_cells, details.items) if row["ordered_quantity"] != 0
        )
    elif details is not None:
        shipment = details.shipment_details or direct_fulfillment.ShipmentDetails()
        dates = shipment.shipment_dates or direct_fulfillment.ShipmentDates()
        yield {
            "customer_order_number": details.customer_order_number,
            "ship_method": shipment.ship_method,
            "required_ship_date": dates.required_ship_date,
            "code": "00",
        }


def _line_cells(item: retail_procurement.OrderItem) -> dict[str, object]:
    quantity, cost = item.ordered_quantity, item.net_cost
    amount = cost.amount if cost else None
    return {
        "item_sequence_number": item.item_sequence_number,
        "amazon_product_identifier": item.amazon_product_identifier,
        "vendor_product_identifier": item.vendor_product_identifier,
        "ordered_quantity": quantity.amount if quantity else None,
        "unit_of_measure": quantity.unit_of_measure if quantity else None,
        "unit_size": quantity.unit_size if quantity else None,
        # without an exponent, which a spreadsheet would make something else of
        "net_cost": None if amount is None else format(amount, "f"),
        "net_cost_currency": cost.currency_code if cost else None,
        "code": AcknowledgementCode.ACCEPTED.value,
    }
