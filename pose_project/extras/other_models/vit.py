"""Functions that ViTDet is configured with, made by calls, which a config can save."""

from collections.abc import Callable
from functools import partial

from torch import nn


def make_layer_norm(eps: float) -> Callable[[int], nn.Module]:
    """Return what makes a ``LayerNorm`` of a width: the ``norm_layer`` of Detectron2's ``ViT``."""
    return partial(nn.LayerNorm, eps=eps)


def make_lr_decay(num_layers: int, rate: float) -> Callable[[str], float]:
    """Return the factor of a parameter's learning rate, by name: ``rate`` to the power of depth.

    ViTDet (arXiv:2203.16527), appendix A.2, "layer-wise lr decay". Release 0.6 has no ViT.
    """
    from detectron2.modeling.backbone.vit import get_vit_lr_decay_rate

    return partial(get_vit_lr_decay_rate, num_layers=num_layers, lr_decay_rate=rate)
