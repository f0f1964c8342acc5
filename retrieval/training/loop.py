"""The loop: one method, one source of batches, one configuration; from the first step to the best weights.

A run's folder holds ``last.ckpt`` (see ``checkpoint``) and the log (see ``log``). A run that is resumed from its
checkpoint goes on as if it had never stopped: bit for bit on one device, because everything that decides about the
next step is in the checkpoint (weights, rules and memories of the method, optimiser, scaler, average, random states,
the place in the epoch, early stopping) and the schedule is a function of the step.
"""

import contextlib
import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from retrieval.core.errors import BadValue, TrainingFailed
from retrieval.functional.batch import Batch
from retrieval.methods.method import Method, StepOutput
from retrieval.training import checkpoint, devices
from retrieval.training.alarms import Watch, window_of
from retrieval.training.averaging import Average
from retrieval.training.caching import cached_backward, refuse_mixing, refuse_uncacheable
from retrieval.training.config import LoopConfig
from retrieval.training.hooks import Progress, TrainHooks, Validated
from retrieval.training.log import RunLog
from retrieval.training.meter import Meter, Shown, shown
from retrieval.training.optim import make_optimiser, set_rates, warmup_steps
from retrieval.training.place import Fitted, Place
from retrieval.training.policies import apply_policies
from retrieval.training.randomness import random_states, random_states_kept, seed_everything, set_random_states
from retrieval.training.source import Source

__all__ = ["Fitted", "Source", "fit"]

FAILED_BATCH = "failed_batch.json"

SMALLEST_SCALE = 2.0**-10
"""Loss scale of fp16 below which a run has failed: it starts at 2**16 and is halved by every step that overflows."""

SILENT_SECONDS = 10.0
"""After so long a step is reported whatever its number: ten steps of a large batch can take minutes on a processor."""


def fit(
    method: Method,
    source: Source,
    config: LoopConfig,
    *,
    folder: Path,
    resume: bool = False,
    validate: Callable[[Method], float] | None = None,
    hooks: TrainHooks | None = None,
) -> Fitted:
    """Train ``method`` on ``source``.

    Args:
        method: built anew in the same way for a run that is resumed; its state comes from the checkpoint.
        source: of the batches; with several processes, each has the source of its own part.
        config: how.
        folder: of the run; made if absent.
        resume: go on from ``folder/last.ckpt``; where there is none, start.
        validate: higher is better; called in eval mode, on the first process only, with the weights that would be
            kept. It may draw random numbers without changing the run.
        hooks: see ``TrainHooks``.

    Returns:
        See ``Fitted``. Python's, numpy's and torch's random states are as they were before.

    Raises:
        BadValue: values that do not fit together; a folder with a run that is not to be resumed.
        TrainingFailed: the loss or its gradient is not a number; ``folder/failed_batch.json`` names the batch.
        DiskFull: no space is left for a checkpoint; the previous one is whole.
        ModelDamaged: the checkpoint cannot be read.
    """
    with random_states_kept():
        return _Run(method, source, config, folder, validate, hooks or TrainHooks()).go(resume)


