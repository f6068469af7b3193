"""What stands around the object of a picture: road, kerbs, buildings, trees, traffic, and occluders in front."""

from collections.abc import Callable

import cv2
import numpy as np

from posekit.synthetic.scene import Camera, Light, fill, paint_polygon

Painter = Callable[[np.ndarray, Camera], None]


def draw_surroundings(
    camera: Camera, light: Light, rng: np.random.Generator, paint: Painter
) -> tuple[np.ndarray, np.ndarray]:
    """Paint background, the object by `paint(canvas, camera)`, then occluders: canvas (H, W, 3), mask (H, W) uint8."""
    width, height = camera.size
    canvas = np.empty((height, width, 3), np.uint8)
    grain = rng.standard_normal((height // 4 + 1, width // 4 + 1, 1)).astype(np.float32)
    grain = cv2.resize(grain, (width, height))[..., None] * 8
    canvas[:] = np.clip(light.shade(np.full(3, rng.uniform(0.3, 0.55)), np.array((0, 0, 1.0))) * 255 + grain, 0, 255)
    for _ in range(6):
        center, extent = rng.uniform((-8, -8), (40, 8)), rng.uniform(0.1, 5, 2)
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * extent + center
        color = light.shade(rng.uniform(0.15, 0.8, 3), np.array((0, 0, 1.0)))
        paint_polygon(canvas, camera, np.column_stack([corners, np.zeros(4)]), color)
    paint(canvas, camera)
    mask = np.zeros((height, width), np.uint8)
    if rng.random() < 0.2:
        x, thick = rng.uniform(0, width), rng.uniform(0.03, 0.08) * width
        pole = np.array([[x, -5], [x + thick, -5], [x + thick, height + 5], [x, height + 5]])
        fill(canvas, pole, rng.uniform(0.2, 0.7) * np.ones(3))
        fill(mask, pole, 255)
    return canvas, mask
