"""Every method without labels on CIFAR-10: one protocol, one budget, selection on validation only (see ``ssl_lab``).

On cores each method has one setting, fixed beforehand, but MoCo and DINO three, since they learned nothing with the
first; validation chooses the setting and the epoch. On a GPU each gets the same number of trials, two rates and two
values of one knob of its own; the trial whose best epoch validation likes most is run with more seeds. Figures are
means over seeds and test images; intervals resample classes, then images, paired where two are compared. Gains have a
second interval, of images alone: it holds for these ten classes, which are all that CIFAR-10 has; the first asks how it
would be with ten others. Beside: an untrained encoder and the kNN of the pixels themselves, both of which every method
has to beat, and the same of pixels less the mean picture; time and peak memory of one run; and what picking the best
epoch on the test images would have added.

``python -m tests.benchmarks.ssl_table [--gpu | --quick] [--seeds N] [--minutes N] [METHOD ...]`` makes the runs of some
methods with the first N seeds, and stops after N minutes of each run at the latest, to be gone on with by the same
command; without names it prints the table too. Runs are kept: with more seeds only these are made. The protocol
``--gpu`` is ResNet-18 for 100 epochs: the same code with other numbers.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.functional.metrics import bootstrap_difference, bootstrap_interval
from tests.benchmarks.ssl_lab import (
    PROTOCOLS,
    Protocol,
    Run,
    cifar,
    embedded,
    knn_right,
    labelled,
    linear_right,
    pixels_right,
    result,
    small_resnet,
)
from tests.benchmarks.support import show

Floats = NDArray[np.float64]

WIDTHS: dict[str, dict[str, Any]] = {
    "simclr": {"hidden": 512, "temperature": 0.2},
    "byol": {"hidden": 512, "dimension": 128, "momentum": 0.95},
    "autoencoder": {"width": 64},
    "vicreg": {"hidden": 512, "dimension": 512},
    "barlow_twins": {"hidden": 512, "dimension": 512},
    "w_mse": {"hidden": 512, "dimension": 32, "slice_size": 64},
    "moco": {"hidden": 512, "queue": 1024, "momentum": 0.99, "splits": 2, "symmetric": True},
    "simsiam": {"hidden": 512, "dimension": 512, "bottleneck": 128},
    "swav": {"hidden": 512, "prototypes": 64},
    "deepcluster": {"hidden": 512, "clusters": 100},
    "dino": {
        "hidden": 512, "bottleneck": 128, "prototypes": 128, "layers": 2, "warmup_epochs": 0, "momentum": 0.99,
        "teacher_temperature": 0.04, "freeze_epochs": 0,
    },
}  # fmt: skip
"""On cores: layers beside the encoder that do not cost more than it, and queues, twins and clusters for a thousand
steps of 64 pictures; otherwise the papers' values."""

_MOCO = {"hidden": 512, "queue": 1024, "splits": 2}
_DINO = {"hidden": 512, "bottleneck": 128, "prototypes": 512, "layers": 2, "warmup_epochs": 0, "momentum": 0.95}
TRIED: dict[str, Sequence[dict[str, Any]]] = {
    "moco": ({**_MOCO, "momentum": 0.95}, {**_MOCO, "momentum": 0.9, "symmetric": True}),
    "dino": ({**_DINO, "teacher_temperature": 0.04}, {**_DINO, "teacher_temperature": 0.02}),
}
"""On cores, beside ``WIDTHS``: what else was tried of the two that learned nothing with their first setting."""

PUBLISHED = {
    "simclr": 90.74, "byol": 92.58, "vicreg": 92.07, "barlow_twins": 92.10, "w_mse": 88.67, "moco": 92.94,
    "simsiam": 90.51, "swav": 89.17, "deepcluster": 88.85, "dino": 89.52,
}  # fmt: skip
"""Linear, in percent: ResNet-18, all of CIFAR-10, 1,000 epochs, by solo-learn: for a GPU's table to stand beside."""

