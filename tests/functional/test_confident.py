"""Probably wrong labels, against the paper's definitions as a loop, and on labels that were made wrong."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from retrieval.functional.confident import suspects


@drawn(seed=st.integers(0, 10_000), rows=st.integers(1, 40), classes=st.integers(1, 5))
def test_it_is_the_loop_that_the_paper_writes(seed: int, rows: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(classes), rows)
    given = random.integers(0, classes, rows)
    usual = {j: np.mean([probabilities[i, j] for i in range(rows) if given[i] == j]) for j in set(given.tolist())}
    expected = {}
    for i in range(rows):
        reached = {j: probabilities[i, j] for j in usual if probabilities[i, j] >= usual[j] - 1e-15}
        if not reached or sum(given == given[i]) < 2:
            continue
        best = max(reached, key=lambda j: reached[j])
        if best != given[i]:
            expected[i] = (best, reached[best] - probabilities[i, given[i]])
    found = suspects(probabilities, given)
    assert dict(zip(found.rows.tolist(), found.instead.tolist(), strict=True)) == {i: e[0] for i, e in expected.items()}
    assert found.margins.tolist() == pytest.approx(sorted((e[1] for e in expected.values()), reverse=True))


def test_labels_that_were_made_wrong_are_found_and_come_first() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 5, 500)
    probabilities = 0.1 * random.dirichlet(np.ones(5), 500)
    probabilities[np.arange(500), truth] += 0.9
    given = truth.copy()
    wrong = random.choice(500, 25, replace=False)
    given[wrong] = (truth[wrong] + random.integers(1, 5, 25)) % 5
    found = suspects(probabilities, given)
    assert set(found.rows[:25].tolist()) == set(wrong.tolist())
    assert (found.instead[:25] == truth[found.rows[:25]]).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        suspects(np.ones((3, 2)), np.zeros(2, np.int64))
