"""Random postures: joint angles in degrees, within human limits.

A person's frame has x forward, y to the left, z up. Arms and legs at 0 degrees hang straight down; `flex` swings them
forward, `spread` away from the body, `twist` turns them about their own axis, thumb or toes inward.
"""

from dataclasses import dataclass, field, fields, replace

import numpy as np

# Lowest and highest angle of every field of Angles, in the order of its values.
LIMITS = {
    "root": ((-180, -180), (180, 180)),
    "spine": ((-25, -30, -40), (75, 30, 40)),
    "head": ((-40, -35, -70), (45, 35, 70)),
    "shoulder": ((-55, -20, -60), (175, 165, 90)),
    "elbow": ((0,), (145,)),
    "hip": ((-25, -15, -40), (125, 55, 40)),
    "knee": ((0,), (145,)),
    "ankle": ((-35,), (30,)),
}


def _row(*values: float) -> np.ndarray:
    return np.array(values, float)


def _both(*values: float) -> np.ndarray:
    return np.array([values, values], float)


@dataclass(frozen=True)
class Angles:
    """One posture. In fields with two rows, the first is the left side and the second the right side."""

    root: np.ndarray = field(default_factory=lambda: _row(0, 0))  # forward tilt, tilt to the right of the pelvis
    spine: np.ndarray = field(default_factory=lambda: _row(4, 0, 0))  # bend forward, to the right, turn to the left
    head: np.ndarray = field(default_factory=lambda: _row(0, 0, 0))  # the same, relative to the chest
    shoulder: np.ndarray = field(default_factory=lambda: _both(0, 8, 10))  # flex, spread, twist
    elbow: np.ndarray = field(default_factory=lambda: _both(12))
    hip: np.ndarray = field(default_factory=lambda: _both(0, 4, -6))  # flex, spread, twist
    knee: np.ndarray = field(default_factory=lambda: _both(4))
    ankle: np.ndarray = field(default_factory=lambda: _both(0))  # toes down
    lift: float = 0.0  # height of the lowest point above the ground, metres
    seated: bool = False  # on a seat just below the pelvis

    def limited(self) -> "Angles":
        """Return the nearest posture within LIMITS."""
        return replace(self, **{name: np.clip(getattr(self, name), *LIMITS[name]) for name in LIMITS})

    def mirrored(self) -> "Angles":
        """Return the posture of the mirror image: left and right swapped."""
        turned = {name: getattr(self, name)[::-1] for name in ("shoulder", "elbow", "hip", "knee", "ankle")}
        return replace(
            self, root=self.root * (1, -1), spine=self.spine * (1, -1, -1), head=self.head * (1, -1, -1), **turned
        )

    def jittered(self, rng: np.random.Generator, degrees: float) -> "Angles":
        """Return the posture with normally distributed noise on every angle."""
        noisy = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                scale = 0.3 if item.name == "root" else 1.0
                noisy[item.name] = value + rng.normal(0, degrees * scale, value.shape)
        return replace(self, **noisy)


def draw_angles(rng: np.random.Generator, varied: bool = False) -> tuple[str, Angles]:
    """Draw a random activity; return its name and a posture.

    varied: half of the postures are any that limbs can take, the rest are jittered three times as much.
    """
    if varied and rng.random() < 0.5:
        return "anything", _anything(rng).limited()
    names = list(ACTIVITIES)
    shares = np.array([ACTIVITIES[name][1] for name in names])
    name = names[rng.choice(len(names), p=shares / shares.sum())]
    angles = ACTIVITIES[name][0](rng).jittered(rng, 12.0 if varied else 4.0)
    turn = rng.normal(0, (8, 6, 22)) if name != "lying" else rng.normal(0, 6, 3)
    angles = replace(angles, head=angles.head + turn)
    return name, (angles.mirrored() if rng.random() < 0.5 else angles).limited()


def _standing(rng: np.random.Generator) -> Angles:
    """Standing with the weight on one leg; arms hanging, akimbo, crossed or holding something."""
    lean = rng.uniform(0, 7)
    arms, elbows = _arms(rng)
    return Angles(
        root=_row(0, -lean),
        spine=_row(rng.uniform(0, 12), 1.4 * lean, rng.normal(0, 8)),
        shoulder=arms,
        elbow=elbows,
        hip=np.array([(rng.uniform(0, 14), lean + 5, -12), (0, 3 - lean, -6)]),
        knee=np.array([[rng.uniform(2, 28)], [2.0]]),
    )


