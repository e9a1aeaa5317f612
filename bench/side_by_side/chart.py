"""The table as a picture: a bar for each contestant, its range as a line."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from html import escape

LONGEST = 6.0
"""A bar that is longer is cut, so that the short ones can be told apart; its number says it."""

_LABELS, _BARS, _MARGIN = 380, 520, 90
_ROW, _BAR, _TOP = 26, 16, 58
_COLOURS = {"Scopegate": "#2563eb", "Envoy": "#64748b"}
_OTHERS = "#cbd5e1"


def chart(ratios: Mapping[str, Sequence[float]], title: str) -> str:
    """SVG. `ratios`: of each round, by the contestant's name."""
    shown = {name: statistics.median(each) for name, each in ratios.items()}
    height = _TOP + _ROW * len(shown) + 20
    width = _LABELS + _BARS + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="16" font-weight="600">{escape(title)}</text>',
    ]
    one = _place(1)
    lines.append(
        f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{_TOP - 8}" y2="{height - 12}"'
        ' stroke="#94a3b8" stroke-dasharray="3 3"/>'
    )
    for number, (name, middle) in enumerate(shown.items()):
        lines += _row(name, middle, ratios[name], _TOP + number * _ROW)
    return "\n".join([*lines, "</svg>", ""])


def _place(ratio: float) -> float:
    return _LABELS + min(ratio, LONGEST) / LONGEST * _BARS


def _row(name: str, middle: float, ratios: Sequence[float], top: int) -> list[str]:
    colour = next((each for kind, each in _COLOURS.items() if name.startswith(kind)), _OTHERS)
    cut = " »" if middle > LONGEST else ""
    line = top + _BAR - 3
    half = top + _BAR / 2
    low, high = _place(min(ratios)), _place(max(ratios))
    return [
        f'<text x="{_LABELS - 10}" y="{line}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{_LABELS}" y="{top}" width="{_place(middle) - _LABELS:.1f}" height="{_BAR}"'
        f' rx="2" fill="{colour}"/>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{half}" y2="{half}" stroke="#0f172a"'
        ' stroke-opacity="0.5"/>',
        f'<text x="{_place(max(middle, *ratios)) + 8:.1f}" y="{line}">{middle:.2f}{cut}</text>',
    ]
