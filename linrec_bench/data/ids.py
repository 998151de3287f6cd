"""Ids as numbers, in order of first occurrence, and their ranks once all are known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int32


class Ids:
    """The distinct ids of a column that arrives part by part, without a Python object per id."""

    def __init__(self) -> None:
        self.known: pa.Array | None = None

    def __len__(self) -> int:
        return 0 if self.known is None else len(self.known)

    def codes(self, column: pa.ChunkedArray) -> Int32[np.ndarray, " E"]:
        """The number of each id, from 0 in order of first occurrence."""
        encoded = column.combine_chunks().dictionary_encode()
        names = encoded.dictionary
        if self.known is not None and self.known.type != names.type:
            raise ValueError(
                f"ids are {self.known.type} in one file and {names.type} in another; expected one type"
            )
        if self.known is None:
            self.known = names.slice(0, 0)
        numbers = pc.index_in(names, value_set=self.known)
        unknown = pc.is_null(numbers)
        new = names.filter(unknown)
        numbers = numbers.to_numpy(zero_copy_only=False).copy()
        numbers[unknown.to_numpy(zero_copy_only=False)] = np.arange(len(self), len(self) + len(new))
        self.known = pa.concat_arrays([self.known, new])
        assert len(self) < 2**31, "ids are numbered in 32 bits"
        codes: np.ndarray = numbers.astype(np.int32)[encoded.indices.to_numpy()]
        return codes

    def ranks(self) -> Int32[np.ndarray, " I"]:
        """The rank of each id, by its number: integers by value, text by length and then alphabetically."""
        assert self.known is not None
        columns = {"id": self.known}
        keys = [("id", "ascending")]
        if not pa.types.is_integer(self.known.type):
            columns["length"] = pc.utf8_length(self.known)
            keys = [("length", "ascending"), *keys]
        order = pc.sort_indices(pa.table(columns), sort_keys=keys).to_numpy()
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        return place
