"""Running an encoder fast: a private copy, folded and prepacked, in the precision this machine is quickest in."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.core.errors import BadValue
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import available_cores
from retrieval.core.types import Pixels, Vectors
from retrieval.functional.distances import widened
from retrieval.models.choice import PRECISIONS, RuntimeChoice, machine_name
from retrieval.models.encoder import Encoder, unit_norm
from retrieval.models.folding import folded
from retrieval.models.measure import DTYPES, agrees, build_body, fastest
from retrieval.models.probes import probe_pixels
from retrieval.models.threads import THREADS_CAN_CHANGE

DEVICES = ("auto", "cpu", "cuda", "mps")

MOST_CALLS = 8
"""Calls at once beyond which Python itself is in the way; further threads then work inside the calls."""

GPU_BATCH = {"cuda": 64, "mps": 16}


class EncoderRuntime:
    """An encoder that is ready to embed. Safe to call from several Python threads at once.

    On the processor several calls at a time, each on one thread, are faster than one call on all threads:
    feed it with ``parallel_calls`` long-lived threads, ``batch`` images at a time (oneDNN keeps what it has
    prepared for a thread).

    Args:
        encoder: copied; later changes to it do not show.
        preprocessing: input size, mean and std.
        device: ``"auto"`` takes CUDA, then MPS, then the processor.
        threads: processor threads to use in all; None takes every core.
        precision: of the backbone, ``"auto"`` or one of ``PRECISIONS``; head and norm are always float32.
        choice: what an earlier runtime found (its ``choice``); ignored if it was found on another machine.
            Without it up to a few seconds go into measuring.

    Raises:
        BadValue: an unknown device or precision, a device that is not there, or less than one thread.

    Attributes:
        preprocessing: as given.
        dimension: D.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        choice: precision, batch and mode in use; hand it to the next runtime of the same encoder.
        threads: as given; torch's own setting while nothing is being embedded.
        parallel_calls: how many threads the caller should feed it with.
        batch: how many images a call takes best; larger calls are cut up.
    """

    def __init__(
        self,
        encoder: Encoder,
        preprocessing: Preprocessing,
        *,
        device: str = "auto",
        threads: int | None = None,
        precision: str = "auto",
        choice: RuntimeChoice | None = None,
    ) -> None:
        if precision not in ("auto", *PRECISIONS):
            raise BadValue(f"Unknown precision {precision!r}.", f"Use one of: auto, {', '.join(PRECISIONS)}.")
        self.preprocessing = preprocessing
        self.dimension = encoder.dimension
        self.device = pick_device(device)
        self.threads = available_cores() if threads is None else threads
        if self.threads < 1:
            raise BadValue(f"{self.threads} threads cannot compute anything.", "Use 1 or more.")
        self.parallel_calls = min(self.threads, MOST_CALLS) if self.device == "cpu" else 1
        self._intra = max(1, self.threads // self.parallel_calls)
        self._mean = torch.tensor(preprocessing.mean, device=self.device).mul(255.0).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocessing.std, device=self.device).mul(255.0).view(1, 3, 1, 1)
        self._head = (
            copy.deepcopy(nn.Sequential(encoder.head, encoder.projections))
            .eval()
            .requires_grad_(False)
            .float()
            .to(self.device)
        )
        # Tensors made in somebody's inference mode could not be followed through the modules.
        with self._own_threads(), torch.inference_mode(False), torch.no_grad():
            self.choice, self._body = self._prepare(encoder.backbone, precision, choice)

    @property
    def batch(self) -> int:
        """How many images a call takes best."""
        return self.choice.batch

    def embed(self, pixels: Pixels) -> Vectors:
        """Embeddings with unit L2 norm.

        Args:
            pixels: [n, S, S, 3] uint8, made by this ``preprocessing``; n may be 0.

        Returns:
            [n, D] float32. A picture gets the same embedding alone and inside a batch, up to rounding.

        Raises:
            ValueError: another shape or type.
            BadValue: the encoder gives infinities or NaN.
        """
        size = self.preprocessing.input_size
        if pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3) or pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be uint8 [n, {size}, {size}, 3], not {pixels.dtype} {list(pixels.shape)}.")
        found = np.empty((len(pixels), self.dimension), dtype=np.float32)
        with self._own_threads(), torch.inference_mode():
            for start in range(0, len(pixels), self.batch):
                part = slice(start, start + self.batch)
                found[part] = self._embed(pixels[part]).cpu().numpy()
        if not np.isfinite(found).all():
            raise BadValue(
                "The encoder gives values that are not numbers.", "Set RETRIEVAL_PRECISION=fp32, or take another model."
            )
        return found

    def _embed(self, pixels: Pixels) -> Tensor:
        images = self._normalised(pixels).to(DTYPES[self.choice.precision])
        return unit_norm(self._head(widened(self._body(images))))

    def _normalised(self, pixels: Pixels) -> Tensor:
        """[n, 3, S, S] float32 on the device; channels last, because that is how pixels lie in memory."""
        # torch warns about arrays that it could not write to, such as those in shared memory.
        owned = np.ascontiguousarray(pixels) if pixels.flags.writeable else pixels.copy()
        images = torch.from_numpy(owned).to(self.device).permute(0, 3, 1, 2).float()
        return images.sub_(self._mean).div_(self._std)

    def _prepare(
        self, backbone: nn.Module, precision: str, choice: RuntimeChoice | None
    ) -> tuple[RuntimeChoice, nn.Module]:
        example = self._normalised(probe_pixels(self.preprocessing))
        body = copy.deepcopy(backbone).eval().requires_grad_(False).float().to(self.device)
        slim = folded(body, example)
        if self.device != "mps":
            slim = slim.to(memory_format=torch.channels_last)
        machine = machine_name(self.device, self.threads)
        if choice is not None and choice.machine == machine and precision in ("auto", choice.precision):
            kept = build_body(slim, choice.precision, choice.mode, example)
            if kept is not None:
                return choice, kept
        if self.device == "cpu":
            return fastest(slim, example, precision, machine)
        return self._on_accelerator(slim, example, precision, machine)

    def _on_accelerator(
        self, slim: nn.Module, example: Tensor, precision: str, machine: str
    ) -> tuple[RuntimeChoice, nn.Module]:
        # fp16 is the more exact of the two; what overflows in it falls through to bf16 or fp32.
        halves = ("fp16", "bf16") if self.device == "cuda" else ("fp16",)
        for kind in halves if precision == "auto" else (precision,):
            body = copy.deepcopy(slim).to(DTYPES[kind])
            try:
                if precision != "auto" or agrees(slim, body, kind, example):
                    return RuntimeChoice(kind, GPU_BATCH[self.device], "folded", machine), body
            except (RuntimeError, TypeError):  # an operator that this device lacks in half precision
                continue
        return RuntimeChoice("fp32", GPU_BATCH[self.device], "folded", machine), slim

    @contextmanager
    def _own_threads(self) -> Iterator[None]:
        """This thread computes with our share of threads inside the block, and with all of them afterwards."""
        if self.device != "cpu" or not THREADS_CAN_CHANGE:
            yield
            return
        torch.set_num_threads(self._intra)
        try:
            yield
        finally:
            # To a fixed number: new threads start with whatever was set last, by whichever thread.
            torch.set_num_threads(self.threads)


def pick_device(wanted: str) -> str:
    """``"cpu"``, ``"cuda"`` or ``"mps"``. Raises BadValue for another name, or a device that is not there."""
    if wanted not in DEVICES:
        raise BadValue(f"Unknown device {wanted!r}.", f"Use one of: {', '.join(DEVICES)}.")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, found in there.items() if found)
    if not there[wanted]:
        raise BadValue(f"The device {wanted!r} is not there, or this torch was built without it.", "Use --device cpu.")
    return wanted
