"""How long a queue of earlier images' embeddings may be beside the dataset."""

from collections.abc import Mapping
from typing import Any

SHARE = 4
"""A queue holds at most one in so many of the images. In the papers it is far shorter than an epoch (MoCo: 65,536 of
1.28 million, section 4; SwAV: 3,840 of as many), so that it holds recent batches of other images. One as long as an
epoch holds the query's own image half of the time, as a negative, and rows of an encoder of an epoch ago. A quarter of
the images lets an image meet itself there once in 32 times: shuffled epochs put K^2 / 2 n^2 of the keys that close."""


def fitted_queue(options: Mapping[str, Any], examples: int) -> tuple[dict[str, Any], list[str]]:
    """See ``SelfSupervised.fitted_options``; of the option ``queue``."""
    most = max(1, examples // SHARE)
    if options["queue"] <= most:
        return {}, []
    said = (
        f"A queue of {options['queue']:,} would hold most of the {examples:,} images, the one in question among them: "
        f"it is made {most:,}."
    )
    return {"queue": most}, [said]
