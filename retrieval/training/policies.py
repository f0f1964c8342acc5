"""Which parts of a method learn, epoch by epoch: frozen backbone, head first, batch-norm."""

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from retrieval.methods.method import Method
from retrieval.training.config import LoopConfig


def backbone_of(method: Method) -> nn.Module | None:
    """The pretrained part of the encoder; everything else of the encoder is head. None where it has no such part."""
    backbone = getattr(method.encoder, "backbone", None)
    return backbone if isinstance(backbone, nn.Module) else None


def backbone_learns(config: LoopConfig, epoch: int) -> bool:
    """Whether the backbone is trained in this epoch (from 0)."""
    return config.backbone_rate > 0 and epoch >= config.head_first_epochs


def apply_policies(method: Method, config: LoopConfig, epoch: int) -> None:
    """Set train and eval mode and ``requires_grad`` of all parts as they have to be in this epoch (from 0).

    A backbone at rest is in eval mode with no gradient, batch-norm and dropout included. Frozen batch-norm means both:
    statistics are those of the start, and the affine weights get no gradient, since a layer that rescales by stale
    statistics and learns its scale beside them drifts.
    """
    method.train()
    method.encoder.requires_grad_(True)
    backbone = backbone_of(method)
    if backbone is None:
        return
    if not backbone_learns(config, epoch):
        backbone.eval().requires_grad_(False)
    elif config.batch_norm == "frozen":
        for layer in batch_norms(backbone):
            layer.eval().requires_grad_(False)


def batch_norms(module: nn.Module) -> Iterator[_BatchNorm]:
    """Every batch-norm layer within ``module``."""
    return (layer for layer in module.modules() if isinstance(layer, _BatchNorm))
