"""Whose details are asked for, each number once, and which windows wait for them.

Pure: no clock of its own, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable

from .chains import Span, sorted_spans


class DetailPlanner:
    """Decides whose details are asked for, each number once, and what waits for them.

        for number in details.wanted(span, numbers): ...    # ask for its details
        details.listed(span)                                # after its last page
        spans = details.settled(number)                     # these have all they waited for
        spans = details.failed(number)                      # these will never have it

    Several windows may list the same number; its details are asked for after all of them
    ended, so that one answer serves all.
    """

    def __init__(self) -> None:
        self._settled: set[str] = set()
        self._under_way: dict[str, set[Span]] = {}  # numbers, and who waits for them
        self._missing: dict[Span, set[str]] = {}  # the same, the other way round
        self._listed: set[Span] = set()

    def __repr__(self) -> str:
        return f"<DetailPlanner {len(self._settled)} settled, {len(self._under_way)} under way>"

    def unknown(self, numbers: Iterable[str]) -> list[str]:
        """Return those of *numbers* that nobody asked for so far, each once."""
        known = self._settled, self._under_way
        return [one for one in dict.fromkeys(numbers) if not any(one in each for each in known)]

    def wanted(self, span: Span, numbers: Iterable[str]) -> list[str]:
        """Let *span* wait for *numbers*; return those to ask for now."""
        missing = self._missing.setdefault(span, set())
        new = []
        for number in dict.fromkeys(numbers):
            if number in self._settled:
                continue
            if number not in self._under_way:
                self._under_way[number] = set()
                new.append(number)
            self._under_way[number].add(span)
            missing.add(number)
        return new

    def waiting(self, number: str) -> frozenset[Span]:
        """Return who waits for *number*."""
        return frozenset(self._under_way[number])

    def listed(self, span: Span) -> bool:
        """Take in that *span* has no more pages; return whether it waits for nothing."""
        self._listed.add(span)
        return self._is_finished(span)

    def settled(self, number: str) -> list[Span]:
        """Take in that all there is of *number* is stored; return the spans it finishes."""
        self._settled.add(number)
        spans = self._under_way.pop(number)
        for span in spans:
            self._missing[span].discard(number)
        return [span for span in sorted_spans(spans) if self._is_finished(span)]

    def failed(self, number: str) -> list[Span]:
        """Take in that *number* cannot be had; return the spans that are given up for it."""
        spans = self._under_way.pop(number)
        for span in spans:
            self.give_up(span)
        return sorted_spans(spans)

    def give_up(self, span: Span) -> None:
        """Let *span* wait no more; what is under way for it is fetched all the same."""
        for number in self._missing.pop(span, ()):
            self._under_way.get(number, set()).discard(span)
        self._listed.discard(span)

    def _is_finished(self, span: Span) -> bool:
        if span not in self._listed or self._missing.get(span):
            return False
        self._listed.discard(span)
        self._missing.pop(span, None)
        return True
