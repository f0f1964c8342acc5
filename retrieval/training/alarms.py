"""Named alarms: signs that a run has failed although it goes on. One line of the table each.

Thresholds were fixed beforehand and are part of the definition. A NaN is no alarm: it ends the run (``loop``).

A method takes part without a change of the loop: what it puts into ``StepOutput.logs`` is in every reading under the
same name, and ``Method.collapse_constants`` and ``Method.chance_constants`` say at which values those must not stand
still. An alarm that looks for a name does not ring where no method gives it.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from retrieval.methods.method import QUEUE_SPREAD, RAW_NORM, TEACHER_UNCERTAINTY, TEACHER_VARIETY

WINDOW = 20
"""Steps in a row that a sign has to last before it rings. Signs that need no mean over many steps last only as long as
an epoch that has fewer; see ``window_of``."""

QUIET = 100
"""Readings without a sign after which it is a new one: with noise in it a sign comes and goes, and one odd step hides
it from every window that holds that step."""

LEAST_WINDOW = 10
"""Steps that every sign has to last however short the epochs are."""

NEAR = 0.005
"""A loss whose mean is within this share of a constant stands at it, in the first half of the window and in the second,
if the two are no further apart than this either: the loss falls by less than 0.05 % a step. Single steps may lie
further off: of pairs that have nothing in common the loss is a constant with noise (the mean cosine of N pairs in d
dimensions has a standard deviation of 1 / √(N d))."""

APART = 0.1
"""Share of a constant by which a term that began lower was clearly below it, and by which a step is too far from it to
be noise."""

COLLAPSED = 0.01
"""Standard deviation of the dimensions, relative to 1 / √D, below which all embeddings are one point."""

LOW_RANK = 0.1
"""Effective rank, as a share of the most that could be seen, below which embeddings have lost their dimensions. What is
spread evenly fills all of them, and what is learned of C classes lies in about C: a tenth is far below either."""

RECOVERING = 1.1
"""Growth of the effective rank from one measurement to a later one that is no noise: an encoder that starts from random
weights has few dimensions too, and gains them."""

EXPLODED = 100.0
"""Growth of the raw embeddings' mean length since the first step, where a length below 1 counts as 1. Under a
normalised loss a gradient stands upright on its embedding, so lengths drift upwards in any run; two orders of magnitude
are no drift, and a few more are the end of fp16 (65504)."""


UNIFORM = 1 - NEAR
"""Entropy of a teacher's answers, as a share of the most that it can be, above which the teacher says nothing of any
image: it stands at that most as a loss stands at its constant. Answers that tell two halves of the classes apart have a
share of 1 - ln 2 / ln K: 0.91 of 2,048 classes."""

SAME = 0.05
"""Entropy of a teacher's mean answer, as a share of the most that it can be, below which all images get one answer: of
256 views 94 % are then in one class. Classes that are used evenly give 1, and a tenth of them still 0.6 or so."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one step shows; with several batches a step, the mean over them.

    Attributes:
        step: from 1.
        logs: the step's scalars by name: ``"loss"``, the value of each term under its name, and whatever else the
            method reports.
        spread: mean standard deviation of the normalised embeddings' dimensions, times √D: about 1 when they are
            spread evenly, 0 when they are one point; None where there is one example only.
        constants: the value at which each term stands still when it has collapsed, by the term's name.
        chance: the value of each term when the embeddings tell nothing, by the term's name.
        rank_share: effective rank (not centred) of the latest embeddings, as a share of the most it could be: the least
            of their number, D, and the number of their classes where all are labelled. None in steps in which it is not
            measured.
        settled: the learning rate has risen to its peak: before that a loss may well stand where it began.
    """

    step: int
    logs: Mapping[str, float]
    spread: float | None
    constants: Mapping[str, float] = field(default_factory=dict)
    chance: Mapping[str, float] = field(default_factory=dict)
    rank_share: float | None = None
    settled: bool = True


@dataclass
class Start:
    """How a run began.

    Attributes:
        reading: its first.
        known: signs that were read at least once, such as ``chance.nt_xent``.
        waiting: those among them that may not ring before the warm-up is over, see ``waits``.
    """

    reading: Reading
    known: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)

    def see(self, reading: Reading) -> None:
        """Take note of the signs that come up for the first time."""
        for kind in KINDS:
            for name, wanted in getattr(reading, kind).items():
                self._see(f"{kind}.{name}", waits(reading.logs.get(name, math.inf), wanted))
        if TEACHER_VARIETY in reading.logs:
            self._see(TEACHER_VARIETY, reading.logs[TEACHER_VARIETY] < SAME)

    def _see(self, sign: str, waiting: bool) -> None:
        if waiting and sign not in self.known:
            self.waiting.add(sign)
        self.known.add(sign)


def waits(value: float, wanted: float) -> bool:
    """Whether a term that began at ``value`` may not ring at ``wanted`` before the warm-up is over.

    Random weights tell no two images apart, so that while the rate rises from 0 a healthy run stays at such a value as
    long as a stuck one; and one that began above comes down through it. But no healthy run rises to it from clearly
    below, and none comes to the -1 of a cosine, below which there is nothing.
    """
    return _near(value, wanted) if wanted < 0 else value >= wanted * (1 - APART)


Rule = Callable[[Sequence[Reading], Start], bool]
"""(the last readings, oldest first, as many as it has to last; how the run began) to whether they show it."""

KINDS = ("constants", "chance")
"""Fields of a reading that hold values at which terms stand still."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One kind of alarm.

    Attributes:
        name: as people know it.
        advice: what it means and what to try.
        rings: see ``Rule``.
        lasting: it needs ``WINDOW`` readings also where epochs are shorter: a mean over noise, or a trend.
    """

    name: str
    advice: str
    rings: Rule
    lasting: bool = False


def _near(value: float, wanted: float) -> bool:
    return wanted != 0 and abs(value - wanted) <= NEAR * abs(wanted)


def _stands_at(kind: str) -> Rule:
    """Whether one scalar stood at its value, one of a kind; see ``NEAR``. The value may change from step to step, as
    that of a loss over N pairs does with N."""

    def share(reading: Reading, name: str) -> float:
        wanted = getattr(reading, kind).get(name, 0.0)
        return reading.logs.get(name, math.inf) / wanted if wanted else math.inf

    def stands(recent: Sequence[Reading], start: Start) -> bool:
        return any(
            _counts(recent, start, f"{kind}.{name}") and _stand_at_one([share(reading, name) for reading in recent])
            for name in getattr(recent[-1], kind)
        )

    return stands


def _stand_at_one(shares: Sequence[float]) -> bool:
    if any(not abs(share - 1) <= APART for share in shares):
        return False
    half = len(shares) // 2
    first, second = (math.fsum(part) / len(part) for part in (shares[:half], shares[half:]))
    return max(abs(first - 1), abs(second - 1), abs(second - first)) <= NEAR


def _counts(recent: Sequence[Reading], start: Start, sign: str) -> bool:
    """Whether a sign may ring already; see ``waits``."""
    return sign not in start.waiting or _settled(recent)


def _settled(recent: Sequence[Reading]) -> bool:
    return all(reading.settled for reading in recent)


def _uniform_teacher(recent: Sequence[Reading], _: Start) -> bool:
    # Wherever it began: a centre that finds its place makes the answers of random weights uniform (DINO).
    return _settled(recent) and all(reading.logs.get(TEACHER_UNCERTAINTY, 0.0) > UNIFORM for reading in recent)


def _same_answer(recent: Sequence[Reading], start: Start) -> bool:
    same = all(reading.logs.get(TEACHER_VARIETY, 1.0) < SAME for reading in recent)
    return same and _counts(recent, start, TEACHER_VARIETY)


def _dead_queue(recent: Sequence[Reading], _: Start) -> bool:
    return all(reading.logs.get(QUEUE_SPREAD, 1.0) < COLLAPSED for reading in recent)


def _one_point(recent: Sequence[Reading], _: Start) -> bool:
    return all(reading.spread is not None and reading.spread < COLLAPSED for reading in recent)


def _few_dimensions(recent: Sequence[Reading], _: Start) -> bool:
    shares = [reading.rank_share for reading in recent if reading.rank_share is not None]
    if len(shares) < 2:
        return False
    return all(share < LOW_RANK for share in shares) and shares[-1] < RECOVERING * shares[0]


def _far_longer(recent: Sequence[Reading], start: Start) -> bool:
    limit = EXPLODED * max(1.0, start.reading.logs.get(RAW_NORM, math.inf))
    return all(reading.logs.get(RAW_NORM, 0.0) > limit for reading in recent)


ALARMS: tuple[Alarm, ...] = (
    Alarm(
        "loss = margin",
        "The loss stands at the value it has when all embeddings are alike (the margin; ln 2 in the soft form). "
        "Use an easier miner (semihard), a lower learning rate, or a longer warm-up.",
        _stands_at("constants"),
        lasting=True,
    ),
    Alarm(
        "loss = chance",
        "The loss stands at its method's own constant, where the embeddings tell nothing or are all alike (ln(2N - 1) "
        "in NT-Xent, -1 in BYOL). Use a lower temperature, another learning rate, or look whether the two of a pair "
        "have anything in common.",
        _stands_at("chance"),
        lasting=True,
    ),
    Alarm(
        "complete collapse",
        "All embeddings have become one point: every search would return anything. Use a lower learning rate.",
        _one_point,
    ),
    Alarm(
        "dimensional collapse",
        "The embeddings lie in a small part of their dimensions: much that could be told apart is not. Use a lower "
        "learning rate or less weight decay, larger batches, or a smaller dimension.",
        _few_dimensions,
        lasting=True,  # fewer readings hold a single measurement, which does not tell whether they become more
    ),
    Alarm(
        "uniform teacher",
        "The teacher's answers, which the run learns to give, are the same for all classes: they say nothing of any "
        "image. Sharpen them with a lower teacher_temperature (DINO) or epsilon (SwAV), or use a lower learning rate.",
        _uniform_teacher,
    ),
    Alarm(
        "one-hot teacher",
        "The teacher gives all images the same single answer, so that there is nothing left to learn. Spread the "
        "answers: a higher teacher_temperature or a lower centre_momentum (DINO), more iterations (SwAV), fewer "
        "clusters (DeepCluster), or a lower learning rate.",
        _same_answer,
    ),
    Alarm(
        "dead queue",
        "The queue of earlier images holds one point many times: nothing is left to tell a query apart from. Use a "
        "lower learning rate, a higher momentum of the twin (MoCo), or no queue (SwAV).",
        _dead_queue,
    ),
    Alarm(
        "exploding norm",
        "The embeddings before normalisation grow without bound: soon no gradient moves them, and fp16 overflows. Use "
        "a lower learning rate, clip = 1, or a loss on normalised embeddings.",
        _far_longer,
    ),
)


@dataclass
class Watch:
    """Reads every step and says when an alarm begins; each is raised once until its sign has been gone for a while.

    Attributes:
        window: steps that a sign has to last, ``WINDOW`` or fewer; see ``window_of``.
        readings: the last ``WINDOW``, oldest first.
        ringing: by the name of each alarm that was raised, how many readings ago its sign was there last.
        start: how the run began.
    """

    window: int = WINDOW
    readings: deque[Reading] = field(default_factory=lambda: deque(maxlen=WINDOW))
    ringing: dict[str, int] = field(default_factory=dict)
    start: Start | None = None

    def read(self, reading: Reading) -> list[Alarm]:
        """The alarms that begin with this reading."""
        self.start = self.start or Start(reading)
        self.start.see(reading)
        self.readings.append(reading)
        now = [alarm for alarm in ALARMS if self._rings(alarm, self.start)]
        new = [alarm for alarm in now if alarm.name not in self.ringing]
        since = {name: past + 1 for name, past in self.ringing.items() if past < QUIET}
        self.ringing = since | {alarm.name: 0 for alarm in now}
        return new

    def _rings(self, alarm: Alarm, start: Start) -> bool:
        needed = WINDOW if alarm.lasting else self.window
        recent = list(self.readings)[-needed:]
        return len(recent) == needed and alarm.rings(recent, start)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "readings": [asdict(reading) for reading in self.readings],
            "ringing": dict(sorted(self.ringing.items())),
            "start": _plain(self.start) if self.start is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of ``state_dict``."""
        self.readings = deque((Reading(**values) for values in state["readings"]), maxlen=WINDOW)
        ringing = state["ringing"]
        # A checkpoint of an earlier version holds the names alone.
        self.ringing = dict(ringing) if isinstance(ringing, dict) else dict.fromkeys(ringing, 0)
        start = state["start"]
        if start is not None:
            # A checkpoint of an earlier version holds the reading alone.
            known, waiting = (set(start.get(name, ())) for name in ("known", "waiting"))
            self.start = Start(Reading(**start.get("reading", start)), known, waiting)


def window_of(steps: int) -> int:
    """Steps that a sign has to last in a run with ``steps`` an epoch."""
    return max(LEAST_WINDOW, min(WINDOW, steps))


def _plain(start: Start) -> dict[str, Any]:
    return {"reading": asdict(start.reading), "known": sorted(start.known), "waiting": sorted(start.waiting)}
