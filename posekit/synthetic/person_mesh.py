"""A person's surface: tapered limbs, torso, head with hair and face, clothes, shoes; colours are RGB in 0..1."""

from dataclasses import dataclass

import numpy as np

from posekit.synthetic.mesh import Mesh, box, faces, join
from posekit.synthetic.person_body import ARM, HEAD_TOP, LEG, NECK, Figure

_SKINS = (
    (0.94, 0.76, 0.66), (0.90, 0.70, 0.58), (0.83, 0.62, 0.48), (0.72, 0.51, 0.38),
    (0.56, 0.38, 0.27), (0.42, 0.28, 0.20), (0.32, 0.21, 0.16),
)  # fmt: skip
_HAIRS = (
    (0.07, 0.06, 0.05), (0.16, 0.10, 0.07), (0.30, 0.19, 0.11), (0.48, 0.32, 0.16), (0.72, 0.58, 0.34),
    (0.50, 0.22, 0.10), (0.62, 0.61, 0.60),
)  # fmt: skip

# Profiles: (along the bone, radius front to back, radius across), as fractions of bone length and body size.
_THIGH = ((-0.14, 0.045, 0.045), (-0.05, 0.082, 0.078), (0.12, 0.088, 0.083), (0.40, 0.076, 0.072),
          (0.75, 0.062, 0.060), (0.95, 0.056, 0.055), (1.07, 0.036, 0.036))  # fmt: skip
_SHIN = ((-0.08, 0.036, 0.036), (0.02, 0.055, 0.053), (0.25, 0.061, 0.056), (0.45, 0.055, 0.051),
         (0.80, 0.038, 0.036), (0.98, 0.036, 0.034), (1.06, 0.022, 0.022))  # fmt: skip
_UPPER_ARM = ((-0.15, 0.024, 0.026), (-0.09, 0.044, 0.044), (0.02, 0.055, 0.053), (0.18, 0.055, 0.052),
              (0.50, 0.048, 0.045), (0.92, 0.040, 0.039), (1.07, 0.026, 0.026))  # fmt: skip
_FOREARM = ((-0.09, 0.026, 0.026), (0.03, 0.041, 0.040), (0.25, 0.043, 0.041), (0.60, 0.035, 0.034),
            (0.98, 0.026, 0.029), (1.06, 0.018, 0.020))  # fmt: skip
_HAND = ((-0.10, 0.014, 0.016), (0.05, 0.024, 0.030), (0.35, 0.040, 0.024), (0.60, 0.038, 0.020),
         (0.90, 0.026, 0.013), (1.00, 0.010, 0.007))  # fmt: skip
# The torso from the crotch to the neck, along the spine.
_TORSO = ((-0.24, 0.030, 0.050), (-0.16, 0.085, 0.120), (0.00, 0.108, 0.160), (0.20, 0.102, 0.152),
          (0.40, 0.095, 0.140), (0.62, 0.108, 0.154), (0.82, 0.110, 0.178), (0.94, 0.096, 0.190),
          (1.03, 0.080, 0.182), (1.08, 0.066, 0.140), (1.12, 0.056, 0.085), (1.17, 0.050, 0.054))  # fmt: skip
_SHOE = ((-0.34, 0.022, 0.018), (-0.28, 0.045, 0.034), (-0.05, 0.052, 0.037), (0.30, 0.042, 0.043),
         (0.55, 0.033, 0.045), (0.74, 0.022, 0.032), (0.78, 0.010, 0.014))  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """What a person wears. Hems are in bones: 0.5 is halfway down the upper arm or thigh, 2 is the wrist or ankle."""

    skin: np.ndarray
    hair: np.ndarray
    cut: str  # "short", "long", "bald" or "cap"
    top: np.ndarray
    second: np.ndarray  # of stripes, or of the shirt under an open jacket
    pattern: str  # "plain", "stripes", "jacket" or "print"
    sleeve: float
    bottom: np.ndarray
    hem: float
    loose: float  # distance between skin and cloth, metres
    shoes: np.ndarray
    backpack: np.ndarray | None


