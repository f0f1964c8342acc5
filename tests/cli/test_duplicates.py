"""``retrieval duplicates``."""

import csv
import io
import shutil
from pathlib import Path

from tests.cli.conftest import Command
from tests.workflows.support import index, save


def test_duplicates_as_text_json_and_table(retrieval: Command, gallery: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for seed in range(4):
        save(folder / f"{seed}.png", seed, (120, 90))
    shutil.copy(folder / "1.png", folder / "copy.png")
    index(gallery, folder)
    at = ("--gallery", str(gallery), "--workers", "1")
    (group,) = retrieval("duplicates", "--json", *at).json["groups"]
    assert [Path(copy["path"]).name for copy in group] == ["1.png", "copy.png"]
    rows = list(csv.DictReader(io.StringIO(retrieval("duplicates", "--csv", *at).out)))
    assert [row["group"] for row in rows] == ["1", "1"]
    shown = retrieval("duplicates", *at)
    assert "copy.png" in shown.out
    assert "1 group among 4 images" in shown.err
    (folder / "copy.png").unlink()
    index(gallery)
    assert retrieval("duplicates", *at).out == ""
    assert "exclude each other" in retrieval("duplicates", "--csv", "--json", *at).error
