"""The recipe of the starter encoder: the small one that comes with the package, distilled by the package itself.

How its file is made, from a checkout beside ``../shared``, with the sets of ``../shared/data`` unpacked in ``SETS``::

    python data/make_starter_set.py --from SETS --out SET
    retrieval model create --backbone mobilenetv2_100 --backbone-args pad_type=same \\
        --weights ../shared/weights/mobilenetv2_100.safetensors --mean 0.5 --std 0.5 --input-size 224 \\
        --interpolation bicubic --out TEACHER
    retrieval model create --backbone resnet10t --backbone-args 'channels=[32,64,160,384]' --untrained \\
        --mean 0.5 --std 0.5 --input-size 96 --interpolation bicubic --name starter-student --out STUDENT
    retrieval distil SET/pictures.csv --teacher TEACHER --student STUDENT --recipe starter --out RUN

and then, from where that ended, with things and goods that do not exist (``data/starter``) among the pictures::

    python data/make_starter_set.py --from SETS --out MORE --stage second
    retrieval distil MORE/pictures.csv --teacher TEACHER --student RUN/encoder --recipe starter --epochs 14 \\
        --set views_kept=2 --set learning_rate=0.002 --set feature_distillation.supervised=1.0 --out ON
    python data/make_starter_encoder.py ON --pictures MORE/pictures.csv --begun RUN/encoder
    python -m tests.benchmarks starter

The first run was gone when the second one began: ``python data/make_starter_encoder.py --unpack STUDENT`` took its
encoder, rounded to float16, out of the package, and STUDENT stood for RUN/encoder.

``--resume`` goes on with a run that was stopped. Nothing here sees grocery, omniglot or the sample pictures, nor the
parts of the other sets that are measured: these are named in ``data/make_starter_set.py``.

Why so. What could be spent was minutes of one processor core, so that what is learned a second decides. Pilots of 70 to
130 seconds, measured on the last fifth of the training classes, which were left out for it (recall@1 leave one out on
caltech101 / flowers90 / invented signs; ``--validating`` in ``data/make_starter_set.py`` leaves the same out):

- architecture: a narrow ResNet-10-t of dense convolutions takes 5 ms an image of 80 pixels forward and backward on one
  busy core, and a MobileNetV4-conv-small of 128 pixels 12 ms for as many weights. Beside MobileNetV4, MobileNetV3 and
  EfficientViT it learns most in 150 seconds (mean recall@1 .57; the next, EfficientViT-B0, .33), and no more at 128
  pixels (``python -m tests.benchmarks starter_candidates``);
- size: views of 96 pixels in batches of 96 without labels reach .45 / .62 / .20 in 143 steps, views of 80 in batches of
  64 with some labels .51 / .67 / .37 in 398 steps, and views of 64 .52 / .69 / .52 in 418 steps and two thirds of that
  time. What was learned at 64 retrieves best at 96 (``view_size``);
- labels: weight 1 in place of 0.1 gives .61 / .65 / .57: it helps what the teacher tells apart badly, line drawings,
  and costs where the teacher is good. 0.5 lies between;
- targets: the teacher's embeddings, centred and half whitened on 384 directions, retrieve as well as all 1,280 (.94 /
  .95 / .82 against .93 / .95 / .83);
- no head: the pooled features themselves, before the projector, retrieve better at first than an embedding that is the
  projection (.48 / .66 / .34 against .45 / .57 / .37);
- levels: what is learned through the last level and pooled over all of them afterwards (``models.levels``) gives .66 /
  .78 / .62 where the last level alone gives .61 / .77 / .60; learned through all of them .64 / .73 / .66, and through a
  linear head on all of them .62 / .74 / .60. Of an earlier starter, on the parts that are measured, all levels gave
  grocery .23 to .29, omniglot .32 to .37, flowers90 .52 to .64 and caltech101 .48 to .57.
"""

from retrieval.training.config import LoopConfig
from retrieval.workflows.recipes.view_recipe import ViewRecipe

STARTER = ViewRecipe(
    name="starter",
    summary="a small student on views that come again, whose teacher looked at each of them once",
    cost="the teacher once at every kept view; then the student alone",
    expected="see the model card of the starter encoder",
    method="feature_distillation",
    options={"cosine": 1.0, "similarity": 3.0, "supervised": 0.5, "temperature": 0.1},
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
    view_size=64,
    batch_size=64,
    views_kept=3,
    whitening=0.5,
    target_dimension=384,
    loop=LoopConfig(
        epochs=32,
        learning_rate=3e-3,
        weight_decay=0.02,
        optimiser="adamw",
        warmup_share=0.05,
        backbone_rate=1.0,
        batch_norm="train",
        average=0.995,
        clip=5.0,
        log_every=20,
        save_seconds=120.0,
    ),
)
