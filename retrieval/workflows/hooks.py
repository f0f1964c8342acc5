"""How work that reads and measures talks to whoever started it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hooks:
    """Nothing is told to anybody by default, and nobody stops the work.

    Attributes:
        say: one line about anything unusual.
        working: what is being done, how much of it is done, and how much there is.
        stop: asked often; True ends the work.
    """

    say: Callable[[str], None] = lambda _: None
    working: Callable[[str, int, int], None] = lambda what, done, total: None
    stop: Callable[[], bool] = lambda: False
