"""What Detectron2's augmentations lack; docs/augmentation.md.

All random numbers are drawn from NumPy's global state, as Detectron2's are: the loader sets it from
(seed, position), so augmentation is a pure function of them.
"""

from pose_project.extras.augmentation.affine import AffineTransform, RandomAffine
from pose_project.extras.augmentation.colour import Grey, InRGB, RandomBlur
from pose_project.extras.augmentation.person_crop import PersonCrop

__all__ = ["AffineTransform", "Grey", "InRGB", "PersonCrop", "RandomAffine", "RandomBlur"]
