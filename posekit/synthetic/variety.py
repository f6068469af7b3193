"""Domain randomisation (Tobin et al., arXiv:1703.06907) for drawn pictures that are to help with photographs.

Nothing here looks real. Surfaces, backgrounds, things in front and the camera vary so much that a network can't lean on
any of them, and a photograph is one more variation. A canvas is (H, W, 3) uint8 RGB; a mask is (H, W) uint8.
"""

import cv2
import numpy as np


def how_drawn(varied: bool) -> dict[str, str]:
    """What a data set says of itself if it isn't plain."""
    return {"drawing": "varied"} if varied else {}


def grain(shape: tuple[int, ...], rng: np.random.Generator, coarse: float = 0.5) -> np.ndarray:
    """A cloudy field (H, W) float32 of mean 0 and standard deviation about 1; `coarse` is its largest cloud's size."""
    height, width = shape[:2]
    cell, weight, fade = coarse * max(height, width), 1.0, rng.uniform(0.45, 0.95)
    field, power = np.zeros((height, width), np.float32), 0.0
    while cell > 1.5:
        knots = rng.standard_normal((int(height / cell) + 2, int(width / cell) + 2), np.float32)
        field += weight * cv2.resize(knots, (width, height), interpolation=cv2.INTER_LINEAR)
        power, weight, cell = power + weight**2, weight * fade, cell / rng.uniform(1.8, 2.6)
    return field / np.float32(max(power, 1e-6) ** 0.5)


def repaint(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Cover some or all of a background with clouds of colour and random shapes, in place."""
    if rng.random() < 0.25:
        return
    clouds = _clouds(canvas.shape, rng)
    part = 1.0 if rng.random() < 0.5 else (grain(canvas.shape, rng) > rng.normal(0, 0.7))[..., None]
    canvas[:] = (canvas * (1 - part) + clouds * part).astype(np.uint8)
    for _ in range(int(rng.integers(0, 40) * rng.random())):
        _paint_shape(canvas, rng, 0.3 * rng.random() ** 2)
    if rng.random() < 0.3:
        cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.002, 0.012) * max(canvas.shape), dst=canvas)


def _clouds(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A texture (H, W, 3) float32 between three colours."""
    low, middle, high = 255 * rng.beta(1.3, 1.3, (3, 1)) * rng.uniform(0.6, 1.0, (3, 3))
    mix = 0.5 + 0.3 * grain(shape, rng, rng.uniform(0.05, 0.8))[..., None]
    fine = 1 + rng.uniform(0, 0.35) * grain(shape, rng, rng.uniform(0.01, 0.1))[..., None]
    lower, upper = np.clip(2 * mix, 0, 1), np.clip(2 * mix - 1, 0, 1)
    return np.clip((low + (middle - low) * lower + (high - middle) * upper) * fine, 0, 255)


def _paint_shape(canvas: np.ndarray, rng: np.random.Generator, size: float, mask: np.ndarray | None = None) -> None:
    """Paint a bar, ellipse or polygon of about `size` of the canvas's longer side at a random place, textured."""
    height, width = canvas.shape[:2]
    x, y, radius = rng.uniform(0, width), rng.uniform(0, height), max(2.0, size * max(height, width))
    count = int(rng.integers(3, 9))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    turn, slim = rng.uniform(0, np.pi), rng.uniform(0.08, 1.0)
    points = np.column_stack([np.cos(angles), slim * np.sin(angles)]) * radius
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = np.round(points @ rotation.T + (x, y)).astype(np.int32)
    shape = np.zeros((height, width), np.uint8)
    kind = rng.integers(3)
    if kind == 0:
        cv2.fillPoly(shape, [points], (255,), lineType=cv2.LINE_AA)
    elif kind == 1:
        axes = (int(radius), int(max(1.0, slim * radius)))
        cv2.ellipse(shape, (int(x), int(y)), axes, float(np.degrees(turn)), 0, 360, (255,), -1, cv2.LINE_AA)
    else:
        end = (int(x + radius * np.cos(turn)), int(y + radius * np.sin(turn)))
        cv2.line(shape, (int(x), int(y)), end, (255,), max(1, int(0.3 * slim * radius)), cv2.LINE_AA)
    left, top, wide, high = cv2.boundingRect(shape)
    if not wide:
        return
    window = np.s_[top : top + high, left : left + wide]
    color = 255 * rng.beta(1.2, 1.2) * rng.uniform(0.5, 1.0, 3)
    tone = color * (1 + rng.uniform(0, 0.4) * grain((high, wide), rng, rng.uniform(0.1, 1.0))[..., None])
    part = shape[window][..., None] / np.float32(255)
    canvas[window] = (canvas[window] * (1 - part) + np.clip(tone, 0, 255) * part).astype(np.uint8)
    if mask is not None:
        mask[window] = np.maximum(mask[window], shape[window])


def crease(canvas: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> None:
    """Give what `mask` marks folds, patterns and uneven light, in place."""
    left, top, wide, high = cv2.boundingRect(mask)
    if not wide:
        return
    window = np.s_[top : top + high, left : left + wide]
    folds = rng.uniform(0.05, 0.30) * grain((high, wide), rng, rng.uniform(0.05, 0.2))
    light = rng.uniform(0, 0.35) * grain((high, wide), rng, 0.8)
    tint = rng.uniform(0, 0.12) * np.stack([grain((high, wide), rng, 0.3) for _ in range(3)], axis=-1)
    changed = canvas[window] * np.exp(np.clip(folds + light, -1.2, 1.0)[..., None] + tint)
    part = cv2.GaussianBlur(mask[window], (0, 0), 1.0)[..., None] / np.float32(255)
    canvas[window] = np.clip(canvas[window] * (1 - part) + changed * part, 0, 255).astype(np.uint8)


def obstruct(canvas: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> None:
    """In half of the pictures paint one to four small things in front, on the canvas and into `mask`."""
    if rng.random() < 0.5:
        for _ in range(rng.integers(1, 5)):
            _paint_shape(canvas, rng, rng.uniform(0.02, 0.12), mask)


def develop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another camera: colour cast, saturation, gamma, contrast and blur at random; (H, W, 3) uint8 -> the same."""
    levels = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.3))
    levels = (levels - 0.5) * rng.uniform(0.6, 1.3) + 0.5 + rng.normal(0, 0.07)
    table = np.clip(255 * levels * rng.uniform(0.82, 1.18, 3), 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table[:, None].reshape(1, 256, 3))
    vivid = 0.0 if rng.random() < 0.06 else rng.uniform(0.3, 1.4)
    grey = image.mean(axis=2, keepdims=True)
    image = np.clip(grey + vivid * (image - grey), 0, 255).astype(np.uint8)
    blur = max(0.0, rng.normal(0, 0.003)) * max(image.shape)
    return cv2.GaussianBlur(image, (0, 0), blur) if blur > 0.3 else image
