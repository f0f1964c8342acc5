"""A table that somebody sends: every row is used or answered for."""

import os
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue
from retrieval.workflows import label_upload
from retrieval.workflows import labels as workflow
from retrieval.workflows.label_upload import BadRow, import_upload

from .support import carried


def test_what_can_be_used_is_used_and_every_other_row_is_named(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    before = carried(gallery)
    lines = [
        "Path,label,notes",
        f"{photos}/red/0000.png,apple,x",
        "red/0001.png, pear ,",
        ",apple,",
        "red/0002.png,  ,",
        "red/nowhere.png,apple,",
        f"{os.sep}etc{os.sep}passwd,apple,",
        f"..{os.sep}{photos.name}{os.sep}blue/0003.png,plum,",
    ]
    done = import_upload(gallery, "\r\n".join(lines).encode())
    assert (done.rows, done.report.added, done.report.removed) == (7, 3, 0)
    assert done.bad == (
        BadRow(4, "no_path", "apple"),
        BadRow(5, "no_label", "red/0002.png"),
        BadRow(6, "unknown", "red/nowhere.png"),
        BadRow(7, "unknown", "/etc/passwd"),
    )
    after = carried(gallery)
    assert [after[f"000{n}.png"] for n in (0, 1, 3)] == [("apple", "red"), ("pear", "red"), ("blue", "plum")]
    again = import_upload(gallery, "\n".join(lines).encode("utf-16"))
    assert (again.report.operation, again.report.unchanged) == (None, 3)
    workflow.undo(gallery)
    assert carried(gallery) == before


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"file,name\na,b\n", b"path\nx\n", b"\xff\xfe\x00"])
def test_what_is_no_table_is_refused(six: tuple[Path, Path], content: bytes) -> None:
    with pytest.raises(BadValue, match="no columns path and label") as caught:
        import_upload(six[0], content)
    assert caught.value.hint


def test_odd_rows_do_no_harm(six: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, _ = six
    before = carried(gallery)
    content = b"path,label\n\xff\xfe.png,x\na\x00b,x\n" + "\ud800".encode("utf-8", "surrogatepass") + b',x\n"q\nr",x\n'
    done = import_upload(gallery, content)
    assert {row.why for row in done.bad} <= {"unknown", "bad_path"}
    assert len(done.bad) == done.rows == 4
    assert carried(gallery) == before
    monkeypatch.setattr(label_upload, "MOST_ROWS", 2)
    with pytest.raises(BadValue, match="4 rows") as caught:
        import_upload(gallery, content)
    assert "labels import" in caught.value.hint
