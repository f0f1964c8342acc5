"""The table of all methods that learn without labels."""

from retrieval.methods.byol import BYOL
from retrieval.methods.simclr import SimCLR
from retrieval.methods.simsiam import SimSiam
from retrieval.methods.spec import MethodSpec

METHODS: dict[str, MethodSpec] = {
    "simclr": MethodSpec(
        SimCLR,
        summary="two views of an image find each other among all views of the batch",
        paper="Chen et al. 2020",
        looks="simclr",
    ),
    "byol": MethodSpec(
        BYOL,
        summary="an online network predicts its own slow average; no negatives",
        paper="Grill et al. 2020",
        looks="byol",
    ),
    "simsiam": MethodSpec(
        SimSiam,
        summary="one view predicts the other, whose side gets no gradient; no negatives",
        paper="Chen and He 2021",
        looks="simsiam",
    ),
}
