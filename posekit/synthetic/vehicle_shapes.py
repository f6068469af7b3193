"""The parametric body of a vehicle: 36 keypoints and curved panels through them.

Units are metres; x is forward from the middle of the vehicle, y to its left, z up from the ground. Keypoints are
numbered as in `posekit.skeletons.VEHICLE`. Proportions are those of common cars; lengthwise positions follow the public
mean shape.
"""

from dataclasses import dataclass

import numpy as np

# The keypoints of one side that form its profile, from the lower back over the roof to the lower front.
BACK_BOTTOM, BACK_TOP, REAR_LOW, REAR_HIGH, SCREEN_HIGH, SCREEN_LOW, BONNET, FRONT_BOTTOM = range(10, 18)


@dataclass(frozen=True)
class BodyType:
    """Typical proportions of one type. `profile` has (x / length, z / height) of keypoints 10 to 17."""

    name: str
    share: float  # share of all vehicles
    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    profile: tuple[tuple[float, float], ...]
    wheels: tuple[float, float]  # x / length of the rear and the front axle
    wheel_radius: float
    tumblehome: float  # half-width of the roof as a fraction of the body's


BODY_TYPES = (
    BodyType("saloon", 0.42, (4.4, 4.95), (1.72, 1.88), (1.42, 1.52),
        ((-0.5, 0.22), (-0.483, 0.63), (-0.385, 0.71), (-0.235, 0.965),
         (0.09, 0.97), (0.255, 0.67), (0.472, 0.48), (0.5, 0.18)),
        (-0.298, 0.318), 0.32, 0.70),
    BodyType("hatchback", 0.16, (3.6, 4.3), (1.62, 1.8), (1.45, 1.58),
        ((-0.5, 0.23), (-0.487, 0.58), (-0.462, 0.70), (-0.36, 0.955),
         (0.09, 0.97), (0.275, 0.66), (0.468, 0.50), (0.5, 0.18)),
        (-0.315, 0.33), 0.31, 0.71),
    BodyType("SUV", 0.20, (4.3, 4.9), (1.8, 1.95), (1.65, 1.82),
        ((-0.5, 0.26), (-0.487, 0.56), (-0.465, 0.70), (-0.375, 0.955),
         (0.08, 0.97), (0.245, 0.68), (0.468, 0.54), (0.5, 0.21)),
        (-0.305, 0.322), 0.36, 0.73),
    BodyType("van", 0.11, (3.9, 5.1), (1.62, 1.9), (1.8, 2.1),
        ((-0.5, 0.20), (-0.492, 0.50), (-0.482, 0.62), (-0.43, 0.955),
         (0.2, 0.97), (0.36, 0.60), (0.475, 0.48), (0.5, 0.16)),
        (-0.29, 0.33), 0.32, 0.78),
    BodyType("pick-up", 0.04, (4.9, 5.4), (1.78, 1.95), (1.7, 1.85),
        ((-0.5, 0.28), (-0.495, 0.60), (-0.155, 0.63), (-0.095, 0.955),
         (0.10, 0.965), (0.235, 0.66), (0.47, 0.56), (0.5, 0.22)),
        (-0.29, 0.325), 0.38, 0.74),
    BodyType("bus", 0.03, (8.5, 11.5), (2.35, 2.55), (2.9, 3.2),
        ((-0.5, 0.13), (-0.498, 0.38), (-0.495, 0.52), (-0.478, 0.96),
         (0.46, 0.955), (0.486, 0.42), (0.494, 0.34), (0.5, 0.11)),
        (-0.25, 0.29), 0.48, 0.88),
    BodyType("truck", 0.03, (5.6, 7.2), (1.95, 2.3), (2.4, 2.9),
        ((-0.5, 0.22), (-0.498, 0.42), (-0.497, 0.55), (-0.492, 0.97),
         (0.36, 0.97), (0.455, 0.48), (0.488, 0.38), (0.5, 0.15)),
        (-0.27, 0.33), 0.40, 0.90),
)  # fmt: skip

# Half-width at the profile's keypoints as a fraction of the body's; the type gives the roof's two.
_PROFILE_WIDTH = (0.885, 0.84, 0.83, 0.0, 0.0, 0.88, 0.83, 0.87)
_ARCH_DEGREES = (-12.0, 45.0, 135.0, 192.0)  # the four keypoints around a wheel arch, seen from the left
_COLUMNS, _ROWS = (4, 12, 8), 6  # cells per side: between the corners of the belt line; from sill to belt

