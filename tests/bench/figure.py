"""One measured figure, and the table that they are printed as."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import quantiles


@dataclass(frozen=True, slots=True)
class Figure:
    """`goal` is the most it may be, `least` the least; without either it is information. `beside` says what it was
    measured against or made of."""

    name: str
    measured: float
    unit: str
    goal: float | None = None
    beside: str = ""
    least: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the goal is reached, or by how much it isn't: 1.2x is a fifth too much, or too little."""
        if self.least is not None:
            return "yes" if self.measured >= self.least else f"no: {self.least / self.measured:.2g}x"
        if self.goal is None:
            return ""
        if self.measured <= self.goal:
            return "yes"
        return f"no: {self.measured / self.goal:.2g}x" if self.goal else "no"

    def cells(self) -> tuple[str, ...]:
        goal = "" if self.goal is None else f"<= {_number(self.goal)} {self.unit}"
        if self.least is not None:
            goal = f">= {_number(self.least)} {self.unit}"
        return self.name, f"{_number(self.measured)} {self.unit}", goal, self.verdict, self.beside


def table(figures: Iterable[Figure]) -> str:
    """Aligned plain text, a line a figure."""
    rows = [("figure", "measured", "goal", "reached", "beside"), *(figure.cells() for figure in figures)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    rows.insert(1, tuple("-" * width for width in widths))
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def machine() -> str:
    """What the figures were measured on; a load of its own makes wall times longer."""
    return f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.3g}"
