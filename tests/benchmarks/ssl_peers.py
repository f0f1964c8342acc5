"""The losses of lightly in our loop, beside ours: the same accuracy, and the time of a loss.

Accuracy: each method with the options of ``ssl_table``, once with our loss and once with lightly's, everything else
alike (``ssl_lab``: networks, seeds, batches, views, optimiser); the last weights, and the difference of the kNN's
accuracy with its interval, classes resampled, then images, paired.

Time: forward and backward of one loss on one thread, at the sizes that are used, the two in turns; the median of many
rounds. Run it on a quiet machine: ``python -m tests.benchmarks ssl_peers_speed``.
"""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import lightly.loss as theirs
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.functional.batch import Batch
from retrieval.functional.metrics import bootstrap_difference
from retrieval.functional.multi_crop import mean_over_pairs
from retrieval.functional.sinkhorn import sinkhorn
from retrieval.losses.barlow_twins import barlow_twins
from retrieval.losses.negative_cosine import negative_cosine
from retrieval.losses.nt_xent import nt_xent
from retrieval.losses.soft_cross_entropy import soft_cross_entropy
from retrieval.losses.vicreg import vicreg
from retrieval.losses.w_mse import w_mse
from retrieval.methods.barlow_twins import BarlowTwins
from retrieval.methods.byol import BYOL
from retrieval.methods.crops import encoded
from retrieval.methods.dino import DINO
from retrieval.methods.moco import MoCo
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.methods.simclr import SimCLR
from retrieval.methods.simsiam import SimSiam
from retrieval.methods.swav import SwAV
from retrieval.methods.vicreg import VICReg
from retrieval.methods.w_mse import WMSE
from retrieval.models.encoder import EncoderOutput
from tests.benchmarks.ssl_lab import PROTOCOLS, Run, cifar, result
from tests.benchmarks.ssl_table import RATE, WIDTHS
from tests.benchmarks.support import show

Given = tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]


class _Pairs(SelfSupervised):
    """Their loss of the raw projections of two views."""

    def loss_of_views(self, views: Sequence[Tensor], batch: Batch) -> Given:
        """What ``criterion`` gives."""
        seen = [self.encoder(view) for view in views[:2]]
        loss = self.criterion(*(self.projector(one.raw) for one in seen))
        return loss, {"theirs": loss.detach()}, seen

    def criterion(self, first: Tensor, second: Tensor) -> Tensor:
        """Their loss."""
        raise NotImplementedError

    def chance_constants(self) -> dict[str, float]:
        """Under their names no loss has one."""
        return {}


class PeerSimCLR(_Pairs, SimCLR):
    """NTXentLoss."""

    def criterion(self, first: Tensor, second: Tensor) -> Tensor:
        """It normalises by itself."""
        found: Tensor = theirs.NTXentLoss(temperature=self.temperature)(first, second)
        return found


class PeerBarlow(_Pairs, BarlowTwins):
    """BarlowTwinsLoss."""

    def criterion(self, first: Tensor, second: Tensor) -> Tensor:
        """As it comes."""
        found: Tensor = theirs.BarlowTwinsLoss(lambda_param=self.redundancy)(first, second)
        return found


class PeerVICReg(_Pairs, VICReg):
    """VICRegLoss."""

    def criterion(self, first: Tensor, second: Tensor) -> Tensor:
        """As it comes."""
        found: Tensor = theirs.VICRegLoss(self.invariance, self.variance, self.covariance)(first, second)
        return found


class PeerWMSE(_Pairs, WMSE):
    """WMSELoss, whose order of the rows is drawn by torch's global state, which the loop seeds."""

    def criterion(self, first: Tensor, second: Tensor) -> Tensor:
        """Their rows are view by view."""
        with torch.autocast(first.device.type, enabled=False):
            found: Tensor = _their_w_mse(first.shape[1], self.slice_size)(torch.cat([first, second]).float())
        return found


class PeerSimSiam(SimSiam):
    """NegativeCosineSimilarity, both ways."""

    def loss_of_views(self, views: Sequence[Tensor], batch: Batch) -> Given:
        """The mean of both ways."""
        seen = [self.encoder(view) for view in views[:2]]
        first, second = (self.projector(one.raw) for one in seen)
        criterion = theirs.NegativeCosineSimilarity()
        loss = (
            criterion(self.predictor(first), second.detach()) + criterion(self.predictor(second), first.detach())
        ) / 2
        return loss, {"negative_cosine": loss.detach()}, seen


