"""Painting one vehicle: shadow, wheels, panels, glass, lights. Also which of its keypoints the body itself hides."""

from dataclasses import dataclass

import numpy as np

from posekit.synthetic.scene import Camera, Light, cast_shadow, fill, fill_faces
from posekit.synthetic.vehicle_shapes import Body, Panel

PAINTS = (
    (0.86, 0.86, 0.85), (0.62, 0.64, 0.66), (0.34, 0.35, 0.37), (0.06, 0.06, 0.07), (0.50, 0.06, 0.06),
    (0.08, 0.15, 0.40), (0.13, 0.30, 0.52), (0.50, 0.42, 0.30), (0.10, 0.27, 0.17), (0.80, 0.62, 0.10), (0.36, 0.20, 0.12),
)  # fmt: skip
_PAINT_SHARES = (0.28, 0.16, 0.12, 0.17, 0.08, 0.05, 0.04, 0.04, 0.02, 0.03, 0.01)
_RUBBER, _DARK, _GLASS = (0.05, 0.05, 0.055), (0.035, 0.035, 0.04), (0.05, 0.06, 0.07)


@dataclass(frozen=True)
class Vehicle:
    """A body with its looks: one identity."""

    body: Body
    paint: np.ndarray  # (3,)
    trim: np.ndarray  # (3,) of bumpers and pillars
    rim: np.ndarray  # (3,)
    spokes: int


@dataclass(frozen=True)
class Pose:
    """Where a vehicle stands: metres on the ground, and its heading in radians from the world's x axis."""

    x: float
    y: float
    heading: float

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the vehicle to the world."""
        return points @ self.turn.T + (self.x, self.y, 0.0)

    @property
    def turn(self) -> np.ndarray:
        """The rotation (3, 3) from vehicle to world."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def draw_looks(rng: np.random.Generator, body: Body) -> Vehicle:
    """Paint, trim and wheels for a body."""
    shares = np.array(_PAINT_SHARES)
    paint = np.array(PAINTS[rng.choice(len(PAINTS), p=shares / shares.sum())])
    paint = np.clip(paint * rng.uniform(0.8, 1.15) + rng.normal(0, 0.02, 3), 0.02, 0.92)
    trim = paint if rng.random() < 0.7 else np.array((0.10, 0.10, 0.11))
    return Vehicle(body, paint, trim, np.full(3, rng.uniform(0.3, 0.75)), int(rng.integers(5, 11)))


def paint_vehicle(
    canvas: np.ndarray, camera: Camera, light: Light, vehicle: Vehicle, pose: Pose, mask: np.ndarray | None = None
) -> None:
    """Paint `vehicle` standing at `pose`; where `mask` (H, W) is given, set it to 255 on the vehicle's pixels."""
    cast_shadow(canvas, camera, light, pose.place(_outline(vehicle.body)))
    brush = _Brush(canvas, camera, light, vehicle, pose, mask)
    _underside(brush)
    for name in ("left", "right", "front", "back", "bonnet", "deck"):
        brush.panel(vehicle.body.panels[name], vehicle.paint, gloss=1.0)
    for side in (1, -1):
        _wheels(brush, side)
    _ends(brush)
    _cabin(brush)


