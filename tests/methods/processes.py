"""Two processes train every method, each on its half of every batch, beside one process with whole batches.

In float64, so that nothing but a wrong sum can make a difference, with plain gradient steps as the loop takes them:
every parameter's gradient is averaged over the processes. Two epochs, so that what rests in the first one learns, and
what is made of the first one is used.
"""

import json
from pathlib import Path

import torch
from torch import distributed

from retrieval.functional.batch import Batch
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.methods.table import METHODS
from tests.methods.views import BATCH, TinyViews, small_views, tiny_method

EPOCHS = 2


def compare(rank: int, folder: str) -> None:
    """Write each method's largest difference (see ``_difference``) to ``folder/RANK.json``."""
    torch.set_num_threads(1)
    alone = {name: _trained(name, None) for name in METHODS}
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = {name: _difference(alone[name], _trained(name, rank), tiny_method(name).double()) for name in METHODS}
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def _trained(name: str, rank: int | None) -> SelfSupervised:
    method = tiny_method(name).double()
    method.train()
    part = slice(None) if rank is None else slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
    source = TinyViews(max(2, method.views), small_views(name), part)
    method.begin(EPOCHS * source.steps(0), source.steps(0))
    for epoch in range(EPOCHS):
        _one_epoch(method, source, epoch, rank)
    return method


def _one_epoch(method: SelfSupervised, source: TinyViews, epoch: int, rank: int | None) -> None:
    method.before_epoch(epoch, lambda: map(_double, source.batches(epoch, 0)))
    parameters = [p for group in method.groups() for p in group.parameters]
    for batch in map(_double, source.batches(epoch, 0)):
        gradients = torch.autograd.grad(method.training_step(batch).loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is None:
                continue
            if rank is not None:
                gradient = gradient.contiguous()
                distributed.all_reduce(gradient)
                gradient /= 2
            with torch.no_grad():
                parameter -= 0.1 * gradient
        method.after_step()


def _double(batch: Batch) -> Batch:
    return batch._replace(inputs=batch.inputs.double(), others=tuple(view.double() for view in batch.others))


def _difference(one: SelfSupervised, other: SelfSupervised, start: SelfSupervised) -> float:
    """The largest of all tensors' differences, each beside the tensor's own change: a centre moves less than a counter
    counts. Tensors that hardly change are measured by 1e-6, far above the rounding of float64."""
    worst = 0.0
    states = (method.state_dict().values() for method in (one, other, start))
    for value, theirs, before in zip(*states, strict=True):
        if value.numel():
            change = float((value.double() - before.double()).abs().max())
            worst = max(worst, float((value.double() - theirs.double()).abs().max()) / max(change, 1e-6))
    return worst
