"""Where the page finds pictures: by image id, below the page's own address."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from ui.ports import Kind


@dataclass(slots=True)
class Addresses:
    """Addresses of pictures, relative to the page.

    Attributes:
        start: drawn anew by every start of the server. Two galleries can be served one after the other on the same
            port, where image 7 is not the same picture: a browser may keep a picture for long only under an address
            that is not used again for another one.
    """

    start: str = field(default_factory=lambda: secrets.token_hex(4))
    _generation: Callable[[], int] | None = None

    def follow(self, generation: Callable[[], int]) -> None:
        """Give other addresses after a restore, which puts another gallery in the place of the one that is served.

        Args:
            generation: a number that changes with that.
        """
        self._generation = generation

    @property
    def version(self) -> str:
        """Part of every address: as long as it is the same, an id means the same picture."""
        return self.start if self._generation is None else f"{self.start}.{self._generation()}"

    def picture(self, image_id: int, kind: Kind) -> str:
        """Address of a picture."""
        return f"images/{image_id}/{kind}?v={self.version}"
