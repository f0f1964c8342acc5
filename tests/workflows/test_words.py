"""Numbers in sentences."""

import pytest

from retrieval.workflows.words import chance_in_words, count, verb


def test_one_is_one_and_anything_else_is_many() -> None:
    assert [count(n, "image") for n in (0, 1, 2, 12480)] == ["0 images", "1 image", "2 images", "12,480 images"]
    assert [count(n, "copy", "copies") for n in (1, 2)] == ["1 copy", "2 copies"]
    assert [verb(n) for n in (0, 1, 2)] == ["are", "is", "are"]
    assert verb(1, "stays", "stay") == "stays"


@pytest.mark.parametrize(
    ("probability", "said"),
    [(0.0, "<1%"), (0.009, "<1%"), (0.01, "1%"), (0.564, "56%"), (0.99, "99%"), (0.995, ">99%"), (1.0, ">99%")],
)
def test_a_chance_is_never_certain(probability: float, said: str) -> None:
    assert chance_in_words(probability) == said
