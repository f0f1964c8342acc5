"""The table of all methods that learn from views: without labels, or after a stage without labels."""

from retrieval.methods.autoencoder import Autoencoder
from retrieval.methods.barlow_twins import BarlowTwins
from retrieval.methods.byol import BYOL
from retrieval.methods.deepcluster import DeepCluster
from retrieval.methods.dino import DINO
from retrieval.methods.distillation import Distillation
from retrieval.methods.feature_distillation import FeatureDistillation
from retrieval.methods.fine_tuning import FineTuning
from retrieval.methods.moco import MoCo
from retrieval.methods.simclr import SimCLR
from retrieval.methods.simsiam import SimSiam
from retrieval.methods.spec import MethodSpec
from retrieval.methods.swav import SwAV
from retrieval.methods.vicreg import VICReg
from retrieval.methods.w_mse import WMSE

METHODS: dict[str, MethodSpec] = {
    "simclr": MethodSpec(
        SimCLR,
        summary="two views of an image find each other among all views of the batch",
        paper="Chen et al. 2020",
        looks="simclr",
    ),
    "barlow_twins": MethodSpec(
        BarlowTwins,
        summary="two views agree dimension by dimension, and no two dimensions say the same",
        paper="Zbontar et al. 2021",
        looks="barlow",
    ),
    "vicreg": MethodSpec(
        VICReg,
        summary="views alike, every dimension spread out, no two dimensions the same",
        paper="Bardes et al. 2022",
        looks="vicreg",
    ),
    "w_mse": MethodSpec(
        WMSE,
        summary="views of an image agree after their batch has been whitened",
        paper="Ermolov et al. 2021",
        looks="w-mse",
    ),
    "moco": MethodSpec(
        MoCo,
        summary="a view finds another one, encoded by a momentum twin, among a queue of earlier images",
        paper="He et al. 2020; Chen et al. 2020",
        looks="moco-v2",
    ),
    "autoencoder": MethodSpec(
        Autoencoder,
        summary="the image, made small, is decoded from its embedding: a baseline",
        paper="Hinton and Salakhutdinov 2006",
        looks="autoencoder",
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
        looks="deepcluster",
    ),
    "dino": MethodSpec(
        DINO,
        summary="a student predicts its own slow average, which is centred and sharpened",
        paper="Caron et al. 2021",
        looks="dino-multi-crop",
    ),
    "fine_tuning": MethodSpec(
        FineTuning,
        summary="classification with labels, from the projector's first layer: the second stage",
        paper="SimCLRv2, Chen et al. 2020",
        looks="simclr",
    ),
    "distillation": MethodSpec(
        Distillation,
        summary="a student takes over a classifier's answers, and the labels: the third stage",
        paper="SimCLRv2, Chen et al. 2020",
        looks="simclr",
    ),
    "feature_distillation": MethodSpec(
        FeatureDistillation,
        summary="a smaller encoder lays out images as a frozen one does",
        paper="Romero et al. 2015; Tung and Mori 2019",
        looks="simclr",
    ),
}
