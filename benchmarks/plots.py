"""What was measured, as drawings: SVG that is the same, byte for byte, for the same figures.

Only this module needs matplotlib, which the dependency group ``bench`` brings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill

import matplotlib as mpl
import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vendororders_async.usage import UsagePlan

OURS, OTHER = "#0b6e99", "#a8a8a8"
_COLUMNS = 2
_TITLE_WIDTH = 50  # letters
_STYLES = ("o-", "s--", "^:")  # of the orders that answers come in


class Pace(msgspec.Struct, frozen=True):
    """How many times the ideal a history took, with answers in some order, and static."""

    history: str
    order: str
    latency: float
    ratio: float
    static_ratio: float


class Part(msgspec.Struct, frozen=True):
    """What a part of a page's way costs, done bare and by us; None where nobody does it."""

    name: str
    bare_ms: float | None
    ours_ms: float | None


def draw_requests(
    arrivals: Mapping[str, Sequence[float]], plan: UsagePlan, folder: Path
) -> Path:
    """Draw how many requests had arrived, over time, and how many *plan* allowed by then.

    *arrivals* are seconds after the first, by the name of the scenario.
    """
    row_count = -(-len(arrivals) // _COLUMNS)
    with _drawing(folder / "requests.svg", 8, 0.4 + 2.4 * row_count) as figure:
        for place, (name, times) in enumerate(arrivals.items(), 1):
            axis = figure.add_subplot(row_count, _COLUMNS, place)
            _draw_plan(axis, plan, len(times))
            axis.step(times, range(1, len(times) + 1), where="post", color=OURS, label="sent")
            axis.set_title(fill(name, _TITLE_WIDTH))
            axis.set(xlabel="seconds", ylabel="requests", xlim=0, ylim=0)
            axis.legend(loc="lower right")
    return folder / "requests.svg"


def draw_pace(points: Sequence[Pace], folder: Path) -> Path:
    """Draw the time against the ideal over the latency, a panel for each history."""
    histories = list(dict.fromkeys(one.history for one in points))
    row_count = -(-len(histories) // _COLUMNS)
    with _drawing(folder / "pace.svg", 8, 0.4 + 2.4 * row_count) as figure:
        for place, history in enumerate(histories, 1):
            axis = figure.add_subplot(row_count, _COLUMNS, place)
            of_history = [one for one in points if one.history == history]
            for order, style in zip(
                dict.fromkeys(one.order for one in of_history), _STYLES, strict=False
            ):
                line = [one for one in of_history if one.order == order]
                latencies = [one.latency for one in line]
                if style is _STYLES[0]:
                    static = [one.static_ratio for one in line]
                    axis.plot(latencies, static, color=OTHER, label="no window split")
                ratios = [one.ratio for one in line]
                axis.plot(latencies, ratios, style, color=OURS, markersize=3, label=order)
            axis.axhline(1, color=OTHER, linestyle="--")
            axis.set_yscale("log", base=2)
            axis.yaxis.set_major_formatter("{x:g}")
            axis.set_title(fill(history, _TITLE_WIDTH))
            axis.set(xlabel="latency, seconds", ylabel="time / ideal", xlim=0, ylim=(0.9, 32))
        handles, labels = axis.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return folder / "pace.svg"


def draw_page_cost(parts: Sequence[Part], folder: Path) -> Path:
    """Draw what each part of a page's way costs the CPU, done bare and by us."""
    with _drawing(folder / "page_cost.svg", 6, 0.8 + 0.5 * len(parts)) as figure:
        axis = figure.subplots()
        for shift, color, label, costs in (
            (-0.2, OTHER, "bare", [one.bare_ms or 0.0 for one in parts]),
            (0.2, OURS, "ours", [one.ours_ms or 0.0 for one in parts]),
        ):
            places = [place + shift for place in range(len(parts))]
            bars = axis.barh(places, costs, height=0.38, color=color, label=label)
            axis.bar_label(bars, [f"{cost:.2f}" if cost else "" for cost in costs], padding=3)
        axis.set_yticks(range(len(parts)), [one.name for one in parts])
        axis.invert_yaxis()
        axis.set(xlabel="CPU of a page, ms")
        axis.legend()
    return folder / "page_cost.svg"


def _draw_plan(axis: Axes, plan: UsagePlan, count: int) -> None:
    """Draw the soonest that *count* requests can be sent: the burst at once, then the rate."""
    axis.plot(
        [0, plan.seconds_for(count)],
        [min(plan.burst, count), count],
        color=OTHER,
        linestyle="--",
        label="what the plan allows",
    )


@contextmanager
def _drawing(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield a figure of that many inches, and save it without what differs between runs."""
    with mpl.rc_context(
        {
            "svg.hashsalt": "vendororders",  # ids are made by chance without it
            "svg.fonttype": "none",  # text stays text, and the file small
            "font.size": 9,
            "axes.titlesize": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }
    ):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
