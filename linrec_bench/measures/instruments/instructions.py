"""Bytecode instructions of Python in a call: the work of loops that ask torch for nothing."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from linrec_bench.measures.spec import Measurable


def python_instructions(workload: Measurable) -> int:
    """Those of the second of two calls: a first may fill caches. What C code does is unseen."""
    workload.call()
    workload.reset()
    seen = 0

    # Any: the type of sys.settrace, whose last argument depends on the event.
    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        seen += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        workload.call()
    finally:
        sys.settrace(before)
    workload.reset()
    return seen
