"""Maps from score to probability: in [0, 1], never falling, at the optimum of what they minimise, and readable back."""

import doctest
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import RetrievalError
from retrieval.evaluation import calibration as module
from retrieval.evaluation.calibration import Calibration, brier_score, cross_validated, fit_calibration

KINDS = ("platt", "isotonic")


@st.composite
def pairs(draw):
    """Scores, few of them distinct or many, and outcomes of any kind."""
    count = draw(st.integers(1, 40))
    value = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]) if draw(st.booleans()) else st.floats(-1, 1)
    scores = draw(st.lists(value, min_size=count, max_size=count))
    same = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return np.array(scores, np.float64), np.array(same, np.bool_)


def made(count, seed=0, sharp=8.0, middle=0.5, classes=20):
    """Pairs whose true probability is a logistic curve of their score."""
    random = np.random.default_rng(seed)
    scores = random.uniform(0, 1, count)
    truth = 1 / (1 + np.exp(-sharp * (scores - middle)))
    return scores, random.random(count) < truth, random.integers(classes, size=count), truth


@settings(max_examples=150, deadline=None)
@given(pairs(), st.sampled_from(KINDS), st.lists(st.floats(-1, 1), min_size=2, max_size=10))
def test_probabilities_are_in_range_and_keep_the_order(data, kind, asked):
    calibration = fit_calibration(*data, kind=kind)
    found = calibration.of(np.sort(np.array(asked)))
    assert np.all((found >= 0) & (found <= 1))
    assert np.all(np.diff(found) >= 0)
    assert calibration.of(np.array(asked)).tolist() == [calibration.probability(score) for score in asked]
    # Not certain of anything it was fitted on, however few pairs there were.
    seen = calibration.of(data[0])
    if kind == "isotonic" or np.ptp(data[0]) > 0.01:
        assert np.all((seen > 0) & (seen < 1))


@settings(max_examples=80, deadline=None)
@given(pairs(), st.sampled_from(KINDS), st.none() | st.floats(-1, 1))
def test_json_and_back(data, kind, threshold):
    calibration = fit_calibration(*data, kind=kind)
    calibration = Calibration.from_dict(calibration.to_dict() | {"threshold": threshold})
    again = Calibration.from_bytes(calibration.to_bytes())
    assert again == calibration
    assert again.threshold == threshold
    assert again.pairs == len(data[0])
    assert again.positives == data[1].sum()


def platt_loss(slope, intercept, scores, same):
    """Platt's loss, pair by pair: cross-entropy to his smoothed targets."""
    positives, negatives = int(same.sum()), int((~same).sum())
    total = 0.0
    for score, hit in zip(scores.tolist(), same.tolist(), strict=True):
        target = (positives + 1) / (positives + 2) if hit else 1 / (negatives + 2)
        p = 1 / (1 + math.exp(-(slope * score + intercept)))
        total -= target * math.log(p) + (1 - target) * math.log(1 - p)
    return total


@pytest.mark.parametrize("seed", range(4))
def test_platt_is_at_the_minimum_of_its_loss(seed):
    scores, same, _, _ = made(60, seed)
    found = fit_calibration(scores, same, kind="platt")
    best = platt_loss(found.slope, found.intercept, scores, same)
    for step in (1e-3, 0.1, 1.0):
        for a, b in itertools.product((-step, 0, step), repeat=2):
            assert platt_loss(found.slope + a, found.intercept + b, scores, same) >= best - 1e-9


def monotone_by_search(shares, weights):
    """The monotone values nearest to shares: the max-min formula of isotonic regression, over all intervals."""
    count = len(shares)

    def mean(i, j):
        return sum(s * w for s, w in zip(shares[i : j + 1], weights[i : j + 1], strict=True)) / sum(weights[i : j + 1])

    return [max(min(mean(i, j) for j in range(k, count)) for i in range(k + 1)) for k in range(count)]


@settings(max_examples=100, deadline=None)
@given(pairs())
def test_isotonic_is_the_monotone_fit_nearest_to_the_data(data):
    """Second way: the max-min formula, once on the shares and once more on the blocks after smoothing."""
    scores, same = data
    values = np.unique(scores)
    counts = [int((scores == value).sum()) for value in values]
    levels = monotone_by_search([float(same[scores == value].mean()) for value in values], counts)
    blocks = []
    for level, members in itertools.groupby(range(len(values)), key=lambda n: round(levels[n], 9)):
        rows = np.isin(scores, values[list(members)])
        blocks.append((int(rows.sum()), float(same[rows].sum()), float(scores[rows].sum())))
        assert blocks[-1][1] / blocks[-1][0] == pytest.approx(level, abs=1e-8)
    smooth = monotone_by_search([(hit + 1) / (n + 2) for n, hit, _ in blocks], [n + 2 for n, _, _ in blocks])
    expected = []
    for level, members in itertools.groupby(range(len(blocks)), key=lambda n: round(smooth[n], 9)):
        joined = [blocks[n] for n in members]
        expected.append((sum(total for _, _, total in joined) / sum(n for n, _, _ in joined), level))
    found = fit_calibration(scores, same, kind="isotonic")
    np.testing.assert_allclose(list(zip(found.scores, found.probabilities, strict=True)), expected, atol=1e-8)


