"""Short runs without the loop around them: what healthy and collapsing methods show step by step."""

from collections.abc import Iterable, Iterator
from itertools import islice

import torch

from retrieval.functional.batch import Batch
from retrieval.functional.diagnostics import dimension_std
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.training.alarms import Reading, Watch


def run(method: SelfSupervised, batches: Iterable[Batch], steps: int, rate: float) -> tuple[dict[str, float], set[str]]:
    """Train with AdamW, the rate falling to 0 along a line.

    Returns:
        The scalars of the last step, and the names of the alarms that rang.
    """
    method.train()
    method.begin(steps, steps)
    parameters = [p for group in method.groups() for p in group.parameters]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0)
    watch, rung, logs = Watch(), set(), {}
    for step, batch in enumerate(islice(_forever(list(batches)), steps)):
        output = method.training_step(batch)
        optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimiser.zero_grad()
        output.loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        method.after_step()
        logs = {name: float(value) for name, value in output.logs.items()}
        spread = float(dimension_std(output.embeddings).mean()) * output.embeddings.shape[1] ** 0.5
        reading = Reading(step + 1, logs, spread, method.collapse_constants())
        rung |= {alarm.name for alarm in watch.read(reading)}
    return logs, rung


def _forever(batches: list[Batch]) -> Iterator[Batch]:
    while True:
        yield from batches
