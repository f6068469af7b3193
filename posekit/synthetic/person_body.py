"""A person's bones: sizes, forward kinematics and occlusion.

Units are metres. A person's frame has x forward, y to the left and z up. Joints are numbered as in
`posekit.skeletons.PERSON`; as in MPII's labels, the pelvis is midway between the hips and the thorax midway between the
shoulders.
"""

from dataclasses import dataclass, replace

import numpy as np

from posekit.synthetic.person_pose import Angles

SIDES = (1, -1)  # left, right
LEG = ((3, 4, 5), (2, 1, 0))  # hip, knee, ankle of the left and the right side
ARM = ((13, 14, 15), (12, 11, 10))  # shoulder, elbow, wrist
PELVIS, THORAX, NECK, HEAD_TOP = 6, 7, 8, 9


@dataclass(frozen=True)
class Build:
    """Lengths between joints in metres, and girth (1 is average)."""

    thigh: float
    shin: float
    foot: float
    hips: float  # from hip to hip
    torso: float  # pelvis to thorax
    shoulders: float
    neck: float  # thorax to neck
    head: float  # neck to head top
    upper_arm: float
    forearm: float
    hand: float
    girth: float
    size: float  # overall, 1 for an adult of 1.75 m


def draw_build(rng: np.random.Generator) -> Build:
    """Draw a random adult, or sometimes a child."""
    child = rng.random() < 0.07
    size = rng.uniform(0.62, 0.85) if child else np.clip(rng.normal(0.98, 0.05), 0.85, 1.12)
    vary = np.clip(rng.normal(1, 0.035, 10), 0.92, 1.08)
    lengths = np.array((0.445, 0.425, 0.25, 0.205, 0.50, 0.365, 0.070, 0.286, 0.295, 0.255)) * vary * size
    lengths[7] *= 1 + 0.45 * (1 - size)
    girth = float(np.clip(rng.normal(1.0, 0.12), 0.8, 1.4))
    return Build(*lengths, hand=0.18 * size, girth=girth, size=float(size))


def about_x(degrees: float) -> np.ndarray:
    """Return the rotation (3, 3) about the forward axis; a vector that points down swings to the left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def about_y(degrees: float) -> np.ndarray:
    """Return the rotation (3, 3) about the left axis; a vector that points up tips forward."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def about_z(degrees: float) -> np.ndarray:
    """Return the rotation (3, 3) about the upward axis; a vector that points forward turns to the left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


@dataclass(frozen=True)
class Figure:
    """A person's posture in space. The columns of a body part's frame are its forward, left and up directions."""

    build: Build
    joints: np.ndarray  # (16, 3)
    spine: np.ndarray  # (4, 3) pelvis, waist, chest, thorax
    spine_frames: np.ndarray  # (4, 3, 3)
    head_frame: np.ndarray  # (3, 3)
    arm_frames: np.ndarray  # (2, 2, 3, 3): left and right; upper arm, forearm
    leg_frames: np.ndarray  # (2, 3, 3, 3): left and right; thigh, shin, foot
    seat: float | None  # height of the seat

    def moved(self, turn: np.ndarray, shift: np.ndarray) -> "Figure":
        """Rotate the figure by `turn` (3, 3) about the origin, then shift it by (3,)."""
        return Figure(
            self.build, self.joints @ turn.T + shift, self.spine @ turn.T + shift, turn @ self.spine_frames,
            turn @ self.head_frame, turn @ self.arm_frames, turn @ self.leg_frames, self.seat,
        )  # fmt: skip


def pose_figure(build: Build, angles: Angles, heading: float = 0.0) -> Figure:
    """Compute the figure from its angles (forward kinematics), at the origin and turned to `heading` (radians).

    Its lowest point is `angles.lift` above the ground; the pelvis is above the origin.
    """
    joints = np.zeros((16, 3))
    frame = about_z(np.degrees(heading)) @ about_y(angles.root[0]) @ about_x(angles.root[1])
    spine, frames = _bend_spine(build, frame, angles.spine)
    joints[THORAX] = spine[3]
    chest = frames[3]
    joints[NECK] = spine[3] + chest @ (0.01 * build.size, 0, build.neck)
    flex, side, turn = angles.head
    head = chest @ about_z(turn) @ about_y(flex) @ about_x(side)
    joints[HEAD_TOP] = joints[NECK] + head @ (0.012 * build.size, 0, build.head)
    arms, legs = np.zeros((2, 2, 3, 3)), np.zeros((2, 3, 3, 3))
    for k, side in enumerate(SIDES):
        start = (0, side * build.shoulders / 2, 0)
        arms[k] = _limb_frames(chest, angles.shoulder[k], -angles.elbow[k, 0], side)
        joints[list(ARM[k])] = _chain(spine[3] + chest @ start, arms[k], (build.upper_arm, build.forearm))
        start = (0, side * build.hips / 2, 0)
        legs[k, :2] = _limb_frames(frame, angles.hip[k], angles.knee[k, 0], side)
        legs[k, 2] = legs[k, 1] @ about_y(angles.ankle[k, 0])
        joints[list(LEG[k])] = _chain(spine[0] + frame @ start, legs[k, :2], (build.thigh, build.shin))
    figure = Figure(build, joints, spine, frames, head, arms, legs, None)
    figure = figure.moved(np.eye(3), np.array((0, 0, angles.lift - lowest(figure))))
    if not angles.seated:
        return figure
    seat = figure.joints[PELVIS, 2] - 0.105 * build.girth * build.size
    return replace(figure, seat=float(max(seat, 0.05)))


def _bend_spine(build: Build, frame: np.ndarray, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pelvis (at the origin), waist, chest and thorax, (4, 3), and their frames (4, 3, 3)."""
    flex, side, turn = angles / 2
    step = about_z(turn) @ about_y(flex) @ about_x(side)
    frames = np.stack([frame, frame @ step, frame @ step @ step, frame @ step @ step])
    lengths = np.array((0.28, 0.36, 0.36)) * build.torso
    points = np.cumsum(frames[:3, :, 2] * lengths[:, None], axis=0)
    return np.concatenate([np.zeros((1, 3)), points]), frames


