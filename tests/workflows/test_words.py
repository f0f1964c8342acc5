"""Numbers in sentences."""

from retrieval.workflows.words import count, verb


def test_one_is_one_and_anything_else_is_many() -> None:
    assert [count(n, "image") for n in (0, 1, 2, 12480)] == ["0 images", "1 image", "2 images", "12,480 images"]
    assert [count(n, "copy", "copies") for n in (1, 2)] == ["1 copy", "2 copies"]
    assert [verb(n) for n in (0, 1, 2)] == ["are", "is", "are"]
    assert verb(1, "stays", "stay") == "stays"