@dataclass(frozen=True)
class _Brush:
    """Everything that painting a vehicle's parts needs."""

    canvas: np.ndarray
    camera: Camera
    light: Light
    vehicle: Vehicle
    pose: Pose
    mask: np.ndarray | None

    def eye(self) -> np.ndarray:
        """The camera's place (3,) in the vehicle's frame."""
        return (self.camera.position - (self.pose.x, self.pose.y, 0.0)) @ self.pose.turn

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Vehicle points (..., 3) to pixels (..., 2)."""
        return self.camera.project(self.pose.place(points))

    def panel(self, panel: Panel, color: np.ndarray, gloss: float) -> None:
        """Paint the cells of a panel that face the camera."""
        grid, eye = panel.grid, self.eye()
        towards = eye - 0.25 * (grid[1:, 1:] + grid[:-1, 1:] + grid[1:, :-1] + grid[:-1, :-1])
        seen = (towards * panel.normals).sum(-1) > 0
        if not seen.any():
            return
        towards = towards[seen] / np.linalg.norm(towards[seen], axis=-1, keepdims=True)
        normals = panel.normals[seen] @ self.pose.turn.T
        mirrored, strength = self.light.reflect(normals, towards @ self.pose.turn.T)
        colors = self.light.shade(np.asarray(color), normals) * (1 - gloss * strength) + gloss * strength * mirrored
        pixels = self.pixels(grid)
        faces = np.stack([pixels[:-1, :-1], pixels[1:, :-1], pixels[1:, 1:], pixels[:-1, 1:]], axis=2)[seen]
        fill_faces(self.canvas, faces, colors)
        if self.mask is not None:
            fill_faces(self.mask, faces, np.ones((len(faces), 3)))

    def flat(self, points: np.ndarray, normal: tuple, color: np.ndarray, shaded: bool = True) -> None:
        """Paint a flat polygon (N, 3) of the vehicle when it faces the camera."""
        direction = np.asarray(normal, float)
        if (self.eye() - points.mean(0)) @ direction <= 0:
            return
        tone = self.light.shade(np.asarray(color), self.pose.turn @ direction) if shaded else np.asarray(color)
        pixels = self.pixels(points)
        fill(self.canvas, pixels, tone)
        if self.mask is not None:
            fill(self.mask, pixels, 255)


def _circle(center: np.ndarray, radius: float, count: int = 28, start: float = 0.0, end: float = 360.0) -> np.ndarray:
    """Points (count, 3) of an upright circle whose axis is y."""
    angles = np.radians(np.linspace(start, end, count, endpoint=end - start < 360))
    zero = np.zeros_like(angles)
    return center + radius * np.column_stack([np.cos(angles), zero, np.sin(angles)])


def _outline(body: Body) -> np.ndarray:
    """Points (N, 3) whose convex hull is the body's, with the ground under the wheels."""
    wheels = body.keypoints[[0, 1, 18, 19]] * (1, 1, 0)
    return np.concatenate([body.keypoints, wheels])


def _underside(brush: _Brush) -> None:
    """What shows below the body: the dark of the ground, and the four tyres' treads."""
    body = brush.vehicle.body
    sill = body.keypoints[[10, 17, 35, 28]]
    brush.flat(sill * (0.98, 0.92, 0.0) + (0, 0, 0.02), (0, 0, 1), (0.03, 0.03, 0.03), shaded=False)
    for index, inward in ((0, -1), (1, -1), (18, 1), (19, 1)):
        outer = body.keypoints[index] + (0, 0.03 * inward, 0)
        both = [_circle(outer + (0, d * inward, 0), body.wheel_radius) for d in (0.0, 0.22)]
        for k in range(28):
            quad = np.array([both[0][k], both[0][k - 1], both[1][k - 1], both[1][k]])
            fill(brush.canvas, brush.pixels(quad), (0.045, 0.045, 0.05))
            if brush.mask is not None:
                fill(brush.mask, brush.pixels(quad), 255)
    wall = np.concatenate([sill, sill[::-1] * (1, 1, 0.75)])
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
        quad = np.array([sill[a], sill[b], sill[b] * (1, 1, 0.7), sill[a] * (1, 1, 0.7)])
        fill(brush.canvas, brush.pixels(quad), _DARK)
    del wall


def _wheels(brush: _Brush, side: int) -> None:
    """The arches, tyres and rims of one side, when that side faces the camera."""
    body, vehicle = brush.vehicle.body, brush.vehicle
    radius, normal = body.wheel_radius, (0, side, 0)
    for index in (0, 1):
        center = body.keypoints[index + (0 if side > 0 else 18)]
        ring = _circle(center, 1.33 * radius, 28, -12, 192)
        opening = body.side_points(side, ring[:, 0], ring[:, 2])
        brush.flat(opening, normal, _DARK, shaded=False)
        brush.flat(_circle(center, radius), normal, _RUBBER)
        brush.flat(_circle(center, 0.68 * radius), normal, vehicle.rim)
        for spoke in range(vehicle.spokes):
            middle = 360 * (spoke + 0.5) / vehicle.spokes
            gap = np.concatenate([
                _circle(center, 0.6 * radius, 5, middle - 100 / vehicle.spokes, middle + 100 / vehicle.spokes),
                _circle(center, 0.2 * radius, 2, middle + 60 / vehicle.spokes, middle - 60 / vehicle.spokes),
            ])  # fmt: skip
            brush.flat(gap, normal, (0.08, 0.08, 0.08), shaded=False)


