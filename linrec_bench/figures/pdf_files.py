"""Figures as PDF files, which hold the parts of fonts that they need: every reader shows them alike.

DejaVu Sans has 6,000 characters, and rules of many scripts that take longer to read than a figure to draw. A
copy with the characters of Western European texts and formulas is made once and kept in the cache folder: its
shapes and distances are the same. A figure with any other character takes the whole font.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure

from linrec_bench.data_folders import cache_folder
from linrec_bench.results.source_hash import short_hash
from linrec_bench.whole_file import replaced

FAMILY = "DejaVu Sans"
SMALL = "DejaVu Sans, Western European"

_CHARACTERS = (
    *range(0x20, 0x7F),
    *range(0xA0, 0x180),
    *range(0x391, 0x3CA),
    *range(0x2010, 0x2027),
    *range(0x2190, 0x219A),
    0x2212,
    0x25A0,
)

_METADATA = dict.fromkeys(("CreationDate", "ModDate", "Producer", "Creator"))
"""What would make the files of the same figure differ."""


def saved(figure: Figure) -> bytes:
    """The figure as a PDF file."""
    if SMALL in families():
        with warnings.catch_warnings():
            warnings.filterwarnings("error", r"Glyph \d+ .* missing from font")
            try:
                return _saved(figure, families())
            except UserWarning:
                pass
    return _saved(figure, matplotlib.rcParams["font.sans-serif"])


def _saved(figure: Figure, families: Sequence[str]) -> bytes:
    file = io.BytesIO()
    with matplotlib.rc_context({"font.sans-serif": list(families)}):
        figure.savefig(file, format="pdf", metadata=_METADATA)
    return file.getvalue()


@cache
def families() -> tuple[str, ...]:
    """The families that texts are set in: the small copy of the font, where it can be kept."""
    whole = (font_manager.FontProperties(family=FAMILY, weight=weight) for weight in ("normal", "bold"))
    try:
        for font in whole:
            font_manager.fontManager.addfont(_small(Path(font_manager.findfont(font))))
    except (OSError, ValueError):
        # A cache that cannot be used costs time only.
        return (FAMILY,)
    return (SMALL, FAMILY)


def _small(whole: Path) -> Path:
    """The file of the small copy of a font; its name ends in the hash of its content."""
    import fontTools

    recipe = f"{fontTools.version} {SMALL} {_CHARACTERS}".encode()
    made_of, folder = short_hash(recipe + whole.read_bytes()), cache_folder() / "fonts"
    for path in folder.glob(f"{whole.stem}-{made_of}-*.ttf"):
        if path.stem.endswith(f"-{sha256(path.read_bytes()).hexdigest()}"):
            return path
    content = _made(whole)
    path = folder / f"{whole.stem}-{made_of}-{sha256(content).hexdigest()}.ttf"
    with replaced(path, make_folder=True) as temporary:
        temporary.write_bytes(content)
    return path


def _made(whole: Path) -> bytes:
    from fontTools import subset

    options = subset.Options(glyph_names=True, notdef_outline=True, recommended_glyphs=True)
    # When it was made, by an editor of fonts.
    options.drop_tables += ["FFTM"]
    maker, file = subset.Subsetter(options), io.BytesIO()
    maker.populate(unicodes=_CHARACTERS)
    with subset.load_font(str(whole), options) as font:
        maker.subset(font)
        for record in font["name"].names:
            if record.nameID == 1:
                record.string = SMALL
        font.save(file)
    return file.getvalue()