RATE = 2e-3
"""On cores, with AdamW: that of the pilots with SimCLR, the same for all."""

LARGE: dict[str, dict[str, Any]] = {
    "moco": {"queue": 4096}, "dino": {"prototypes": 2048, "layers": 2, "warmup_epochs": 10},
}  # fmt: skip
"""On a GPU: the recipes' own values where the defaults are ImageNet's."""

KNOBS: dict[str, Sequence[Mapping[str, Any]]] = {
    "simclr": ({"temperature": 0.2}, {"temperature": 0.5}),
    "barlow_twins": ({"redundancy": 0.0051}, {"redundancy": 0.02}),
    "vicreg": ({"covariance": 1.0}, {"covariance": 4.0}),
    "w_mse": ({"dimension": 64, "slice_size": 128}, {"dimension": 32, "slice_size": 64}),
    "moco": ({"momentum": 0.9}, {"momentum": 0.99}),
    "autoencoder": ({"width": 64}, {"width": 128}),
    "byol": ({"momentum": 0.9}, {"momentum": 0.99}),
    "simsiam": ({"bottleneck": 128}, {"bottleneck": 64}),
    "swav": ({"prototypes": 64}, {"prototypes": 256}),
    "deepcluster": ({"clusters": 50}, {"clusters": 200}),
    "dino": (
        {"momentum": 0.9, "teacher_temperature": 0.04}, {"momentum": 0.99, "teacher_temperature": 0.07},
    ),
}  # fmt: skip
"""On a GPU: two values of one knob of each method; with ``RATES``, four trials for each."""

RATES = (1e-3, 3e-3)


def run(quick: bool = False) -> None:
    """Make all runs and print the table."""
    table(PROTOCOLS["quick" if quick else "cores"])


def table(protocol: Protocol) -> None:
    """Print the tables of a protocol; runs that are not there are made."""
    numbers = cifar(protocol)[2].numbers
    bars = _bars(protocol)
    rows = [
        [name, *(_interval(bars[one], numbers) if one else "" for one in kinds), *[""] * 5]
        for name, kinds in (
            ("the pixels themselves", ("pixels", "")),
            ("the pixels, centred", ("centred pixels", "")),
            ("an untrained encoder", ("untrained", "untrained, linear")),
        )
    ]
    gains, chosen = [], []
    for method in WIDTHS:
        best, found = measured(protocol, method)
        chosen.append(f"{method}: rate {best.rate:g}, {dict(best.options)}")
        rows.append(_row(method, found, numbers))
        gains.append([method, *(_gain(bars[name], _mean(found, name), numbers) for name in bars)])
    counts = f"{protocol.images[0]} training images of each class, {protocol.labelled} with labels"
    seeds = f"{len(protocol.seeds)} seed{'s' if len(protocol.seeds) > 1 else ''}"
    header = [
        "method",
        "kNN",
        "linear",
        "published: 1,000 epochs",
        "chosen epoch",
        "epoch picked on test adds",
        "minutes",
        "peak",
    ]
    show(f"CIFAR-10, {counts}, {protocol.epochs} epochs, {seeds}", header, rows)
    title = "Gained over what is not trained; intervals: classes, then images drawn anew / images alone"
    show(title, ["method", *bars], gains)
    print("\n" + "\n".join(chosen))


def _bars(protocol: Protocol) -> dict[str, Floats]:
    """[N] right or wrong for each test image, of what every method has to beat; means over seeds."""
    plain, centred = (np.asarray(pixels_right(protocol, way), float) for way in (False, True))
    train, _, test = cifar(protocol)
    known = labelled(train, protocol)
    knn, linear = [], []
    for seed in protocol.seeds:
        encoder = small_resnet(protocol, seed).eval().to(protocol.device)
        base, asked = (embedded(encoder, part, protocol.device) for part in (known, test))
        knn.append(knn_right(base, asked, known, test))
        linear.append(linear_right(base, asked, known, test))
    untrained = {"untrained": np.mean(knn, axis=0), "untrained, linear": np.mean(linear, axis=0)}
    return {"pixels": plain, "centred pixels": centred, **untrained}