def _ends(brush: _Brush) -> None:
    """Head lights, grille and plate in front; tail lights and plate behind."""
    front, back = brush.vehicle.body.panels["front"], brush.vehicle.body.panels["back"]
    low = brush.vehicle.body.kind in ("bus", "truck")
    brush.panel(front.part((0.0, 1.0), (0.0, 0.3), "bumper"), brush.vehicle.trim, 0.6)
    brush.panel(front.part((0.3, 0.7), (0.55, 0.85), "grille"), np.array(_DARK), 0.3)
    brush.panel(front.part((0.25, 0.75), (0.08, 0.22), "intake"), np.array(_DARK), 0.3)
    brush.panel(front.part((0.39, 0.61), (0.3, 0.45), "plate"), np.array((0.12, 0.25, 0.6)), 0.1)
    brush.panel(back.part((0.37, 0.63), (0.35, 0.52), "plate"), np.array((0.12, 0.25, 0.6)), 0.1)
    height = (0.25, 0.45) if low else (0.62, 0.92)
    for u in ((0.02, 0.24), (0.76, 0.98)):
        brush.panel(front.part(u, height, "head light"), np.array((0.85, 0.87, 0.9)), 0.8)
    for u in ((0.01, 0.2), (0.8, 0.99)):
        brush.panel(back.part(u, height, "tail light"), np.array((0.55, 0.03, 0.03)), 0.6)


def _cabin(brush: _Brush) -> None:
    """What stands on the belt line: windows all round and the roof."""
    panels, paint = brush.vehicle.body.panels, brush.vehicle.paint
    eye = brush.eye()
    sides = ("left windows", "right windows") if eye[1] < 0 else ("right windows", "left windows")
    for name in (*sides, "windscreen", "rear window", "roof"):
        brush.panel(panels[name], paint, 1.0)
        if name == "roof":
            continue
        spans = ((0.04, 0.33), (0.37, 0.66), (0.7, 0.97)) if "windows" in name else ((0.05, 0.95),)
        for span in spans:
            brush.panel(panels[name].part(span, (0.08, 0.88), "glass"), np.array(_GLASS), 1.0)


def self_hidden(vehicle: Vehicle, eye: np.ndarray, tolerance: float = 0.04) -> np.ndarray:
    """Which of the 36 keypoints the body hides from `eye` (3,), in the vehicle's frame: (36,) bool.

    Each keypoint, moved `tolerance` metres out of the body, is joined to the eye; it is hidden when the line meets
    a panel further than 2 `tolerance` away (Möller and Trumbore's test).
    """
    body = vehicle.body
    middle = np.array((0.0, 0.0, 0.5 * body.size[2]))
    out = body.keypoints - middle * (1, 1, 1) - body.keypoints * (0.8, 0, 0)
    start = body.keypoints + tolerance * out / np.linalg.norm(out, axis=1, keepdims=True)
    ray = eye - start
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    corner, edge1, edge2 = _triangles(body, eye)
    cross = np.cross(ray[:, None], edge2)
    det = (cross * edge1).sum(-1)
    det = np.where(np.abs(det) < 1e-9, 1e-9, det)
    offset = start[:, None] - corner
    u = (offset * cross).sum(-1) / det
    other = np.cross(offset, edge1)
    v = (other * ray[:, None]).sum(-1) / det
    t = (other * edge2).sum(-1) / det
    return ((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 2 * tolerance)).any(1)


def _triangles(body: Body, eye: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The panels' cells that face the eye, and the floor, as triangles: a corner and two edges, each (T, 3)."""
    quads = []
    for panel in body.panels.values():
        grid = panel.grid
        cells = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=2)
        facing = ((eye - cells.mean(2)) * panel.normals).sum(-1) > 0
        quads.append(cells[facing])
    corners = np.concatenate(quads)
    triangles = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    return triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
