"""Imported first by the fork server: it ends with the process that started it, also amid its imports.

Otherwise a command that ends early, for a mistake in its suite, would leave it behind for seconds.
"""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
