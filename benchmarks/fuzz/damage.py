"""Bytes with one or two faults."""

from __future__ import annotations

import random


def damaged(rng: random.Random, content: bytes) -> bytes:
    """One or two faults: cut, flipped, removed, repeated, zeroed or foreign bytes at a random place."""
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.choice((0, len(content), rng.randrange(len(content) + 1)))
        end = min(len(content), at + rng.choice((1, 4, 64, 4096)))
        line = content[content.rfind(b"\n", 0, at) + 1 : (content.find(b"\n", at) + 1) or len(content)]
        content = rng.choice(
            (
                content[:at],
                content[:at]
                + bytes(byte ^ (1 << rng.randrange(8)) for byte in content[at:end])
                + content[end:],
                content[:at] + content[end:],
                content[:at] + line * rng.choice((1, 300)) + content[at:],
                content[:at] + bytes(end - at) + content[end:],
                content[:at] + rng.choice(FOREIGN) + content[at:],
                content[:at] + rng.choice(FOREIGN) + content[end:],
                content.decode("latin-1").encode("utf-16"),
            )
        )
    return content


FOREIGN = (
    *(b"\n \r \t \0 \" ' , : # - % | =".split(b" ")),
    *(b" ", b"&a [*a]", b"!!python/name:os.system", b"../../x", b"/etc/passwd", b"\x1b[1m"),
    *(b"[" * 500, b"{" * 500, b"9" * 400),
    *b"1e999 nan -inf -1 0 0x10 1_0 true null [] {}".split(b" "),
    *(b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", "\u202e".encode(), "é".encode("latin-1")),
)
