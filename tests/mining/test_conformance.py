"""What every miner in the table promises."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional.mined import Pairs, Triplets
from retrieval.mining import MINERS, blocks, iter_triplets

from .support import DRAWN, NAIVE, batch, rows

EVERY = pytest.mark.parametrize("name", MINERS)
BATCHES = st.builds(
    batch,
    seed=st.integers(0, 10_000),
    count=st.integers(0, 14),
    classes=st.integers(1, 6),
    kind=st.sampled_from(["generic", "axes"]),
    unlabelled=st.sampled_from([0.0, 0.3]),
)


def mine(name, embeddings, labels, **options):
    return MINERS[name].function(embeddings, labels, generator=torch.Generator().manual_seed(0), **options)


def as_sets(mined):
    found = rows(mined)
    return set(found) if isinstance(mined, Triplets) else tuple(map(set, found))


def count(mined):
    return len(mined.anchor) if isinstance(mined, Triplets) else len(mined.positives) + len(mined.negatives)


def test_every_miner_has_an_oracle():
    assert set(MINERS) == set(NAIVE) | DRAWN


@EVERY
def test_its_line_in_the_table(name):
    spec = MINERS[name]
    mined = spec.function(
        *batch(0), margin=0.2, generator=None, **{k: v for k, v in spec.options.items() if k != "margin"}
    )
    assert isinstance(mined, Triplets if spec.gives == "triplets" else Pairs)
    assert spec.summary


@EVERY
@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_all_is_valid(name, data):
    embeddings, labels = data
    mined = mine(name, embeddings, labels)
    for column in mined:
        assert column.dtype == torch.int64
    if isinstance(mined, Triplets):
        positives, negatives = (mined.anchor, mined.positive), (mined.anchor, mined.negative)
    else:
        assert mined.positives.shape[1] == mined.negatives.shape[1] == 2
        positives, negatives = mined.positives.T, mined.negatives.T
    assert torch.equal(labels[positives[0]], labels[positives[1]])
    assert not torch.any(positives[0] == positives[1])
    assert not torch.any(labels[negatives[0]] == labels[negatives[1]])
    assert all(torch.all(labels[part] >= 0) for part in (*positives, *negatives))


@pytest.mark.parametrize("name", NAIVE)
@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_it_equals_the_loops(name, data):
    """In the same order too, with ties, duplicates and rows without a label."""
    assert rows(mine(name, *data)) == NAIVE[name](*data)


@pytest.mark.parametrize("name", NAIVE)
@settings(max_examples=30, deadline=None)
@given(BATCHES, st.randoms(use_true_random=False))
def test_the_order_of_rows_has_no_meaning(name, data, random):
    embeddings, labels = data
    order = torch.tensor(random.sample(range(len(labels)), len(labels)), dtype=torch.int64)
    straight, permuted = mine(name, embeddings, labels), mine(name, embeddings[order], labels[order])
    back = type(permuted)(*(order[column] for column in permuted))
    distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    if name.startswith("batch_"):
        # Of equally far rows the lowest is taken, and that is another one now; the distances are the same.
        def told(mined):
            a, p, n = mined
            return sorted(zip(a.tolist(), distances[a, p].tolist(), distances[a, n].tolist(), strict=True))

        assert told(back) == told(straight)
    else:
        assert as_sets(back) == as_sets(straight)


@EVERY
@pytest.mark.parametrize(
    "labels",
    [[], [3], [0, 0, 0, 0], [0, 1, 2, 3], [-1, -1, -1], [0, 0, -1, -1], [-1, 0, 1, -1]],
    ids=["empty", "one row", "one class", "singletons", "no labels", "one class and no labels", "two and no labels"],
)
def test_without_a_triplet_the_result_is_empty(name, labels):
    embeddings, _ = batch(0, count=len(labels))
    mined = mine(name, embeddings, torch.tensor(labels, dtype=torch.int64))
    if name == "all_pairs":
        assert rows(mined) == NAIVE[name](embeddings, torch.tensor(labels))
    else:
        assert count(mined) == 0
        assert all(column.shape[0] == 0 for column in mined)


@EVERY
def test_small_blocks_give_the_same(name, monkeypatch):
    data = batch(1, count=24, classes=3)
    whole = mine(name, *data)
    for size in (1, 24, 100):
        monkeypatch.setattr(blocks, "BLOCK_VALUES", size)
        assert rows(mine(name, *data)) == rows(whole)
    assert count(whole) > 0


@EVERY
def test_no_gradient_and_no_half_precision(name):
    embeddings, labels = batch(2, count=40, dimension=16, dtype=torch.float32)
    expected = rows(mine(name, embeddings, labels))
    learned = embeddings.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert rows(mine(name, learned, labels)) == expected
    assert learned.grad is None
    assert torch.is_grad_enabled()
    half = embeddings.bfloat16()
    assert rows(mine(name, half, labels)) == rows(mine(name, half.float(), labels))


@EVERY
def test_labels_of_any_integer_type(name):
    embeddings, labels = batch(3)
    assert rows(mine(name, embeddings, labels.int())) == rows(mine(name, embeddings, labels))


@EVERY
@pytest.mark.parametrize(
    ("embeddings", "labels"),
    [
        (torch.zeros(3, 2), torch.zeros(4, dtype=torch.int64)),
        (torch.zeros(3), torch.zeros(3, dtype=torch.int64)),
        (torch.zeros(3, 2), torch.zeros(3)),
    ],
)
def test_what_does_not_fit_is_refused(name, embeddings, labels):
    with pytest.raises(ValueError, match=r"do not fit|class numbers"):
        mine(name, embeddings, labels)


@pytest.mark.parametrize("rule", ["all", "easy", "semihard", "hard", "mixed"])
class TestBlocks:
    def test_they_add_up_and_are_bounded(self, rule):
        embeddings, labels = batch(4, count=40, classes=5)
        whole = mine(rule, embeddings, labels)
        for bound in (1, 100, 1000):
            parts = list(iter_triplets(rule, embeddings, labels, most_values=bound))
            assert len(parts) > 1
            assert all(0 < len(part.anchor) <= max(bound, 40) for part in parts)
            assert [row for part in parts for row in rows(part)] == rows(whole)

    def test_the_limit_is_refused_with_a_number(self, rule, monkeypatch):
        embeddings, labels = batch(4, count=40, classes=5)
        found = count(mine(rule, embeddings, labels))
        assert count(mine(rule, embeddings, labels, limit=found)) == found
        with pytest.raises(ValueError, match=f"{rule}.*selects .*{found:,} triplets.*iter_triplets"):
            mine(rule, embeddings, labels, limit=found - 1)
        monkeypatch.setattr(blocks, "BLOCK_VALUES", 40)
        with pytest.raises(ValueError, match="selects") as early:
            mine(rule, embeddings, labels, limit=found // 4)
        assert ("about" in str(early.value)) == (rule != "all")
        # After a part of the pairs the number is an estimate, but not a wild one; that of all is counted beforehand.
        said = int(str(early.value).split("triplets")[0].split()[-1].replace(",", ""))
        assert said == found if rule == "all" else found / 2 < said < found * 2

    def test_squared_distances_are_another_margin(self, rule):
        embeddings, labels = batch(5, count=20)
        squared = set(rows(mine(rule, embeddings, labels, squared=True)))
        distances = torch.cdist(embeddings, embeddings) ** 2
        gaps = {(a, p, n): distances[a, n] - distances[a, p] for a, p, n in rows(mine("all", embeddings, labels))}
        holds = {
            "all": lambda gap: True,
            "easy": lambda gap: gap > 0.2,
            "semihard": lambda gap: 0 < gap < 0.2,
            "hard": lambda gap: gap < 0,
            "mixed": lambda gap: gap < 0.2,
        }
        assert squared == {triplet for triplet, gap in gaps.items() if holds[rule](gap)}
        if rule in ("easy", "semihard", "mixed"):
            assert squared != set(rows(mine(rule, embeddings, labels)))

    def test_the_margin_moves_what_is_semihard(self, rule):
        embeddings, labels = batch(6, count=20)
        wide, narrow = (set(rows(mine(rule, embeddings, labels, margin=margin))) for margin in (0.5, 0.1))
        if rule in ("all", "hard"):
            assert wide == narrow
        else:
            assert wide < narrow if rule == "easy" else wide > narrow


def test_easy_semihard_and_hard_share_out_all():
    data = batch(7, count=20)
    easy, semihard, hard = (rows(mine(rule, *data)) for rule in ("easy", "semihard", "hard"))
    assert sorted(easy + semihard + hard) == sorted(rows(mine("all", *data)))
    assert sorted(semihard + hard) == sorted(rows(mine("mixed", *data)))


def test_an_unknown_rule_is_refused_at_once():
    with pytest.raises(ValueError, match="No rule 'harder'; there are all, "):
        iter_triplets("harder", *batch(0))
