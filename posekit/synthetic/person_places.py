"""Backgrounds for people: a street, open country or a room; and furniture in front of them."""

import numpy as np

from posekit.synthetic.mesh import Mesh, Pose, box, join, moved
from posekit.synthetic.person_body import about_z
from posekit.synthetic.person_mesh import tube
from posekit.synthetic.scene import Camera, Light, paint_flat, paint_mesh
from posekit.synthetic.surroundings import UP, ellipse, mottle, paint_ground, paint_sky, paint_tree

_WORLD = Pose(0.0, 0.0, 0.0)
_GROUNDS = ((0.32, 0.40, 0.17), (0.28, 0.36, 0.20), (0.66, 0.57, 0.42), (0.80, 0.82, 0.86), (0.42, 0.32, 0.24))


def paint_place(canvas: np.ndarray, camera: Camera, light: Light, rng: np.random.Generator, clear: float) -> None:
    """Paint a random place. The camera looks along x; no wall is at x < `clear` metres, where people are."""
    kind = rng.random()
    if kind < 0.36:
        paint_ground(canvas, camera, light, rng, rng.uniform(-np.pi, np.pi))
    elif kind < 0.64:
        paint_country(canvas, camera, light, rng, clear)
    else:
        paint_room(canvas, camera, light, rng, clear)


def paint_country(canvas: np.ndarray, camera: Camera, light: Light, rng: np.random.Generator, clear: float) -> None:
    """Paint grass, sand, snow or earth up to the horizon, with hills or the sea, trees, a path, a marked field."""
    ground = np.array(_GROUNDS[rng.integers(len(_GROUNDS))]) * rng.uniform(0.75, 1.15)
    paint_sky(canvas, camera, light, rng, ground)
    _horizon(canvas, camera, light, rng)
    spots = np.array([ellipse(*rng.uniform((-8, -9), (30, 9)), *rng.uniform(0.3, 3.0, 2)) for _ in range(10)])
    for half, tone in ((spots[:5], 0.9), (spots[5:], 1.08)):
        paint_flat(canvas, camera, half, light.shade(ground * tone, UP))
    if rng.random() < 0.35:
        _marks(canvas, camera, light, rng)
    mottle(canvas, rng)
    trees = rng.uniform((clear + 3, -14), (clear + 25, 14), (rng.integers(0, 7), 2))
    for x, y in trees[np.argsort(-trees[:, 0])]:
        paint_tree(canvas, camera, light, np.array((x, y, 0.0)), rng)


def _horizon(canvas: np.ndarray, camera: Camera, light: Light, rng: np.random.Generator) -> None:
    """Paint hills, the edge of a wood or a strip of water, far away."""
    far, wide = 150.0, 260.0
    kind = rng.random()
    if kind < 0.25:
        strip = np.array([(50, -wide, 0), (50, wide, 0), (190, 4 * wide, 0), (190, -4 * wide, 0)])
        paint_flat(canvas, camera, strip[None], light.shade(np.array((0.25, 0.40, 0.50)), UP))
    elif kind < 0.85:
        tone = light.shade(np.array((0.20, 0.28, 0.20)) * rng.uniform(0.6, 1.5), UP)
        y = np.linspace(-wide, wide, 25)
        top = rng.uniform(4, 22) * (0.6 + 0.4 * np.sin(y / rng.uniform(18, 60)) + rng.uniform(0, 0.3, 25))
        low, high = np.column_stack([0 * y + far, y, 0 * y]), np.column_stack([0 * y + far, y, np.maximum(top, 1)])
        paint_flat(canvas, camera, np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1), tone)


def _marks(canvas: np.ndarray, camera: Camera, light: Light, rng: np.random.Generator) -> None:
    """Paint the lines of a playing field or court on flat ground."""
    turn = about_z(rng.uniform(-180, 180))
    color = light.shade(np.array(((0.85, 0.85, 0.82), (0.75, 0.62, 0.15))[rng.integers(2)]), UP)
    at = np.cumsum(rng.uniform(2, 6, 4)) - 6
    ends = np.linspace(-20, 25, 10)
    for k, start in enumerate(at):
        for low, high in zip(ends[:-1], ends[1:], strict=True):
            line = np.array([(low, start, 0), (high, start, 0), (high, start + 0.08, 0), (low, start + 0.08, 0)])
            paint_flat(canvas, camera, ((line if k % 2 else line[:, [1, 0, 2]]) @ turn.T)[None], color)


