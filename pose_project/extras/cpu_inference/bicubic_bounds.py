r"""What no pixel of a map that is enlarged by bicubic interpolation exceeds.

Legend: S side of a map in cells; L side of the enlarged map in pixels.

Between the cells i and i + 1 the enlarged map is one cubic in t, see
:mod:`pose_project.modeling.decoding`, called *patch* i here, for i = -1 .. S - 1; in two dimensions
one product of two cubics.

**A bound.** In t a patch has the value f_i and the slope a (f_(i-1) - f_(i+1)) at t = 0, and
likewise f_(i+1) and a (f_i - f_(i+2)) at t = 1. A cubic with values u, v and slopes u', v' has the
Bezier control points u, u + u'/3, v - v'/3, v, and never exceeds the largest of them: its Bernstein
weights are non-negative and sum to one. As -a/3 = 1/4, with d_i = (f_(i+1) - f_(i-1)) / 4 they are

    f_i,  f_i + d_i,  f_(i+1) - d_(i+1),  f_(i+1),

two for each of the two cells. Both steps are linear, so in two dimensions a patch never exceeds
the largest of the 4 x 4 control points that its four corner cells have towards it,

    f + p d_x + q d_y + p q d_xy,    p, q in {0, +1} or {0, -1},

with d_xy = d_x of d_y. Over all signs they stay below f + |d_x| + |d_y| + |d_xy|. A patch holds
nothing above a value that none of its four corner cells' control points exceed: where that sum does
not exceed it, the cell speaks for none of the four patches around it. Near a smooth peak the bound
is above the map by little, so that a dozen of 3,249 patches remain.
"""

import torch
from torch import Tensor


def first_pixels(patches: Tensor, lengths: Tensor, side: int) -> Tensor:
    """Return the first pixel in each patch: the smallest p with (p + 1/2) S / L - 1/2 >= i.

    Args:
        patches: int64, i in [-1, S]; S is the end of the last one.
        lengths: int64, L, broadcast against ``patches``.
        side: S.
    """
    first = -(-((2 * patches + 1) * lengths - side) // (2 * side))  # rounded up, exact
    return first.clamp(min=0).minimum(lengths)


def cell_bounds(maps: Tensor) -> Tensor:
    """Return (N, S, S): what none of the four patches around each cell of (N, S, S) exceeds."""
    d_x = _central_differences(maps, dim=2)
    d_y = _central_differences(maps, dim=1)
    d_xy = _central_differences(d_x, dim=1)
    slopes = d_x.abs_().add_(d_y.abs_()).add_(d_xy.abs_(), alpha=0.25)
    return slopes.mul_(0.25).add_(maps)


def control_points(neighbours: Tensor) -> Tensor:
    """Return (N, 3, 3): the control points around N cells, from the (N, 3, 3) cells around them.

    Those of the patch up and to the left are ``[:, :2, :2]``, and so on.
    """
    along = neighbours.new_tensor([[0.25, 1, -0.25], [0, 1, 0], [-0.25, 1, 0.25]])
    return along @ neighbours @ along.T


def _central_differences(maps: Tensor, dim: int) -> Tensor:
    """Return f_(i+1) - f_(i-1) along ``dim``; at the edges the cell itself stands for the outside.

    >>> _central_differences(torch.tensor([[[1.0, 2.0, 4.0]]]), dim=2).tolist()
    [[[1.0, 3.0, 2.0]]]
    """
    result = torch.empty_like(maps)
    side = maps.shape[dim]
    inner = max(side - 2, 0)
    torch.sub(
        maps.narrow(dim, side - inner, inner),
        maps.narrow(dim, 0, inner),
        out=result.narrow(dim, 1, inner),
    )
    for edge, after, before in ((0, min(1, side - 1), 0), (side - 1, side - 1, max(side - 2, 0))):
        difference = maps.select(dim, after) - maps.select(dim, before)
        result.select(dim, edge).copy_(difference)
    return result
