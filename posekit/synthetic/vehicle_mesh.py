"""The mesh of a vehicle: paint, wheels, glass and lights; and which of its own keypoints it hides."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from posekit.synthetic.mesh import Mesh, box, faces, join, mirrored, polygon
from posekit.synthetic.vehicle_shapes import Body, Panel

PAINTS = (
    (0.84, 0.84, 0.83), (0.60, 0.62, 0.64), (0.33, 0.34, 0.36), (0.055, 0.055, 0.06), (0.50, 0.05, 0.05),
    (0.07, 0.14, 0.40), (0.12, 0.30, 0.52), (0.50, 0.42, 0.30), (0.08, 0.26, 0.17), (0.82, 0.62, 0.08),
    (0.34, 0.18, 0.10), (0.80, 0.33, 0.05),
)  # fmt: skip
_PAINT_SHARES = (0.27, 0.16, 0.12, 0.15, 0.08, 0.05, 0.05, 0.04, 0.02, 0.03, 0.01, 0.02)
_RUBBER, _DARK, _GLASS, _PLASTIC = (0.06, 0.06, 0.065), (0.02, 0.02, 0.022), (0.04, 0.05, 0.055), (0.09, 0.09, 0.095)
_WHITE_LAMP, _RED_LAMP, _AMBER_LAMP = (0.88, 0.90, 0.93), (0.60, 0.03, 0.03), (0.85, 0.40, 0.05)
_PLATES = ((0.10, 0.24, 0.62), (0.10, 0.24, 0.62), (0.85, 0.85, 0.82), (0.80, 0.62, 0.10))

# Where the side windows begin and end along the cabin.
_WINDOWS = {
    "saloon": ((0.05, 0.46), (0.51, 0.97)),
    "hatchback": ((0.04, 0.14), (0.18, 0.52), (0.56, 0.97)),
    "SUV": ((0.04, 0.28), (0.32, 0.62), (0.66, 0.97)),
    "van": ((0.03, 0.33), (0.36, 0.66), (0.70, 0.97)),
    "pick-up": ((0.08, 0.48), (0.54, 0.97)),
    "bus": tuple((k / 7 + 0.012, (k + 1) / 7 - 0.008) for k in range(7)),
    "truck": ((0.84, 0.975),),
}


@dataclass(frozen=True)
class Vehicle:
    """A vehicle identity: its body and its mesh."""

    body: Body
    mesh: Mesh


@dataclass(frozen=True)
class _Looks:
    paint: np.ndarray  # (3,)
    roof: np.ndarray  # (3,)
    trim: np.ndarray  # (3,) bumpers
    pillar: np.ndarray  # (3,) between the side windows
    rim: np.ndarray  # (3,)
    plate: tuple[float, float, float]
    spokes: int
    lamps: int  # number of the lights' shape
    glass: np.ndarray  # (3,)
    blank: bool  # a van without side windows behind the doors


def draw_looks(rng: np.random.Generator, body: Body) -> Vehicle:
    """Draw random paint, trim, wheels and lights for a body."""
    shares = np.array(_PAINT_SHARES)
    paint = np.array(PAINTS[rng.choice(len(PAINTS), p=shares / shares.sum())])
    paint = np.clip(paint * rng.uniform(0.8, 1.15) + rng.normal(0, 0.015, 3), 0.02, 0.9)
    black = np.array(_PLASTIC)
    looks = _Looks(
        paint=paint,
        roof=black if rng.random() < 0.12 and body.kind != "truck" else paint,
        trim=black if rng.random() < (0.45 if body.kind in ("SUV", "van", "truck") else 0.15) else paint,
        pillar=black if rng.random() < 0.6 else paint,
        rim=np.full(3, rng.uniform(0.35, 0.8)),
        plate=_PLATES[rng.integers(len(_PLATES))],
        spokes=int(rng.integers(5, 10)),
        lamps=int(rng.integers(3)),
        glass=np.array(_GLASS) * rng.uniform(0.6, 3.0),
        blank=body.kind == "truck" or (body.kind == "van" and rng.random() < 0.35),
    )
    return Vehicle(body, build_mesh(body, looks))


def build_mesh(body: Body, looks: _Looks) -> Mesh:
    """Make the whole vehicle in painting order: underside, lower body, wheels, lights, cabin."""
    panels = body.panels
    lower = ("left", "right", "front", "back", "bonnet", "deck")
    shell = [_panel(panels[name], looks.paint, 0.9, middle=0.3 * body.size[2]) for name in lower]
    left = join([*_side(body, looks), *_wheels(body, looks)])
    ends = [*_front(body, looks), *_back(body, looks)]
    return join([*_underside(body), *shell, *ends, left, mirrored(left), *_cabin(body, looks)])


def _panel(
    panel: Panel, color: tuple | np.ndarray, gloss: float = 0.0, glow: float = 0.0, middle: float | None = None
) -> Mesh:
    """Convert a panel to faces; with `middle`, shade it as if it were rounded around the body's axis at that height."""
    grid = panel.grid
    corners = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=2).reshape(-1, 4, 3)
    facing = panel.normals.reshape(-1, 3)
    normals = facing
    if middle is not None:
        outward = (corners.mean(1) - (0, 0, middle)) * (0.35, 1, 1.3)
        normals = facing + 0.6 * outward / np.linalg.norm(outward, axis=1, keepdims=True)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return faces(corners, facing, color, gloss, glow, normals)