def draw_looks(rng: np.random.Generator) -> Looks:
    """Draw random looks."""
    skin = np.array(_SKINS[rng.integers(len(_SKINS))]) * rng.uniform(0.93, 1.05)
    dark_skin = skin.mean() < 0.42
    hair = np.array(_HAIRS[rng.integers(2 if dark_skin else len(_HAIRS))]) * rng.uniform(0.85, 1.15)
    blue = np.array((0.16, 0.22, 0.36)) * rng.uniform(0.6, 1.6)
    bare = rng.random()
    return Looks(
        skin, hair, str(rng.choice(["short", "long", "bald", "cap"], p=(0.52, 0.30, 0.06, 0.12))),
        top := _cloth(rng), np.clip(_cloth(rng) if top.mean() < 0.5 else top * 0.35, 0, 1),
        str(rng.choice(["plain", "stripes", "jacket", "print"], p=(0.42, 0.16, 0.26, 0.16))),
        float(rng.choice([0.05, 0.5, 1.2, 1.93], p=(0.14, 0.38, 0.06, 0.42))),
        blue if rng.random() < 0.4 else _cloth(rng) * 0.8,
        float(0.35 if bare < 0.08 else rng.uniform(0.62, 0.95) if bare < 0.36 else rng.uniform(1.8, 1.97)),
        rng.uniform(0.002, 0.018),
        np.full(3, rng.choice([0.08, 0.85])) * rng.uniform(0.8, 1.1) if rng.random() < 0.7 else _cloth(rng),
        _cloth(rng) if rng.random() < 0.08 else None,
    )  # fmt: skip


def _cloth(rng: np.random.Generator) -> np.ndarray:
    """Draw a random colour for a piece of clothing, from grey to vivid."""
    value, vivid = rng.uniform(0.12, 0.88), rng.choice([0.1, 0.45, 0.8])
    hue = 2 * np.pi * (rng.random() + np.array((0, 1 / 3, 2 / 3)))
    return np.clip(value * (1 + vivid * np.cos(hue)), 0.03, 0.95)


def tube(
    centers: np.ndarray, forward: np.ndarray, left: np.ndarray, radii: np.ndarray, colors: np.ndarray, sides: int = 12
) -> Mesh:
    """Make a closed surface through elliptic rings: centres, directions forward and left (R, 3), radii (R, 2).

    colors: of the bands between rings (R-1, 3), or of each face (R-1, sides, 3), starting in front and going left.
    """
    angles = 2 * np.pi * (np.arange(sides + 1) - 0.5) / sides
    reach_forward = (np.cos(angles) * radii[:, :1])[..., None] * forward[:, None]
    ring = centers[:, None] + reach_forward + (np.sin(angles) * radii[:, 1:])[..., None] * left[:, None]
    corners = np.stack([ring[:-1, :-1], ring[:-1, 1:], ring[1:, 1:], ring[1:, :-1]], axis=2)  # (R-1, sides, 4, 3)
    normals = np.cross(corners[:, :, 2] - corners[:, :, 0], corners[:, :, 3] - corners[:, :, 1])
    outward = corners.mean(2) - 0.5 * (centers[:-1] + centers[1:])[:, None]
    normals *= np.sign((normals * outward).sum(-1, keepdims=True))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    shape = (len(centers) - 1, sides, 3)
    colors = np.broadcast_to(colors if colors.ndim == 3 else colors[:, None], shape)
    return faces(corners.reshape(-1, 4, 3), normals.reshape(-1, 3), colors.reshape(-1, 3))


