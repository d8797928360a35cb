"""Tables on standard output: drawn on a terminal, plainly aligned elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import one_line


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* under *headings*; a cell is one line, whatever was in it."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    console = Console()
    if console.is_terminal:
        table = Table(*headings)
        for row in cells:
            table.add_row(*(Text(cell, overflow="fold") for cell in row))  # no markup in it
        console.print(table)
        return
    for line in aligned(headings, cells):
        click.echo(line)


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines whose columns stand one below the other.

    >>> aligned(["a", "bcd"], [["12", "3"]])
    ['a   bcd', '12  3']
    """
    every = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in every
    ]