def measured(protocol: Protocol, method: str, minutes: float | None = None) -> tuple[Run, list[dict[str, Any]]]:
    """The best trial of a method, and its results for every seed.

    Raises:
        SystemExit: a run is not finished after ``minutes``; the same call goes on with it.
    """
    tried = [(trial, _finished(trial, minutes)) for trial in trials(protocol, method)]
    best = max(tried, key=lambda one: one[1]["val"])[0]
    return best, [_finished(replace(best, seed=seed), minutes) for seed in protocol.seeds]


def trials(protocol: Protocol, method: str) -> Iterator[Run]:
    """With the first seed: on a GPU two rates by two values of the method's knob, else the one setting or three."""
    if protocol.name != "gpu":
        for options in (WIDTHS[method], *TRIED.get(method, ())):
            yield Run(protocol.name, method, options, rate=RATE, seed=protocol.seeds[0])
        return
    for rate, knob in product(RATES, KNOBS[method]):
        yield Run(protocol.name, method, {**LARGE.get(method, {}), **knob}, rate=rate, seed=protocol.seeds[0])


def _finished(wanted: Run, minutes: float | None) -> dict[str, Any]:
    found = result(wanted, minutes)
    if found is None:
        sys.exit(f"{wanted.key} is not finished; the same command goes on with it.")
    return found


def _mean(found: Sequence[Mapping[str, Any]], bar: str) -> Floats:
    """[N] share of the seeds that are right for each test image, by what is measured against that bar."""
    return np.asarray(np.mean([one["linear" if bar.endswith("linear") else "knn"] for one in found], axis=0))


def _row(method: str, found: Sequence[Mapping[str, Any]], numbers: NDArray[np.int64]) -> list[str]:
    inflated = [max(look["test"] for look in one["looks"]) - float(np.mean(one["knn"])) for one in found]
    return [
        method,
        *(_interval(_mean(found, name), numbers) for name in ("knn", "linear")),
        f"{PUBLISHED[method] / 100:.3f}" if method in PUBLISHED else "",
        ", ".join(str(one["epoch"]) for one in found),
        f"{np.mean(inflated):+.4f}",
        f"{np.mean([one['seconds'] for one in found]) / 60:.1f}",
        f"{np.mean([one['bytes'] for one in found]) / 1e6:,.0f} MB",
    ]


def _interval(right: Floats, numbers: NDArray[np.int64]) -> str:
    found = bootstrap_interval(np.asarray(right, float), numbers, seed=0)
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _gain(before: Floats, after: Floats, numbers: NDArray[np.int64]) -> str:
    both = [bootstrap_difference(before, after, groups, seed=0) for groups in (numbers, np.zeros_like(numbers))]
    return f"{both[0].mean:+.3f} " + " / ".join(f"[{found.low:+.3f}, {found.high:+.3f}]" for found in both)


def main() -> None:
    """See the module."""
    arguments = sys.argv[1:]
    protocol = PROTOCOLS["gpu" if "--gpu" in arguments else "quick" if "--quick" in arguments else "cores"]
    minutes, seeds = _number(arguments, "--minutes"), _number(arguments, "--seeds")
    protocol = replace(protocol, seeds=protocol.seeds[: int(seeds) if seeds else None])
    names = [name for name in arguments if name in WIDTHS]
    for method in names or WIDTHS:
        chosen, found = measured(protocol, method, minutes)
        accuracies = [round(float(np.mean(one["knn"])), 4) for one in found]
        print(method, chosen.rate, dict(chosen.options), accuracies, flush=True)
    if not names:
        table(protocol)


def _number(arguments: Sequence[str], name: str) -> float | None:
    return float(arguments[arguments.index(name) + 1]) if name in arguments else None


if __name__ == "__main__":
    main()