def _circle(center: np.ndarray, radius: float, degrees: np.ndarray) -> np.ndarray:
    """Return points (N, 3) of an upright circle around the y axis."""
    angles = np.radians(degrees)
    return center + radius * np.column_stack([np.cos(angles), np.zeros_like(angles), np.sin(angles)])


def _underside(body: Body) -> list[Mesh]:
    """Make the dark area between the wheels and the treads of the tyres."""
    sill = body.keypoints[[10, 17, 35, 28]] * (0.97, 0.92, 1)
    low = sill * (1, 1, 0.7)
    normals = np.array([(0, 1, 0), (1, 0, 0), (0, -1, 0), (-1, 0, 0)], float)
    skirt = np.stack([sill, np.roll(sill, -1, 0), np.roll(low, -1, 0), low], axis=1)
    parts = [faces(skirt, normals, _DARK)]
    degrees = np.linspace(0, 360, 25)
    for index in (0, 1, 18, 19):
        side = 1 if index < 18 else -1
        center = body.keypoints[index] - (0, 0.02 * side, 0)
        outer, inner = (_circle(center - (0, y * side, 0), body.wheel_radius, degrees) for y in (0.0, 0.23))
        around = np.stack([outer[:-1], outer[1:], inner[1:], inner[:-1]], axis=1)
        parts.append(faces(around, (around.mean(1) - center) * (1, 0, 1) / body.wheel_radius, _RUBBER))
    return parts


def _wheels(body: Body, looks: _Looks) -> list[Mesh]:
    """Make the arches, tyres and rims of the left side."""
    normal, radius, parts = (0, 1, 0), body.wheel_radius, []
    full = np.linspace(0, 360, 29)[:-1]
    for index in (0, 1):
        center = body.keypoints[index]
        for reach, color in ((body.arch + 0.03, looks.trim * 0.75), (body.arch, _DARK)):
            ring = _circle(center, reach, np.linspace(-12, 192, 24))
            parts.append(polygon(body.side_points(ring[:, 0], ring[:, 2]), normal, color))
        parts.append(polygon(_circle(center, radius, full), normal, _RUBBER))
        parts.append(polygon(_circle(center, 0.70 * radius, full), normal, looks.rim, 0.3))
        step = 360 / looks.spokes
        for middle in (np.arange(looks.spokes) + 0.5) * step:
            outer = _circle(center, 0.62 * radius, middle + step * np.array((-0.3, 0, 0.3)))
            inner = _circle(center, 0.22 * radius, np.array([middle]))
            parts.append(polygon(np.concatenate([outer, inner]), normal, (0.07, 0.07, 0.07)))
    return parts


