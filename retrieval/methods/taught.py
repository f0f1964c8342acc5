"""What methods with a frozen teacher share."""

from typing import Self

from torch import nn

from retrieval.methods.self_supervised import SelfSupervised


class FrozenTeacher(SelfSupervised):
    """A method one part of which, ``teacher``, is not trained.

    The teacher is a part of the method all the same, so that a checkpoint says from whom a run learns. It stays in eval
    mode whatever mode the method is put into; whoever sets it takes its gradients away.
    """

    teacher: nn.Module

    def train(self, mode: bool = True) -> Self:
        """As ever, with the teacher in eval mode."""
        super().train(mode)
        self.teacher.eval()
        return self
