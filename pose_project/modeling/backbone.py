"""ResNets of other widths than Detectron2's default stages allow."""

from collections.abc import Sequence
from typing import Any

from detectron2.modeling.backbone.resnet import BasicBlock, BottleneckBlock, CNNBlockBase, ResNet


def make_resnet_stages(
    num_blocks: Sequence[int],
    in_channels: int,
    out_channels: Sequence[int],
    bottleneck_channels: Sequence[int] | None = None,
    **kwargs: Any,
) -> list[list[CNNBlockBase]]:
    """Return the stages res2 ... of a ResNet, for ``detectron2.modeling.backbone.ResNet``.

    ``ResNet.make_default_stages`` fixes the widths (and ignores wider groups, as ResNeXt has).

    Args:
        num_blocks: blocks of each stage; the first block of each but the first has stride 2.
        in_channels: channels of the stem.
        out_channels: channels of each stage.
        bottleneck_channels: inner channels of each stage's blocks; None makes basic blocks.
        kwargs: for every block: ``norm``, ``num_groups``, ``stride_in_1x1``.

    >>> stages = make_resnet_stages([2, 2], 32, [32, 64], norm="BN")
    >>> [(stage[0].in_channels, stage[-1].out_channels, len(stage)) for stage in stages]
    [(32, 32, 2), (32, 64, 2)]
    """
    stages = []
    for index, (blocks, width) in enumerate(zip(num_blocks, out_channels, strict=True)):
        if bottleneck_channels is not None:
            kwargs["bottleneck_channels"] = bottleneck_channels[index]
        stages.append(
            ResNet.make_stage(
                block_class=BasicBlock if bottleneck_channels is None else BottleneckBlock,
                num_blocks=blocks,
                stride_per_block=[1 if index == 0 else 2] + [1] * (blocks - 1),
                in_channels=in_channels,
                out_channels=width,
                **kwargs,
            )
        )
        in_channels = width
    return stages
