"""Polygons without OpenCV: another way to say what lies inside."""

import numpy as np


def depth(quad: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How far inside a convex polygon (M, 2) points (..., 2) lie, in its unit; negative outside. By half-planes."""
    edges = np.roll(quad, -1, axis=0) - quad
    normals = np.stack([-edges[:, 1], edges[:, 0]], 1) / np.linalg.norm(edges, axis=1, keepdims=True)
    inside = np.einsum("md,...md->...m", normals, points[..., None, :] - quad)
    turn = np.sign(np.cross(edges[0], edges[1]))
    return (inside * turn).min(-1)