def _arms(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw shoulder angles (2, 3) and elbow angles (2, 1) of a standing person."""
    kinds = (
        (_both(0, 9, 10), _both(rng.uniform(5, 30))),
        (_both(-8, 42, 48), _both(rng.uniform(80, 100))),  # hands on the hips
        (_both(28, 6, 62), _both(rng.uniform(85, 105))),  # held in front of the chest
        (_both(rng.uniform(15, 50), 10, 10), _both(rng.uniform(50, 110))),
        (np.array([(rng.uniform(30, 80), 15, 25), (0, 10, 10)]), np.array([[rng.uniform(60, 120)], [15.0]])),
        (np.array([(rng.uniform(0, 30), rng.uniform(50, 130), 0), (0, 10, 10)]), _row(rng.uniform(5, 70), 15)[:, None]),
    )  # fmt: skip
    return kinds[rng.choice(len(kinds), p=(0.46, 0.10, 0.06, 0.16, 0.12, 0.10))]


def _walking(rng: np.random.Generator) -> Angles:
    """Walking, at a random phase; the arms swing against the legs."""
    swing, arm = rng.uniform(12, 30), rng.uniform(10, 35)
    return Angles(
        spine=_row(rng.uniform(2, 10), 0, -8),
        shoulder=np.array([(-arm, 9, 8), (arm, 9, 8)]),
        elbow=np.array([[rng.uniform(8, 25)], [rng.uniform(15, 45)]]),
        hip=np.array([(swing, 2, -4), (-0.7 * swing, 2, -6)]),
        knee=np.array([[rng.uniform(3, 15)], [rng.uniform(8, 50)]]),
        ankle=np.array([[-5.0], [rng.uniform(0, 25)]]),
    )


def _running(rng: np.random.Generator) -> Angles:
    """Running: elbows bent, one knee high, the other leg pushing off or swinging back."""
    return Angles(
        root=_row(rng.uniform(2, 14), 0),
        spine=_row(rng.uniform(3, 15), 0, -12),
        shoulder=np.array([(rng.uniform(-50, -15), 14, 12), (rng.uniform(25, 60), 12, 20)]),
        elbow=_both(rng.uniform(70, 110)),
        hip=np.array([(rng.uniform(35, 80), 3, 0), (rng.uniform(-20, 0), 3, 0)]),
        knee=np.array([[rng.uniform(50, 100)], [rng.uniform(10, 80)]]),
        ankle=np.array([[0.0], [25.0]]),
        lift=max(0.0, rng.uniform(-0.1, 0.18)),
    )


def _sitting(rng: np.random.Generator) -> Angles:
    """Sitting on a seat: hands on the lap, on a table, behind the back or talking."""
    lean = rng.uniform(-12, 14)
    flex = rng.uniform(72, 96) + lean
    arms = (
        (_both(rng.uniform(18, 45) - lean, 10, 25), _both(rng.uniform(35, 80))),
        (_both(rng.uniform(40, 65), 14, 30), _both(rng.uniform(40, 80))),
        (_both(-30, 18, 0), _both(10)),
        (np.array([(55, 20, 20), (25, 8, 25)]), np.array([[rng.uniform(60, 125)], [60.0]])),
    )[rng.integers(4)]
    return Angles(
        root=_row(lean, 0),
        spine=_row(rng.uniform(0, 28), 0, rng.normal(0, 8)),
        shoulder=arms[0],
        elbow=arms[1],
        hip=np.array([(flex, rng.uniform(3, 22), 0), (flex + rng.uniform(-6, 6), rng.uniform(3, 22), 0)]),
        knee=np.array([[rng.uniform(60, 105)], [rng.uniform(60, 105)]]),
        seated=True,
    )


def _on_the_floor(rng: np.random.Generator) -> Angles:
    """Sitting on the ground: legs stretched, drawn up or crossed, hands on the knees or behind."""
    lean = rng.uniform(-20, 8)
    legs = (
        (_both(90 + lean, 8, 0), _both(6)),
        (_both(112 + lean, 8, 0), _both(105)),
        (_both(78 + lean, 48, -38), _both(115)),
        (np.array([(92 + lean, 6, 0), (118 + lean, 8, 0)]), np.array([[8.0], [100.0]])),
    )[rng.integers(4)]
    behind = rng.random() < 0.4
    return Angles(
        root=_row(lean, 0),
        spine=_row(5 if behind else rng.uniform(10, 35), 0, 0),
        shoulder=_both(-45, 18, -20) if behind else _both(rng.uniform(35, 60), 12, 15),
        elbow=_both(8) if behind else _both(rng.uniform(15, 60)),
        hip=legs[0],
        knee=legs[1],
    )


def _reaching(rng: np.random.Generator) -> Angles:
    """Reaching up, forward or to the side with one or both arms."""
    up = np.array([(rng.uniform(85, 172), rng.uniform(0, 25), 0), (0, 9, 10)])
    side = np.array([(rng.uniform(0, 25), rng.uniform(80, 150), 0), (0, 9, 10)])
    arms = up if rng.random() < 0.65 else side
    elbow = np.array([[rng.uniform(0, 55)], [rng.uniform(5, 60)]])
    if rng.random() < 0.5:
        arms[1], elbow[1] = arms[0] + rng.normal(0, 12, 3), elbow[0]
    return Angles(
        root=_row(rng.uniform(-3, 12), 0),
        spine=_row(rng.uniform(-8, 12), rng.normal(0, 7), rng.normal(0, 10)),
        head=_row(rng.uniform(-28, 5), 0, 0),
        shoulder=arms,
        elbow=elbow,
        hip=np.array([(rng.uniform(0, 20), 6, -6), (rng.uniform(-12, 5), 6, -6)]),
        knee=np.array([[rng.uniform(2, 25)], [rng.uniform(2, 15)]]),
    )


def _bending(rng: np.random.Generator) -> Angles:
    """Bending: picking something up, stretching or working near the ground."""
    tilt, knee = rng.uniform(20, 62), rng.uniform(4, 55)
    flex = tilt + 0.45 * knee
    return Angles(
        root=_row(tilt, 0),
        spine=_row(rng.uniform(15, 48), 0, rng.normal(0, 10)),
        head=_row(rng.uniform(-30, 10), 0, 0),
        shoulder=np.array([(rng.uniform(35, 100), 8, 0), (rng.uniform(35, 100), 8, 0)]),
        elbow=np.array([[rng.uniform(0, 45)], [rng.uniform(0, 45)]]),
        hip=np.array([(flex + rng.uniform(0, 18), 8, -6), (flex - rng.uniform(0, 18), 8, -6)]),
        knee=_both(knee),
        ankle=_both(-0.5 * knee),
    )


def _crouching(rng: np.random.Generator) -> Angles:
    """Squatting, kneeling on one knee, or in a deep lunge."""
    kind = rng.integers(3)
    tilt = rng.uniform(5, 30)
    legs = (
        (_both(112, 18, -12), _both(rng.uniform(115, 138)), _both(-28)),
        (np.array([(85 + tilt, 6, 0), (tilt - 2, 6, 0)]), np.array([[92.0], [95.0]]), np.array([[0.0], [28.0]])),
        (np.array([(75 + tilt, 6, 0), (tilt - 25, 6, 0)]), np.array([[75.0], [30.0]]), np.array([[0.0], [-5.0]])),
    )[kind]
    return Angles(
        root=_row(tilt, 0),
        spine=_row(rng.uniform(5, 30), 0, rng.normal(0, 10)),
        head=_row(-15, 0, 0),
        shoulder=np.array([(rng.uniform(20, 85), 12, 15), (rng.uniform(20, 85), 12, 15)]),
        elbow=np.array([[rng.uniform(10, 90)], [rng.uniform(10, 90)]]),
        hip=legs[0],
        knee=legs[1],
        ankle=legs[2],
    )


def _lying(rng: np.random.Generator) -> Angles:
    """Lying on the back, the front or the left side, with the arms above the ground."""
    kind = rng.choice(["back", "front", "side"], p=(0.5, 0.25, 0.25))
    bend, spread = rng.uniform(3, 80), rng.uniform(8, 60, 2)
    up = 0.55 * bend
    if kind == "front":
        bend, up = 0.2 * bend, 0.0
        flex = np.where(rng.random(2) < 0.5, rng.uniform(-15, -8, 2), rng.uniform(165, 172, 2))
        spread = spread * 0.3
    elif kind == "side":
        flex, spread = rng.uniform((60, -10), (150, 60)), np.array((2.0, -5.0))
    else:
        flex = rng.uniform(8, 40, 2)
    return Angles(
        root=_row(*{"back": (-90, 0), "front": (88, 0), "side": (-90, 85)}[kind]),
        spine=_row(0, 0, rng.normal(0, 4)), head=_row({"back": 12, "front": -18, "side": 8}[kind], 0, 0),
        shoulder=np.column_stack([flex, spread, np.zeros(2)]),
        elbow=rng.uniform(3, 20 if kind == "front" else 70, (2, 1)),
        hip=np.array([(up, 7, 0), (0.6 * up, 7, 0)]),
        knee=np.array([[bend], [0.6 * bend]]), ankle=_both(25),
    )  # fmt: skip


def _playing(rng: np.random.Generator) -> Angles:
    """Kicking, throwing, serving, jumping, dancing and balancing."""
    kind = rng.integers(5)
    if kind == 0:  # a kick
        return Angles(
            root=_row(-10, 0), spine=_row(12, 0, 18),
            shoulder=np.array([(30, 55, 0), (-35, 35, 0)]), elbow=_both(rng.uniform(10, 60)),
            hip=np.array([(-6, 5, 0), (rng.uniform(30, 95), 6, 0)]), knee=np.array([[16.0], [rng.uniform(5, 60)]]),
        )  # fmt: skip
    if kind == 1:  # a throw or a serve
        return Angles(
            root=_row(4, 0), spine=_row(-5, 8, -22),
            shoulder=np.array([(rng.uniform(50, 100), 20, 0), (rng.uniform(-10, 20), rng.uniform(90, 140), -20)]),
            elbow=np.array([[25.0], [rng.uniform(50, 110)]]),
            hip=np.array([(32, 6, 0), (-16, 8, -10)]), knee=np.array([[22.0], [18.0]]),
        )  # fmt: skip
    if kind == 2:  # a jump
        knee = rng.uniform(10, 95)
        return Angles(
            spine=_row(8, 0, 0), shoulder=np.array([(10, rng.uniform(60, 155), 0), (10, rng.uniform(60, 155), 0)]),
            elbow=_both(rng.uniform(0, 50)), hip=_both(0.6 * knee, rng.uniform(4, 34), 0),
            knee=_both(knee), ankle=_both(25), lift=rng.uniform(0.1, 0.5),
        )  # fmt: skip
    if kind == 3:  # on one leg
        return Angles(
            root=_row(5, 0), spine=_row(0, 5, 0),
            shoulder=np.array([(5, rng.uniform(60, 110), 0), (5, rng.uniform(60, 110), 0)]),
            elbow=_both(rng.uniform(0, 30)),
            hip=np.array([(3, 0, 0), (rng.uniform(-20, 80), rng.uniform(0, 45), -20)]),
            knee=np.array([[4.0], [rng.uniform(0, 110)]]),
        )  # fmt: skip
    return Angles(  # a wide stance, arms about
        root=_row(rng.uniform(0, 15), 0), spine=_row(rng.uniform(0, 15), rng.normal(0, 10), rng.normal(0, 15)),
        shoulder=np.column_stack([rng.uniform(0, 70, 2), rng.uniform(15, 110, 2), rng.uniform(-20, 40, 2)]),
        elbow=rng.uniform(10, 110, (2, 1)),
        hip=np.array([(rng.uniform(5, 40), 24, -12), (rng.uniform(0, 25), 24, -12)]),
        knee=np.array([[rng.uniform(10, 60)], [rng.uniform(5, 30)]]),
    )  # fmt: skip


def _anything(rng: np.random.Generator) -> Angles:
    """Any posture of a body that is more or less upright, in the air or on the ground."""
    return Angles(
        root=rng.normal(0, (18, 10)), spine=rng.normal((8, 0, 0), (18, 10, 18)), head=rng.normal(0, (15, 12, 30)),
        shoulder=rng.uniform((-50, -15, -50), (170, 130, 80), (2, 3)), elbow=rng.uniform(0, 140, (2, 1)),
        hip=rng.normal((28, 12, 0), (38, 15, 15), (2, 3)), knee=120 * rng.beta(0.9, 1.4, (2, 1)),
        ankle=rng.uniform(-20, 30, (2, 1)), lift=max(0.0, rng.normal(0, 0.3)),
    )  # fmt: skip


ACTIVITIES = {
    "standing": (_standing, 0.38), "walking": (_walking, 0.29), "running": (_running, 0.04),
    "sitting": (_sitting, 0.10), "on the floor": (_on_the_floor, 0.01), "reaching": (_reaching, 0.08),
    "bending": (_bending, 0.03), "crouching": (_crouching, 0.01), "lying": (_lying, 0.02),
    "playing": (_playing, 0.04),
}  # fmt: skip