def test_isotonic_by_hand():
    """Scores 0, 1, 2, 3: - + - +: blocks 0/1, 1/2, 1/1, each with a pair of either kind more: 1/3, 2/4, 2/3."""
    found = fit_calibration(np.array([0.0, 1, 2, 3]), np.array([False, True, False, True]), kind="isotonic")
    assert found.scores == pytest.approx((0, 1.5, 3))
    assert found.probabilities == pytest.approx((1 / 3, 1 / 2, 2 / 3))
    assert found.probability(0.75) == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert found.probability(-9) == pytest.approx(1 / 3)
    assert found.probability(9) == pytest.approx(2 / 3)


def test_a_true_logistic_curve_is_found():
    scores, same, classes, truth = made(20_000)
    found = fit_calibration(scores, same, classes=classes, kind="platt")
    assert found.slope == pytest.approx(8, rel=0.05)
    assert np.abs(found.of(scores) - truth).max() < 0.03
    steps = fit_calibration(scores, same, kind="isotonic")
    assert np.abs(steps.of(scores) - truth).mean() < 0.03


def test_auto_takes_the_steps_where_no_logistic_curve_fits():
    random = np.random.default_rng(0)
    scores, classes = random.uniform(0, 1, 4000), random.integers(20, size=4000)
    plateau = np.where(scores < 0.3, 0.05, np.where(scores < 0.9, 0.5, 0.99))
    same = random.random(4000) < plateau
    assert fit_calibration(scores, same, classes=classes).kind == "isotonic"
    assert fit_calibration(scores, same).kind == "platt", "nothing to cross-validate over"
    assert fit_calibration(scores, same, classes=np.zeros(4000, np.int64)).kind == "platt"


