"""The temperature study: weights by cosine, comparisons with the best, and what is recommended how surely."""

import json

import numpy as np
import pytest

from retrieval.evaluation.retrieval import retrieve
from retrieval.evaluation.temperature import (
    BINS,
    LIMIT,
    Trial,
    compared,
    effective_negatives,
    penalty,
    recommend,
    trial,
)
from retrieval.evaluation.temperature_page import TemperaturePage, render
from retrieval.functional.metrics import bootstrap_difference, bootstrap_interval
from retrieval.functional.temperature import negative_weights
from tests.evaluation.test_diagnosis import clusters
from tests.evaluation.test_report import ODD, Tree, browser  # noqa: F401

QUERIES, CLASSES = 60, np.repeat(np.arange(12), 5)


def made(tau, seed, level, noise=0.05):
    """A trial whose queries lie around a level."""
    random = np.random.default_rng([seed, 7])
    precision = np.clip(level + noise * random.standard_normal(QUERIES), 0, 1)
    return Trial(tau, seed, (precision > 0.4).astype(np.float64), precision, -2.0 + tau, 0.5 + tau / 4, 10 * tau)


def study(levels, seeds=3, noise=0.05):
    trials = [made(tau, seed, level, noise) for tau, level in levels.items() for seed in range(seeds)]
    return compared(trials, CLASSES, dict.fromkeys(levels, 5.0))


def test_seeds_are_averaged_query_by_query_and_compared_in_pairs():
    found = study({0.05: 0.4, 0.1: 0.5, 0.5: 0.3})
    assert [one.temperature for one in found] == [0.05, 0.1, 0.5]
    mean = {one.temperature: np.mean([t.precision for t in one.trials], axis=0) for one in found}
    for one in found:
        assert one.precision == bootstrap_interval(mean[one.temperature], CLASSES, 0)
        assert one.behind == bootstrap_difference(mean[0.1], mean[one.temperature], CLASSES, 0)
        assert one.uniformity == pytest.approx(np.mean([t.uniformity for t in one.trials]))
        assert [t.seed for t in one.trials] == [0, 1, 2]
    assert found[1].behind.mean == found[1].behind.low == 0


def test_a_clear_best_is_recommended_without_doubt():
    advice = recommend(study({0.05: 0.4, 0.1: 0.6, 0.5: 0.3}))
    assert (advice.temperature, advice.as_good, advice.at_end) == (0.1, (0.1,), None)
    assert (advice.liked, advice.seeds) == (3, 3)
    assert "All others are worse" in advice.uncertainty


def test_what_cannot_be_told_apart_is_said():
    random = np.random.default_rng(0)
    close = [
        Trial(tau, seed, np.ones(QUERIES), np.clip(0.5 + 0.2 * random.standard_normal(QUERIES), 0, 1), 0.0, 0.0, 1.0)
        for tau in (0.05, 0.1)
        for seed in range(3)
    ]
    advice = recommend(
        compared([*close, *(made(0.5, seed, 0.1) for seed in range(3))], CLASSES, {0.05: 1.0, 0.1: 1.0, 0.5: 1.0})
    )
    assert set(advice.as_good) == {0.05, 0.1}
    assert "cannot be told apart" in advice.uncertainty
    assert "0.5" not in advice.uncertainty


@pytest.mark.parametrize(
    ("levels", "end", "word"), [({0.1: 0.6, 0.5: 0.2}, "low", "smaller"), ({0.1: 0.2, 0.5: 0.6}, "high", "larger")]
)
def test_a_best_at_the_end_of_what_was_tried_is_said(levels, end, word):
    advice = recommend(study(levels))
    assert advice.at_end == end
    assert word in advice.uncertainty


def test_few_labels_are_said():
    trials = [made(tau, seed, tau) for tau in (0.2, 0.5) for seed in range(2)]
    few = recommend(compared(trials, CLASSES % 3, {0.2: 1.0, 0.5: 1.0}))
    assert "Only 3 labels validate" in few.uncertainty
    assert "labels validate" not in recommend(compared(trials, CLASSES, {0.2: 1.0, 0.5: 1.0})).uncertainty


def test_temperatures_need_the_same_seeds():
    with pytest.raises(ValueError, match="same seeds"):
        compared([made(0.1, 0, 0.5), made(0.2, 1, 0.5)], CLASSES, {0.1: 1.0, 0.2: 1.0})
    with pytest.raises(ValueError, match="same seeds"):
        compared([], CLASSES, {})


