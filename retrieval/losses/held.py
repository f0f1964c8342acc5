"""Values that weigh a gradient and are no path for it."""

from torch import Tensor


def held(values: Tensor) -> Tensor:
    """``values`` of any shape as constants: the gradient sees what they are, and not how they come about.

    A loss with such weights differs from the derivative of its value, on purpose. What it is the derivative of is the
    value with the weights held where they are; the conformance suite holds whatever passes here, and checks that.
    """
    return values.detach()