def paint_room(canvas: np.ndarray, camera: Camera, light: Light, rng: np.random.Generator, clear: float) -> None:
    """Paint floor, walls and ceiling; windows, pictures and furniture along the walls."""
    back, left, right = clear + rng.uniform(0.5, 4.5), rng.uniform(2.0, 6.0), -rng.uniform(2.0, 6.0)
    front, top = camera.position[0] - 2.0, max(rng.uniform(2.4, 4.0), camera.position[2] + 0.5)
    turn = about_z(rng.normal(0, 9))
    left, right = max(left, camera.position[1] + 1.0), min(right, camera.position[1] - 1.0)
    walls = np.clip(rng.uniform(0.35, 0.85) * rng.uniform(0.85, 1.1, 3), 0, 0.95)
    floor = rng.uniform(0.2, 0.6) * np.array(((1.0, 0.78, 0.55), (0.95, 0.95, 0.95), (0.8, 0.9, 1.0))[rng.integers(3)])
    canvas[:] = 90
    sides = (
        ((front, right, 0), (back, right, 0), (back, left, 0), (front, left, 0), floor, UP),
        ((front, right, top), (back, right, top), (back, left, top), (front, left, top), np.full(3, 0.85), -UP),
        ((front, left, 0), (back, left, 0), (back, left, top), (front, left, top), walls, -turn[:, 1]),
        ((front, right, 0), (back, right, 0), (back, right, top), (front, right, top), walls, turn[:, 1]),
        ((back, right, 0), (back, left, 0), (back, left, top), (back, right, top), walls * 1.05, -turn[:, 0]),
    )  # fmt: skip
    for *corners, color, normal in sides:
        paint_flat(canvas, camera, (np.array(corners) @ turn.T)[None], light.shade(color, normal))
    _floor(canvas, camera, light.shade(floor * rng.uniform(0.7, 0.92), UP), rng, (front, back, right, left), turn)
    mottle(canvas, rng)
    _wall_things(canvas, camera, light, rng, (back, right, left, top), turn)
    for _ in range(rng.integers(1, 5)):
        spot = np.array((back - 0.35, rng.uniform(right + 0.8, left - 0.8), 0.0))
        paint_mesh(canvas, camera, light, moved(furniture(rng), turn, turn @ spot), _WORLD)


def _floor(
    canvas: np.ndarray, camera: Camera, tone: np.ndarray, rng: np.random.Generator, ends: tuple, turn: np.ndarray
) -> None:
    """Paint boards, tiles or a carpet on the floor."""
    front, back, right, left = ends
    front = max(front, camera.position[0])
    lines = [np.array([(front, y, 0), (back, y, 0), (back, y + 0.02, 0), (front, y + 0.02, 0)])
             for y in np.arange(right, left, rng.uniform(0.2, 0.7))]  # fmt: skip
    kind = rng.integers(3)
    if kind == 1:
        lines += [np.array([(x, right, 0), (x, left, 0), (x + 0.02, left, 0), (x + 0.02, right, 0)])
                  for x in np.arange(front, back, rng.uniform(0.3, 0.8))]  # fmt: skip
    elif kind == 2:
        a, b = rng.uniform(0.8, 2.5, 2)
        lines = [np.array([(-a, -b, 0), (a, -b, 0), (a, b, 0), (-a, b, 0)])]
        tone = tone * rng.uniform(0.5, 1.4, 3)
    paint_flat(canvas, camera, np.array(lines) @ turn.T, tone)


