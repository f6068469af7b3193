"""People in one picture: place them, aim the camera at them, and paint the picture."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from posekit.synthetic.mesh import Mesh, Pose, box, faces, far_first, join, moved
from posekit.synthetic.person_body import (
    HEAD_TOP,
    NECK,
    PELVIS,
    Capsules,
    Figure,
    about_z,
    capsules,
    draw_build,
    gap,
    hidden_joints,
    pose_figure,
    runs_through_itself,
)
from posekit.synthetic.person_mesh import Looks, draw_looks, dress
from posekit.synthetic.person_places import furniture, paint_place
from posekit.synthetic.person_pose import draw_angles
from posekit.synthetic.scene import Camera, Light, darken, draw_light, look_at, paint_mesh
from posekit.synthetic.surroundings import paint_leaves, paint_pole
from posekit.synthetic.variety import crease, obstruct, repaint

SIZES = ((640, 360), (640, 480), (480, 640), (720, 480), (854, 480), (960, 540), (1280, 720))
_SIZE_SHARES = (0.22, 0.16, 0.08, 0.16, 0.16, 0.12, 0.10)
VARIED_SIZES = ((400, 400), (360, 480), (480, 360))
HEADS_IN_BOX = 7.5  # width of MPII's boxes / distance from neck to head top
_FEWEST_JOINTS, _FEWEST_SHOWN = 7, 6  # joints of a labelled person inside the picture; of these, not hidden
_MOST_COVERED = 5  # joints of a person that an object in front may cover


@dataclass(frozen=True)
class Block:
    """A box to sit on: two opposite corners (3,) in its frame, rotated by `turn` (3, 3), placed at `spot` (3,)."""

    low: np.ndarray
    high: np.ndarray
    turn: np.ndarray
    spot: np.ndarray
    color: np.ndarray

    @property
    def mesh(self) -> Mesh:
        """Return its surface in faces small enough to be sorted by distance together with those of a body."""
        return moved(split_faces(box(tuple(self.low), tuple(self.high), self.color), 5), self.turn, self.spot)

    def hides(self, points: np.ndarray, eye: np.ndarray) -> np.ndarray:
        """Return which lines from points (N, 3) to `eye` (3,) intersect the box (slab method), (N,) bool."""
        start, towards = (points - self.spot) @ self.turn, (eye - points) @ self.turn
        towards = np.where(np.abs(towards) < 1e-9, 1e-9, towards)
        first, second = (self.low - start) / towards, (self.high - start) / towards
        enter, leave = np.minimum(first, second).max(1), np.maximum(first, second).min(1)
        return (enter < leave) & (leave > 0) & (enter < 1)


@dataclass(frozen=True)
class Person:
    """A figure in the world, with its looks, its body as rounded cones, and the block that it sits on."""

    figure: Figure
    looks: Looks
    parts: Capsules
    seat: Block | None


@dataclass(frozen=True)
class Picture:
    """People and the camera that sees them."""

    people: list[Person]
    camera: Camera


def draw_picture(rng: np.random.Generator, count: int, varied: bool = False) -> Picture:
    """Draw `count` people near the world's origin, and a camera that sees enough of each."""
    near = rng.random() < (0.2 if varied else 0.42)  # cut off at the knees or the waist
    zoom = rng.uniform(1.15, 2.2) if near else np.exp(rng.normal(np.log(0.80), 0.3)) / count**0.25
    size = VARIED_SIZES[rng.integers(3)] if varied else SIZES[rng.choice(len(SIZES), p=_SIZE_SHARES)]
    for attempt in range(40):
        if attempt % 5 == 0:
            people: list[Person] = []
            for _ in range(count):
                people.append(_place(rng, draw_person(rng, varied), people))
        camera = draw_camera(rng, people, size, zoom * 0.88 ** (attempt % 5) * 0.95 ** (attempt // 5))
        if all(_enough(people, k, camera) for k in range(count)):
            break
    return Picture(people, camera)


def draw_person(rng: np.random.Generator, varied: bool = False) -> Person:
    """Draw a person of random build, posture, heading and looks at the origin; the camera looks along the x axis.

    Most face the camera; if `varied`, every direction and far more postures are as likely.
    """
    build = draw_build(rng)
    heading = np.pi + rng.normal(0, 0.45) if rng.random() < (0.3 if varied else 0.90) else rng.uniform(-np.pi, np.pi)
    for _ in range(8):
        _, angles = draw_angles(rng, varied)
        figure = pose_figure(build, angles, heading)
        parts = capsules(figure)
        if not runs_through_itself(parts):
            break
    looks = draw_looks(rng)
    if varied:
        looks = replace(looks, loose=rng.uniform(0, 0.045))
    return Person(figure, looks, parts, _seat(rng, figure.seat, heading))


def _seat(rng: np.random.Generator, top: float | None, heading: float) -> Block | None:
    """Draw a block or bench of height `top` (metres) under a person who faces `heading`; None if `top` is None."""
    if top is None:
        return None
    wide, deep = rng.uniform(0.2, 0.8), rng.uniform(0.16, 0.24)
    color = rng.uniform(0.15, 0.8) * np.array((1.0, rng.uniform(0.8, 1.0), rng.uniform(0.6, 1.0)))
    low, high = np.array((-0.22, -wide, 0.0)), np.array((deep, wide, top))
    return Block(low, high, about_z(np.degrees(heading)), np.zeros(3), color)


def split_faces(mesh: Mesh, count: int) -> Mesh:
    """Split each face of a surface into count × count faces."""
    steps = np.linspace(0, 1, count + 1)
    a, b, c, d = np.moveaxis(mesh.corners, 1, 0)
    u, v = np.meshgrid(steps, steps, indexing="ij")
    weights = ((1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v)
    parts = (w[None, ..., None] * p[:, None, None] for w, p in zip(weights, (a, b, c, d), strict=True))
    grid = sum(parts, start=np.zeros(3))
    small = np.stack([grid[:, :-1, :-1], grid[:, 1:, :-1], grid[:, 1:, 1:], grid[:, :-1, 1:]], axis=3)
    each = count * count
    return faces(small.reshape(-1, 4, 3), mesh.facing.repeat(each, 0), mesh.colors.repeat(each, 0))


def _place(rng: np.random.Generator, person: Person, others: list[Person]) -> Person:
    """Move the person to a free place beside, in front of or behind the others."""
    if not others:
        return person
    for attempt in range(30):
        spread = 0.55 * len(others) + 0.06 * attempt
        spot = np.array((rng.normal(0, 0.8 + 0.05 * attempt), rng.choice([-1, 1]) * rng.uniform(0.2, 0.6 + spread), 0))
        there = _moved(person, spot)
        if all(gap(there.parts, other.parts) > 0.02 for other in others):
            return there
    return _moved(person, np.array((0.0, 1.6 * len(others) + 0.4, 0.0)))


def _moved(person: Person, spot: np.ndarray) -> Person:
    figure = person.figure.moved(np.eye(3), spot)
    seat = None if person.seat is None else replace(person.seat, spot=person.seat.spot + spot)
    return Person(figure, person.looks, capsules(figure), seat)


def draw_camera(rng: np.random.Generator, people: list[Person], size: tuple[int, int], zoom: float) -> Camera:
    """Draw a camera in which the first person's box is about `zoom` times as high as the picture."""
    width, height = size
    joints = np.concatenate([person.figure.joints for person in people])
    nearest = -joints[:, 0].min()
    box_side = HEADS_IN_BOX * people[0].figure.build.head
    distance = max(np.exp(rng.normal(np.log(5.5), 0.35)), nearest + 2.4, 0.8 * width * box_side / (zoom * height))
    level = rng.uniform(2.4, 4.2) if rng.random() < 0.1 else np.clip(rng.normal(1.45, 0.4), 0.4, 2.4)
    target = joints.mean(0)
    camera = look_at(
        np.array((target[0] - distance, target[1] + rng.normal(0, 0.15 * distance), level)), target,
        np.radians(rng.normal(0, 2.0)), zoom * height * distance / box_side, size,
    )  # fmt: skip
    low, high = (f(camera.project(joints), axis=0) for f in (np.min, np.max))
    room = np.array(size) * 0.94 - (high - low)
    start = np.array(size) * 0.03 + np.maximum(room, 0) * rng.uniform(0, 1, 2)
    if room[0] < 0:
        start[0] += room[0] * rng.uniform(0.2, 0.8)
    if room[1] < 0:
        start[1] = height * rng.uniform(0.03, 0.15)
    left, top = low - start
    return camera.cropped(left, top, width, height)


def _enough(people: list[Person], number: int, camera: Camera) -> bool:
    """Whether a person's head, neck and enough other joints are inside the picture, and enough of them not hidden."""
    points = np.round(camera.project(people[number].figure.joints))
    inside = is_inside(points, camera.size)
    shown = inside & ~hidden(people, number, camera)
    return bool(inside[[NECK, HEAD_TOP]].all() and inside.sum() >= _FEWEST_JOINTS and shown.sum() >= _FEWEST_SHOWN)


def is_inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return which points (N, 2) are inside a picture of `size`, (N,) bool."""
    return ((points >= 0) & (points < size)).all(1)


def hidden(people: list[Person], number: int, camera: Camera) -> np.ndarray:
    """Return which of a person's joints are hidden by the bodies and seats in the picture, (16,) bool."""
    joints, bodies = people[number].figure.joints, [person.parts for person in people]
    covered = hidden_joints(people[number].figure, bodies, number, camera.position)
    for person in people:
        if person.seat is not None:
            covered |= person.seat.hides(joints, camera.position)
    return covered


def paint_picture(
    picture: Picture, fine: float, rng: np.random.Generator, varied: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Paint the picture `fine` times as large; return the canvas (H, W, 3) and a mask (H, W) of objects in front."""
    camera = picture.camera.scaled(fine)
    width, height = camera.size
    canvas, mask = np.empty((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    light = draw_light(rng)
    farthest = max(person.figure.joints[:, 0].max() for person in picture.people)
    paint_place(canvas, camera, light, rng, farthest + 0.4)
    if varied:
        repaint(canvas, rng)
    _shadows(canvas, camera, light, [person.parts for person in picture.people])
    surface = np.zeros_like(mask) if varied else None
    _paint_people(canvas, camera, light, picture.people, surface)
    if surface is not None:
        crease(canvas, surface, rng)
    before = draw_before(picture, rng)
    if before is not None:
        paint_mesh(canvas, camera, light, before, Pose(0.0, 0.0, 0.0), mask)
    if rng.random() < 0.04:
        away = (picture.people[0].figure.joints[PELVIS] - camera.position) * (1, 1, 0)
        spot = camera.position * (1, 1, 0) + rng.uniform(0.5, 0.8) * away + (0, rng.normal(0, 0.3), 0)
        paint_pole(canvas, mask, camera, light, rng, spot)
    if rng.random() < 0.05:
        paint_leaves(canvas, mask, light, rng)
    if varied:
        obstruct(canvas, mask, rng)
    return canvas, mask


def draw_before(picture: Picture, rng: np.random.Generator) -> Mesh | None:
    """In some pictures draw an object in front of the people; None otherwise, or if it hides too much of someone."""
    camera, people = picture.camera, picture.people
    if rng.random() > 0.12:
        return None
    pelvis = people[rng.integers(len(people))].figure.joints[PELVIS]
    nearest = min(person.figure.joints[:, 0].min() for person in people)
    x = nearest - rng.uniform(0.35, 0.9)
    if x - 0.5 < camera.position[0] + 1.2:
        return None
    y = (
        pelvis[1]
        + rng.normal(0, 0.45)
        + (camera.position[1] - pelvis[1]) * (pelvis[0] - x) / (pelvis[0] - camera.position[0])
    )
    thing = moved(furniture(rng), np.eye(3), (x, y, 0.0))
    hull = cv2.convexHull(camera.project(thing.corners.reshape(-1, 3)).astype(np.float32))
    for number, person in enumerate(people):
        points = camera.project(person.figure.joints)
        free = [cv2.pointPolygonTest(hull, point, False) < 0 for point in points.tolist()]
        shown = is_inside(points, camera.size) & ~hidden(people, number, camera) & free
        if shown.sum() < _FEWEST_SHOWN or sum(free) < 16 - _MOST_COVERED:
            return None
    return thing


def _paint_people(
    canvas: np.ndarray, camera: Camera, light: Light, people: list[Person], mask: np.ndarray | None = None
) -> None:
    """Paint all people and their seats, face by face from far to near, and their pixels into `mask` (H, W)."""
    dressed = [dress(person.figure, person.looks) for person in people]
    seats = [person.seat.mesh for person in people if person.seat is not None]
    nearer = np.concatenate([lead for _, lead in dressed] + [np.zeros(len(seat.corners)) for seat in seats])
    mesh = far_first(join([body for body, _ in dressed] + seats), camera.position, nearer)
    paint_mesh(canvas, camera, light, mesh, Pose(0.0, 0.0, 0.0), mask)


def _shadows(canvas: np.ndarray, camera: Camera, light: Light, bodies: list[Capsules]) -> None:
    """Darken the ground where bodies block the sun, and, near them, much of the sky."""
    scale = camera.focal / np.linalg.norm(camera.position)
    slope = light.towards[:2] / light.towards[2]
    for reach, strength, blur in ((1.0, light.shadow, 0.012), (0.1, 0.5, 0.06)):
        shapes = np.concatenate([_flat(parts, reach * slope) for parts in bodies])
        darken(canvas, camera, shapes, strength, float(blur * scale))


def _flat(parts: Capsules, slope: np.ndarray) -> np.ndarray:
    """Return the shadows (C, 12, 3) of rounded cones on the ground: half a circle around each end."""
    ends = [point[:, :2] - point[:, 2:] * slope for point in (parts.a, parts.b)]
    along = ends[1] - ends[0]
    turn = np.arctan2(along[:, 1], along[:, 0])[:, None] + np.linspace(-np.pi / 2, np.pi / 2, 6)
    around = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    halves = [ends[1][:, None] + around * parts.radii[:, 1, None, None]]
    halves.append(ends[0][:, None] - around * parts.radii[:, 0, None, None])
    flat = np.concatenate(halves, axis=1)
    return np.concatenate([flat, np.zeros((*flat.shape[:2], 1))], axis=-1)
