"""The training loss over the heatmaps of all supervised stages."""

from mindspore import Tensor, ops


def heatmap_loss(stages: tuple[Tensor, ...], target: Tensor, weights: Tensor, factor: float) -> Tensor:
    """Compute the weighted mean squared error per heatmap: summed over keypoints, averaged over images and stages.

    stages: each (N, K, h, w); target: (N, K, h, w); weights: (N, K), multiply the difference, 0 leaves a keypoint out.
    The result is multiplied by `factor`: 0.5 × 36³ gives PoseEstNet's loss; the original HRNet divides by K instead.
    Computed in fp32.
    """
    total = 0.0
    for heatmaps in stages:
        error = ops.square(heatmaps.astype(target.dtype) - target).mean(axis=(2, 3))  # (N, K)
        total = total + (error * weights * weights).sum(axis=1).mean()
    return total * (factor / len(stages))
