"""Checksums of a database file, computed in a process of its own. Runs as a script; knows nothing of the package.

POSIX drops all locks that a process holds on a file as soon as the process closes any handle on it. A process that
has a database open through SQLite must therefore never open and close the file itself: the next process would take
itself for the only one and fold the journal in under the feet of the first.
"""

import hashlib
import json
import os
import subprocess
import sys
import zlib
from typing import Any

_PAGE = 4096


def sums_of(path: str) -> dict[str, Any]:
    """``{"sha256": hex, "page_size": int, "pages": CRC-32 of every page, eight hexadecimal digits each}``.

    Raises:
        OSError: the file cannot be read.
    """
    # A session of its own: Ctrl-C in the terminal is meant for the parent, which ends in its own time.
    done = subprocess.run(
        [sys.executable, "-I", "-S", __file__, path],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=os.name != "nt",
    )
    if done.returncode:
        raise OSError(done.stderr.strip().rsplit("\n", 1)[-1] or f"{path} cannot be read")
    sums: dict[str, Any] = json.loads(done.stdout)
    return sums


def _sums(path: str) -> dict[str, Any]:
    digest = hashlib.sha256()
    pages: list[str] = []
    with open(path, "rb") as file:
        head = file.read(100)
        # The header's page size; 1 stands for 65536. A damaged one only makes other pages than before.
        size = int.from_bytes(head[16:18], "big") if len(head) == 100 else 0
        size = 65536 if size == 1 else size if size >= 512 else _PAGE
        file.seek(0)
        while page := file.read(size):
            if not pages:
                page = _without_journal_mode(page)
            digest.update(page)
            pages.append(f"{zlib.crc32(page):08x}")
    return {"sha256": digest.hexdigest(), "page_size": size, "pages": "".join(pages)}


def _without_journal_mode(page: bytes) -> bytes:
    """The first page without what SQLite changes when a gallery moves to a network drive, where WAL does not work.

    These are the file format (two equal bytes, 1 or 2) and the change counter, which stands in two places; where one
    of a pair differs from the other, it is damage, and stays.
    """
    changed = bytearray(page)
    if page[18:20] in (b"\x01\x01", b"\x02\x02"):
        changed[18:20] = b"\0\0"
    if page[24:28] == page[92:96]:
        changed[24:28] = changed[92:96] = bytes(4)
    return bytes(changed)


if __name__ == "__main__":
    print(json.dumps(_sums(sys.argv[1])))
