"""The table of all losses."""

from retrieval.losses.barlow_twins import barlow_twins
from retrieval.losses.center import center
from retrieval.losses.circle import circle
from retrieval.losses.circle_batch import circle_batch
from retrieval.losses.contrastive import contrastive, contrastive_active
from retrieval.losses.cosine_softmax import cosine_softmax
from retrieval.losses.info_nce import info_nce
from retrieval.losses.info_nce_queries import info_nce_queries
from retrieval.losses.multi_similarity import multi_similarity
from retrieval.losses.nce import nce
from retrieval.losses.nce_instance import nce_instance
from retrieval.losses.negative_cosine import negative_cosine
from retrieval.losses.nt_xent import nt_xent, nt_xent_chance
from retrieval.losses.proxy_anchor import proxy_anchor
from retrieval.losses.soft_cross_entropy import soft_cross_entropy
from retrieval.losses.softmax import softmax
from retrieval.losses.spec import LossSpec, StateSpec
from retrieval.losses.supervised_contrastive import supervised_contrastive, supervised_contrastive_active
from retrieval.losses.triplet import triplet, triplet_active
from retrieval.losses.vicreg import vicreg

LOG_Z = StateSpec("rule", lambda classes, dimension, n: (), "zeros")
"""Estimated once from the first batch, then constant, as Wu et al. 2018 do."""

LOSSES: dict[str, LossSpec] = {
    "contrastive": LossSpec(
        contrastive,
        space="normalised",
        inputs="labels",
        summary="positives together, negatives apart up to a margin",
        paper="Hadsell et al. 2006",
        mined="pairs",
        active=contrastive_active,
    ),
    "triplet": LossSpec(
        triplet,
        space="normalised",
        inputs="labels",
        summary="a positive closer than a negative by a margin; hinge or soft, plain or squared distances",
        paper="Schroff et al. 2015; Hermans et al. 2017",
        mined="triplets",
        active=triplet_active,
    ),
    "center": LossSpec(
        center,
        space="raw",
        inputs="labels",
        summary="embeddings to the centre of their class; beside another loss",
        paper="Wen et al. 2016",
        state={"centres": StateSpec("rule", lambda classes, dimension, n: (classes, dimension), "zeros")},
    ),
    "softmax": LossSpec(
        softmax,
        space="raw",
        inputs="labels",
        summary="classification of the training classes",
        paper="Wen et al. 2016, equation 1",
        state={
            "weights": StateSpec("parameter", lambda classes, dimension, n: (classes, dimension), "linear"),
            "bias": StateSpec("parameter", lambda classes, dimension, n: (classes,), "zeros"),
        },
    ),
    "cosine_softmax": LossSpec(
        cosine_softmax,
        space="normalised",
        inputs="labels",
        summary="classification by cosine, with the margin of CosFace or ArcFace, or none",
        paper="Wang et al. 2017 and 2018; Deng et al. 2019",
        state={"weights": StateSpec("parameter", lambda classes, dimension, n: (classes, dimension), "sphere")},
    ),
    "circle": LossSpec(
        circle,
        space="normalised",
        inputs="labels",
        summary="each similarity to its optimum at its own pace, one term an anchor",
        paper="Sun et al. 2020",
        mined="pairs",
    ),
    "circle_batch": LossSpec(
        circle_batch,
        space="normalised",
        inputs="labels",
        summary="circle loss with one term for all pairs of the batch",
        paper="Sun et al. 2020",
        mined="pairs",
    ),
    "multi_similarity": LossSpec(
        multi_similarity,
        space="normalised",
        inputs="labels",
        summary="pairs weighted by their own and their neighbours' similarities",
        paper="Wang et al. 2019",
        mined="pairs",
    ),
    "proxy_anchor": LossSpec(
        proxy_anchor,
        space="normalised",
        inputs="labels",
        summary="learned class proxies as anchors of the whole batch",
        paper="Kim et al. 2020",
        state={"proxies": StateSpec("parameter", lambda classes, dimension, n: (classes, dimension), "sphere", 100.0)},
    ),
    "supervised_contrastive": LossSpec(
        supervised_contrastive,
        space="normalised",
        inputs="labels",
        summary="all positives against everything else, the mean outside the logarithm",
        paper="Khosla et al. 2020",
        mined="pairs",
        active=supervised_contrastive_active,
    ),
    "info_nce": LossSpec(
        info_nce,
        space="normalised",
        inputs="labels",
        summary="each positive against the anchor's negatives",
        paper="van den Oord et al. 2018",
        mined="pairs",
    ),
    "nt_xent": LossSpec(
        nt_xent,
        space="normalised",
        inputs="views",
        summary="each view finds the other one of its image",
        paper="Chen et al. 2020",
        chance=nt_xent_chance,
        against_others=True,
    ),
    "barlow_twins": LossSpec(
        barlow_twins,
        space="raw",
        inputs="views",
        summary="the cross-correlation of two views becomes the identity",
        paper="Zbontar et al. 2021",
    ),
    "vicreg": LossSpec(
        vicreg,
        space="raw",
        inputs="views",
        summary="views alike, every dimension spread out, no two the same",
        paper="Bardes et al. 2022",
    ),
    "negative_cosine": LossSpec(
        negative_cosine,
        space="normalised",
        inputs="views",
        summary="two views of an image in one direction; beside what keeps others apart",
        paper="Chen and He 2021; Grill et al. 2020",
        lowest=-1.0,
    ),
    "info_nce_queries": LossSpec(
        info_nce_queries,
        space="normalised",
        inputs="queries",
        summary="each query finds its key among explicit negatives, those of the batch, or both",
        paper="van den Oord et al. 2018; He et al. 2020; Radford et al. 2021",
        against_others=True,
    ),
    "nce": LossSpec(
        nce,
        space="normalised",
        inputs="queries",
        summary="data or noise, with the normaliser and the probability of the noise",
        paper="Gutmann and Hyvärinen 2010",
        against_others=True,
        state={"log_z": LOG_Z},
    ),
    "nce_instance": LossSpec(
        nce_instance,
        space="normalised",
        inputs="instances",
        summary="every image its own class, noise from a memory bank",
        paper="Wu et al. 2018",
        state={
            "bank": StateSpec("memory", lambda classes, dimension, n: (n, dimension), "sphere"),
            "log_z": LOG_Z,
        },
    ),
    "soft_cross_entropy": LossSpec(
        soft_cross_entropy,
        space="raw",
        inputs="distributions",
        summary="scores are to say what a distribution over the same classes says",
        paper="Caron et al. 2020 and 2021",
    ),
}
"""Every loss by the name that recipes use. A new one joins by its line here, and with it the conformance suite."""
