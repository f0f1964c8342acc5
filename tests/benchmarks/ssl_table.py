"""Every method without labels on CIFAR-10: one protocol, one budget, selection on validation only (see ``ssl_lab``).

Each method gets the same number of trials, two rates and two values of one knob of its own; the trial whose best epoch
validation likes most is run with two more seeds. Figures are means over seeds and test images; intervals resample
classes, then images, paired where two are compared. Beside: an untrained encoder and the kNN of the pixels themselves,
both of which every method has to beat; time and peak memory of one run; and what picking the best epoch on the test
images would have added.

``python -m tests.benchmarks.ssl_table [--gpu | --quick] [--minutes N] [METHOD ...]`` makes the runs of some methods,
and stops after N minutes of each run at the latest, to be gone on with by the same command; without names it prints
the table too. The protocol ``--gpu`` is ResNet-18 for 100 epochs: the same code with other numbers.
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
    linear_right,
    pixels_right,
    result,
    small_resnet,
)
from tests.benchmarks.support import show

Floats = NDArray[np.float64]

WIDTHS: dict[str, dict[str, Any]] = {
    "simclr": {"hidden": 512},
    "barlow_twins": {"hidden": 512, "dimension": 512},
    "vicreg": {"hidden": 512, "dimension": 512},
    "w_mse": {"hidden": 512},
    "moco": {"hidden": 512, "queue": 1024},
    "autoencoder": {},
    "byol": {"hidden": 512, "dimension": 128},
    "simsiam": {"hidden": 512, "dimension": 512},
    "swav": {"hidden": 512},
    "deepcluster": {"hidden": 512},
    "dino": {"hidden": 512, "bottleneck": 128, "prototypes": 512, "layers": 2, "warmup_epochs": 0},
}
"""On cores: layers beside the encoder that do not cost more than it."""

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
"""Two values of one knob of each method; with ``RATES``, four trials for each."""

RATES = (1e-3, 3e-3)


def run(quick: bool = False) -> None:
    """Make all runs and print the table."""
    table(PROTOCOLS["quick" if quick else "cores"])


def table(protocol: Protocol) -> None:
    """Print the table of a protocol; runs that are not there are made."""
    numbers = cifar(protocol)[2].numbers
    pixels = np.asarray(pixels_right(protocol), float)
    untrained = {name: np.mean(values, axis=0) for name, values in _untrained(protocol).items()}
    rows = [
        ["the pixels themselves", "", _interval(pixels, numbers), "", "", "", "", "", "", ""],
        ["an untrained encoder", "", *(_interval(untrained[name], numbers) for name in untrained), *[""] * 6],
    ]
    for method in KNOBS:
        chosen, found = measured(protocol, method)
        rows.append(_row(method, chosen, found, pixels, untrained, numbers))
    show(
        f"CIFAR-10, {protocol.images[0]} training images of each class, {protocol.epochs} epochs, "
        f"{len(protocol.seeds)} seeds, {len(KNOBS['simclr']) * len(RATES)} trials each",
        [
            "method", "chosen", "kNN", "linear", "kNN over untrained", "linear over untrained", "kNN over pixels",
            "epoch picked on test adds", "minutes", "peak",
        ],
        rows,
    )  # fmt: skip


def measured(protocol: Protocol, method: str, minutes: float | None = None) -> tuple[Run, list[dict[str, Any]]]:
    """The best trial of a method, and its results for every seed.

    Raises:
        SystemExit: a run is not finished after ``minutes``; the same call goes on with it.
    """
    tried = [(trial, _finished(trial, minutes)) for trial in trials(protocol, method)]
    best = max(tried, key=lambda one: one[1]["val"])[0]
    return best, [_finished(replace(best, seed=seed), minutes) for seed in protocol.seeds]


def trials(protocol: Protocol, method: str) -> Iterator[Run]:
    """Two rates by two values of the method's knob, with the first seed."""
    fixed = LARGE.get(method, {}) if protocol.name == "gpu" else WIDTHS[method]
    for rate, knob in product(RATES, KNOBS[method]):
        yield Run(protocol.name, method, {**fixed, **knob}, rate=rate, seed=protocol.seeds[0])


def _finished(wanted: Run, minutes: float | None) -> dict[str, Any]:
    found = result(wanted, minutes)
    if found is None:
        sys.exit(f"{wanted.key} is not finished; the same command goes on with it.")
    return found


def _untrained(protocol: Protocol) -> dict[str, list[list[bool]]]:
    train, _, test = cifar(protocol)
    found: dict[str, list[list[bool]]] = {"knn": [], "linear": []}
    for seed in protocol.seeds:
        encoder = small_resnet(protocol, seed).eval().to(protocol.device)
        base, asked = (embedded(encoder, part, protocol.device) for part in (train, test))
        found["knn"].append(knn_right(base, asked, train, test))
        found["linear"].append(linear_right(base, asked, train, test))
    return found


def _row(
    method: str,
    chosen: Run,
    found: Sequence[Mapping[str, Any]],
    pixels: Floats,
    untrained: Mapping[str, Floats],
    numbers: NDArray[np.int64],
) -> list[str]:
    knn, linear = (np.mean([one[name] for one in found], axis=0) for name in ("knn", "linear"))
    knob = {name: value for name, value in chosen.options.items() if any(name in one for one in KNOBS[method])}
    inflated = [max(look["test"] for look in one["looks"]) - float(np.mean(one["knn"])) for one in found]
    return [
        method,
        ", ".join([f"rate {chosen.rate:g}", *(f"{name} {value:g}" for name, value in knob.items())]),
        _interval(knn, numbers),
        _interval(linear, numbers),
        _gain(untrained["knn"], knn, numbers),
        _gain(untrained["linear"], linear, numbers),
        _gain(pixels, knn, numbers),
        f"{np.mean(inflated):+.4f}",
        f"{np.mean([one['seconds'] for one in found]) / 60:.1f}",
        f"{np.mean([one['bytes'] for one in found]) / 1e6:,.0f} MB",
    ]


def _interval(right: Floats, numbers: NDArray[np.int64]) -> str:
    found = bootstrap_interval(np.asarray(right, float), numbers, seed=0)
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _gain(before: Floats, after: Floats, numbers: NDArray[np.int64]) -> str:
    found = bootstrap_difference(np.asarray(before, float), np.asarray(after, float), numbers, seed=0)
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def main() -> None:
    """See the module."""
    arguments = sys.argv[1:]
    protocol = PROTOCOLS["gpu" if "--gpu" in arguments else "quick" if "--quick" in arguments else "cores"]
    minutes = float(arguments[arguments.index("--minutes") + 1]) if "--minutes" in arguments else None
    names = [name for name in arguments if name in KNOBS]
    for method in names or KNOBS:
        chosen, found = measured(protocol, method, minutes)
        print(method, chosen.rate, dict(chosen.options), [round(float(np.mean(one["knn"])), 4) for one in found])
    if not names:
        table(protocol)


if __name__ == "__main__":
    main()