class PeerBYOL(BYOL):
    """NegativeCosineSimilarity, both ways, against our twin."""

    def loss_of_views(self, views: Sequence[Tensor], batch: Batch) -> Given:
        """The mean of both ways."""
        seen = [self.encoder(view) for view in views[:2]]
        first, second = (self.predictor(self.projector(one.raw)) for one in seen)
        criterion = theirs.NegativeCosineSimilarity()
        loss = (criterion(first, self._target(views[1])) + criterion(second, self._target(views[0]))) / 2
        return loss, {"negative_cosine": loss.detach()}, seen


class PeerMoCo(MoCo):
    """NTXentLoss with its memory bank, against our twin; one way, since their bank takes keys in within the loss."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.criterion = theirs.NTXentLoss(self.temperature, memory_bank_size=tuple(self.queue.rows.shape))

    def loss_of_views(self, views: Sequence[Tensor], batch: Batch) -> Given:
        """Queries of the first view, keys of the second."""
        seen, keys = self._encoded(views[0]), self._keyed(views[1], self.draws())
        loss = self.criterion(self.projector(seen.raw), keys)
        return loss, {"moco": loss.detach()}, [seen]

    def chance_constants(self) -> dict[str, float]:
        """It says nothing of its queue."""
        return {}


class PeerSwAV(SwAV):
    """SwaVLoss, without a queue."""

    def loss_of_views(self, views: Sequence[Tensor], batch: Batch) -> Given:
        """Of the scores of the full-size views."""
        seen = encoded(self.encoder, views)
        rows = normalize(self.projector(torch.cat([one.raw for one in seen])), dim=1)
        scores = self.prototypes(rows, int(self.epoch) >= self.freeze_epochs).chunk(len(views))
        criterion = theirs.SwaVLoss(self.temperature, self.iterations, self.epsilon)
        loss = criterion(list(scores), [])
        return loss, {"swav": loss.detach()}, seen[: self.views]


class PeerDINO(DINO):
    """DINOLoss, which keeps the centre itself and moves it within the loss."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.criterion = theirs.DINOLoss(
            output_dim=len(self.centre),
            warmup_teacher_temp=self.warmup_temperature,
            teacher_temp=self.teacher_temperature,
            warmup_teacher_temp_epochs=0,
            student_temp=self.temperature,
            center_momentum=self.centre_momentum,
        )

    def loss_of_views(self, views: Sequence[Tensor], batch: Batch) -> Given:
        """Of the scores of teacher and student."""
        seen = encoded(self.encoder, views)
        students = self.head(torch.cat([one.raw for one in seen]), int(self.epoch) >= self.freeze_epochs)
        teachers = self._teachers(views[: self.views])
        loss = self.criterion(
            list(teachers.chunk(self.views)), list(students.chunk(len(views))),
            teacher_temp=self.teacher_temperature_now(),
        )  # fmt: skip
        return loss, {"dino": loss.detach()}, seen[: self.views]

    def chance_constants(self) -> dict[str, float]:
        """It says nothing of its teacher."""
        return {}


PEERS: dict[str, Callable[..., SelfSupervised]] = {
    "simclr": PeerSimCLR, "barlow_twins": PeerBarlow, "vicreg": PeerVICReg, "w_mse": PeerWMSE, "simsiam": PeerSimSiam,
    "swav": PeerSwAV, "dino": PeerDINO, "byol": PeerBYOL, "moco": PeerMoCo,
}  # fmt: skip

ALIKE: dict[str, dict[str, Any]] = {"moco": {"symmetric": False}}
"""Options in which ours is as theirs, beside those of ``ssl_table``."""


