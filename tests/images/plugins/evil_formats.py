"""A Pillow plugin whose formats do to a decoder what a damaged file or a broken C library can do to it.

A file of such a format begins with ``EVIL-`` and what it does; the rest does not matter.
"""

import ctypes
import os
import re
import sys
import time

from PIL import Image, ImageFile


def _segfault() -> None:
    ctypes.string_at(0)


def _spin_in_c() -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")  # never gives the interpreter lock back


def _spin_in_python() -> None:
    while True:
        pass


def _exit() -> None:
    os._exit(3)


def _allocate() -> None:
    held = []
    while True:
        held.append(bytearray(64 * 1024 * 1024))


def _print() -> None:
    # Where the frames go, if a worker does not keep its pipes to itself.
    os.write(1, b"C libraries print to stdout" * 100)
    sys.stdout.write("and so do Python's")
    sys.stdout.flush()
    raise OSError("printed")


def _raise() -> None:
    raise AssertionError("an error of no particular kind \x1b[31m\n")


def _child() -> None:
    # A helper process that must not survive its parent.
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    _spin_in_python()


_DEEDS = {
    "SEGFAULT": _segfault,
    "SPINC": _spin_in_c,
    "SPINPY": _spin_in_python,
    "EXIT": _exit,
    "MEMORY": _allocate,
    "PRINT": _print,
    "RAISE": _raise,
    "CHILD": _child,
}


def _register(name, deed):
    prefix = f"EVIL-{name}".encode()[:16]

    class EvilFile(ImageFile.ImageFile):
        format = f"EVIL{name}"

        def _open(self) -> None:
            self._mode, self._size = "RGB", (8, 8)

        def load(self):
            deed()

    Image.register_open(EvilFile.format, EvilFile, lambda head: head.startswith(prefix))


for _name, _deed in _DEEDS.items():
    _register(_name, _deed)
