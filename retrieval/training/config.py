"""``LoopConfig``: everything that decides how the loop trains, whatever the method."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from retrieval.core.errors import BadValue

Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]

FREE_TO_CHANGE = ("patience", "log_every", "save_seconds", "device", "devices")
"""Fields that change no weight of the steps to come, so that a resumed run may have other values in them."""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How to train.

    Attributes:
        epochs: passes over the source; 0 trains nothing.
        learning_rate: peak rate of the head; others are factors of it.
        weight_decay: of weights of two axes and more; biases and normalisation layers have none.
        optimiser: AdamW (betas 0.9, 0.999), or SGD with Nesterov momentum 0.9.
        warmup_share: share of all steps in which the rate rises linearly from 0, in [0, 1).
        schedule: after it the rate falls to 0 along half a cosine, or stays.
        precision: of forward and backward; ``"auto"`` is bf16 on a GPU or processor that computes it fast, fp16 on
            another GPU, else fp32. Weights, optimiser and losses are fp32 in any case.
        accumulate: batches whose gradients are averaged for one step. For losses that compare examples this is *not*
            the larger batch: no example of one batch is ever compared with one of the next. For that, use a larger
            batch with ``chunk``.
        clip: largest norm of the whole gradient; None: no limit.
        average: decay of the averaged weights (EMA), e.g. 0.999; None: none. What is validated and kept is the average.
        chunk: examples that the encoder takes at a time (gradient caching); None: the whole batch at once.
        head_first_epochs: epochs at the start in which the backbone rests.
        batch_norm: ``"frozen"``: the backbone's batch-norm layers keep their statistics and their affine weights;
            ``"train"``: both are trained. Batch-norm in the head is always trained: a new one has no statistics yet.
        backbone_rate: factor on the rate of the backbone; 0 freezes it for good.
        layer_decay: further factor for each layer further away from the head, in (0, 1].
        patience: validations without a new best value after which the run ends; None: never.
        validate_every: epochs between validations; the start and the last epoch are validated too.
        log_every: steps between two lines of the log; fewer where they take more than ten seconds.
        save_seconds: time between two checkpoints, at the least; the end of a run always writes one.
        seed: of everything that is drawn.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        devices: how many; on more than one each has its own process, and the source of its own part of every batch.
            For programs that start those processes themselves; ``retrieval train`` uses one.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    optimiser: Literal["adamw", "sgd"] = "adamw"
    warmup_share: float = 0.05
    schedule: Literal["cosine", "constant"] = "cosine"
    precision: Precision = "auto"
    accumulate: int = 1
    clip: float | None = None
    average: float | None = None
    chunk: int | None = None
    head_first_epochs: int = 0
    batch_norm: Literal["frozen", "train"] = "frozen"
    backbone_rate: float = 0.1
    layer_decay: float = 1.0
    patience: int | None = None
    validate_every: int = 1
    log_every: int = 20
    save_seconds: float = 60.0
    seed: int = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for a value out of range."""
        for name, (fits, wanted) in _ranges(self).items():
            if not fits:
                raise ValueError(f"{name} is {wanted}, not {getattr(self, name)!r}.")

    def check_resumable(self, stored: dict[str, Any]) -> None:
        """Raises BadValue where a checkpoint was made with other values that decide about weights.

        Args:
            stored: values by name; the precision is, there as here, the one that ``"auto"`` stood for.
        """
        if stored.get("precision", self.precision) != self.precision:
            raise BadValue(
                f"The run was started in the precision {stored['precision']}; here it would go on in {self.precision}.",
                f"Go on as it began with --set precision={stored['precision']}, or start a new run in another folder.",
            )
        for name, value in asdict(self).items():
            if name not in FREE_TO_CHANGE and stored.get(name, value) != value:
                raise BadValue(
                    f"The run was started with {name} = {stored[name]!r}, not {value!r}.",
                    "Resume with the same values, or start a new run in another folder.",
                )


def _ranges(config: LoopConfig) -> dict[str, tuple[bool, str]]:
    return {
        "epochs": (config.epochs >= 0, "0 or more"),
        "learning_rate": (0 < config.learning_rate < float("inf"), "above 0"),
        "weight_decay": (0 <= config.weight_decay < float("inf"), "0 or more"),
        "optimiser": (config.optimiser in ("adamw", "sgd"), "adamw or sgd"),
        "warmup_share": (0 <= config.warmup_share < 1, "at least 0 and less than 1"),
        "schedule": (config.schedule in ("cosine", "constant"), "cosine or constant"),
        "precision": (config.precision in ("auto", "32-true", "bf16-mixed", "16-mixed"), "one of four"),
        "accumulate": (config.accumulate >= 1, "1 or more"),
        "clip": (config.clip is None or config.clip > 0, "none or above 0"),
        "average": (config.average is None or 0 < config.average < 1, "none or between 0 and 1"),
        "chunk": (config.chunk is None or config.chunk >= 1, "none or 1 or more"),
        "head_first_epochs": (config.head_first_epochs >= 0, "0 or more"),
        "batch_norm": (config.batch_norm in ("frozen", "train"), "frozen or train"),
        "backbone_rate": (0 <= config.backbone_rate < float("inf"), "0 or more"),
        "layer_decay": (0 < config.layer_decay <= 1, "above 0 and at most 1"),
        "patience": (config.patience is None or config.patience >= 1, "none or 1 or more"),
        "validate_every": (config.validate_every >= 1, "1 or more"),
        "log_every": (config.log_every >= 1, "1 or more"),
        "save_seconds": (config.save_seconds >= 0, "0 or more"),
        "device": (config.device in ("auto", "cpu", "cuda", "mps"), "auto, cpu, cuda or mps"),
        "devices": (config.devices >= 1, "1 or more"),
        "seed": (config.seed >= 0, "0 or more"),
    }