def _limb(
    start: np.ndarray, end: np.ndarray, frame: np.ndarray, profile: tuple, girth: float,
    cloth: np.ndarray, skin: np.ndarray, hem: float, loose: float,
) -> Mesh:  # fmt: skip
    """Make a limb from joint to joint, clothed down to `hem`."""
    rows = np.array(profile)
    if rows[1, 0] < hem < rows[-2, 0]:
        edge = [np.interp(hem, rows[:, 0], rows[:, k]) for k in (1, 2)]
        at = np.searchsorted(rows[:, 0], hem)
        rows = np.insert(rows, [at, at], np.array([(hem - 0.001, *edge), (hem + 0.001, *edge)]), axis=0)
    radii = rows[:, 1:] * girth + loose * (rows[:, :1] < hem)
    centers = start + rows[:, :1] * (end - start)
    colors = np.where((rows[:-1, :1] + rows[1:, :1]) / 2 < hem, cloth, skin)
    count = len(rows)
    forward, left = (np.broadcast_to(frame[:, k], (count, 3)) for k in (0, 1))
    return tube(centers, forward, left, radii, colors)


def dress(figure: Figure, looks: Looks) -> tuple[Mesh, np.ndarray]:
    """Return the figure's surface (F faces), and by how many metres each face counts as nearer when painted, (F,)."""
    girth = figure.build.girth * figure.build.size
    parts = [*_legs(figure, looks, girth), *_arms(figure, looks, girth), _torso(figure, looks, girth)]
    parts += _head(figure, looks)
    if looks.backpack is not None:
        parts.append(_backpack(figure, looks.backpack))
    face = _face(figure, looks)
    nearer = np.zeros(sum(len(part.corners) for part in parts) + len(face.corners))
    nearer[-len(face.corners) :] = 0.04
    return join([*parts, face]), nearer


def _legs(figure: Figure, looks: Looks, girth: float) -> list[Mesh]:
    parts = []
    s = figure.build.size
    for (hip, knee, ankle), frames in zip(LEG, figure.leg_frames, strict=True):
        a, b, c = figure.joints[[hip, knee, ankle]]
        parts.append(_limb(a, b, frames[0], _THIGH, girth, looks.bottom, looks.skin, looks.hem, looks.loose))
        parts.append(_limb(b, c, frames[1], _SHIN, girth, looks.bottom, looks.skin, looks.hem - 1, looks.loose))
        sole = c - frames[2, :, 2] * 0.037 * s
        foot = np.column_stack([frames[2, :, 2], frames[2, :, 1], frames[2, :, 0]])
        toes = sole + frames[2, :, 0] * figure.build.foot
        parts.append(_limb(sole, toes, foot, _SHOE, s, looks.shoes, looks.shoes, 9.0, 0.0))
    return parts


def _arms(figure: Figure, looks: Looks, girth: float) -> list[Mesh]:
    parts = []
    for (shoulder, elbow, wrist), frames in zip(ARM, figure.arm_frames, strict=True):
        a, b, c = figure.joints[[shoulder, elbow, wrist]]
        parts.append(_limb(a, b, frames[0], _UPPER_ARM, girth, looks.top, looks.skin, looks.sleeve, 0.7 * looks.loose))
        parts.append(_limb(b, c, frames[1], _FOREARM, girth, looks.top, looks.skin, looks.sleeve - 1, looks.loose))
        tip = c - frames[1, :, 2] * figure.build.hand
        parts.append(_limb(c, tip, frames[1], _HAND, figure.build.size, looks.skin, looks.skin, -1.0, 0.0))
    return parts


def _torso(figure: Figure, looks: Looks, girth: float) -> Mesh:
    """Make the torso: top of the trousers, and shirt or jacket."""
    rows = np.array(_TORSO)
    waist = 0.16
    rows = np.insert(rows, 3, [(waist, 0.106, 0.156), (waist + 0.001, 0.108, 0.158)], axis=0)
    knots = np.array((0.0, 0.28, 0.64, 1.0))
    along = np.interp(rows[:, 0], knots, np.arange(4))
    first = np.minimum(along.astype(int), 2)
    part = (along - first)[:, None]
    centers = figure.spine[first] * (1 - part) + figure.spine[first + 1] * part
    beyond = rows[:, 0] - np.clip(rows[:, 0], 0, 1)
    frames = figure.spine_frames[first] * (1 - part[..., None]) + figure.spine_frames[first + 1] * part[..., None]
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    centers = centers + frames[:, :, 2] * (beyond * figure.build.torso)[:, None]
    radii = rows[:, 1:] * (girth, 0.5 * girth + 0.5 * figure.build.shoulders / 0.365)
    radii[2:-1] += looks.loose * 0.7
    middle = (rows[:-1, 0] + rows[1:, 0]) / 2
    sides = 16
    colors = np.where((middle < waist)[:, None], looks.bottom, looks.top)[:, None].repeat(sides, axis=1)
    _decorate(colors, middle > waist + 0.002, looks)
    return tube(centers, frames[:, :, 0], frames[:, :, 1], radii, colors, sides)


