"""The recipe of the starter encoder: the small one that comes with the package."""

from retrieval.training.config import LoopConfig
from retrieval.workflows.recipes.view_recipe import ViewRecipe

STARTER = ViewRecipe(
    name="starter",
    summary="a small student on views that come again, whose teacher looked at each of them once",
    cost="the teacher once at every kept view; then the student alone",
    expected="see the model card of the starter encoder",
    method="feature_distillation",
    options={"cosine": 1.0, "similarity": 1.0, "supervised": 0.1, "temperature": 0.1},
    looks="simclr",
    views=1,
    look={
        "scale": (0.25, 1.0),
        "jitter": 0.6,
        "brightness": 0.4,
        "contrast": 0.4,
        "saturation": 0.4,
        "hue": 0.06,
        "grey": 0.08,
        "blur": 0.15,
    },
    batch_size=96,
    views_kept=4,
    whitening=0.5,
    target_dimension=384,
    loop=LoopConfig(
        epochs=16,
        learning_rate=2e-3,
        weight_decay=0.02,
        optimiser="adamw",
        warmup_share=0.05,
        backbone_rate=1.0,
        batch_norm="train",
        average=0.998,
        clip=5.0,
        log_every=20,
        save_seconds=120.0,
    ),
)
