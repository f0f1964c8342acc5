"""What the report of a run on labels says beside its figures."""

import pytest

from retrieval.workflows.run_report import _notes


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, []),
        (
            1,
            [
                "1 group of equal or nearly equal images stands on two sides of the split.",
                "1 image is in no part, because a near-duplicate stands on another side.",
                "1 image could not be read.",
            ],
        ),
        (
            1200,
            [
                "1,200 groups of equal or nearly equal images stand on two sides of the split.",
                "1,200 images are in no part, because a near-duplicate stands on another side.",
                "1,200 images could not be read.",
            ],
        ),
    ],
)
def test_notes_fit_their_numbers(number: int, expected: list[str]) -> None:
    said = {"metrics": {"split": {"leaks": number}}, "left_out": number, "unreadable": number}
    assert _notes(said) == expected
