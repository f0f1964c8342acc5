"""The table of all methods that learn without labels."""

from retrieval.methods.byol import BYOL
from retrieval.methods.deepcluster import DeepCluster
from retrieval.methods.dino import DINO
from retrieval.methods.simclr import SimCLR
from retrieval.methods.simsiam import SimSiam
from retrieval.methods.spec import MethodSpec
from retrieval.methods.swav import SwAV

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
    "swav": MethodSpec(
        SwAV,
        summary="each view predicts which prototypes the other one is assigned to, all used equally",
        paper="Caron et al. 2020",
        looks="swav-multi-crop",
    ),
    "deepcluster": MethodSpec(
        DeepCluster,
        summary="clusters of all images, found anew each epoch, are the classes of the next",
        paper="Caron et al. 2018 and 2020",
        looks="swav-multi-crop",
    ),
    "dino": MethodSpec(
        DINO,
        summary="a student predicts its own slow average, which is centred and sharpened",
        paper="Caron et al. 2021",
        looks="dino-multi-crop",
    ),
}
