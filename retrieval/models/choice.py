"""How an encoder is run on this machine: precision, batch size and mode, to be measured once and kept."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from retrieval.core.errors import BadValue

PRECISIONS = ("fp32", "bf16", "fp16")
MODES = ("folded", "prepacked")


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """What was found to be fastest.

    Attributes:
        precision: of the backbone; head and norm are always float32.
        batch: images in one call.
        mode: ``"folded"`` (batch norms folded where that is exact) or ``"prepacked"`` (folded, and oneDNN's layouts).
        machine: where it was measured; a choice from elsewhere is not used.
        images_per_second: one call at a time, one thread; 0 where nothing was measured.
    """

    precision: str
    batch: int
    mode: str
    machine: str = ""
    images_per_second: float = 0.0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS or self.mode not in MODES or not 1 <= self.batch <= 4096:
            raise BadValue(f"No such way to run an encoder: {self.precision}, {self.mode}, batch {self.batch}.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RuntimeChoice":
        """The inverse of ``to_dict``. Raises BadValue for anything else."""
        try:
            choice = cls(**values)
            fits = type(choice.batch) is int and isinstance(choice.machine, str)
        except TypeError as error:
            raise BadValue(f"No such way to run an encoder: {error}.") from error
        if not fits:
            raise BadValue("No such way to run an encoder: a value has the wrong type.")
        return choice


def machine_name(device: str, threads: int) -> str:
    """What a measurement depends on: processor, versions, device, threads."""
    import torch

    parts = (platform.system(), platform.machine(), _processor(), torch.__version__, device, f"{threads} threads")
    return ", ".join(part for part in parts if part)


def has_fast_bf16() -> bool:
    """Whether the processor computes bfloat16 in hardware; False wherever torch cannot tell."""
    import torch

    # These names have come and gone between versions of torch.
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        try:
            if getattr(torch.cpu, name)():
                return True
        except (AttributeError, RuntimeError):
            continue
    try:
        found: Mapping[str, Any] = torch.cpu.get_capabilities()
    except (AttributeError, RuntimeError):
        return False
    return any(found.get(name) is True for name in ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16"))


def _processor() -> str:
    # platform.processor() is empty on many Linux systems, where the kernel knows.
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
