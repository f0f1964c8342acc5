"""Where the page finds pictures: by image id, below the page's own address."""

import secrets
from dataclasses import dataclass, field

from ui.ports import Kind


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses of pictures, relative to the page.

    Attributes:
        version: drawn anew by every start of the server. Two galleries can be served one after the other on the same
            port, where image 7 is not the same picture: a browser may keep a picture for long only under an address
            that the next start does not use again.
    """

    version: str = field(default_factory=lambda: secrets.token_hex(4))

    def picture(self, image_id: int, kind: Kind) -> str:
        """Address of a picture."""
        return f"images/{image_id}/{kind}?v={self.version}"
