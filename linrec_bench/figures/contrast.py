"""Colours that stand out from their ground: contrast ratios after WCAG 2.2."""

from __future__ import annotations

LEAST_CONTRAST = 3.0
"""What graphics need against their ground (WCAG 2.2, success criterion 1.4.11)."""


def legible(colour: str, ground: str, *, toward: str, least: float = LEAST_CONTRAST) -> str:
    """`colour`, mixed with `toward` in twentieths until it contrasts with `ground` (all `#RRGGBB`)."""
    for step in range(21):
        found = mixed(colour, toward, step / 20)
        if contrast(found, ground) >= least:
            return found
    return toward


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours `#RRGGBB`, 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mixed(colour: str, other: str, share: float) -> str:
    """`colour` with a `share` of `other` in it, 0 to 1."""
    parts = [a + share * (b - a) for a, b in zip(_rgb(colour), _rgb(other), strict=True)]
    return "#" + "".join(f"{round(255 * part):02X}" for part in parts)


def _luminance(colour: str) -> float:
    """Relative luminance of sRGB."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in _rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(colour: str) -> list[float]:
    return [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
