"""What a teacher's answers look like, for the alarms: soft assignments of images to K classes."""

import math

import torch
from torch import Tensor

from retrieval.functional.gather import gather, mean_over_processes
from retrieval.methods.method import TEACHER_UNCERTAINTY, TEACHER_VARIETY


@torch.no_grad()
def signs_of(answers: Tensor) -> dict[str, Tensor]:
    """Uncertainty and variety of the answers of all processes; see ``method``.

    Args:
        answers: [n, K] of this process, rows >= 0 with sum 1; K >= 2.
    """
    classes = answers.shape[1]
    mean = gather(answers.mean(dim=0, keepdim=True))
    uncertainty = mean_over_processes(torch.special.entr(answers).sum(dim=1).mean()) / math.log(classes)
    return {
        TEACHER_UNCERTAINTY: uncertainty,
        TEACHER_VARIETY: variety(mean.mean(dim=0), len(mean) * len(answers)),
    }


@torch.no_grad()
def variety(shares: Tensor, answers: int) -> Tensor:
    """Entropy of the shares that K classes have of some answers, over the most that it can be, in [0, 1].

    Args:
        shares: [K], >= 0 with sum 1.
        answers: how many they were; of a single one there is nothing to say, and it is 1.
    """
    most = math.log(min(len(shares), answers))
    if most == 0:
        return torch.ones_like(shares[0])
    # Soft answers may be of more classes than there are answers.
    entropy: Tensor = torch.special.entr(shares).sum()
    return (entropy / most).clamp_max(1.0)
