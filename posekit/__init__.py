"""posekit: keypoint estimation with MindSpore, the package under the notebooks."""

__version__ = "0.2.0"
