"""Salvage: one broken order costs only itself."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vendororders_async.salvage import Salvaged, salvage

PATH = ("payload", "orders")


def test_the_envelope_is_what_remains_without_the_rows() -> None:
    """The list is emptied in place; what stands around it stays."""
    found = salvage(b'{"payload": {"orders": [{"n": NaN}, 2], "pagination": {"a": 1}}}', PATH)

    assert found == Salvaged(
        b'{"payload": {"orders": [], "pagination": {"a": 1}}}', (b'{"n": NaN}', b"2")
    )


@pytest.mark.parametrize(
    "row",
    [
        b'{"n": "]}{[,:"}',
        b'{"n": "\\"]}"}',
        b'{"n": "\\\\"}',
        b'{"n": "\\\\\\"]"}',
        b'{"orders": [1, [2, {"orders": []}]]}',
        b'{"n": "\xff\xfe"}',
        b'{"n": "\\ud800"}',
        b'{"n": NaN, "m": -Infinity}',
        b'{"payload": {"orders": [3]}}',
        b"[[[1, 2]], 3]",
        b'"a, b"',
    ],
)
def test_rows_are_cut_out_byte_by_byte(row: bytes) -> None:
    """Whatever is inside a row, its bytes come out as they were, and so do its neighbours."""
    body = b'{"payload": {"orders": [ {"a": 1} , %s\n,{"b": 2}]}}' % row
    found = salvage(body, PATH)

    assert found is not None
    assert found.rows == (b'{"a": 1}', row, b'{"b": 2}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"<html></html>",
        b'{"payload": {"orders": {}}}',
        b'{"payload": {"other": [1]}}',
        b'{"orders": [1]}',
        b'{"x": {"payload": {"orders": [1]}}}',
        b'[{"payload": {"orders": [1]}}]',
        b'{"payload": ["orders", [1]]}',
        b'{"payload": {"orders": [1}}]',
        b'{"payload": {"orders": [1]}}}',
        b'{"payload": {"orders": [1], "a": "}}',
    ],
)
def test_no_list_at_its_place_is_nothing_found(body: bytes) -> None:
    """Only the list that was asked for is taken apart, and only between matching brackets."""
    assert salvage(body, PATH) is None


def test_an_empty_list_has_no_rows() -> None:
    """Nothing in it is nothing lost."""
    found = salvage(b'{"payload": {"orders": [  ]}}', PATH)

    assert found is not None
    assert found.rows == ()


@pytest.mark.parametrize("body", [b"[" * 400_000 + b"]" * 400_000, b'{"a":' * 400_000])
def test_a_bottomless_page_takes_no_time(body: bytes) -> None:
    """Its depth costs what its length does: what is quadratic would take minutes."""
    began = time.thread_time()
    found = salvage(body, PATH)

    assert found is None
    assert time.thread_time() - began < 10


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(
    st.lists(
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        )
    ),
    st.booleans(),
)
def test_any_valid_page_is_taken_apart_into_its_rows(rows: list[object], pretty: bool) -> None:
    """On good JSON it agrees with a real parser."""
    page = {"a": ["x", {"orders": []}], "payload": {"b": 1, "orders": rows, "c": None}, "d": {}}
    found = salvage(json.dumps(page, indent=2 if pretty else None).encode(), PATH)

    assert found is not None
    assert [json.loads(row) for row in found.rows] == rows
    assert json.loads(found.envelope)["payload"]["orders"] == []
