"""The estimate of what losses take is a bound for every loss, and not an idle one."""

import pytest
import torch
from torch import nn

from retrieval.functional.batch import Batch
from retrieval.losses import LOSSES
from retrieval.methods.memory import losses_memory
from retrieval.methods.metric_learning import MetricLearning, Term
from retrieval.models.encoder import Encoder
from tests.losses.cases import ALL, named
from tests.mining.support import Held

EXAMPLES = 4000
NEEDS_NEGATIVES = {"in_batch": False}
"""Of a batch with labels there are none but those of the batch."""

CASES = [case for case in ALL if LOSSES[case[0]].inputs != "distributions" and case[1] != NEEDS_NEGATIVES]


def taken(terms: list[Term], rows: int, dimension: int, classes: int) -> int:
    """Bytes that one step takes, forward and backward, with all that the method does around it."""
    encoder = Encoder(nn.Identity(), nn.Identity(), dimension)
    inputs = torch.randn(rows, dimension, generator=torch.Generator().manual_seed(0)).requires_grad_()
    batch = Batch(inputs, torch.arange(rows) % classes, torch.arange(rows))
    with Held() as held:
        model = MetricLearning(encoder, terms, classes, examples=EXAMPLES)
        model.training_step(batch).loss.backward()  # type: ignore[no-untyped-call]
        model.after_step()
    return int(held.peak)


@pytest.mark.parametrize(("rows", "dimension", "classes"), [(32, 256, 8), (512, 32, 256)])
@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_estimate_is_a_bound(case: tuple[str, dict[str, object]], rows: int, dimension: int, classes: int) -> None:
    terms = [Term(case[0], options=case[1])]
    estimate = losses_memory(terms, rows, dimension, classes, EXAMPLES)
    assert estimate / 40 < taken(terms, rows, dimension, classes) <= estimate


def test_the_estimate_is_near_where_blocks_are_full() -> None:
    for name in ("circle", "info_nce", "proxy_anchor", "nce", "nce_instance"):
        assert losses_memory([Term(name)], 1024, 64, 512, EXAMPLES) < 3 * taken([Term(name)], 1024, 64, 512), name


def test_terms_add_up() -> None:
    one, other = [Term("circle")], [Term("softmax")]
    both = losses_memory([*one, *other], 256, 32, 64, EXAMPLES)
    assert both == sum(losses_memory(term, 256, 32, 64, EXAMPLES) for term in (one, other))
    assert taken([*one, *other], 256, 32, 64) <= both


def test_large_batches_take_blocks_and_a_gpu_larger_ones() -> None:
    large, larger = (losses_memory([Term("triplet")], rows, 128, 9, 9) for rows in (4096, 16384))
    assert larger < 5 * large
    assert larger < 300e6
    assert losses_memory([Term("triplet")], 16384, 128, 9, 9, "cuda") > 10 * larger
