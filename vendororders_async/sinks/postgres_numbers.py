"""Statements for many purchase orders at once."""

from __future__ import annotations


def those_of(table: str) -> str:
    """Return where to select from to find $3, numbers of account $1 and API $2, in *table*.

    Each is looked up by its key. ``= ANY ($3)`` would read all of the account's keys where
    the planner has not heard of the account yet: 50 ms a page instead of one, in a store of
    20,000 orders that had just been filled. A row's *place* is its ``ctid``.
    """
    return f"""
        FROM unnest($3::text[]) AS asked (number)
        CROSS JOIN LATERAL (
            SELECT *, ctid AS place FROM {table} AS kept
            WHERE kept.account = $1 AND kept.api = $2 AND kept.purchase_order_number = number
            LIMIT 1
        ) AS those
    """  # noqa: S608 - a name of ours
