"""A diagnosis: the values of the parts, with labels and without; alarms ring where they should and nowhere else."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from retrieval.evaluation.diagnosis import diagnose
from retrieval.evaluation.diagnosis_alarms import ALARMS, COLLAPSED, read_alarms
from retrieval.evaluation.diagnosis_figures import FIGURES, mean, measured
from retrieval.evaluation.invariance import invariance
from retrieval.evaluation.neighbourhood import neighbours, purity
from retrieval.evaluation.similarities import BINS, labelled_similarities, unlabelled_similarities
from retrieval.functional import diagnostics
from retrieval.functional.hubness import k_occurrence, skewness
from retrieval.functional.metrics import Interval, bootstrap_difference
from retrieval.training import alarms as training_alarms
from tests.evaluation.test_looks import embedded, pixels


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clusters(spread=0.5, classes=6, each=8, dimension=16, seed=0):
    random = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(classes), each)
    return unit(np.eye(dimension)[numbers] + spread * random.standard_normal((len(numbers), dimension))), numbers


def sphere(count=200, dimension=16, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((count, dimension)))


def test_the_values_are_those_of_the_functions():
    vectors, numbers = clusters()
    found = diagnose(vectors, numbers)
    rows, labels = torch.from_numpy(vectors), torch.from_numpy(numbers)
    assert found.spread.sample == 48
    assert found.spread.alignment == pytest.approx(float(diagnostics.alignment(rows, labels)))
    assert found.spread.uniformity == pytest.approx(float(diagnostics.uniformity(rows)))
    assert found.spread.effective_rank == pytest.approx(float(diagnostics.effective_rank(rows)))
    assert found.spread.rank_share == pytest.approx(found.spread.effective_rank / 16)
    assert found.spread.singular_values.sum() == pytest.approx(1)
    assert found.spread.std.tolist() == sorted(diagnostics.dimension_std(rows).tolist(), reverse=True)
    exact = vectors.astype(np.float64)
    pairs = [exact[i] @ exact[j] for i in range(48) for j in range(i + 1, 48)]
    assert found.spread.mean_cosine == pytest.approx(sum(pairs) / len(pairs))
    nearest = neighbours(vectors, 10)
    assert found.nearest.tolist() == nearest.tolist()
    assert found.purity.mean == pytest.approx(purity(nearest, numbers).mean())
    occurrence = k_occurrence(nearest, 48)
    assert found.hubness.skewness == skewness(occurrence)
    assert found.hubness.anti_hubs == sum(value == 0 for value in occurrence.tolist())
    best = found.hubness.strongest(3)
    assert [occurrence[i] for i in best] == sorted(occurrence, reverse=True)[:3]


def test_without_labels_nothing_is_asked_that_needs_some():
    vectors, _ = clusters()
    found = diagnose(vectors)
    assert found.labelled == 0
    assert (found.purity, found.granularity, found.spread.alignment) == (None, None, None)
    assert found.similarities.near.name == "nearest neighbours"
    keys = {one.figure.key for one in measured(found)}
    assert {"uniformity", "effective_rank", "hubness", "mean_cosine"} <= keys
    assert not keys & {"alignment", "neighbour_purity", "recall_at_1", "margin"}


@pytest.mark.parametrize("numbers", [np.zeros(48, np.int64), np.arange(48), np.full(48, -1)])
def test_labels_that_tell_nothing_are_none(numbers):
    found = diagnose(clusters()[0], numbers)
    assert found.labelled == 0
    assert found.granularity is None


def test_images_without_a_label_stay_in_the_gallery():
    vectors, numbers = clusters()
    some = np.where(np.arange(48) % 4 == 0, -1, numbers)
    found = diagnose(vectors, some)
    assert (found.images, found.labelled) == (48, 36)
    assert found.granularity.classes.margin.queries == 36
    # Unlabelled neighbours are others for the purity, but no rivals for the margin.
    assert found.purity.mean <= diagnose(vectors, numbers).purity.mean
    rows = np.flatnonzero(some >= 0)
    assert found.granularity.classes.margin == diagnose(vectors[rows], numbers[rows]).granularity.classes.margin


def test_it_can_be_written_down():
    vectors, numbers = clusters()
    said = diagnose(vectors, numbers).to_dict([f"class {n}" for n in range(6)], [f"{n}.jpg" for n in range(48)])
    assert json.loads(json.dumps(said)) == said
    assert len(said["hubness"]["hubs"]) == 6
    assert said["spread"]["sample"] == 48


def ringing(vectors, numbers=None):
    return [one.alarm.name for one in read_alarms(diagnose(vectors, numbers)) if one.rings]


def test_a_sound_embedding_rings_nothing():
    assert ringing(*clusters(0.3)) == []
    assert ringing(sphere()) == []


def test_every_alarm_rings_for_what_it_names():
    random = np.random.default_rng(0)
    point = unit(np.ones((60, 16)) + 1e-4 * random.standard_normal((60, 16)))
    assert "complete collapse" in ringing(point)
    # Rank 1 of 32: a circle would be 2.
    line = unit(np.outer(random.choice([-1.0, 1.0], 60), np.ones(64)) + 1e-3 * random.standard_normal((60, 64)))
    assert "dimensional collapse" in ringing(line)
    assert "complete collapse" not in ringing(line)
    cone = unit(np.ones((60, 16)) * 3 + random.standard_normal((60, 16)))
    assert "narrow cone" in ringing(cone)
    # Many points on a sphere of many dimensions around one in the middle of them.
    star = unit(np.concatenate([np.full((1, 128), 1.0), random.standard_normal((300, 128)) + 0.6]))
    assert {"hubness"} <= set(ringing(star))
    vectors, numbers = clusters(0.3)
    assert "strangers first" in ringing(vectors, np.random.default_rng(0).permutation(numbers))


def test_an_unmeasured_alarm_is_silent():
    readings = read_alarms(diagnose(sphere()))
    assert [one.alarm.name for one in readings] == [alarm.name for alarm in ALARMS]
    silent = {one.alarm.name: one for one in readings if one.value is None}
    assert set(silent) == {"strangers first", "mirror"}
    assert not any(one.rings for one in silent.values())


def test_the_same_collapse_as_in_training():
    assert COLLAPSED == training_alarms.COLLAPSED


def test_differences_are_paired_where_images_have_values():
    (first, numbers), (second, _) = clusters(0.5), clusters(0.3, seed=1)
    before, after = diagnose(first, numbers), diagnose(second, numbers)
    by_key = {one.figure.key: one for one in measured(after, before)}
    pure = by_key["neighbour_purity"]
    assert pure.difference == bootstrap_difference(before.purities, after.purities, numbers, 0)
    assert pure.difference.mean == pytest.approx(mean(pure.after) - mean(pure.before))
    margin = by_key["margin"].difference
    assert isinstance(margin, Interval)
    assert margin.mean == pytest.approx(after.granularity.classes.margin.mean - before.granularity.classes.margin.mean)
    rank = by_key["effective_rank"]
    assert rank.difference == pytest.approx(rank.after - rank.before)
    assert by_key["neighbour_purity"].to_dict()["difference"]["low"] <= pure.difference.mean


def test_a_model_beside_itself_differs_in_nothing():
    vectors, numbers = clusters()
    found = diagnose(vectors, numbers)
    assert all(mean(one.difference) == 0 for one in measured(found, found))


def test_alignment_of_views_needs_no_label():
    """The mean of |x - y|², over the mirrored, cropped and recoloured selves of each picture; turned ones are another
    matter. Its difference is paired, picture by picture."""
    gallery = np.stack([pixels(n) for n in range(6)])
    changes = invariance(gallery, np.arange(6), embedded(gallery), embedded)
    unchanged, distances = embedded(gallery).astype(np.float64), []
    for one in changes:
        if one.look.kind != "rotation" and one.look.name != "upside down":
            changed = embedded(np.stack([one.look.apply(picture) for picture in gallery]))
            distances.append(np.square(changed - unchanged).sum(axis=1))
    assert len(distances) == 12
    bare = diagnose(embedded(gallery))
    found = replace(bare, invariance=changes)
    (one,) = (one for one in measured(found, found) if one.figure.key == "view_alignment")
    assert one.after.mean == pytest.approx(np.mean(distances), abs=1e-6)
    assert one.after.low <= one.after.mean <= one.after.high
    assert isinstance(one.difference, Interval)
    assert one.difference.mean == 0
    assert not [one for one in measured(bare) if one.figure.key == "view_alignment"]


def test_figures_have_one_key_each():
    assert len({figure.key for figure in FIGURES}) == len(FIGURES)


def test_labelled_similarities_hold_all_positive_pairs_and_one_hard_negative_an_image():
    vectors, numbers = clusters(classes=3, each=4)
    found = labelled_similarities(vectors, numbers)
    exact = vectors.astype(np.float64)
    positives = [exact[i] @ exact[j] for i in range(12) for j in range(12) if i != j and numbers[i] == numbers[j]]
    hard = [max(exact[i] @ exact[j] for j in range(12) if numbers[j] != numbers[i]) for i in range(12)]
    assert (found.near.pairs, found.far.pairs) == (36, 12)
    assert found.near.mean == pytest.approx(sum(positives) / 36, abs=1e-6)
    assert found.far.mean == pytest.approx(sum(hard) / 12, abs=1e-6)
    assert found.near.shares.sum() == pytest.approx(1)
    assert found.far.shares.sum() == pytest.approx(1)
    assert len(found.edges) == BINS + 1


def test_overlap_is_that_of_the_shares():
    apart = labelled_similarities(*clusters(0.02))
    assert apart.overlap == 0
    vectors, _ = clusters(3.0)
    mixed = unlabelled_similarities(vectors, neighbours(vectors, 1))
    assert 0 < mixed.overlap < 1
    assert mixed.overlap == pytest.approx(
        sum(min(a, b) for a, b in zip(mixed.near.shares, mixed.far.shares, strict=True))
    )


@pytest.mark.parametrize(("spread", "least", "most"), [(0.02, 1.0, 1.0), (0.3, 0.4, 0.6), (3.0, 0.0, 0.1)])
def test_order_counts_the_comparisons_that_the_near_pairs_win(spread, least, most):
    """By counting. Hard negatives that are more alike than positives overlap with them as little as ones that are
    less so, which is why the overlap alone says nothing of better or worse."""
    vectors, numbers = clusters(spread, classes=4, each=4)
    found = labelled_similarities(vectors, numbers)
    exact = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    alike = numbers[:, None] == numbers
    positives = exact[alike & ~np.eye(16, dtype=bool)]
    hard = np.where(alike, -2, exact).max(axis=1)
    wins = sum((p > h) + 0.5 * (p == h) for p in positives for h in hard)
    assert found.order == pytest.approx(wins / (len(positives) * len(hard)), abs=1e-6)
    assert least <= found.order <= most


def test_random_pairs_are_never_an_image_with_itself():
    vectors = np.eye(3, dtype=np.float32)
    found = unlabelled_similarities(vectors, neighbours(vectors, 1))
    assert found.far.mean == 0
    assert unlabelled_similarities(vectors[:1], np.full((1, 1), -1)) is None


def test_one_row_has_no_neighbours():
    with pytest.raises(ValueError, match="no neighbours"):
        diagnose(sphere(1))
    assert math.isfinite(diagnose(sphere(2)).spread.effective_rank)