def _limb_frames(parent: np.ndarray, angles: np.ndarray, bend: float, side: int) -> np.ndarray:
    """Return the frames (2, 3, 3) of the two bones of an arm or a leg."""
    flex, spread, twist = angles
    upper = parent @ about_x(side * spread) @ about_y(-flex) @ about_z(-side * twist)
    return np.stack([upper, upper @ about_y(bend)])


def _chain(start: np.ndarray, frames: np.ndarray, lengths: tuple[float, float]) -> np.ndarray:
    """Return the three joints (3, 3) of a limb whose bones point down in their frames."""
    middle = start - frames[0, :, 2] * lengths[0]
    return np.stack([start, middle, middle - frames[1, :, 2] * lengths[1]])


@dataclass(frozen=True)
class Capsules:
    """Rounded cones that approximate the parts of a body: from `a` to `b` (C, 3), radii (C, 2) at both ends.

    joints: the two joints at which a part meets others, and which it doesn't hide; -1 for none.
    """

    a: np.ndarray
    b: np.ndarray
    radii: np.ndarray
    joints: np.ndarray  # (C, 2)


def capsules(figure: Figure) -> Capsules:
    """Approximate the body by 17 rounded cones."""
    joints, build = figure.joints, figure.build
    g, s = build.girth * build.size, build.size
    parts = []
    for leg, frames in zip(LEG, figure.leg_frames, strict=True):
        hip, knee, ankle = leg
        heel = joints[ankle] - frames[2, :, 2] * 0.045 * s
        parts.append((joints[hip], joints[knee], 0.085 * g, 0.057 * g, hip, knee))
        parts.append((joints[knee], joints[ankle], 0.06 * g, 0.04 * g, knee, ankle))
        parts.append((heel, heel + frames[2, :, 0] * 0.72 * build.foot, 0.042 * s, 0.035 * s, ankle, -1))
    for (shoulder, elbow, wrist), frames in zip(ARM, figure.arm_frames, strict=True):
        tip = joints[wrist] - frames[1, :, 2] * 0.75 * build.hand
        parts.append((joints[shoulder], joints[elbow], 0.055 * g, 0.043 * g, shoulder, elbow))
        parts.append((joints[elbow], joints[wrist], 0.045 * g, 0.032 * g, elbow, wrist))
        parts.append((joints[wrist], tip, 0.04 * s, 0.03 * s, wrist, -1))
    frames = figure.spine_frames
    for side in SIDES:
        low = figure.spine[0] + frames[0, :, 1] * side * 0.065 * g
        high = figure.spine[3] + frames[3, :, 1] * side * 0.085 * g - frames[3, :, 2] * 0.07 * s
        parts.append((low, high, 0.105 * g, 0.095 * g, -1, -1))
    head = joints[NECK] + 0.50 * (joints[HEAD_TOP] - joints[NECK])
    parts.append((joints[NECK] - frames[3, :, 2] * 0.04 * s, head, 0.06 * s, 0.075 * s, NECK, HEAD_TOP))
    parts.append((head, head + 0.12 * (joints[HEAD_TOP] - joints[NECK]), 0.09 * s, 0.09 * s, NECK, HEAD_TOP))
    a, b, first, second, one, two = zip(*parts, strict=True)
    return Capsules(np.array(a), np.array(b), np.column_stack([first, second]), np.column_stack([one, two]))


