"""What each part of a gallery takes on the disk."""

from pathlib import Path

from retrieval.workflows.layout import PARTS
from retrieval.workflows.status import status


def test_the_parts_add_up_to_all_that_lies_in_the_gallery(six: tuple[Path, Path]) -> None:
    gallery, _ = six
    for number, part in enumerate(PARTS.values(), start=1):
        (gallery / part / "deep").mkdir(parents=True, exist_ok=True)
        (gallery / part / "deep" / "file").write_bytes(bytes(1000 * number))
    before = status(gallery).bytes
    for number, (name, part) in enumerate(PARTS.items(), start=1):
        (gallery / part / "deep" / "file").unlink()
        assert before[name] - status(gallery).bytes[name] == 1000 * number
    (gallery / ".watch.json").write_bytes(bytes(77))
    (gallery / "runs" / "empty").mkdir()
    found = status(gallery).bytes
    assert found.pop("total") == sum(found.values())
    every = [path for path in gallery.rglob("*") if path.is_file() and not path.name.endswith("-shm")]
    assert sum(found.values()) == sum(path.stat().st_size for path in every)
    assert found["others"] >= 77
