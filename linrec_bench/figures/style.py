"""How every figure looks: one colour and marker a mechanism, one set of fonts and lines."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INK, FAINT, RULE, SHADE = "#222222", "#6E6E6E", "#E4E4E4", "#F5F5F5"

# The keys are names of matplotlib's own long Literal type.
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "svg.hashsalt": "linrec-bench",
}
"""Settings under which figures are drawn and saved."""


@dataclass(frozen=True)
class Look:
    """Colour, marker and dashes of one mechanism, the same in every figure."""

    colour: str
    marker: str
    dashes: str = "-"


# Okabe and Ito's palette, which people with the common colour deficiencies tell apart.
LOOKS: Mapping[str, Look] = {
    "copy": Look("#4D4D4D", "x"),
    "softmax": Look("#D55E00", "s"),
    "sdpa": Look("#E69F00", "D"),
    "linrec": Look("#0072B2", "o"),
    "linrec-column": Look("#56B4E9", "^"),
    "linear-transformer": Look("#009E73", "v"),
}

# Tol's muted palette, for mechanisms that have no fixed look.
_OTHER_COLOURS = ("#CC79A7", "#882255", "#332288", "#999933", "#AA4499", "#117733")
_OTHER_MARKERS = ("P", "p", "h", "<", ">", "*", "d")
_OTHER_DASHES = ("--", "-.", ":")


class NothingToDraw(ValueError):
    """The rows hold nothing for a figure; the message says what is missing."""


def look(label: str) -> Look:
    """The look of a mechanism: fixed by its name, so that it is the same wherever it appears.

    Parameters in the label (`linrec(padding=ignore)`) change the dashes only.
    """
    name, _, params = label.partition("(")
    code = zlib.crc32(name.encode())
    known = LOOKS.get(
        name,
        Look(
            _OTHER_COLOURS[code % len(_OTHER_COLOURS)],
            _OTHER_MARKERS[code // len(_OTHER_COLOURS) % len(_OTHER_MARKERS)],
        ),
    )
    dashes = _OTHER_DASHES[zlib.crc32(params.encode()) % len(_OTHER_DASHES)] if params else known.dashes
    return Look(known.colour, known.marker, dashes)
