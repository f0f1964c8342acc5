"""Measure which way of running an encoder on the processor is the fastest here."""

import time
from typing import TypeAlias

import torch
from torch import Tensor, nn

from retrieval.models.choice import RuntimeChoice, has_fast_bf16
from retrieval.models.prepacked import prepacked
from retrieval.models.probes import cosines

Way: TypeAlias = tuple[str, str, int]
"""Precision, mode and batch."""

FIRST_BATCH = 8
OTHER_BATCHES = (4, 16)

MARGIN = 1.1
"""How many times faster something has to be to displace what stands before it: measurements are noisy."""

ROUNDS = 3

BUDGET_SECONDS = 3.0
"""After this time no further round is begun."""

LEAST_COSINE = 0.99
"""What half precision has to reach against float32 on the probes to be a candidate."""

# The time this thread computed, where the system counts it finely: what other programs take does not enter.
_clock = time.thread_time if time.get_clock_info("thread_time").resolution < 1e-4 else time.perf_counter

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def build_body(slim: nn.Module, precision: str, mode: str, example: Tensor) -> nn.Module | None:
    """The backbone in that precision and mode; None where the mode is not to be had.

    Args:
        slim: the folded backbone in float32, channels last; not changed, and given back where nothing is to be done.
        precision, mode: see ``RuntimeChoice``.
        example: [B, 3, S, S] float32, channels last.
    """
    import copy

    body = slim if precision == "fp32" else copy.deepcopy(slim).to(DTYPES[precision])
    return body if mode == "folded" else prepacked(body, example.to(DTYPES[precision]), exact=slim)


def agrees(slim: nn.Module, body: nn.Module, precision: str, example: Tensor) -> bool:
    """Whether ``body`` gives the same directions as the float32 ``slim`` for ``example``."""
    with torch.inference_mode():
        expected, got = slim(example).float(), body(example.to(DTYPES[precision])).float()
    return bool(cosines(expected.cpu().numpy(), got.cpu().numpy()).min() >= LEAST_COSINE)


def fastest(slim: nn.Module, example: Tensor, precision: str, machine: str) -> tuple[RuntimeChoice, nn.Module]:
    """The fastest way on one thread of the processor, and the backbone made for it.

    The caller has set torch to one thread: several calls at once, each on one, beat one call on several.

    Args:
        slim: the folded backbone in float32, channels last; not changed.
        example: [B, 3, S, S] float32, channels last.
        precision: ``"auto"`` or one of ``PRECISIONS``.
        machine: noted in the choice.
    """
    deadline = time.perf_counter() + BUDGET_SECONDS
    bodies = _bodies(slim, example, precision)
    ways = [(kind, mode, FIRST_BATCH) for kind, mode in bodies]
    kind, mode, _ = _quickest(ways, bodies, example, deadline)[0]
    batches = [(kind, mode, batch) for batch in (FIRST_BATCH, *OTHER_BATCHES)]
    (_, _, batch), speed = _quickest(batches, bodies, example, deadline)
    return RuntimeChoice(kind, batch, mode, machine, round(speed, 1)), bodies[kind, mode]


def _bodies(slim: nn.Module, example: Tensor, precision: str) -> dict[tuple[str, str], nn.Module]:
    """All candidates that can be built and give what float32 gives, the likely winner first."""
    bodies = {}
    for kind, mode in _candidates(precision):
        body = build_body(slim, kind, mode, example)
        if body is None or (kind != "fp32" and precision == "auto" and not agrees(slim, body, kind, example)):
            continue
        bodies[kind, mode] = body
    return bodies


def _quickest(
    ways: list[Way], bodies: dict[tuple[str, str], nn.Module], example: Tensor, deadline: float
) -> tuple[Way, float]:
    """The way with the most images per second; the first one unless another beats it by ``MARGIN``.

    Rounds go over all ways in turn, so that other programs on the machine disturb all of them alike.
    """
    best = dict.fromkeys(ways, 0.0)
    for number in range(ROUNDS + 1):
        for way in ways:
            kind, mode, batch = way
            speed = batch / _seconds(bodies[kind, mode], _images(example, batch, kind))
            # The first round prepares; of a large backbone it tells enough.
            if number > 0 or batch / speed > 1.0:
                best[way] = max(best[way], speed)
        if all(best.values()) and (number == 0 or time.perf_counter() > deadline):
            break
    winner = ways[0]
    for way in ways[1:]:
        if best[way] > best[winner] * MARGIN:
            winner = way
    return winner, best[winner]


def _images(example: Tensor, batch: int, precision: str) -> Tensor:
    images = torch.cat([example] * -(-batch // len(example)))[:batch]
    return images.to(DTYPES[precision]).contiguous(memory_format=torch.channels_last)


def _seconds(body: nn.Module, images: Tensor) -> float:
    with torch.inference_mode():
        start = _clock()
        body(images)
        return max(1e-9, _clock() - start)


def _candidates(precision: str) -> list[tuple[str, str]]:
    if precision != "auto":
        return [(precision, "prepacked"), (precision, "folded")]
    precisions = ["bf16", "fp32"] if has_fast_bf16() else ["fp32"]
    return [(kind, mode) for kind in precisions for mode in ("prepacked", "folded")]