def _stripe(body: Body, points: list, width: float, color: tuple | np.ndarray) -> Mesh:
    """Make a thin line along the left side through (x, z) points."""
    line = np.array(points)
    dense = np.concatenate([np.linspace(a, b, 5)[:-1] for a, b in zip(line[:-1], line[1:], strict=True)] + [line[-1:]])
    along = np.gradient(dense, axis=0)
    across = np.column_stack([-along[:, 1], along[:, 0]]) * (0.5 * width / np.linalg.norm(along, axis=1, keepdims=True))
    one, two = (body.side_points(*(dense + sign * across).T) for sign in (1, -1))
    return faces(np.stack([one[:-1], one[1:], two[1:], two[:-1]], axis=1), (0, 1, 0), color)


def _side(body: Body, looks: _Looks) -> list[Mesh]:
    """Make sill, door seams, handles and crease of the left side."""
    points = body.keypoints
    low, belt = points[10, 2], points[15, 2] - 0.02
    front, rear = points[5, 0] + 0.04, points[6, 0] - 0.04
    seam = looks.paint * 0.25
    middle = 0.5 * (front + rear)
    parts = [_stripe(body, [(rear, low + 0.06), (front, low + 0.06)], 0.12, looks.trim * 0.6)]
    for x in (front + 0.1, middle, rear + 0.05):
        parts.append(_stripe(body, [(x, low + 0.12), (x, belt)], 0.025, seam))
    for x in (middle + 0.22, rear + 0.25):
        parts.append(_stripe(body, [(x - 0.1, belt - 0.13), (x + 0.1, belt - 0.13)], 0.035, looks.paint * 0.5))
    crease = low + 0.62 * (belt - low)
    ends = [(points[10, 0] * 0.9, crease), (points[17, 0] * 0.9, crease)]
    parts.append(_stripe(body, ends, 0.02, looks.paint * 0.7))
    return parts


def _front(body: Body, looks: _Looks) -> list[Mesh]:
    """Make bumper, grille, number plate and headlights."""
    panel = body.panels["front"]
    flat = body.kind in ("bus", "truck")
    lamp = (0.36, 0.66) if flat else ((0.60, 0.93), (0.68, 0.90), (0.55, 0.95))[looks.lamps]
    width = (0.17, 0.26, 0.2)[looks.lamps]
    parts = [
        _panel(panel.part((0.0, 1.0), (0.0, 0.32)), looks.trim, 0.4),
        _panel(panel.part((0.22, 0.78), (0.06, 0.24)), _DARK, 0.2),
        _panel(panel.part((0.33, 0.67), (0.52, 0.88)), _PLASTIC, 0.5),
        _panel(panel.part((0.35, 0.65), (0.72, 0.76)), (0.7, 0.7, 0.7), 0.5),
        _panel(panel.part((0.39, 0.61), (0.29, 0.46)), looks.plate, 0.0, 0.2),
    ]
    for u in ((0.015, width), (1 - width, 0.985)):
        parts.append(_panel(panel.part(u, lamp), (0.1, 0.1, 0.11), 0.5))
        inner = (u[0] + 0.02, u[1] - 0.02)
        parts.append(_panel(panel.part(inner, (lamp[0] + 0.03, lamp[1] - 0.03)), _WHITE_LAMP, 0.6, 0.3))
    return parts


def _back(body: Body, looks: _Looks) -> list[Mesh]:
    """Make bumper, number plate, tail lights and the seam of the boot."""
    panel = body.panels["back"]
    tall = body.kind in ("SUV", "van", "hatchback")
    lamp = (0.30, 0.55) if body.kind in ("bus", "truck") else ((0.55, 0.98) if tall else (0.58, 0.90))
    width = 0.13 if tall else (0.18, 0.26, 0.22)[looks.lamps]
    plate = (0.40, 0.56) if tall else (0.66, 0.82)
    parts = [
        _panel(panel.part((0.0, 1.0), (0.0, 0.36)), looks.trim, 0.4),
        _panel(panel.part((0.0, 1.0), (0.35, 0.375)), looks.paint * 0.3),
        _panel(panel.part((0.37, 0.63), plate), looks.plate, 0.0, 0.2),
        _panel(panel.part((0.2, 0.8), (0.03, 0.1)), _DARK, 0.2),
    ]
    for u in ((0.01, width), (1 - width, 0.99)):
        parts.append(_panel(panel.part(u, lamp), _RED_LAMP, 0.5, 0.35))
        split = lamp[0] + 0.35 * (lamp[1] - lamp[0])
        color = _AMBER_LAMP if looks.lamps == 0 else _WHITE_LAMP
        parts.append(_panel(panel.part(u, (split - 0.05, split + 0.05)), color, 0.5, 0.3))
    return parts


