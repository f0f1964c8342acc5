"""Devices, precision and processes: the little that the loop needs of Lightning Fabric."""

from dataclasses import replace
from typing import Any, TypeVar

import torch
import torch.distributed
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from torch import Tensor, nn

from retrieval.core.errors import BadValue
from retrieval.models.choice import has_fast_bf16
from retrieval.training.config import LoopConfig, Precision
from retrieval.training.policies import batch_norms

Laid = TypeVar("Laid", Tensor, nn.Module)


def start_fabric(config: LoopConfig) -> Fabric:
    """The devices of a run, launched: with ``devices`` > 1, every process returns from here with its own.

    Raises:
        BadValue: there is no such device.
    """
    kind = device_kind(config.device)
    if kind == "cuda" and torch.cuda.device_count() < config.devices:
        raise BadValue(f"There are {torch.cuda.device_count()} GPUs, not {config.devices}.", "Use --set devices=1.")
    precision = resolved_precision(config.precision, kind)
    common: dict[str, Any] = {
        "accelerator": kind,
        "devices": config.devices,
        "strategy": "ddp" if config.devices > 1 else "auto",
    }
    if precision == "32-true":
        fabric = Fabric(precision="32-true", **common)
    else:
        # As a plugin, since as a name Fabric would quietly take bf16 for fp16 on a CPU.
        fabric = Fabric(plugins=[MixedPrecision(precision, kind)], **common)
    fabric.launch()
    return fabric


def device_kind(wanted: str) -> str:
    """``"cuda"``, ``"mps"`` or ``"cpu"``; the first there is for ``"auto"``. Raises BadValue if it is not there."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(kind for kind, there in present.items() if there)
    if not present[wanted]:
        raise BadValue(f"This machine has no device {wanted!r}.", "Leave it at auto, or use cpu.")
    return wanted


def resolved_precision(precision: Precision, kind: str) -> Any:
    """What ``"auto"`` stands for on such a device: bf16 where it computes that fast, else fp16 on a GPU, else fp32."""
    if precision != "auto":
        return precision
    if kind == "cpu":
        return "bf16-mixed" if has_fast_bf16() else "32-true"
    if kind != "cuda":
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def resolved(config: LoopConfig) -> LoopConfig:
    """The configuration with the precision that ``"auto"`` stands for on its device: what a checkpoint has to remember.

    Raises:
        BadValue: there is no such device.
    """
    return replace(config, precision=resolved_precision(config.precision, device_kind(config.device)))


def laid_out(fabric: Fabric, value: Laid) -> Laid:
    """The same images or modules with channels last, in which convolutions are fastest; others as they are.

    Training MobileNetV2 on two cores: 8 images a second, 15 so, and 29 with bf16 besides. MPS has no such kernels.
    """
    if fabric.device.type == "mps" or (isinstance(value, Tensor) and value.ndim != 4):
        return value
    return value.to(memory_format=torch.channels_last)


def scaler_of(fabric: Fabric) -> torch.amp.GradScaler | None:
    """The gradient scaler of fp16, which has to be kept in checkpoints; None in other precisions."""
    scaler: torch.amp.GradScaler | None = getattr(fabric.strategy.precision, "scaler", None)
    return scaler


def step_taken(fabric: Fabric, optimiser: Any) -> bool:
    """Take a step of the optimiser that Fabric has set up; False where fp16's scaler skipped it: a gradient overflowed,
    and no weight has moved."""
    scaler = scaler_of(fabric)
    before = 0.0 if scaler is None else scaler.get_scale()
    optimiser.step()
    # Nothing else lowers the scale.
    return scaler is None or scaler.get_scale() >= before


@torch.no_grad()
def average_gradients(fabric: Fabric, parameters: list[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes.

    Once a step and in one message a type, after accumulation and caching: DistributedDataParallel would do it during
    the backward pass, and cannot tell the last piece of a batch that is embedded in pieces.
    """
    if fabric.world_size == 1:
        return
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            by_type.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for gradients in by_type.values():
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        flat /= fabric.world_size
        for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))


@torch.no_grad()
def same_everywhere(fabric: Fabric, module: nn.Module) -> None:
    """Give all processes the first one's weights and buffers."""
    if fabric.world_size > 1:
        for value in module.state_dict().values():
            torch.distributed.broadcast(value, 0)


@torch.no_grad()
def average_statistics(fabric: Fabric, module: nn.Module) -> None:
    """Give all processes the mean of the running statistics that their batch-norm layers have gathered apart."""
    if fabric.world_size == 1:
        return
    for layer in batch_norms(module):
        for statistic in (layer.running_mean, layer.running_var):
            if layer.training and statistic is not None:
                torch.distributed.all_reduce(statistic)
                statistic /= fabric.world_size
