"""Small drawings made on the server: trend line, ordered bars, one bar with a count.

Pure functions from numbers to SVG. Colours come from classes in the style sheet, so that dark
mode and print work; every drawing carries its words for those who do not see it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from markupsafe import Markup

Number = int | float | Decimal
WIDTH, HEIGHT, EDGE = 120.0, 32.0, 4.0
ROW, LABEL_WIDTH, VALUE_WIDTH, FULL = 30, 220, 90, 640


_SPARK = Markup(
    '<svg class="spark" viewBox="0 0 120 32" role="img" aria-label="{label}">{band}'
    '<polyline class="spark-line" points="{line}"/>'
    '<circle class="spark-dot" cx="{x}" cy="{y}" r="3"/></svg>'
)
_BAND = Markup('<rect class="spark-band" x="0" y="{y}" width="120" height="{height}"/>')
_BAR = Markup(
    '<text x="{before}" y="{base}" text-anchor="end">{label}</text>'
    '<rect class="bar-ground" x="{left}" y="{top}" width="{width}" height="16" rx="3"/>'
    '<rect class="{colour}" x="{left}" y="{top}" width="{length}" height="16" rx="3"/>'
    '<text x="{after}" y="{base}">{text}{unit}</text>'
)
_TARGET = Markup('<line class="bar-target" x1="{x}" x2="{x}" y1="0" y2="{bottom}"/>')
_BARS = Markup('<svg class="bars" viewBox="0 0 640 {height}" role="img">{rows}</svg>')
_METER = Markup(
    '<svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" '
    'aria-label="{label}"><rect class="bar-ground" width="100" height="6" rx="2"/>'
    '<rect class="bar-fill" width="{length}" height="6" rx="2"/></svg>'
)


def spark(
    values: Sequence[Number], low: Number | None = None, high: Number | None = None, label: str = ""
) -> Markup:
    """A trend line of `values`, oldest first, with the normal band from `low` to `high` behind it.
    Fewer than two values: nothing."""
    if len(values) < 2:
        return Markup("")
    numbers = [float(one) for one in values]
    ends = [float(one) for one in (low, high) if one is not None]
    bottom, top = min(numbers + ends), max(numbers + ends)
    span = (top - bottom) or 1.0

    def y(value: float) -> float:
        return round(HEIGHT - EDGE - (value - bottom) / span * (HEIGHT - 2 * EDGE), 1)

    step = (WIDTH - 2 * EDGE) / (len(numbers) - 1)
    points = [(round(EDGE + step * place, 1), y(value)) for place, value in enumerate(numbers)]
    band = Markup("")
    if low is not None and high is not None:
        upper = y(float(high))
        band = _BAND.format(y=upper, height=round(y(float(low)) - upper, 1))
    line = " ".join(f"{x},{height}" for x, height in points)
    return _SPARK.format(label=label, band=band, line=line, x=points[-1][0], y=points[-1][1])


def bars(
    rows: Sequence[tuple[str, Number, str]],
    target: Number | None = None,
    most: Number | None = None,
    unit: str = "",
    say: Callable[..., str] | None = None,
) -> Markup:
    """Horizontal bars in the given order: (label, value, kind); kind "" or warning or danger.
    `target` draws a dashed line across all; `say.number` writes the values."""
    if not rows:
        return Markup("")
    full = float(most) if most is not None else max(float(value) for _, value, _ in rows)
    full = max(full, float(target or 0)) or 1.0
    width = FULL - LABEL_WIDTH - VALUE_WIDTH
    drawn = [
        _BAR.format(
            label=label,
            text=getattr(say, "number", str)(value),
            unit=unit,
            colour=f"bar-{kind}" if kind in {"warning", "danger"} else "bar-fill",
            left=LABEL_WIDTH,
            before=LABEL_WIDTH - 10,
            after=LABEL_WIDTH + width + 10,
            top=place * ROW + 7,
            base=place * ROW + 20,
            width=width,
            length=round(width * min(float(value) / full, 1.0), 1),
        )
        for place, (label, value, kind) in enumerate(rows)
    ]
    if target is not None:
        x = round(LABEL_WIDTH + width * float(target) / full, 1)
        drawn.append(_TARGET.format(x=x, bottom=len(rows) * ROW))
    return _BARS.format(height=len(rows) * ROW, rows=Markup("").join(drawn))


def meter(value: Number, most: Number, label: str = "") -> Markup:
    """One bar: how much of `most` is done."""
    share = min(float(value) / float(most), 1.0) if float(most) > 0 else 0.0
    return _METER.format(label=label, length=round(share * 100, 1))
