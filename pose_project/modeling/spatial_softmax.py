"""What a heatmap's softmax says besides where its maximum is.

The head is trained by cross-entropy over the S x S cells of a person's box (Mask R-CNN, section 5),
so its softmax is a distribution of where the keypoint is. Letters: R people, K keypoints.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class SpatialSoftmax(NamedTuple):
    """Probabilities of the cells of everyone's box, and where the cells are.

    Attributes:
        cells: (R, K, S, S) float32, rows y, columns x; the sum of each map is 1.
        x: (R, S) centres of the columns in continuous image coordinates, pixels.
        y: (R, S) centres of the rows.
        cell_wh: (R, 2) width and height of a cell in pixels.
    """

    cells: Tensor
    x: Tensor
    y: Tensor
    cell_wh: Tensor

    @classmethod
    def of(cls, keypoint_logits: Tensor, boxes: Tensor) -> "SpatialSoftmax":
        """Return the distributions of (R, K, S, S) logits in (R, 4) boxes, XYXY_ABS in pixels."""
        side = keypoint_logits.shape[-1]
        # no axes are flattened: an exported graph cannot, of nobody
        logits = keypoint_logits.float()
        cells = (logits - logits.amax(dim=(2, 3), keepdim=True)).exp()
        cells = cells / cells.sum(dim=(2, 3), keepdim=True)
        cell_wh = (boxes[:, 2:] - boxes[:, :2]).float().clamp(min=1) / side
        centres = torch.arange(side, device=boxes.device) + 0.5
        x = boxes[:, :1] + centres * cell_wh[:, :1]
        y = boxes[:, 1:2] + centres * cell_wh[:, 1:]
        return cls(cells, x, y, cell_wh)

    def most_likely(self) -> Tensor:
        """Return (R, K, 2) centres of the likeliest cells as (x, y)."""
        column, row = self.cells.amax(dim=2).argmax(dim=2), self.cells.amax(dim=3).argmax(dim=2)
        return torch.stack([self.x.gather(1, column), self.y.gather(1, row)], dim=2)

    def variances(self) -> Tensor:
        """Return (R, K, 2) variances along x and y in px^2, at least those of a single cell."""
        x, y = self._offsets()
        squares = torch.stack(
            [
                (self.cells.sum(dim=2) * x**2).sum(dim=2),
                (self.cells.sum(dim=3) * y**2).sum(dim=2),
            ],
            dim=2,
        )
        return squares + (self.cell_wh**2 / 12)[:, None]  # of a point anywhere in its cell

    def covariances(self) -> Tensor:
        """Return (R, K, 2, 2) covariances of (x, y) in px^2, at least those of a single cell."""
        x, y = self._offsets()
        variance_x, variance_y = self.variances().unbind(dim=2)
        shared = torch.einsum("rkyx,rky,rkx->rk", self.cells, y, x)
        rows = (variance_x, shared), (shared, variance_y)
        return torch.stack([torch.stack(row, dim=2) for row in rows], dim=2)

    def _offsets(self) -> tuple[Tensor, Tensor]:
        """Return (R, K, S) x of the columns and y of the rows, from the mean of each map."""
        # from the box's corner, since float32 squares of far coordinates would cancel out
        x, y = (self.x - self.x[:, :1])[:, None], (self.y - self.y[:, :1])[:, None]
        x = x - (self.cells.sum(dim=2) * x).sum(dim=2, keepdim=True)
        y = y - (self.cells.sum(dim=3) * y).sum(dim=2, keepdim=True)
        return x, y

    def probability_within(self, points: Tensor, radii: Tensor) -> Tensor:
        """Return (R, K) probabilities that a keypoint lies within a distance of a point.

        A cell that the circle cuts counts in part.

        Args:
            points: (R, K, 2) as (x, y), continuous image coordinates.
            radii: (R, K) pixels.
        """
        dx = (self.x[:, None] - points[..., :1])[:, :, None]
        dy = (self.y[:, None] - points[..., 1:])[:, :, :, None]
        cell = self.cell_wh.prod(dim=1).sqrt()[:, None, None, None]
        beyond = (dx**2 + dy**2).sqrt() - radii[..., None, None]
        return (self.cells * (0.5 - beyond / cell).clamp(0, 1)).sum(dim=(2, 3))

    def expected_similarity(self, points: Tensor, sigmas: Tensor, areas: Tensor) -> Tensor:
        """Return (R, K) expectations of OKS's term, exp(-d^2 / (2 (2 sigma)^2 area)).

        Args:
            points: (R, K, 2) the predictions.
            sigmas: (K,) COCO's constants.
            areas: (R,) of the people, square pixels.
        """
        doubled_variance = 2 * (2 * sigmas) ** 2 * areas[:, None]
        dx, dy = self.x[:, None] - points[..., :1], self.y[:, None] - points[..., 1:]
        near_x = (-(dx**2) / doubled_variance[..., None]).exp()
        near_y = (-(dy**2) / doubled_variance[..., None]).exp()
        return torch.einsum("rkyx,rky,rkx->rk", self.cells, near_y, near_x)