def _decorate(colors: np.ndarray, shirt: np.ndarray, looks: Looks) -> None:
    """Add stripes, an open jacket or a print to the bands (R, sides, 3) selected by `shirt` (R,), in place."""
    rows = np.flatnonzero(shirt)
    if looks.pattern == "stripes":
        colors[rows[::2]] = looks.second
    elif looks.pattern == "jacket":
        for column in (-1, 0, 1):
            colors[rows, column] = looks.second
    elif looks.pattern == "print":
        for column in (-2, -1, 0, 1, 2):
            colors[rows[len(rows) // 2 : -1], column] = looks.second
    colors[rows[-1]] = looks.skin


def _head(figure: Figure, looks: Looks) -> list[Mesh]:
    """Make neck, skull with hair or cap, ears and nose."""
    s, frame = figure.build.size, figure.head_frame
    neck, top = figure.joints[[NECK, HEAD_TOP]]
    base = figure.spine[3] - figure.spine_frames[3, :, 2] * 0.02
    forward, left = (np.broadcast_to(frame[:, k], (2, 3)) for k in (0, 1))
    throat = np.stack([base, neck + 0.25 * (top - neck)])
    width = np.full((2, 2), 0.056 * s * (0.5 + 0.5 * figure.build.girth))
    parts = [tube(throat, forward, left, width, looks.skin[None], 10)]
    center, radii = _skull(figure)
    polar = np.linspace(0, np.pi, 12)
    rings, sides = len(polar), 18
    up = np.cos(polar)
    centers = center + frame[:, 2] * (up * radii[2])[:, None]
    width = np.column_stack([np.sin(polar) * radii[0], np.sin(polar) * radii[1]])
    width[up < -0.3] *= (0.93, 0.86)
    mid = (polar[:-1] + polar[1:]) / 2
    around = 2 * np.pi * np.arange(sides) / sides
    ahead, high = np.sin(mid)[:, None] * np.cos(around), np.cos(mid)[:, None] + 0 * around
    hairy = _hairy(looks.cut, ahead, high)
    colors = np.where(hairy[..., None], looks.top if looks.cut == "cap" else looks.hair, looks.skin)
    forward, left = (np.broadcast_to(frame[:, k], (rings, 3)) for k in (0, 1))
    parts.append(tube(centers, forward, left, width, colors, sides))
    if looks.cut == "long":
        parts.append(_long_hair(figure, looks, center, radii))
    if looks.cut == "cap":
        parts.append(_brim(frame, looks.top * 0.8, center, radii))
    return parts


def _skull(figure: Figure) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre (3,) of the head and its radii forward, left and up (3,)."""
    neck, top = figure.joints[[NECK, HEAD_TOP]]
    height = 0.43 * figure.build.head
    return neck + 0.57 * (top - neck), np.array((0.80, 0.66, 1.0)) * height


def _hairy(cut: str, ahead: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether hair or a cap covers the head in these directions from its centre."""
    if cut == "bald":
        return (ahead < -0.55) & (high < 0.3) & (high > -0.5)
    if cut == "cap":
        return high > 0.32
    return (high > 0.55) | ((ahead < 0.15) & (high > -0.15)) | ((ahead < -0.25) & (high > -0.62))


def _long_hair(figure: Figure, looks: Looks, center: np.ndarray, radii: np.ndarray) -> Mesh:
    """Make hair down the neck to the shoulders, behind the face."""
    frame = figure.head_frame
    heights = np.array((0.75, 0.45, 0.0, -0.6, -1.2, -1.55))
    back = np.array((-0.28, -0.32, -0.40, -0.50, -0.55, -0.60))
    centers = center + np.outer(heights * radii[2], frame[:, 2]) + np.outer(back * radii[0], frame[:, 0])
    width = np.array(((0.50, 0.60), (0.80, 1.02), (0.78, 1.14), (0.60, 1.12), (0.48, 0.98), (0.2, 0.5))) * radii[:2]
    forward, left = (np.broadcast_to(frame[:, k], (6, 3)) for k in (0, 1))
    return tube(centers, forward, left, width, np.broadcast_to(looks.hair, (5, 3)), 14)


def _brim(frame: np.ndarray, color: np.ndarray, center: np.ndarray, radii: np.ndarray) -> Mesh:
    """Make the peak of a cap."""
    plate = box((0.75, -0.62, 0.33), (1.65, 0.62, 0.45), color)
    corners = (plate.corners * radii) @ frame.T + center
    return faces(corners, plate.facing @ frame.T, color)


def _face(figure: Figure, looks: Looks) -> Mesh:
    """Make eyes, brows, nose, mouth and ears, slightly raised above the head."""
    center, radii = _skull(figure)
    frame = figure.head_frame
    dark, lips = looks.hair * 0.5, looks.skin * (0.80, 0.50, 0.48)
    marks = [((0.93, side * 0.36, 0.06), (0.0, 0.11, 0.045), np.full(3, 0.10)) for side in (1, -1)]
    marks += [((0.93, side * 0.36, 0.22), (0.0, 0.17, 0.022), dark) for side in (1, -1)]
    marks.append(((0.98, 0.0, -0.52), (0.0, 0.26, 0.05), lips))
    quads, colors = [], []
    for (x, y, z), (_, wide, tall), color in marks:
        square = np.array([(0, -wide, -tall), (0, wide, -tall), (0, wide, tall), (0, -wide, tall)])
        quads.append((np.array((x, y, z)) + square) * (1.03, 1, 1))
        colors.append(color)
    tip, bridge = (1.30, 0.0, -0.20), (0.98, 0.0, 0.12)
    for side in (1, -1):
        quads.append(np.array((bridge, tip, (0.95, side * 0.22, -0.26), (0.95, side * 0.22, -0.26))))
        colors.append(looks.skin * 0.93)
    nose = ((0.5, 0.8, 0.3), (0.5, -0.8, 0.3))
    for side in (1, -1):
        ear = np.array([(-0.05, 0, -0.25), (0.18, 0, -0.2), (0.22, 0, 0.15), (-0.12, 0, 0.2)])
        quads.append(ear + (0.0, side * 1.08, 0.0))
        colors.append(looks.skin * 0.9)
    facing = np.array([(1, 0, 0)] * 5 + [*nose] + [(0, 1, 0), (0, -1, 0)], float)
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    return faces((np.array(quads) * radii) @ frame.T + center, facing @ frame.T, np.array(colors))


def _backpack(figure: Figure, color: np.ndarray) -> Mesh:
    """Make a backpack."""
    s, frame = figure.build.size, figure.spine_frames[2]
    rows = ((-0.24, 0.04, 0.08), (-0.20, 0.08, 0.15), (0.0, 0.09, 0.16), (0.16, 0.08, 0.14), (0.2, 0.03, 0.07))
    rows = np.array(rows)
    middle = figure.spine[2] - frame[:, 0] * 0.16 * s * figure.build.girth
    centers = middle + np.outer(rows[:, 0] * s, frame[:, 2])
    forward, left = (np.broadcast_to(frame[:, k], (5, 3)) for k in (0, 1))
    return tube(centers, forward, left, rows[:, 1:] * s, np.broadcast_to(color, (4, 3)), 12)
