"""What to ask next: against loops, by properties, and by what the answers teach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional.acquisition import farthest_first, margins, most_useful


def unit(random: np.random.Generator, rows: int, dimension: int = 4) -> np.ndarray:
    made = random.standard_normal((rows, dimension)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 30), classes=st.integers(2, 6))
def test_margins_are_first_less_second(seed: int, rows: int, classes: int) -> None:
    shares = np.random.default_rng(seed).dirichlet(np.ones(classes), rows)
    expected = [sorted(row)[-1] - sorted(row)[-2] for row in shares.tolist()]
    assert margins(shares) == pytest.approx(expected)


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 25), known=st.integers(0, 5), count=st.integers(1, 30))
def test_the_farthest_is_taken_first_as_a_loop_would(seed: int, rows: int, known: int, count: int) -> None:
    random = np.random.default_rng(seed)
    vectors, others = unit(random, rows), unit(random, known)
    nearest = (vectors.astype(float) @ others.astype(float).T).max(axis=1) if known else np.full(rows, -1.0)
    taken: list[int] = []
    for _ in range(min(count, rows)):
        left = [row for row in range(rows) if row not in taken]
        cosines = {
            row: max([nearest[row], *(float(vectors[row].astype(float) @ vectors[t].astype(float)) for t in taken)])
            for row in left
        }
        taken.append(min(left, key=lambda row: round(cosines[row], 12)))
    assert farthest_first(vectors, nearest, count).tolist() == taken


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 40), count=st.integers(1, 40), beta=st.integers(1, 4))
def test_only_the_least_sure_are_asked_and_nothing_twice(seed: int, rows: int, count: int, beta: int) -> None:
    random = np.random.default_rng(seed)
    vectors, unsure = unit(random, rows), random.random(rows)
    asked = most_useful(vectors, unsure, np.zeros(rows), count, beta=beta)
    assert len(set(asked.tolist())) == len(asked) == min(count, rows)
    assert unsure[asked].max() <= np.sort(unsure)[: beta * count].max()


def test_the_answers_teach_more_than_answers_to_chance() -> None:
    """Kinds of which some are rare, as in any gallery: chance asks about the frequent ones again and again."""
    random = np.random.default_rng(3)
    centres = unit(random, 12, 16)
    share = 1 / np.arange(1, 13) ** 1.5
    truth = random.choice(12, 1_500, p=share / share.sum())
    vectors = centres[truth] + 0.15 * random.standard_normal((1_500, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pool, held = np.arange(1_000), np.arange(1_000, 1_500)

    def accuracy(known: list[int]) -> float:
        right = truth[known][(vectors[held] @ vectors[known].T).argmax(axis=1)] == truth[held]
        return float(np.mean([right[truth[held] == kind].mean() for kind in np.unique(truth[held])]))

    def after(choose: bool, seed: int) -> float:
        draw = np.random.default_rng(seed)
        known = draw.choice(pool, 10, replace=False).tolist()
        for _ in range(3):
            left = np.setdiff1d(pool, known)
            if choose:
                cosines = vectors[left] @ vectors[known].T
                shares = np.zeros((len(left), 12))
                np.add.at(shares.T, truth[known], np.exp(cosines.T / 0.07))
                shares /= shares.sum(axis=1, keepdims=True)
                rows = most_useful(vectors[left], margins(shares), cosines.max(axis=1), 10)
            else:
                rows = draw.choice(len(left), 10, replace=False)
            known += left[rows].tolist()
        return accuracy(known)

    gains = [after(True, seed) - after(False, seed) for seed in range(12)]
    # Four standard errors above nothing: not by luck.
    assert np.mean(gains) > 4 * np.std(gains, ddof=1) / np.sqrt(len(gains)) > 0


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="two classes"):
        margins(np.ones((3, 1)))
    with pytest.raises(ValueError, match="beta"):
        most_useful(np.ones((3, 2), np.float32), np.ones(2), np.ones(3), 1)
    with pytest.raises(ValueError, match="beta"):
        most_useful(np.ones((3, 2), np.float32), np.ones(3), np.ones(3), 1, beta=0)