def test_the_penalty_of_each_bin_is_the_mean_of_its_negatives():
    vectors, numbers = clusters(0.8, classes=4, each=5)
    found = penalty(vectors, numbers, (0.05, 1.0))
    exact = vectors.astype(np.float64)
    scores, alike = exact @ exact.T, numbers[:, None] == numbers[None]
    edges = np.linspace(scores[~alike].min(), scores[~alike].max(), BINS + 1)
    for tau, row in found.weights.items():
        weights = negative_weights(scores, ~alike, tau)
        for number in range(BINS):
            last = number == BINS - 1
            values = [
                weights[i, j] * 15
                for i in range(20)
                for j in range(20)
                if not alike[i, j]
                and edges[number] <= scores[i, j]
                and (scores[i, j] < edges[number + 1] or (last and scores[i, j] <= edges[-1] + 1e-12))
            ]
            if values:
                assert row[number] == pytest.approx(np.mean(values), rel=1e-6)
            else:
                assert np.isnan(row[number])
    assert (found.negatives, found.anchors) == (15, 20)
    # The smaller the temperature, the more the nearest get.
    last = int(np.flatnonzero(~np.isnan(found.weights[1.0]))[-1])
    assert found.weights[0.05][last] > found.weights[1.0][last] > 1
    assert [tau for tau, _ in found.limit] == list(LIMIT)
    assert found.limit[0][1] - found.triplet < found.limit[-1][1] - found.triplet
    assert 0 <= found.limit[0][1] - found.triplet < 0.01


def test_fewer_negatives_count_the_smaller_the_temperature():
    vectors, numbers = clusters(0.8)
    counts = [effective_negatives(vectors, numbers, tau) for tau in (0.01, 0.1, 1.0, 100.0)]
    assert counts == sorted(counts)
    assert counts[0] >= 1
    assert counts[-1] == pytest.approx(40, rel=1e-3)
    assert np.isnan(effective_negatives(vectors[:3], np.zeros(3, np.int64), 0.1))


def test_a_trial_measures_what_it_says():
    vectors, numbers = clusters(0.5)
    result = retrieve(vectors, numbers, resamples=1)
    found = trial(0.1, 3, vectors, numbers, result)
    assert found.precision.tolist() == result.values["map_at_r"].tolist()
    assert found.recall.tolist() == result.values["recall_at_1"].tolist()
    exact = vectors.astype(np.float64)
    pairs = [exact[i] @ exact[j] for i in range(48) for j in range(i) if numbers[i] == numbers[j]]
    assert found.tolerance == pytest.approx(np.mean(pairs))
    assert found.effective == effective_negatives(vectors, numbers, 0.1)


@pytest.fixture(scope="module")
def page():
    levels = {0.01: 0.3, 0.02: 0.35, 0.05: 0.4, 0.07: 0.42, 0.1: 0.5, 0.2: 0.45, 0.5: 0.3, 1.0: 0.2}
    found = study(levels)
    where = penalty(*clusters(0.8), tuple(levels))
    return TemperaturePage(ODD[0], ODD[7], found, where, recommend(found), {ODD[1]: ODD[4]}, 60)


def test_the_page_is_well_formed_and_needs_nothing(page):
    tree = Tree(render(page))
    text = " ".join(tree.texts)
    assert "Take τ = 0.1" in text
    assert page.recommended.uncertainty in text
    for heading in (
        "What each temperature gives",
        "Uniformity against tolerance",
        "Where the penalty goes",
        "Towards a triplet loss",
    ):
        assert heading in text
    assert sum(tag == "tr" for tag, _ in tree.elements) == 1 + 8 + 1 + 24
    assert {tag for tag, _ in tree.elements} & {"script", "link", "iframe", "img", "form"} == set()
    assert sum(attributes.get("class") == "chart" for _, attributes in tree.elements) == 6


def test_two_temperatures_are_enough_for_a_page():
    found = study({0.1: 0.5, 0.2: 0.4})
    where = penalty(*clusters(0.8), (0.1, 0.2))
    Tree(render(TemperaturePage("d", "m", found, where, recommend(found), {}, 60)))


def test_it_can_be_written_down(page):
    said = {"a": [one.to_dict() for one in page.found], "b": page.penalty.to_dict(), "c": page.recommended.to_dict()}
    assert json.loads(json.dumps(said, allow_nan=False))["c"]["temperature"] == 0.1


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_never_scrolls_sideways(page, browser, tmp_path, width, scheme):  # noqa: F811
    (tmp_path / "page.html").write_text(render(page), "utf-8")
    opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    opened.goto((tmp_path / "page.html").as_uri())
    opened.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    opened.close()
