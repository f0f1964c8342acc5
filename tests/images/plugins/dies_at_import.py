"""A plugin that takes its process down before the worker is ready."""

import ctypes
import sys

sys.stderr.write("a library is missing here\n")
sys.stderr.flush()
ctypes.string_at(0)
