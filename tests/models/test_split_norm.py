"""Batch-norm in parts against the layer of MoCo's notebook."""

import copy

import pytest
import torch
from torch import Tensor, nn

from retrieval.core.errors import BadValue
from retrieval.models.encoder import Encoder
from retrieval.models.split_norm import in_splits, trained_norms


class SplitBatchNorm(nn.BatchNorm2d):
    """That of the notebook, for parts that follow each other in the batch (there, they are interleaved)."""

    def __init__(self, features: int, splits: int) -> None:
        super().__init__(features)
        self.splits = splits

    def forward(self, images: Tensor) -> Tensor:
        count, channels, height, width = images.shape
        assert self.running_mean is not None
        assert self.running_var is not None
        means, variances = self.running_mean.repeat(self.splits), self.running_var.repeat(self.splits)
        parts = images.view(self.splits, count // self.splits, channels, height, width).transpose(0, 1)
        normal = nn.functional.batch_norm(
            parts.reshape(count // self.splits, self.splits * channels, height, width), means, variances,
            self.weight.repeat(self.splits), self.bias.repeat(self.splits), True, self.momentum, self.eps,
        )  # fmt: skip
        self.running_mean.copy_(means.view(self.splits, channels).mean(0))
        self.running_var.copy_(variances.view(self.splits, channels).mean(0))
        normal = normal.view(count // self.splits, self.splits, channels, height, width).transpose(0, 1)
        return normal.reshape(count, channels, height, width)


def encoder(norm: nn.Module) -> Encoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        conv = nn.Conv2d(3, 4, 3)
    return Encoder(nn.Sequential(conv, norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Identity(), 4)


@pytest.mark.parametrize("splits", [2, 4])
def test_is_the_notebooks_layer(splits: int) -> None:
    """Outputs, gradients and, over three steps, running statistics."""
    ours, theirs = encoder(nn.BatchNorm2d(4)), encoder(SplitBatchNorm(4, splits))
    for step in range(3):
        images = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(step)) * (step + 1)
        got, want = in_splits(ours, trained_norms(ours), images, splits), theirs(images)
        torch.testing.assert_close(got.raw, want.raw)
        torch.testing.assert_close(got.normalised, want.normalised)
        gradients = [
            torch.autograd.grad(o.raw.square().sum(), list(e.parameters())) for o, e in ((got, ours), (want, theirs))
        ]
        torch.testing.assert_close(*gradients)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(ours.state_dict()[f"backbone.1.{name}"], theirs.state_dict()[f"backbone.1.{name}"])
    assert [norm.momentum for norm in trained_norms(ours)] == [0.1]


def test_one_part_or_frozen_layers_are_the_plain_batch() -> None:
    model = encoder(nn.BatchNorm2d(4))
    images = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    plain = copy.deepcopy(model)
    assert torch.equal(in_splits(model, trained_norms(model), images, 1).raw, plain(images).raw)
    assert torch.equal(model.state_dict()["backbone.1.running_mean"], plain.state_dict()["backbone.1.running_mean"])
    model.eval()
    assert trained_norms(model) == []
    assert torch.equal(in_splits(model, [], images, 4).raw, model(images).raw)


def test_parts_need_two_images() -> None:
    model = encoder(nn.BatchNorm2d(4))
    with pytest.raises(BadValue, match="7 images cannot be split into 4"):
        in_splits(model, trained_norms(model), torch.zeros(7, 3, 6, 6), 4)
    uneven = in_splits(model, trained_norms(model), torch.randn(9, 3, 6, 6), 4)
    assert len(uneven.raw) == 9