def _wall_things(
    canvas: np.ndarray, camera: Camera, light: Light, rng: np.random.Generator, room: tuple, turn: np.ndarray
) -> None:
    """Paint windows, doors and pictures on the back wall, and a skirting board."""
    back, right, left, top = room
    y = right + rng.uniform(0.2, 1.0)
    while y < left - 1.2:
        kind, wide = rng.integers(4), rng.uniform(0.5, 1.6)
        low, high = ((0.9, 2.0), (0.0, 2.05), (1.2, 1.8), (1.3, 1.7))[kind]
        color = (light.sky * rng.uniform(0.8, 1.2), np.array((0.45, 0.33, 0.24)), *rng.uniform(0.1, 0.8, (2, 3)))[kind]
        for grow, tone in ((0.07, np.full(3, 0.75) * light.sky), (0.0, color)):
            _patch(canvas, camera, turn, back, (y - grow, y + wide + grow), (low - grow, min(high, top) + grow), tone)
        if kind == 0:
            middle = y + wide / 2
            _patch(canvas, camera, turn, back, (middle - 0.03, middle + 0.03), (low, high), 0.75 * light.sky)
        y += wide + rng.uniform(0.3, 2.0)
    _patch(canvas, camera, turn, back, (right, left), (0.0, 0.1), np.full(3, rng.uniform(0.2, 0.8)))


def _patch(
    canvas: np.ndarray, camera: Camera, turn: np.ndarray, x: float, across: tuple, up: tuple, color: np.ndarray
) -> None:
    """Paint a rectangle on the back wall."""
    (a, b), (low, high) = across, up
    corners = np.array([(x - 0.01, a, low), (x - 0.01, b, low), (x - 0.01, b, high), (x - 0.01, a, high)])
    paint_flat(canvas, camera, (corners @ turn.T)[None], color)


def furniture(rng: np.random.Generator) -> Mesh:
    """Make a cupboard, a table, a bench or a potted plant at the origin."""
    tone = rng.uniform(0.15, 0.75) * np.array((1.0, rng.uniform(0.75, 1.0), rng.uniform(0.5, 1.0)))
    wide, kind = rng.uniform(0.3, 0.9), rng.integers(4)
    if kind == 0:
        tall = rng.uniform(0.6, 1.9)
        body = box((-0.25, -wide, 0), (0.25, wide, tall), tone)
        doors = [box((-0.27, s * wide - 0.9 * wide, 0.1), (-0.25, s * wide - 0.1 * wide, tall - 0.1), tone * 1.15)
                 for s in (0, 1)]  # fmt: skip
        return join([body, *doors])
    if kind == 1:
        tall = rng.uniform(0.68, 0.8)
        legs = [box((x - 0.03, y - 0.03, 0), (x + 0.03, y + 0.03, tall), tone * 0.8)
                for x in (0.3, -0.3) for y in (wide - 0.05, 0.05 - wide)]  # fmt: skip
        return join([*legs, box((-0.35, -wide, tall - 0.05), (0.35, wide, tall), tone)])
    if kind == 2:
        seat, back = box((-0.3, -wide, 0), (0.3, wide, 0.42), tone), box((0.2, -wide, 0.42), (0.35, wide, 0.85), tone)
        return join([back, seat])
    green = np.array((0.16, 0.30, 0.12)) * rng.uniform(0.7, 1.3)
    balls = [_ball(rng.normal((0, 0, 0.72), (0.05, 0.07, 0.10)), rng.uniform(0.14, 0.24), green * bright)
             for bright in (0.75, 0.9, 1.0, 1.1, 1.2)]  # fmt: skip
    return join([box((-0.15, -0.15, 0), (0.15, 0.15, 0.6), tone), *balls])


def _ball(center: np.ndarray, radius: float, color: np.ndarray) -> Mesh:
    """Make a rough sphere."""
    polar = np.linspace(0, np.pi, 6)
    centers = center + np.outer(np.cos(polar) * radius, UP)
    forward, left = (np.broadcast_to(axis, (6, 3)) for axis in np.eye(3)[:2])
    return tube(centers, forward, left, radius * np.sin(polar)[:, None].repeat(2, 1), np.broadcast_to(color, (5, 3)), 9)