def run(quick: bool = False) -> None:
    """Print the table of accuracies."""
    protocol = PROTOCOLS["quick-peers" if quick else "peers"]
    numbers, rows = cifar(protocol)[2].numbers, []
    for method in PEERS:
        means = []
        for by in ("lightly", "ours"):
            options = {**WIDTHS[method], **ALIKE.get(method, {})}
            wanted = [Run(protocol.name, method, options, RATE, seed=seed, by=by) for seed in protocol.seeds]
            made = [result(one) for one in wanted]
            means.append(np.mean([one["knn"] for one in made if one is not None], axis=0))
        gap = bootstrap_difference(means[0], means[1], numbers, seed=0)
        accuracies = [f"{mean.mean():.4f}" for mean in reversed(means)]
        rows.append([method, *accuracies, f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"])
    show(
        f"The same method with our loss and with lightly's, kNN after {protocol.epochs} epochs of "
        f"{10 * protocol.images[0]:,} images, seeds: {len(protocol.seeds)}",
        ["method", "**retrieval**", "lightly", "difference"],
        rows,
    )


def run_speed(quick: bool = False) -> None:
    """Print the table of times."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [_timed(name, *sizes, 3 if quick else 41) for name, some in SIZES.items() for sizes in some]
    finally:
        torch.set_num_threads(threads)
    header = ["loss", "B", "D or K", "**retrieval**", "lightly", "times faster"]
    show("Forward and backward of one loss, one thread", header, rows)


SIZES: dict[str, Sequence[tuple[int, int]]] = {
    "NT-Xent": ((128, 128), (512, 128)),
    "Barlow Twins": ((128, 512), (128, 2048)),
    "VICReg": ((128, 512), (128, 2048)),
    "W-MSE": ((128, 64), (512, 64)),
    "negative cosine": ((128, 512), (128, 2048)),
    "SwAV": ((128, 256), (128, 3000)),
    "DINO": ((128, 512), (128, 2048)),
}
"""By loss: images a batch, and width of the rows or number of prototypes."""

Loss = Callable[[Tensor, Tensor], Tensor]


def _timed(name: str, batch: int, width: int, rounds: int) -> list[str]:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(batch, width, generator=generator) for _ in range(2)]
    if name in ("SwAV", "DINO"):
        rows = [normalize(one, dim=1) for one in rows]
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    both = {"ours": _ours(name, batch, width), "theirs": _theirs(name, batch, width)}
    values = {}
    for _ in range(rounds + 1):
        for side, loss in both.items():
            first, second = (one.clone().requires_grad_() for one in rows)
            start = perf_counter()
            found = loss(first, second)
            found.backward()  # type: ignore[no-untyped-call]
            times[side].append(perf_counter() - start)
            values[side] = float(found.detach())
    if name not in ("W-MSE", "DINO"):  # these two draw rows, or move their centre, with every call
        np.testing.assert_allclose(values["ours"], values["theirs"], rtol=1e-3, atol=1e-4)
    ours, other = (median(times[side][1:]) for side in ("ours", "theirs"))
    return [name, str(batch), str(width), f"{1e3 * ours:.2f} ms", f"{1e3 * other:.2f} ms", f"{other / ours:.2f}"]


def _ours(name: str, batch: int, width: int) -> Loss:
    order = torch.randperm(batch, generator=torch.Generator().manual_seed(0))
    centre = torch.zeros(width)

    def swav(first: Tensor, second: Tensor) -> Tensor:
        codes = [sinkhorn(one.detach()) for one in (first, second)]
        return mean_over_pairs(
            codes, (first, second), lambda scores, code: soft_cross_entropy(scores, code, temperature=0.1)
        )

    def dino(first: Tensor, second: Tensor) -> Tensor:
        with torch.no_grad():
            teachers = [((one - centre) / 0.04).softmax(dim=1) for one in (first, second)]
            centre.lerp_((first.mean(dim=0) + second.mean(dim=0)) / 2, 0.1)
        return mean_over_pairs(
            teachers, (first, second), lambda scores, code: soft_cross_entropy(scores, code, temperature=0.1)
        )

    return {
        "NT-Xent": lambda a, b: nt_xent(normalize(a, dim=1), normalize(b, dim=1), temperature=0.5),
        "Barlow Twins": barlow_twins,
        "VICReg": vicreg,
        "W-MSE": lambda a, b: w_mse(torch.stack([a, b]), order, size=2 * width),
        "negative cosine": lambda a, b: negative_cosine(a, b.detach()),
        "SwAV": swav,
        "DINO": dino,
    }[name]


def _theirs(name: str, batch: int, width: int) -> Loss:
    nt, barlow, vic = theirs.NTXentLoss(0.5), theirs.BarlowTwinsLoss(lambda_param=0.0051), theirs.VICRegLoss()
    cosine, swav = theirs.NegativeCosineSimilarity(), theirs.SwaVLoss()
    dino = theirs.DINOLoss(output_dim=width, warmup_teacher_temp_epochs=0, teacher_temp=0.04)
    made: dict[str, Loss] = {
        "NT-Xent": nt,
        "Barlow Twins": barlow,
        "VICReg": vic,
        "W-MSE": lambda a, b: _their_w_mse(width, 2 * width)(torch.cat([a, b])),
        "negative cosine": lambda a, b: cosine(a, b.detach()),
        "SwAV": lambda a, b: swav([a, b], []),
        "DINO": lambda a, b: dino([a.detach(), b.detach()], [a, b], epoch=0),
    }
    return made[name]


def _their_w_mse(dimension: int, size: int) -> Callable[[Tensor], Tensor]:
    made: Callable[[Tensor], Tensor] = theirs.WMSELoss(embedding_dim=dimension, w_size=size)
    return made
