"""Who searches among whom, and what is made of it."""

import numpy as np
import pytest

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled, LabelledImage, Split
from retrieval.workflows.proof import prove, search_part, shares_classes, validation_score


def labelled(names: str) -> Labelled:
    return Labelled([LabelledImage(b"%d" % i, name) for i, name in enumerate(names)], "drawn")


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def on_a_line(*places: float) -> np.ndarray:
    """Unit vectors in the plane: what is near on the line is near by cosine."""
    angles = np.array(places) / 10
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_known_classes_search_among_the_training_images() -> None:
    data = labelled("aabbab")
    split = Split(ids(0, 1, 2, 3), ids(4), ids(5), "given", 0)
    assert shares_classes(data, split, split.test)
    vectors = on_a_line(0, 1, 8, 9, 0.5, 1.4)
    found = search_part(data, vectors, split, split.test)
    # Image 5 is a b that lies among the a's; image 4, nearest of all but one, is in another part.
    assert found.matches.ids[0, :4].tolist() == [1, 0, 2, 3]
    assert found.values["recall_at_1"].tolist() == [0.0]
    assert found.database == 4


def test_classes_never_seen_search_among_each_other() -> None:
    data = labelled("aabbcc")
    split = Split(ids(0, 1), ids(2, 3), ids(4, 5), "class-disjoint", 0)
    vectors = on_a_line(0, 1, 2, 3, 2.1, 3.1)
    found = search_part(data, vectors, split, split.test)
    assert found.matches.ids[:, 0].tolist() == [5, 4]
    assert validation_score(data, vectors, split) == 1.0


def test_the_comparison_is_of_the_test_part_alone() -> None:
    random = np.random.default_rng(0)
    data = labelled("".join(letter * 6 for letter in "abcdefgh"))
    numbers = data.numbers
    split = Split(ids(*range(24)), ids(*range(24, 36)), ids(*range(36, 48)), "class-disjoint", 0)
    before = random.standard_normal((48, 16)).astype(np.float32)
    after = before + 3 * np.eye(16, dtype=np.float32)[numbers]
    proof = prove(data, before, after, split)
    assert proof.comparison.after.query_ids.tolist() == list(range(36, 48))
    assert proof.comparison.changes["map_at_r"].difference.mean > 0.2
    assert "leave one out" in proof.way
    # What happens in training and validation does not move the test part's figures.
    other = after.copy()
    other[:36] = random.standard_normal((36, 16))
    again = prove(data, before, other, split).comparison
    assert again.changes["map_at_r"].difference == proof.comparison.changes["map_at_r"].difference


def test_a_part_that_cannot_be_measured_is_refused() -> None:
    data = labelled("aabbcd")
    split = Split(ids(0, 1), ids(2, 3), ids(4, 5), "class-disjoint", 0)
    with pytest.raises(BadValue, match="No query"):
        search_part(data, on_a_line(0, 1, 2, 3, 4, 5), split, split.test)
    with pytest.raises(BadValue, match="no image"):
        search_part(data, on_a_line(0, 1, 2, 3, 4, 5), split, ids())
