"""The only place that imports FAISS, and its threads.

torch and FAISS each bring an OpenMP runtime. On macOS the two crash together as soon as both run several threads
(faiss-wheels #73), so FAISS starts with one thread there; elsewhere with as many as OpenMP gives it.
"""

import sys
import warnings
from typing import Any

with warnings.catch_warnings():
    # SWIG's types warn on Python 3.12 and later; nothing a user or a caller can do.
    warnings.simplefilter("ignore", DeprecationWarning)
    import faiss as _faiss

faiss: Any = _faiss
"""The library, untyped: it ships no annotations."""

if sys.platform == "darwin":
    faiss.omp_set_num_threads(1)


def set_threads(count: int) -> None:
    """Let FAISS use ``count`` processor threads from now on, in this process.

    On macOS keep it at 1 in a process that also imports torch (see the module's text).

    Raises:
        ValueError: count < 1.
    """
    if count < 1:
        raise ValueError(f"{count} threads: at least 1 is needed.")
    faiss.omp_set_num_threads(count)