class _Run:
    def __init__(
        self,
        method: Method,
        source: Source,
        config: LoopConfig,
        folder: Path,
        validate: Callable[[Method], float] | None,
        hooks: TrainHooks,
    ) -> None:
        self.method, self.source, self.config = method, source, devices.resolved(config)
        self.folder, self.validate, self.hooks = folder, validate, hooks
        self.fabric = devices.start_fabric(self.config)
        self.first = self.fabric.global_rank == 0
        self.place, self.meter, self.watch = Place(), Meter(), Watch()
        self.best: dict[str, Tensor] | None = None
        self.saved_at, self.saved_step = -math.inf, (0, 0, False)

    # The course of a run

    def go(self, resume: bool) -> Fitted:
        if self.config.chunk is not None:
            refuse_uncacheable(self.method)
        stored = self._open(resume)
        self._prepare(stored)
        try:
            return self._train()
        finally:
            self.log.close()

    def _train(self) -> Fitted:
        stopped: Literal["done", "early", "interrupted"] = "done"
        self._validate()
        if self.saved_at == -math.inf:
            self._save()
        self.began_step = self.place.step
        self.meter.started = self.meter.reported = time.monotonic()
        while self.place.epoch < self.config.epochs:
            if self._out_of_patience():
                stopped = "early"
                break
            if not self._epoch():
                stopped = "interrupted"
                break
        if self.saved_step != self._position():
            self._save()
        return self._finished(stopped)

    def _epoch(self) -> bool:
        """The rest of the epoch at hand; False if it was interrupted."""
        epoch = self.place.epoch
        apply_policies(self.method, self.config, self.place.epoch)
        if self.config.chunk is not None:
            refuse_mixing(self.method.encoder)
        count = self.source.steps(self.place.epoch)
        if not self.place.batch:
            with self.fabric.autocast():
                self.method.before_epoch(self.place.epoch, lambda: map(self._moved, self.source.batches(epoch, 0)))
        with _closed(self.source.batches(self.place.epoch, self.place.batch)) as batches:
            while self.place.batch < count:
                size = min(self.config.accumulate, count - self.place.batch)
                self._step([self._next(batches) for _ in range(size)])
                if self._agreed(self.hooks.stop()):
                    return False
                if self.first and self._save_due():
                    self._save()
        devices.average_statistics(self.fabric, self.method)
        self.place.epoch, self.place.batch = self.place.epoch + 1, 0
        self.place.checked = False
        self._validate()
        return True

    # One step

    def _step(self, group: list[Batch]) -> None:
        """One step of the optimiser from the mean gradient of ``group``."""
        rate = set_rates(self.optimiser, self.place.step, self.total, self.config, self.backbone_begins)
        noted = [shown(self.method, batch, self._backward(batch, group)) for batch in group]
        parameters = [p for g in self.optimiser.param_groups for p in g["params"]]
        devices.average_gradients(self.fabric, parameters)
        # Without a limit too: the norm is what shows a gradient that is not a number, and fp16 is unscaled here.
        norm = self.fabric.clip_gradients(
            self.method, self.optimiser, max_norm=self.config.clip or math.inf, error_if_nonfinite=False
        )
        self._check_gradient(norm, group)
        taken = devices.step_taken(self.fabric, self.stepper)
        self.optimiser.zero_grad(set_to_none=True)
        # What follows the weights rests with them: of an overflow the embeddings may be no numbers either.
        (self.method.after_step if taken else self.method.skipped_step)()
        if taken and self.average is not None:
            self.average.update()
        self.place.step += 1
        self.place.batch += len(group)
        self._note(noted)
        if self.place.step % self.config.log_every == 0 or self.meter.silent() >= SILENT_SECONDS:
            self._report(rate)

    def _backward(self, batch: Batch, group: list[Batch]) -> StepOutput:
        def backward(loss: Tensor) -> None:
            if not math.isfinite(float(loss.detach())):
                raise self._failed("loss", group)
            self.fabric.backward(loss / len(group))

        if self.config.chunk is not None:
            return cached_backward(
                self.method, batch, self.config.chunk, backward=backward, autocast=self.fabric.autocast
            )
        with self.fabric.autocast():
            output = self.method.training_step(batch)
        backward(output.loss)
        return output

    def _check_gradient(self, norm: Tensor | None, group: list[Batch]) -> None:
        scaler = devices.scaler_of(self.fabric)
        if scaler is None:
            if norm is not None and not math.isfinite(float(norm)):
                raise self._failed("gradient", group)
        elif scaler.get_scale() < SMALLEST_SCALE:
            # One overflow is fp16's daily life and the scaler skips the step; overflows without end are not.
            raise self._failed("gradient", group)

    def _failed(self, what: str, group: list[Batch]) -> TrainingFailed:
        names = self.source.describe(torch.cat([batch.ids for batch in group]).cpu())
        path = self.folder / (FAILED_BATCH if self.first else f"{self.fabric.global_rank}.{FAILED_BATCH}")
        record = {"step": self.place.step + 1, "epoch": self.place.epoch + 1, "what": what, "files": names}
        # The message says it too; a full disk must not hide it.
        with contextlib.suppress(OSError):
            path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        some = ", ".join(names[:3]) + (f" and {len(names) - 3} more ({path})" if len(names) > 3 else "")
        return TrainingFailed(
            f"The {what} is not a number in step {self.place.step + 1} (epoch {self.place.epoch + 1}), batch: {some}.",
            f"The last good checkpoint is {self.folder / checkpoint.NAME} (step {self.saved_step[0]}). "
            "Try a lower learning rate, clip = 1, or precision = 32-true.",
        )

    # What is seen of it

    def _note(self, group: list[Shown]) -> None:
        settled = self.place.step > warmup_steps(self.total, self.config)
        for alarm in self.watch.read(self.meter.read(self.place.step, group, settled)):
            self.log.write(
                {"kind": "alarm", "step": self.place.step, "epoch": self.place.epoch + 1, "name": alarm.name}
            )
            self._say(f"Alarm in step {self.place.step}: {alarm.name}. {alarm.advice}")

    def _report(self, rate: float) -> None:
        values = self.meter.report() | getattr(self.source, "logs", dict)()
        pace = self.meter.pace() * self.fabric.world_size
        passed = time.monotonic() - self.meter.started
        eta = passed / max(1, self.place.step - self.began_step) * (self.total - self.place.step)
        where = {"kind": "step", "step": self.place.step, "epoch": self.place.epoch + 1}
        self.log.write({**where, **values, "rate": rate, "images_per_second": pace, "eta_seconds": eta})
        if self.first:
            self.hooks.progress(
                Progress(
                    epoch=self.place.epoch + 1,
                    epochs=self.config.epochs,
                    step=self.place.step,
                    steps=self.total,
                    loss=values["loss"] or 0.0,
                    active=values.get("active"),
                    alignment=values["alignment"],
                    uniformity=values["uniformity"],
                    effective_rank=values["effective_rank"],
                    sample=len(self.meter.labels),
                    rate=rate,
                    images_per_second=pace,
                    eta_seconds=eta,
                )
            )

    def _say(self, line: str) -> None:
        if self.first:
            self.hooks.say(line)

    # Validation

    def _validate(self) -> None:
        """Validate the weights of now if they are due, and keep them if they are the best."""
        last = self.place.epoch == self.config.epochs
        if self.validate is None or self.place.checked or (self.place.epoch % self.config.validate_every and not last):
            return
        averaged = self.average.applied() if self.average is not None else contextlib.nullcontext()
        with averaged, random_states_kept():
            self.method.eval()
            value = self.fabric.broadcast(float(self.validate(self.method)) if self.first else 0.0)
            value = value if math.isfinite(value) else -math.inf
            if self.place.best_value is None or value > self.place.best_value:
                self.best = copy.deepcopy(self.method.encoder.state_dict())
                self.place.best_value, self.place.best_epoch = value, self.place.epoch
                self.place.without_best = 0
            else:
                self.place.without_best += 1
        if self.place.start_value is None:
            self.place.start_value = value
        self.place.checked = True
        validated = Validated(self.place.epoch, value, self.place.best_value, self.place.best_epoch or 0)
        self.log.write({"kind": "validation", "step": self.place.step, **asdict(validated)})
        if self.first:
            self.hooks.validated(validated)

    def _out_of_patience(self) -> bool:
        return self.config.patience is not None and self.place.without_best >= self.config.patience

    def _finished(self, stopped: Literal["done", "early", "interrupted"]) -> Fitted:
        kept = self.best if self.best is not None else self.average.values if self.average is not None else None
        if kept is not None:
            self.method.encoder.load_state_dict(kept)
        # As they came: what writes weights to a file wants them so.
        self.method.encoder.to(memory_format=torch.contiguous_format)
        self.method.eval()
        place = self.place
        return Fitted(
            stopped=stopped,
            epochs=place.epoch,
            steps=place.step,
            start_value=place.start_value,
            best_value=place.best_value,
            best_epoch=place.best_epoch,
            history=place.history,
            checkpoint=self.folder / checkpoint.NAME,
        )

    # Start, checkpoint, several processes

    def _open(self, resume: bool) -> dict[str, Any] | None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.first:
            checkpoint.remove_torn(self.folder)
        stored = checkpoint.load_checkpoint(self.folder) if resume else None
        if not resume and (self.folder / checkpoint.NAME).exists():
            raise BadValue(f"{self.folder} already holds a run.", "Resume it with --resume, or choose another folder.")
        self.fabric.barrier()
        return stored

    def _prepare(self, stored: dict[str, Any] | None) -> None:
        seed_everything(self.config.seed + self.fabric.global_rank)
        self.fabric.to_device(self.method)
        devices.laid_out(self.fabric, self.method.encoder)
        devices.same_everywhere(self.fabric, self.method)
        apply_policies(self.method, self.config, 0)
        self.optimiser = make_optimiser(self.method, self.config)
        self.stepper: Any = self.fabric.setup_optimizers(self.optimiser)
        self.average = Average(self.method.encoder, self.config.average) if self.config.average else None
        steps = [math.ceil(self.source.steps(e) / self.config.accumulate) for e in range(self.config.epochs)]
        self.total, self.backbone_begins = sum(steps), sum(steps[: self.config.head_first_epochs])
        if steps:
            self.watch.window = window_of(steps[0])
        batches = [self.source.steps(e) for e in range(self.config.epochs)]
        self.method.begin(sum(batches), batches[0] if batches else 0)
        if stored is not None:
            self._restore(stored)
        self.log = RunLog(self.folder, self.place.history, self.first)

    def _state(self) -> dict[str, Any]:
        scaler = devices.scaler_of(self.fabric)
        return {
            "config": asdict(self.config),
            "total": self.total,
            "place": asdict(self.place),
            "method": self.method.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "average": self.average.state_dict() if self.average is not None else None,
            "best": self.best,
            "random": random_states(),
            "meter": self.meter.state_dict(),
            "watch": self.watch.state_dict(),
        }

    def _save_due(self) -> bool:
        waited = time.monotonic() - self.saved_at >= self.config.save_seconds
        return waited or getattr(self.source, "save_due", bool)()

    def _save(self) -> None:
        """Write the checkpoint, on the first process."""
        if self.first:
            checkpoint.save_checkpoint(self.folder, self._state())
            told: Callable[[int, int], None] = getattr(self.source, "saved", lambda *_: None)
            told(self.place.epoch, self.place.batch)
        self.saved_at, self.saved_step = time.monotonic(), self._position()

    def _restore(self, stored: dict[str, Any]) -> None:
        self.config.check_resumable(stored["config"])
        if stored["total"] != self.total:
            raise BadValue(
                f"The run was started with {stored['total']} steps, and now has {self.total}.",
                "Its dataset or split has changed: start a new run in another folder.",
            )
        self.place = Place(**stored["place"])
        self.method.load_state_dict(stored["method"])
        self.optimiser.load_state_dict(stored["optimiser"])
        scaler = devices.scaler_of(self.fabric)
        if scaler is not None and stored["scaler"] is not None:
            scaler.load_state_dict(stored["scaler"])
        if self.average is not None:
            self.average.load_state_dict(stored["average"])
        self.best = stored["best"]
        self.meter.load_state_dict(stored["meter"], self.fabric.device)
        self.watch.load_state_dict(stored["watch"])
        if self.first:
            set_random_states(stored["random"])
        else:
            # Only the first process's states are kept: exact resumption is promised for one device.
            seed_everything(self.config.seed + self.fabric.global_rank + 1_000_003 * self.place.step)
        self.saved_at, self.saved_step = time.monotonic(), self._position()

    def _position(self) -> tuple[int, int, bool]:
        return self.place.step, self.place.epoch, self.place.checked

    def _agreed(self, stop: bool) -> bool:
        """The first process's answer, in all of them."""
        return bool(self.fabric.broadcast(stop)) if self.fabric.world_size > 1 else stop

    def _next(self, batches: Iterator[Batch]) -> Batch:
        batch = next(batches, None)
        if batch is None:
            raise ValueError(f"The source ended after {self.place.batch} batches, before the epoch did.")
        return self._moved(batch)

    def _moved(self, batch: Batch) -> Batch:
        moved = batch.to(str(self.fabric.device))
        views = [devices.laid_out(self.fabric, view) for view in (moved.inputs, *moved.others)]
        return moved._replace(inputs=views[0], others=tuple(views[1:]))


@contextlib.contextmanager
def _closed(batches: Iterator[Batch]) -> Iterator[Iterator[Batch]]:
    """Close a generator at the end, so that its workers stop with the epoch."""
    try:
        yield batches
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()