def lowest(figure: Figure) -> float:
    """Return the height of the body's lowest point above z = 0."""
    parts = capsules(figure)
    return float(min((parts.a[:, 2] - parts.radii[:, 0]).min(), (parts.b[:, 2] - parts.radii[:, 1]).min()))


# Parts that must not intersect: (lower arms and hands, legs) and (all parts that they could touch).
_LEFT_LEG, _RIGHT_LEG, _LEFT_ARM, _RIGHT_ARM, _TRUNK = (0, 1, 2), (3, 4, 5), (7, 8), (10, 11), (12, 13, 14, 15)
_APART = (
    (_LEFT_LEG, _RIGHT_LEG), (_LEFT_ARM, (*_TRUNK, *_LEFT_LEG, *_RIGHT_LEG, *_RIGHT_ARM)),
    (_RIGHT_ARM, (*_TRUNK, *_LEFT_LEG, *_RIGHT_LEG)), ((1, 4), (12, 13)),
)  # fmt: skip


def runs_through_itself(parts: Capsules) -> bool:
    """Whether an arm or a leg is deep inside another part of the same body."""
    return any(_overlap(parts, list(some), parts, list(others)).min() < -0.4 for some, others in _APART)


def gap(one: Capsules, other: Capsules) -> float:
    """Return the smallest distance between two bodies in metres, negative if they intersect."""
    distance, _ = _segment_distance(one.a, one.b, other.a, other.b)
    return float((distance - one.radii.max(1)[:, None] - other.radii.max(1)).min())


def _overlap(one: Capsules, some: list[int], other: Capsules, others: list[int]) -> np.ndarray:
    """Return the gaps (P, C) between parts, as a share of the sum of their radii; -1 if their axes meet."""
    distance, _ = _segment_distance(one.a[some], one.b[some], other.a[others], other.b[others])
    radii = one.radii[some].mean(1)[:, None] + other.radii[others].mean(1)
    return distance / radii - 1


# How far the skin may be in front of each joint, in metres, for an adult.
_DEPTH = np.array((0.07, 0.09, 0.14, 0.14, 0.09, 0.07, 0.2, 0.2, 0.15, 0.12, 0.06, 0.07, 0.12, 0.12, 0.07, 0.06))


def hidden_joints(figure: Figure, bodies: list[Capsules], own: int, eye: np.ndarray) -> np.ndarray:
    """Return which of the figure's 16 joints `bodies` hide from `eye` (3,); number `own` of them is the figure's body.

    A line goes from the eye to the skin in front of the joint. The joint is hidden if the line comes closer to the axis
    of a part than 0.85 of its radius. Parts that meet at a joint don't hide it. As in MPII's labels, the pelvis is
    visible if both hips are, and the thorax if both shoulders are. Neck and head top are hidden only by limbs and other
    bodies, not by the torso.
    """
    hidden = np.zeros(16, bool)
    towards = eye - figure.joints
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    ends = figure.joints + towards * (_DEPTH * figure.build.girth * figure.build.size)[:, None]
    for number, parts in enumerate(bodies):
        distance, along = _segment_distance(np.broadcast_to(eye, (16, 3)), ends, parts.a, parts.b)  # (16, C)
        radius = parts.radii[:, 0] * (1 - along) + parts.radii[:, 1] * along
        cut = distance < 0.85 * radius
        if number == own:
            numbers = np.arange(16)[:, None]
            cut &= (numbers != parts.joints[:, 0]) & (numbers != parts.joints[:, 1])
            cut[[NECK, HEAD_TOP], 12:] = False
        hidden |= cut.any(1)
    hidden[PELVIS] = hidden[[2, 3]].any()
    hidden[THORAX] = hidden[[12, 13]].any()
    return hidden


def _segment_distance(
    starts: np.ndarray, ends: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the shortest distances (P, C) from segments starts-ends (P, 3) to segments a-b (C, 3), and where on a-b.

    The place on a-b is 0..1. Method: the closest points of the infinite lines, each then clamped to its segment, given
    the other.
    """
    u, v, w = ends - starts, b - a, starts[:, None] - a
    uu, vv = np.maximum((u * u).sum(1), 1e-9)[:, None], np.maximum((v * v).sum(1), 1e-9)
    uv = u @ v.T
    uw, vw = (u[:, None] * w).sum(-1), (v * w).sum(-1)
    below = np.maximum(uu * vv - uv * uv, 1e-9)
    s = np.clip((uv * vw - vv * uw) / below, 0, 1)
    t = np.clip((uv * s + vw) / vv, 0, 1)
    s = np.clip((uv * t - uw) / uu, 0, 1)
    near, far = starts[:, None] + s[..., None] * u[:, None], a + t[..., None] * v
    return np.linalg.norm(near - far, axis=-1), t
