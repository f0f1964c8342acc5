"""The values that travel between layers."""

import numpy as np
import pytest

from retrieval.core.types import NO_ID, FileRecord, Filters, ImageRecord, Matches


def test_a_row_of_matches_leaves_the_filling_out() -> None:
    matches = Matches(
        np.array([[7, 3, NO_ID], [NO_ID] * 3], np.int64),
        np.array([[0.9, -0.5, -np.inf], [-np.inf] * 3]),
    )
    assert matches.row(0) == [(7, 0.9), (3, -0.5)]
    assert matches.row(1) == []
    assert all(type(i) is int and type(s) is float for i, s in matches.row(0))


@pytest.mark.parametrize(
    ("filters", "restricts"),
    [
        (Filters(), False),
        (Filters(min_score=0.5), False),
        (Filters(labels=("a",)), True),
        (Filters(not_labels=("a",)), True),
        (Filters(under=("/a",)), True),
    ],
)
def test_filters_know_whether_they_limit_the_images(filters: Filters, restricts: bool) -> None:
    assert filters.restricts is restricts


def record(*files: FileRecord) -> ImageRecord:
    return ImageRecord(1, "00", 1, 1, "PNG", 1, None, files)


def test_an_image_lies_where_its_present_files_are() -> None:
    here, gone = FileRecord("/here", "present", False), FileRecord("/gone", "missing", False)
    assert record(gone, here).paths == ("/here",)


def test_an_image_without_present_files_tells_its_last_known_places() -> None:
    assert record(FileRecord("/a", "missing", False), FileRecord("/b", "missing", True)).paths == ("/a", "/b")
    assert record().paths == ()
