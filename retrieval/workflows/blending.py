"""Between the start's weights and the trained ones: the point that validation likes best.

Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (https://arxiv.org/abs/2109.01903): the straight
line between the two often holds encoders that are better on both what was learned and what was known before.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

STEPS = (0.25, 0.5, 0.75)


def best_blend(
    encoder: nn.Module, before: Mapping[str, Tensor], score: Callable[[], float], say: Callable[[str], None]
) -> float:
    """Leave ``encoder`` at the best of start + a (trained - start), a in 0, ``STEPS`` and 1.

    Args:
        encoder: with the trained weights.
        before: the start's state, with the same names.
        score: of the encoder as it is now, on validation images; higher is better.
        say: told what was chosen.

    Returns:
        The a that was chosen; of equal scores the one nearest to the trained weights.
    """
    after = {name: tensor.detach().clone() for name, tensor in encoder.state_dict().items()}
    found: list[tuple[float, float]] = []
    for share in (0.0, *STEPS, 1.0):
        encoder.load_state_dict(blended(before, after, share))
        found.append((score(), share))
    best, share = max(found)
    encoder.load_state_dict(blended(before, after, share))
    say(
        f"Validation MAP@R {best:.4f} with {share:.0%} of the way from the start's weights to the trained ones "
        f"(0 %: {found[0][0]:.4f}, 100 %: {found[-1][0]:.4f})."
    )
    return share


def blended(before: Mapping[str, Tensor], after: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """State dict at ``share`` of the way; whole numbers (counters) are the nearer side's."""
    return {
        name: torch.lerp(before[name], tensor, share)
        if tensor.is_floating_point()
        else (tensor if share >= 0.5 else before[name])
        for name, tensor in after.items()
    }
