"""The surroundings of the objects in a picture: ground, sky, roadside, and occluders in front.

They are in the world of `posekit.synthetic.scene` and are painted through the picture's camera.
"""

import cv2
import numpy as np

from posekit.synthetic.mesh import Pose, box, faces, join
from posekit.synthetic.scene import Camera, Light, darken, fill, on_screen, paint_flat, paint_mesh

UP = np.array((0.0, 0.0, 1.0))
FAR = 200.0  # metres; the ground's end
_STEPS = np.concatenate([np.arange(-60, 40, 4.0), np.arange(40, FAR, 20.0)])
ALONG = np.column_stack([_STEPS[:-1], _STEPS[1:]])  # the street in pieces, so that none reaches behind the camera


def paint_ground(canvas: np.ndarray, camera: Camera, light: Light, rng: np.random.Generator, heading: float) -> None:
    """Paint a street through the world's origin along `heading` (radians), with verges, roadside and sky."""
    street = Pose(0.0, rng.uniform(-0.4, 0.4), heading)
    grey = rng.uniform(0.22, 0.5) * np.array((1.0, rng.uniform(0.97, 1.01), rng.uniform(0.93, 1.03)))
    left, right = rng.choice([2.2, 5.5, 9.0], 2) + rng.uniform(0, 0.8, 2)
    grass, paving, brick = (0.30, 0.36, 0.16), (0.52, 0.50, 0.47), (0.45, 0.36, 0.30)
    verge = np.array((grass, paving, brick)[rng.integers(3)]) * rng.uniform(0.7, 1.2)
    paint_sky(canvas, camera, light, rng, verge)
    _strip(canvas, camera, light, street, (-right, left), grey)
    _patches(canvas, camera, light, street, rng, grey)
    _lines(canvas, camera, light, street, rng, left, right)
    for side, edge in ((1, left), (-1, right)):
        _strip(canvas, camera, light, street, (side * edge, side * (edge + 0.28)), np.full(3, rng.uniform(0.5, 0.75)))
    mottle(canvas, rng)
    if rng.random() < 0.3:  # shade of a tree
        middle = rng.uniform((-6, -6), (6, 6))
        spots = [ellipse(*(middle + rng.normal(0, 2.0, 2)), *rng.uniform(0.2, 0.9, 2)) for _ in range(25)]
        darken(canvas, camera, street.place(np.array(spots)), light.shadow * 0.8, 4.0)
    _roadside(canvas, camera, light, street, rng, left, right)
    _clutter(canvas, camera, light, street, rng)


def paint_sky(canvas: np.ndarray, camera: Camera, light: Light, rng: np.random.Generator, verge: np.ndarray) -> None:
    """Paint the sky, and the ground's colour below the horizon."""
    low, high = light.sky * rng.uniform(0.9, 1.2), light.sky * np.array((0.75, 0.95, 1.25))
    rows = np.linspace(1, 0, len(canvas))[:, None] ** 2
    column = np.clip((low * (1 - rows) + high * rows) * 255, 0, 255).astype(np.uint8)[:, None]
    cv2.resize(column, (canvas.shape[1], canvas.shape[0]), dst=canvas, interpolation=cv2.INTER_NEAREST)
    forward, right = (camera.axes[i] * (1, 1, 0) for i in (2, 0))
    beyond = max(abs(camera.principal[0]), abs(camera.size[0] - camera.principal[0])) / camera.focal
    spread = max(0.3, 1.3 * beyond) * right / np.linalg.norm(right)
    ends = [camera.position * (1, 1, 0) + FAR * (forward + s * spread) for s in (-1, 1)]
    horizon = camera.project(np.array(ends))
    below = horizon[::-1] + (0, 2 * len(canvas) + abs(horizon[:, 1]).max())
    fill(canvas, np.concatenate([horizon, below]), light.shade(verge, UP))


def _strip(
    canvas: np.ndarray, camera: Camera, light: Light, street: Pose, across: tuple[float, float], color: np.ndarray,
    along: np.ndarray = ALONG,
) -> None:  # fmt: skip
    """Paint rectangles on the ground, in metres from the street's middle (`across`) and along it (`along`, (F, 2))."""
    quads = np.zeros((len(along), 4, 3))
    quads[:, :, 0] = along[:, [0, 0, 1, 1]]
    quads[:, :, 1] = (*across, *across[::-1])
    paint_flat(canvas, camera, street.place(quads), light.shade(color, UP))


