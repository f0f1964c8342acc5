"""The gate before a switch: what speaks against a model, and what to do about it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from retrieval.core.errors import NotProven, RetrievalError
from retrieval.evaluation.comparison import MARGIN, holds
from retrieval.workflows.run_folder import WITHOUT_LABELS, RunFolder
from retrieval.workflows.words import count, verb

_METRICS = {"recall_at_1": "recall@1", "map_at_r": "MAP@R"}
"""The second has to be better, the first not worse; see ``evaluation.comparison.judge``."""

_SHOWN = 10

_FORCE = "--force switches all the same."

OFFLINE, GONE, CHANGED, UNREADABLE = "offline", "gone", "changed", "unreadable"

_ADVICE = {
    OFFLINE: "Connect the drive that holds them and run the same command again: it goes on where it stopped.",
    GONE: "`retrieval index` looks where they have moved to, `retrieval prune` forgets those that are gone.",
    CHANGED: "`retrieval index` reads the files that changed.",
    UNREADABLE: "Look at these files, run `retrieval index`, then the same command again.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that speaks against a switch: what it is, and what to do next."""

    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that could not be embedded.

    Attributes:
        image_id: its number.
        path: where it was seen last, as ``os.fsdecode`` gives it.
        reason: ``"offline"``, ``"gone"``, ``"changed"`` or ``"unreadable"``.
        message: for people.
    """

    image_id: int
    path: str
    reason: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def evidence_against(run: RunFolder, live: str | None = None) -> list[Refusal]:
    """What the measurements of a training run have to say against its encoder; nothing where it is proven better.

    Args:
        run: its folder.
        live: fingerprint of the encoder in whose place it would come; a proof beside another one says nothing of it.
            None: that is not asked.

    Proven is: recall@1 and MAP@R were measured on held-out labels before and after, the 95 % interval of the gain in
    MAP@R lies above zero, that of recall@1 does not reach below ``MARGIN``, and no image stands on two sides of the
    split.
    """
    try:
        metrics = run.read(run.metrics.name)
    except RetrievalError as error:
        return [Refusal(error.message, f"Train again, or measure it with `retrieval evaluate`; {_FORCE}")]
    found = metrics if isinstance(metrics, Mapping) else {}
    if found.get("kind") == WITHOUT_LABELS:
        why = f"The run {run.folder} has trained without labels: it proves nothing on labels that were held out."
        encoder = run.encoder
        return [Refusal(why, f"Measure it with `retrieval evaluate DATASET --model {encoder} --against M`; {_FORCE}")]
    comparison = found.get("comparison")
    perfect = isinstance(comparison, Mapping) and all(_is_perfect(comparison.get(name)) for name in _METRICS)
    nothing = Refusal(
        f"Both recall@1 and MAP@R were perfect before the run {run.folder}: it proves nothing.",
        f"Measure on more or harder images; {_FORCE}",
    )
    against = [nothing] if perfect else _unproven(run, comparison)
    return [*_beside_another(run, found.get("start"), live), *against, *_leaks(run, found.get("split"))]


def _beside_another(run: RunFolder, start: object, live: str | None) -> list[Refusal]:
    began = start.get("fingerprint") if isinstance(start, Mapping) else None
    if live is None or not isinstance(began, str) or began == live:
        return []
    name = start.get("name") if isinstance(start, Mapping) else began
    why = (
        f"The run {run.folder} compares with {name} ({began[:16]}), which it began with; the gallery uses another one."
    )
    hint = (
        f"Train again from the one in use, or compare the two with `retrieval evaluate DATASET --against M`; {_FORCE}"
    )
    return [Refusal(why, hint)]


def brings_no_proof(run: RunFolder | None) -> bool:
    """Whether an encoder comes without a run, or with one that has measured nothing on labels that were held out."""
    if run is None:
        return True
    try:
        metrics = run.read(run.metrics.name)
    except RetrievalError:
        return False
    return isinstance(metrics, Mapping) and metrics.get("kind") == WITHOUT_LABELS


def another_live() -> Refusal:
    """The refusal of an encoder that was compared with one that is not in use any more."""
    return Refusal("The model in use changed meanwhile, and nothing was compared with it.", f"Switch again; {_FORCE}")


def gallery_against(comparison: Mapping[str, Any], images: int) -> list[Refusal]:
    """What the labels of a gallery have to say against an encoder that brings no proof on labels.

    Args:
        comparison: of the live space and of the new one, as ``evaluation.Comparison.to_dict`` gives it.
        images: it was measured on so many.
    """
    labels = f"the labels of {count(images, 'image')} of this gallery"
    if all(_is_perfect(comparison.get(name)) for name in _METRICS):
        why = f"Both recall@1 and MAP@R are perfect with both encoders on {labels}: they prove nothing."
        return [Refusal(why, f"Label more or harder images; {_FORCE}")]
    worse = any(bounds is not None and bounds[2] < 0 for bounds in (_bounds(comparison.get(name)) for name in _METRICS))
    advice = (
        "Folder names count as labels; where they do not say what the pictures show, `retrieval labels list --history` "
        "numbers what indexing gave, and `retrieval labels undo NUMBER` takes it back. "
    )
    advice += "" if worse else "Label more images to be surer. "
    return _doubts(comparison, labels, advice)


def _unproven(run: RunFolder, comparison: object) -> list[Refusal]:
    """A refusal for each metric that was not measured or does not show what it has to; see ``doubtful``."""
    gains = comparison if isinstance(comparison, Mapping) else {}
    unsaid = [
        Refusal(f"The run {run.folder} does not say what {word} has gained.", f"Train again to the end; {_FORCE}")
        for name, word in _METRICS.items()
        if _bounds(gains.get(name)) is None
    ]
    advice = "Label more images or train longer (`retrieval recipes` lists the ways); "
    return unsaid + _doubts(gains, "held-out labels", advice)


def _doubts(gains: Mapping[str, Any], labels: str, advice: str) -> list[Refusal]:
    """A refusal for each metric whose gain was measured and does not show what it has to; see ``doubtful``."""
    refusals = []
    for name, word in _METRICS.items():
        gain = _bounds(gains.get(name))
        doubt = "" if gain is None else doubtful(name, *gain[1:])
        if gain is not None and doubt:
            mean, low, high = gain
            why = f"The gain in {word} is {mean:+.3f} on {labels}, and its interval {low:+.3f} to {high:+.3f} {doubt}."
            refusals.append(Refusal(why, advice + _FORCE))
    return refusals


def doubtful(metric: str, low: float, high: float) -> str:
    """What the interval of a metric's gain has against a model, in words; empty where it has nothing.

    Args:
        metric: ``"map_at_r"``, which has to be better, or ``"recall_at_1"``, which may not be worse.
        low, high: of the 95 % interval.
    """
    if high < 0:
        return "is below zero"
    if holds(metric, low):
        return ""
    return "touches zero" if metric == "map_at_r" else f"reaches below {-MARGIN:+.2f}"


def _is_perfect(gain: object) -> bool:
    """Whether a metric was 1 before and still is."""
    sides = [gain.get(side) for side in ("before", "after")] if isinstance(gain, Mapping) else []
    return bool(sides) and all(isinstance(side, Mapping) and side.get("mean") == 1.0 for side in sides)


def _leaks(run: RunFolder, split: object) -> list[Refusal]:
    leaks = split.get("leaks") if isinstance(split, Mapping) else None
    if not isinstance(leaks, int) or isinstance(leaks, bool):
        why = f"The run {run.folder} does not say whether its split leaks."
        return [Refusal(why, f"Train again to the end; {_FORCE}")]
    if leaks:
        has = verb(leaks, "stands", "stand")
        why = f"The split leaks: {count(leaks, 'image')} {has} on both sides, in training and in the proof."
        return [Refusal(why, f"Train again: the split is then made of whole near-duplicate groups; {_FORCE}")]
    return []


def _bounds(gain: object) -> tuple[float, float, float] | None:
    """Mean, low and high of a gain; None where they are not there."""
    if not isinstance(gain, Mapping):
        return None
    found = [gain.get(key) for key in ("mean", "low", "high")]
    numbers = [float(v) for v in found if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == len(found) else None


def holes(covered: int, total: int, skipped: Sequence[Skipped]) -> list[Refusal]:
    """The refusal of a coverage that is not whole; nothing where it is."""
    if covered >= total:
        return []
    reasons = Counter(entry.reason for entry in skipped)
    ids = ", ".join(str(entry.image_id) for entry in skipped[:_SHOWN])
    more = f" and {len(skipped) - _SHOWN:,} more" if len(skipped) > _SHOWN else ""
    kinds = ", ".join(f"{number:,} {reason}" for reason, number in sorted(reasons.items()))
    why = f"The new space covers {covered:,} of {count(total, 'image')}; skipped: {kinds} (ids {ids}{more})."
    advice = " ".join(_ADVICE[reason] for reason in sorted(reasons))
    return [Refusal(why, f"{advice} {_FORCE}".strip())]


def refused(refusals: Sequence[Refusal]) -> NotProven:
    """The error that says all of them."""
    hints = list(dict.fromkeys(refusal.hint for refusal in refusals))
    if len(hints) > 1:
        hints = [hint.removesuffix(_FORCE).rstrip("; ").rstrip(".") + "." for hint in hints]
        hints.append(_FORCE)
    return NotProven(" ".join(refusal.why for refusal in refusals), " ".join(hints))
