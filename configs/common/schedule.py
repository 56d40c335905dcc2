"""The schedules of the slides and of Detectron2's model zoo."""

from detectron2.config import LazyCall as L

from pose_project.engine import WarmupMultiStep

# Slides "Training": milestones (36, 43), gamma 0.1, warm-up 1/1000 over 1000 iterations.
# torchvision's reference, which they follow, warms up for at most one epoch.
slides = L(WarmupMultiStep)(
    milestones=[36, 43],
    unit="epochs",
    gamma=0.1,
    warmup_iters=1000,
    warmup_factor=1 / 1000,
    warmup_within_epoch=True,
)

# detectron2 configs/Base-RCNN-FPN.yaml: STEPS (60000, 80000), MAX_ITER 90000
schedule_1x = L(WarmupMultiStep)(
    milestones=[60_000, 80_000],
    unit="iterations",
    gamma=0.1,
    warmup_iters=1000,
    warmup_factor=1 / 1000,
)

# detectron2 configs/COCO-Keypoints/*_3x.yaml: STEPS (210000, 250000), MAX_ITER 270000
schedule_3x = L(WarmupMultiStep)(
    milestones=[210_000, 250_000],
    unit="iterations",
    gamma=0.1,
    warmup_iters=1000,
    warmup_factor=1 / 1000,
)
