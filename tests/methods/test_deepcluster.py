"""DeepCluster: what the bank remembers, what the clusters are, and its loss as loops."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.core.errors import BadValue
from retrieval.functional.batch import Batch
from retrieval.methods.deepcluster import DeepCluster
from tests.losses import loops
from tests.methods.views import BATCH, EXAMPLES, TinyViews, nearest, tiny_encoder, tiny_method


def method(**options: object) -> DeepCluster:
    made = tiny_method("deepcluster", **options).double().train()
    assert isinstance(made, DeepCluster)
    return made


def batches(epoch: int = 0, small: int = 2) -> Iterator[Batch]:
    for batch in TinyViews(2, small).batches(epoch, 0):
        yield batch._replace(inputs=batch.inputs.double(), others=tuple(view.double() for view in batch.others))


def rows_of(made: DeepCluster, batch: Batch, views: int) -> list[Tensor]:
    raw = [made.encoder(view).raw for view in (batch.inputs, *batch.others)[:views]]
    return list(normalize(made.projector(torch.cat(raw)), dim=1).detach().split(BATCH))


def test_the_first_pass_fills_the_bank_and_steps_renew_it() -> None:
    made = method()
    made.before_epoch(0, batches)
    for batch in batches():
        for view, rows in enumerate(rows_of(made, batch, 2)):
            torch.testing.assert_close(made.bank[view, batch.ids], rows)
    before, batch = made.bank.clone(), next(batches(1))
    made.training_step(batch)
    assert torch.equal(made.bank, before)
    made.after_step()
    for view, rows in enumerate(rows_of(made, batch, 4)[:2]):
        torch.testing.assert_close(made.bank[view, batch.ids], rows)
    others = [i for i in range(EXAMPLES) if i not in batch.ids.tolist()]
    assert torch.equal(made.bank[:, others], before[:, others])
    asked: list[int] = []
    made.before_epoch(1, lambda: iter(asked.append(1) or ()))  # type: ignore[func-returns-value]
    assert not asked


def test_every_image_has_the_cluster_of_its_nearest_centroid() -> None:
    """Heads take the first and the second views in turns."""
    made = method(heads=3)
    made.before_epoch(0, batches)
    assert not made.reseeded.any()
    for head in range(3):
        dots = made.bank[head % 2] @ made.centroids[head].T
        assert torch.equal(dots.argmax(dim=1), made.assignments[head])
        counts = torch.bincount(made.assignments[head], minlength=8)
        assert counts.min() > 0
        assert float(made.largest[head]) == pytest.approx(float(counts.max()) / EXAMPLES)
    assert not torch.equal(made.assignments[0], made.assignments[2])


def test_each_epoch_clusters_anew() -> None:
    made = method()
    made.before_epoch(0, batches)
    first = made.centroids.clone()
    for batch in batches():
        made.training_step(batch)
        made.after_step()
    assert torch.equal(made.centroids, first)
    made.before_epoch(1, batches)
    assert not torch.allclose(made.centroids, first)


@pytest.mark.parametrize("small", [0, 2])
def test_is_the_papers_loss(small: int) -> None:
    """Cross-entropy of every view's scores with its image's cluster, the mean of the heads. lightly has no
    DeepCluster."""
    made = method(heads=2)
    made.before_epoch(0, lambda: batches(0, small))
    batch = next(batches(0, small))
    terms = []
    for head in range(2):
        for rows in rows_of(made, batch, 2 + small):
            for row, image in zip(rows.tolist(), batch.ids.tolist(), strict=True):
                scores = [loops.dot(row, centroid) / 0.1 for centroid in made.centroids[head].tolist()]
                terms.append(loops.log_sum_exp(scores) - scores[int(made.assignments[head, image])])
    assert made.training_step(batch).loss.item() == pytest.approx(loops.mean(terms), rel=1e-6)


def test_centroids_are_found_and_not_learned() -> None:
    made = method()
    made.before_epoch(0, batches)
    made.training_step(next(batches())).loss.backward()  # type: ignore[no-untyped-call]
    assert made.centroids.grad is None
    assert {name.split(".")[0] for name, _ in made.named_parameters()} == {"encoder", "projector"}


def test_images_that_were_never_seen_have_no_cluster_and_teach_nothing() -> None:
    made = method()
    made.before_epoch(0, lambda: iter(list(batches())[:2]))
    unseen = list(batches())[2]
    assert (made.assignments[:, unseen.ids] == -1).all()
    assert float(made.training_step(unseen).loss.detach()) == 0


def test_the_search_that_is_handed_in_does_the_searching() -> None:
    asked: list[tuple[int, int]] = []

    def counted(queries: np.ndarray, base: np.ndarray) -> np.ndarray:
        asked.append((len(queries), len(base)))
        return nearest(queries, base)

    made = DeepCluster(
        tiny_encoder(), examples=EXAMPLES, nearest=counted, hidden=12, dimension=6, clusters=8, heads=2, iterations=3
    )
    made.before_epoch(0, TinyViews().batches(0, 0).__iter__)
    assert asked == [(EXAMPLES, 8)] * (2 * (3 + 1))


def test_clusters_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadValue, match="48 images cannot make 100 clusters") as caught:
        method(clusters=100)
    assert "clusters = 4" in str(caught.value)
    made = method(clusters=40)
    with pytest.raises(BadValue, match="an epoch shows 16"):
        made.before_epoch(0, lambda: iter([next(batches())]))


def test_the_collapse_constant_is_where_all_embeddings_are_alike() -> None:
    """All rows and so all centroids are one; clusters stand empty, and the largest has nearly all images."""
    made = method()
    with torch.no_grad():
        for parameter in made.encoder.parameters():
            parameter.zero_()
    made.before_epoch(0, batches)
    logs = made.training_step(next(batches())).logs
    assert made.collapse_constants() == {"deepcluster": math.log(8)}
    assert float(logs["deepcluster"]) == pytest.approx(math.log(8))
    assert float(logs["largest_cluster"]) == pytest.approx((EXAMPLES - 7) / EXAMPLES)
    assert float(logs["reseeded"]) == 3 * 7