def test_auto_keeps_the_logistic_curve_where_steps_win_by_chance_only():
    """Pairs of a true logistic curve: by their mere Brier score the steps would be taken nine times of forty."""
    kept = [fit_calibration(*made(300, seed)[:2], classes=made(300, seed)[2]).kind for seed in range(40)]
    assert kept.count("platt") >= 35


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outcome", [True, False])
def test_one_outcome_only_is_a_constant_short_of_certainty(kind, outcome):
    found = fit_calibration(np.linspace(0, 1, 30), np.full(30, outcome), kind=kind)
    values = found.of(np.linspace(-1, 1, 9))
    assert np.ptp(values) < 1e-9
    assert (0.9 < values[0] < 1) if outcome else (0 < values[0] < 0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_scores_give_the_share(kind):
    found = fit_calibration(np.full(1000, 0.7), np.arange(1000) < 300, kind=kind)
    assert found.probability(0.7) == pytest.approx(0.3, abs=0.01)
    assert found.probability(0.1) == found.probability(0.9)


@pytest.mark.parametrize("kind", KINDS)
def test_where_higher_means_less_likely_the_curve_does_not_fall(kind):
    scores, same, _, _ = made(500, sharp=-8)
    found = fit_calibration(scores, same, kind=kind)
    values = found.of(np.linspace(0.2, 0.8, 5))
    assert np.ptp(values) < 0.05
    assert values[2] == pytest.approx(same.mean(), abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_perfect_separation_stays_finite(kind):
    scores = np.array([0.1] * 20 + [0.9] * 20)
    found = fit_calibration(scores, scores > 0.5, kind=kind)
    assert found.probability(0.1) < 0.06
    assert found.probability(0.9) > 0.94
    assert math.isfinite(found.slope)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_match_gets_no_nan(kind):
    """A row of matches is filled with -inf."""
    found = fit_calibration(*made(50)[:2], kind=kind)
    assert found.probability(-math.inf) <= found.probability(-1.0)
    constant = fit_calibration(np.full(9, 0.5), np.ones(9, np.bool_), kind=kind)
    assert 0 < constant.probability(-math.inf) < 1
    with pytest.raises(ValueError, match="not a number"):
        found.probability(math.nan)


def test_each_fold_is_given_by_a_map_that_never_saw_its_classes():
    scores, same, classes, _ = made(400, classes=7)
    found = cross_validated(scores, same, classes, "platt", seed=3)
    changed = same.copy()
    changed[classes == 4] ^= True
    again = cross_validated(scores, changed, classes, "platt", seed=3)
    np.testing.assert_array_equal(found[classes == 4], again[classes == 4])
    assert np.any(found != again)
    with pytest.raises(ValueError, match="at least two"):
        cross_validated(scores, same, np.zeros(400, np.int64), "platt")


def test_pairs_that_cannot_be_are_refused():
    scores, same = np.array([0.1, 0.2]), np.array([True, False])
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not finite"):
            fit_calibration(np.array([0.1, bad]), same)
    with pytest.raises(ValueError, match="no pair"):
        fit_calibration(scores[:0], same[:0])
    with pytest.raises(ValueError, match="do not fit"):
        fit_calibration(scores, same[:1])
    with pytest.raises(ValueError, match="do not fit"):
        fit_calibration(scores, same, classes=np.array([1]))


PLATT = {"kind": "platt", "slope": 3.0, "intercept": -1.0, "pairs": 9, "positives": 4, "threshold": 0.4}
STEPS = {"kind": "isotonic", "scores": [0.1, 0.5], "probabilities": [0.2, 0.9], "pairs": 9, "positives": 4}


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        "platt",
        PLATT | {"kind": "other"},
        PLATT | {"kind": None},
        PLATT | {"slope": -1.0},
        PLATT | {"slope": "3"},
        PLATT | {"slope": True},
        PLATT | {"slope": math.nan},
        PLATT | {"intercept": math.inf},
        PLATT | {"threshold": "0.4"},
        PLATT | {"margin": 0.1},
        PLATT | {"margin": 0.1, "margin_among": -1},
        PLATT | {"margin": math.nan, "margin_among": 9},
        PLATT | {"margin": 2.1, "margin_among": 9},
        PLATT | {"threshold": math.nan},
        PLATT | {"pairs": -1},
        PLATT | {"pairs": 9.5},
        PLATT | {"positives": 10},
        {key: value for key, value in PLATT.items() if key != "slope"},
        {key: value for key, value in PLATT.items() if key != "pairs"},
        STEPS | {"scores": []},
        STEPS | {"scores": [], "probabilities": []},
        STEPS | {"scores": [0.5, 0.1]},
        STEPS | {"scores": [0.1, 0.1]},
        STEPS | {"scores": 0.1},
        STEPS | {"scores": [0.1, None]},
        STEPS | {"probabilities": [0.9, 0.2]},
        STEPS | {"probabilities": [0.2, 1.2]},
        STEPS | {"probabilities": [-0.2, 0.9]},
        STEPS | {"probabilities": [0.2]},
    ],
)
def test_a_damaged_calibration_is_refused(values):
    with pytest.raises(RetrievalError, match="calibration is damaged") as caught:
        Calibration.from_dict(values)
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, json.dumps(PLATT).encode()[:-9]])
def test_a_damaged_file_is_refused(content):
    with pytest.raises(RetrievalError, match="calibration is damaged"):
        Calibration.from_bytes(content)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_flipped_bytes_are_refused_or_give_a_sound_map(place, patch):
    content = bytearray(Calibration.from_dict(STEPS).to_bytes())
    content[place : place + len(patch)] = patch
    try:
        found = Calibration.from_bytes(bytes(content))
    except RetrievalError:
        return
    values = found.of(np.linspace(-1, 1, 9))
    assert np.all((values >= 0) & (values <= 1))
    assert np.all(np.diff(values) >= 0)


def test_sound_documents_are_read_and_further_keys_ignored():
    assert Calibration.from_dict(PLATT | {"reliability": {}}).threshold == 0.4
    assert Calibration.from_dict(STEPS).probability(0.3) == pytest.approx(0.55)


def test_brier_by_hand():
    assert brier_score(np.array([1.0, 0.0, 0.5]), np.array([True, True, False])) == pytest.approx((0 + 1 + 0.25) / 3)


def test_doctests():
    assert doctest.testmod(module).failed == 0 < doctest.testmod(module).attempted


def test_a_margin_holds_for_the_images_it_was_measured_among_and_a_quarter_more():
    old = Calibration.from_dict(PLATT)
    assert (old.threshold, old.margin, old.by_margin(0), old.by_margin(1)) == (0.4, None, False, False)
    for values in (PLATT, STEPS):
        found = Calibration.from_dict(values | {"margin": -0.1, "margin_among": 100})
        assert (found.margin, found.margin_among) == (-0.1, 100)
        assert Calibration.from_bytes(found.to_bytes()) == found
        assert [found.by_margin(images) for images in (10, 100, 125, 126)] == [True, True, True, False]