def _patches(
    canvas: np.ndarray, camera: Camera, light: Light, street: Pose, rng: np.random.Generator, grey: np.ndarray
) -> None:
    """Paint repairs, stains and manhole covers on the street."""
    for _ in range(rng.integers(2, 7)):
        x, y = rng.uniform(-12, 25), rng.uniform(-7, 7)
        shape = ellipse(x, y, *rng.uniform(0.2, 2.5, 2)) if rng.random() < 0.6 else ellipse(x, y, 1.5, 0.4, 4)
        paint_flat(canvas, camera, street.place(shape)[None], light.shade(grey * rng.uniform(0.75, 1.15), UP))
    if rng.random() < 0.25:
        shape = ellipse(rng.uniform(-8, 12), rng.uniform(-3, 3), 0.35, 0.35, 20)
        paint_flat(canvas, camera, street.place(shape)[None], light.shade(np.full(3, 0.12), UP))


def ellipse(x: float, y: float, a: float, b: float, count: int = 14) -> np.ndarray:
    """Return points (count, 3) of an ellipse on the ground."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.column_stack([x + a * np.cos(angles), y + b * np.sin(angles), np.zeros(count)])


def _lines(
    canvas: np.ndarray, camera: Camera, light: Light, street: Pose, rng: np.random.Generator, left: float, right: float
) -> None:
    """Paint lane markings, and sometimes a zebra crossing."""
    white = np.array((0.8, 0.8, 0.76)) * rng.uniform(0.7, 1.05)
    if rng.random() < 0.2:
        white = np.array((0.75, 0.58, 0.12))
    start, gap = rng.uniform(0, 6), rng.uniform(3, 6)
    for y in np.arange(-right + 0.5, left, 3.4):
        begin = start + np.arange(-10, 20) * (gap + 3)
        along = np.column_stack([begin, begin + 3]) if rng.random() < 0.7 else ALONG
        _strip(canvas, camera, light, street, (y - 0.07, y + 0.07), white, along)
    if rng.random() < 0.18:
        x = rng.choice([-1, 1]) * rng.uniform(3, 9)
        for y in np.arange(-right + 0.4, left - 0.4, 0.9):
            _strip(canvas, camera, light, street, (y, y + 0.45), white, np.array([[x, x + 3]]))


def mottle(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Add uneven brightness at three scales, in place."""
    height, width = canvas.shape[:2]
    field = np.full((height, width), 128, np.uint8)
    for cell, strength in ((3, 6.0), (12, 5.0), (60, 9.0)):
        grain = rng.standard_normal((height // cell + 2, width // cell + 2), np.float32) * strength
        field = cv2.add(field, cv2.resize(grain, (width, height)), dtype=cv2.CV_8U)
    cv2.multiply(canvas, cv2.merge([field] * 3), dst=canvas, scale=1 / 128)


def _roadside(
    canvas: np.ndarray, camera: Camera, light: Light, street: Pose, rng: np.random.Generator, left: float, right: float
) -> None:
    """Paint buildings, hedges, fences and trees along both kerbs, far ones first."""
    tone = rng.uniform(0.3, 0.8, 3) * 0.5 + rng.uniform(0.1, 0.4)
    things = []
    for side, edge in ((1, left), (-1, right)):
        kind, y = rng.integers(4), side * (edge + rng.uniform(1.5, 6))
        for x in np.arange(-30, 60, 10.0):
            things.append((street.place(np.array((x + 5, y, 0.0))), kind, (x, y)))
        for x in np.arange(-20, 45, rng.uniform(7, 14)) + rng.uniform(0, 6):
            y = side * (edge + rng.uniform(0.8, 3))
            if rng.random() < 0.5:
                things.append((street.place(np.array((x, y, 0.0))), 4, (x, y)))
    behind = camera.view(np.zeros(3))[2] + 2.0  # the picture's object is at the origin
    things = [(camera.view(place)[2], place, kind, start) for place, kind, start in things]
    for depth, place, kind, start in sorted(things, key=lambda t: -t[0]):
        if depth > behind and kind == 4:
            paint_tree(canvas, camera, light, place, rng)
        elif depth > behind and abs(start[1]) > 3:
            _wall(canvas, camera, light, street, rng, start, kind, tone)


def _wall(
    canvas: np.ndarray, camera: Camera, light: Light, street: Pose, rng: np.random.Generator,
    start: tuple[float, float], kind: int, tone: np.ndarray,
) -> None:  # fmt: skip
    """Paint ten metres of building, hedge or fence along the street."""
    x, y = start
    back = y + np.sign(y) * (6.0 if kind == 0 else 0.5)
    low, high = min(y, back), max(y, back)
    ends = np.array([(a, b, c) for a in (x, x + 10) for b in (low, high) for c in (0.0, 14.0 if kind == 0 else 1.5)])
    if not on_screen(camera, street.place(ends)):
        return
    if kind == 0:
        paint_mesh(canvas, camera, light, box((x, low, 0), (x + 10, high, rng.uniform(5, 14)), tone), street)
        _windows(canvas, camera, light, street, rng, start)
    elif kind == 1:
        green = np.array((0.14, 0.24, 0.10)) * rng.uniform(0.7, 1.4)
        paint_mesh(canvas, camera, light, box((x, low, 0), (x + 10, high, rng.uniform(0.8, 1.6)), green), street)
    elif kind == 2:
        posts = [box((x + k, y - 0.04, 0), (x + k + 0.08, y + 0.04, 1.1), np.full(3, 0.5)) for k in range(10)]
        rails = [box((x, y - 0.03, z), (x + 10, y + 0.03, z + 0.08), np.full(3, 0.55)) for z in (0.45, 1.0)]
        paint_mesh(canvas, camera, light, join(posts + rails), street)


def _windows(
    canvas: np.ndarray, camera: Camera, light: Light, street: Pose, rng: np.random.Generator, start: tuple[float, float]
) -> None:
    """Paint windows and doors on the front of a building."""
    x, y = start
    wide, tall = rng.uniform(0.8, 1.8), rng.uniform(1.2, 2.0)
    places = [(x + 0.6 + 2.4 * i, 0.9 + 3.0 * j) for i in range(4) for j in range(2)]
    quads = [[(a, y, b), (a + wide, y, b), (a + wide, y, b + tall), (a, y, b + tall)] for a, b in places]
    glass = faces(np.array(quads), (0, -np.sign(y), 0), rng.uniform(0.05, 0.3) * np.ones(3), 0.8)
    paint_mesh(canvas, camera, light, glass, street)


def _clutter(canvas: np.ndarray, camera: Camera, light: Light, street: Pose, rng: np.random.Generator) -> None:
    """Paint cones, bins, bollards, signs and passers-by behind the object in the middle."""
    behind = camera.view(np.zeros(3))[2] + 1.0
    places = rng.uniform((-5, -9), (14, 9), (rng.integers(2, 9), 2))
    spots = [street.place(np.array((x, y, 0.0))) for x, y in places if np.hypot(x, 1.5 * y) > 3.6]
    for place in sorted(spots, key=lambda p: -camera.view(p)[2]):
        if camera.view(place)[2] > behind and on_screen(camera, place + np.array([(0, 0, 0), (0.3, 0.3, 2.0)])):
            color = rng.uniform(0.05, 0.85, 3)
            parts = _CLUTTER[rng.integers(len(_CLUTTER))]
            darken(canvas, camera, ellipse(place[0], place[1], 0.4, 0.4)[None], 0.4, 3.0)
            blocks = [box((-w, -d, low), (w, d, high), color * tone + add) for w, d, low, high, tone, add in parts]
            paint_mesh(canvas, camera, light, join(blocks), Pose(place[0], place[1], rng.uniform(-np.pi, np.pi)))


# Small objects as stacks of boxes: half-width, half-depth, bottom, top, share and offset of their random colour.
_CLUTTER = (
    ((0.18, 0.18, 0.0, 0.05, 0.3, 0.0), (0.11, 0.11, 0.05, 0.3, 1, 0.1), (0.06, 0.06, 0.3, 0.6, 1, 0.1)),  # cone
    ((0.28, 0.28, 0.0, 0.9, 1, 0.0), (0.31, 0.31, 0.9, 1.0, 0.6, 0.0)),  # bin
    ((0.06, 0.06, 0.0, 0.8, 0.3, 0.3), (0.06, 0.06, 0.8, 0.95, 1, 0.1)),  # bollard
    ((0.04, 0.04, 0.0, 2.2, 0.0, 0.5), (0.35, 0.03, 1.6, 2.3, 1, 0.1)),  # sign
    ((0.12, 0.14, 0.0, 0.8, 0.4, 0.0), (0.14, 0.24, 0.8, 1.45, 1, 0.0), (0.1, 0.09, 1.5, 1.75, 0.2, 0.4)),  # passer-by
    ((0.9, 0.15, 0.3, 0.7, 0.2, 0.0), (0.35, 0.18, 0.6, 1.0, 1, 0.0), (0.05, 0.3, 1.0, 1.1, 0.2, 0.0)),  # motorbike
)


def paint_tree(canvas: np.ndarray, camera: Camera, light: Light, place: np.ndarray, rng: np.random.Generator) -> None:
    """Paint a tree at `place` (3,)."""
    height, spread = rng.uniform(2.5, 6), rng.uniform(0.7, 1.8)
    reach = np.array([(0, 0, 0), (0, 0, height + spread), (spread, spread, 0), (-spread, -spread, 0)])
    if not on_screen(camera, place + reach):
        return
    darken(canvas, camera, ellipse(place[0], place[1], spread, spread)[None], 0.35, 2.0)
    trunk = box((-0.1, -0.1, 0), (0.1, 0.1, height), (0.25, 0.18, 0.12))
    paint_mesh(canvas, camera, light, trunk, Pose(place[0], place[1], 0.0))
    green = np.array((0.18, 0.30, 0.10)) * rng.uniform(0.6, 1.3)
    for k in range(14):
        offset = rng.normal(0, spread * 0.45, 3)
        center = place + (0, 0, height) + offset
        if camera.view(center)[2] < 1.0:
            continue
        x, y = camera.project(center)
        radius = camera.focal / camera.view(center)[2] * spread * rng.uniform(0.25, 0.5)
        tone = light.shade(green * (0.7 + 0.035 * k + 0.2 * offset[2] / spread), UP)
        fill(canvas, _blob(x, y, radius, rng), tone)


def _blob(x: float, y: float, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Make an irregular round shape (11, 2), in pixels."""
    angles = np.linspace(0, 2 * np.pi, 11, endpoint=False)
    reach = radius * rng.uniform(0.7, 1.25, 11)
    return np.column_stack([x + reach * np.cos(angles), y + reach * np.sin(angles)])


def paint_pole(
    canvas: np.ndarray, mask: np.ndarray, camera: Camera, light: Light, rng: np.random.Generator, place: np.ndarray
) -> None:
    """Paint a lamp post, sign or tree trunk at `place` (3,) on the canvas and in the mask (H, W) of occluders."""
    radius = rng.uniform(0.05, 0.16)
    bright = rng.uniform(0.15, 0.7)
    right = camera.axes[0] * (1, 1, 0) / np.linalg.norm(camera.axes[0][:2])
    for k, low in enumerate(np.linspace(-1, 0.6, 5)):
        edge = np.array([place + right * radius * low, place + right * radius * (low + 0.4)])
        strip = np.concatenate([edge, edge[::-1] + (0, 0, 9.0)])
        if on_screen(camera, strip):
            strip = camera.project(strip)
            fill(canvas, strip, light.shade(np.full(3, bright * (0.7, 1.0, 1.15, 0.9, 0.65)[k]), -camera.axes[2]))
            fill(mask, strip, 255)


def paint_leaves(canvas: np.ndarray, mask: np.ndarray, light: Light, rng: np.random.Generator) -> None:
    """Paint a branch that hangs in from a border, on the canvas and in the mask (H, W) of occluders."""
    height, width = mask.shape
    side = rng.integers(3)
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    corner = np.array(((0.0, y), (width, y), (x, 0.0))[side])
    green = np.array((0.16, 0.27, 0.09)) * rng.uniform(0.6, 1.4)
    size = 0.05 * np.sqrt(height * width)
    for _ in range(30):
        x, y = corner + rng.normal(0, 2.0 * size, 2)
        leaf = _blob(x, y, size * rng.uniform(0.3, 0.8), rng)
        fill(canvas, leaf, light.shade(green * rng.uniform(0.7, 1.3), UP))
        fill(mask, leaf, 255)