def _cabin(body: Body, looks: _Looks) -> list[Mesh]:
    """Make all above the belt line: windows, mirrors and roof."""
    panels, parts = body.panels, []
    spans = _WINDOWS.get(body.kind, _WINDOWS["saloon"])
    for name in ("left windows", "right windows"):
        parts.append(_panel(panels[name], looks.paint, 0.8, middle=0.6 * body.size[2]))
        if not looks.blank:
            parts.append(_panel(panels[name].part((0.02, 0.985), (0.06, 0.90)), looks.pillar, 0.3))
        for span in spans[-1:] if looks.blank else spans:
            parts.append(_panel(panels[name].part(span, (0.10, 0.86)), looks.glass, 3.0))
    for name in ("windscreen", "rear window"):
        parts.append(_panel(panels[name], looks.paint, 0.8))
        if name == "windscreen" or not looks.blank:
            parts.append(_panel(panels[name].part((0.05, 0.95), (0.05, 0.93)), _PLASTIC, 0.5))
            parts.append(_panel(panels[name].part((0.07, 0.93), (0.09, 0.89)), looks.glass, 3.0))
    parts.append(_panel(panels["roof"], looks.roof, 0.9, middle=0.3 * body.size[2]))
    mirrors = list(_mirrors(body, looks))
    # The cabin hides the far mirror, so both are painted before it; then the near one again, seen from its side only.
    near = [faces(m.corners, (0, side, 0), m.colors, normals=m.normals) for m, side in mirrors]
    return [*(m for m, _ in mirrors), *parts, *near]


def _mirrors(body: Body, looks: _Looks) -> Iterator[tuple[Mesh, int]]:
    """Yield both wing mirrors, each with its side (1: left, -1: right)."""
    corner = body.keypoints[15]
    reach = 0.10 * body.size[1]
    for side in (1, -1):
        y = sorted((side * (corner[1] - 0.02), side * (corner[1] + reach)))
        x, z = corner[0] - 0.30, corner[2] + 0.06
        yield box((x, y[0], z), (x + 0.12, y[1], z + 0.16), looks.paint * 0.9, 0.4), side


def self_hidden(body: Body, eye: np.ndarray, tolerance: float = 0.055) -> np.ndarray:
    """Return which of the 36 keypoints the body hides from `eye` (3,), in the vehicle's frame, (36,) bool.

    A line joins the eye to each keypoint, moved `tolerance` metres out of the body. The keypoint is hidden if the line
    crosses a panel more than 2 × `tolerance` before its end. With the eye as origin, the line to p crosses the triangle
    abc if p.(b x c), p.(c x a) and p.(a x b) have the sign of a.(b x c); p is beyond it if their sum is larger.
    """
    out = body.keypoints * (0.2, 1, 1) - (0, 0, 0.5 * body.size[2])
    ends = body.keypoints + tolerance * out / np.linalg.norm(out, axis=1, keepdims=True) - eye
    ends *= 1 - 2 * tolerance / np.linalg.norm(ends, axis=1, keepdims=True)
    a, b, c = np.moveaxis(_triangles(body, eye) - eye, 1, 0)
    inside = np.stack([ends @ np.cross(p, q).T for p, q in ((b, c), (c, a), (a, b))])  # (3, 36, T)
    volume = (a * np.cross(b, c)).sum(-1)
    inside *= np.sign(volume)
    return ((inside >= 0).all(0) & (inside.sum(0) > np.abs(volume))).any(1)


def _triangles(body: Body, eye: np.ndarray) -> np.ndarray:
    """Return the cells of the panels that face the eye, as triangles (T, 3, 3)."""
    quads = []
    for panel in body.panels.values():
        grid = panel.grid[::2, ::2]
        cells = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=2)
        facing = ((eye - cells[:, :, 0]) * panel.normals[::2, ::2]).sum(-1) > 0
        quads.append(cells[facing])
    corners = np.concatenate(quads)
    return np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