# How far the line from each profile keypoint to its mirror image bulges forward and up, in body widths.
_CROSS_BOW = (
    (-0.075, 0.0), (-0.07, 0.02), (-0.055, 0.02), (-0.015, 0.02), (0.025, 0.02), (0.06, 0.02), (0.11, 0.02),
    (0.12, 0.0),
)  # fmt: skip
# The panels across the body: the keypoints of their lower and upper edges, and their outward direction.
_CROSS_PANELS = {
    "front": (FRONT_BOTTOM, BONNET, (1, 0, 0)), "back": (BACK_BOTTOM, BACK_TOP, (-1, 0, 0)),
    "bonnet": (BONNET, SCREEN_LOW, (0.2, 0, 1)), "deck": (BACK_TOP, REAR_LOW, (-0.2, 0, 1)),
    "windscreen": (SCREEN_LOW, SCREEN_HIGH, (1, 0, 1)), "rear window": (REAR_LOW, REAR_HIGH, (-1, 0, 0.6)),
    "roof": (REAR_HIGH, SCREEN_HIGH, (0, 0, 1)),
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """A curved surface: a grid of points (n, m, 3) and the outward unit normals of its cells (n-1, m-1, 3)."""

    grid: np.ndarray
    normals: np.ndarray

    def at(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return points (..., 3) at u, v in 0..1 along the grid's first and second axis."""
        n, m = self.grid.shape[:2]
        i, j = np.clip(np.asarray(u) * (n - 1), 0, n - 1), np.clip(np.asarray(v) * (m - 1), 0, m - 1)
        a, b = np.minimum(i.astype(int), n - 2), np.minimum(j.astype(int), m - 2)
        s, t = (i - a)[..., None], (j - b)[..., None]
        low = self.grid[a, b] * (1 - s) + self.grid[a + 1, b] * s
        high = self.grid[a, b + 1] * (1 - s) + self.grid[a + 1, b + 1] * s
        return low * (1 - t) + high * t

    def part(self, u: tuple[float, float], v: tuple[float, float]) -> "Panel":
        """Return the part between two values of u and two of v, for example a window."""
        us, vs = np.meshgrid(np.linspace(*u, 3 + int(4 * (u[1] - u[0]))), np.linspace(*v, 3), indexing="ij")
        return _panel(self.at(us, vs), self.normals.mean((0, 1)))


@dataclass(frozen=True)
class Body:
    """One vehicle's geometry."""

    kind: str
    size: tuple[float, float, float]  # length, width, height
    keypoints: np.ndarray  # (36, 3)
    wheel_radius: float
    arch: float  # radius of the wheel arches through their keypoints
    panels: dict[str, Panel]

    def side_points(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return points (N, 3) at x, z on the left panel of the lower body."""
        return _on_side(self.panels["left"], np.asarray(x, float), np.asarray(z, float))


def draw_body(rng: np.random.Generator, kind: str | None = None) -> Body:
    """Draw a random vehicle, of a random type unless `kind` names one of BODY_TYPES."""
    shares = np.array([t.share for t in BODY_TYPES])
    chosen = BODY_TYPES[rng.choice(len(BODY_TYPES), p=shares / shares.sum())]
    chosen = next((t for t in BODY_TYPES if t.name == kind), chosen)
    length, width, height = (rng.uniform(*r) for r in (chosen.length, chosen.width, chosen.height))
    profile = np.array(chosen.profile) + rng.normal(0, (0.0075, 0.015), (8, 2)) * _loose(chosen.name)
    roof = chosen.tumblehome + rng.normal(0, 0.015)
    widths = np.array(_PROFILE_WIDTH) + rng.normal(0, 0.012, 8)
    widths[[3, 4]] = roof, roof + 0.01
    if chosen.name in ("bus", "truck"):
        widths = np.where(widths < 0.95, 0.5 * widths + 0.47, widths)
    side = np.column_stack([profile[:, 0] * length, widths * width / 2, profile[:, 1] * height])
    radius = chosen.wheel_radius * rng.uniform(0.95, 1.06)
    axles = np.array(chosen.wheels) * length + rng.normal(0, 0.01, 2) * length
    return build_body(chosen.name, (length, width, height), side, axles, radius)


def _loose(kind: str) -> float:
    """Return how much the profile varies within a type; less for flat-fronted bodies."""
    return 0.3 if kind in ("bus", "truck") else 1.0


def build_body(kind: str, size: tuple[float, float, float], side: np.ndarray, axles: np.ndarray, radius: float) -> Body:
    """Make a body from its left profile `side` (8, 3), keypoints 10 to 17, and wheels of `radius` at `axles` (2,)."""
    length, width, height = size
    panels = _panels(side, width)
    left = panels["left"]
    wheels = _on_side(left, axles, np.full(2, radius))
    angles = np.radians(_ARCH_DEGREES)
    reach = 1.27 * radius
    arch = reach * np.column_stack([np.cos(angles), np.sin(angles)])
    around = [_on_side(left, axle + arch[:, 0], radius + arch[:, 1]) for axle in axles[::-1]]
    keypoints = np.concatenate([wheels, *around, side])
    return Body(kind, size, np.concatenate([keypoints, keypoints * (1, -1, 1)]), radius, reach, panels)


def _panels(side: np.ndarray, width: float) -> dict[str, Panel]:
    """Make all panels of the body from the left profile (8, 3): lower body first, then the cabin."""
    left = _side_grid(side, width)
    _, _, rear_low, rear_high, screen_high, screen_low, _, _ = side
    belt, gutter = _bow(rear_low, screen_low, (0, 0, 0)), _bow(rear_high, screen_high, (0, 0, 0.03))
    window = _between(belt, gutter, (0, 0.02, 0))
    cross = [_bow(p, p * (1, -1, 1), width * np.array((x, 0, z))) for p, (x, z) in zip(side, _CROSS_BOW, strict=True)]
    panels = {"left": _panel(left, (0, 1, 0)), "right": _panel(left * (1, -1, 1), (0, -1, 0))}
    for name, (low, high, outward) in _CROSS_PANELS.items():
        panels[name] = _panel(_between(cross[low - BACK_BOTTOM], cross[high - BACK_BOTTOM]), outward)
    panels["left windows"] = _panel(window, (0, 1, 0.3))
    panels["right windows"] = _panel(window * (1, -1, 1), (0, -1, 0.3))
    return panels


def _side_grid(side: np.ndarray, width: float) -> np.ndarray:
    """Make the left side of the lower body (columns, rows, 3): from sill to belt line, bulging in between."""
    back_low, back_top, rear_low, _, _, screen_low, bonnet, front_low = side
    knots = np.array([back_top, rear_low, screen_low, bonnet])
    # The corners of the belt line are grid points, so that the panels above meet this one without a gap.
    spans = zip(knots[:-1], knots[1:], _COLUMNS, strict=True)
    high = np.concatenate([*(np.linspace(a, b, n, endpoint=False) for a, b, n in spans), knots[-1:]])
    along = (high[:, 0] - back_top[0]) / (bonnet[0] - back_top[0])
    low = back_low + (front_low - back_low) * along[:, None]
    flat = 1 - np.abs(2 * along - 1) ** 4
    low[:, 1] += flat * (0.95 * width / 2 - low[:, 1])
    up = np.linspace(0, 1, _ROWS + 1)[None, :, None]
    grid = low[:, None] * (1 - up) + high[:, None] * up
    bulge = (width / 2 - 0.5 * (low[:, 1] + high[:, 1])) * np.minimum(1, 2.5 * flat + 0.05)
    grid[..., 1] += bulge[:, None] * np.sin(np.pi * up[..., 0]) ** 0.7
    return grid


def _on_side(panel: Panel, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the points (N, 3) of a side panel at x and z; outside the panel, y is that of its edge."""
    low, high = panel.grid[:, 0], panel.grid[:, -1]
    columns = (low[:, 0] - low[0, 0]) / (low[-1, 0] - low[0, 0])  # the same along both edges
    v = np.full(x.shape, 0.5)
    for _ in range(4):
        back, front = (low[i, 0] + v * (high[i, 0] - low[i, 0]) for i in (0, -1))
        along = np.clip((x - back) / (front - back), 0, 1)
        bottom, top = np.interp(along, columns, low[:, 2]), np.interp(along, columns, high[:, 2])
        v = np.clip((z - bottom) / (top - bottom), 0, 1)
    u = np.interp(along, columns, np.linspace(0, 1, len(columns)))
    return np.stack([x, panel.at(u, v)[..., 1], z], axis=-1)


def _bow(start: np.ndarray, end: np.ndarray, rise: tuple | np.ndarray) -> np.ndarray:
    """Return a parabola (13, 3) from start to end, offset by `rise` in the middle."""
    t = np.linspace(0, 1, 13)[:, None]
    return start * (1 - t) + end * t + 4 * t * (1 - t) * np.asarray(rise, float)


def _between(low: np.ndarray, high: np.ndarray, bulge: tuple = (0, 0, 0)) -> np.ndarray:
    """Return the surface (n, 7, 3) between two curves (n, 3), offset by `bulge` in its middle."""
    t = np.linspace(0, 1, 7)[None, :, None]
    inner = np.sin(np.pi * np.linspace(0, 1, len(low)))[:, None, None]
    return low[:, None] * (1 - t) + high[:, None] * t + 4 * t * (1 - t) * inner * np.asarray(bulge, float)


def _panel(grid: np.ndarray, outward: tuple | np.ndarray) -> Panel:
    """Make a panel whose normals point to the side of `outward`."""
    normals = np.cross(grid[1:, 1:] - grid[:-1, :-1], grid[:-1, 1:] - grid[1:, :-1])
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    if (normals.mean((0, 1)) @ np.asarray(outward, float)) < 0:
        normals = -normals
    return Panel(grid, normals)
