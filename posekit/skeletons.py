"""Skeletons: keypoint names, flip pairs, groups, limbs and surface segments; those of vehicles and people."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from posekit.errors import InputError, shown


@dataclass(frozen=True)
class Skeleton:
    """The keypoints of one kind of object.

    flip_pairs: left/right pairs, swapped when an image is mirrored.
    groups: name of a column in the result table -> indices of its keypoints, in the table's order.
    limbs: pairs to join by a line in drawings. segments: quads of keypoints that bound a visible surface.
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    groups: dict[str, tuple[int, ...]]
    limbs: tuple[tuple[int, int], ...]
    segments: tuple[tuple[int, int, int, int], ...] = ()

    @property
    def num_keypoints(self) -> int:
        """The number of keypoints, K."""
        return len(self.keypoints)

    @property
    def sides(self) -> tuple[str, ...]:
        """left, right or, for a keypoint without a mirror partner, nothing, for each keypoint."""
        found = [""] * self.num_keypoints
        for a, b in self.flip_pairs:
            left, right = (b, a) if _is_right(self.keypoints[a]) else (a, b)
            found[left], found[right] = "left", "right"
        return tuple(found)

    @property
    def flip_order(self) -> tuple[int, ...]:
        """The index of each keypoint's mirror partner: `keypoints[flip_order]` are those of the mirrored object."""
        order = list(range(self.num_keypoints))
        for a, b in self.flip_pairs:
            order[a], order[b] = b, a
        return tuple(order)


_VEHICLE_SIDE = (
    "rear wheel", "front wheel",
    "front arch front bottom", "front arch front top", "front arch rear top", "front arch rear bottom",
    "rear arch front bottom", "rear arch front top", "rear arch rear top", "rear arch rear bottom",
    "back bottom", "back top", "rear window bottom", "rear window top",
    "windscreen top", "windscreen bottom", "bonnet front top", "front bottom",
)  # fmt: skip

_VEHICLE_SIDE_LIMBS = (
    (17, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9), (9, 10),
    (10, 11), (11, 12), (12, 13), (13, 14), (14, 15), (15, 16), (16, 17), (12, 15),
)  # fmt: skip

VEHICLE = Skeleton(
    name="vehicle36",
    keypoints=tuple(f"{side} {name}" for side in ("left", "right") for name in _VEHICLE_SIDE),
    flip_pairs=tuple((i, i + 18) for i in range(18)),
    groups={
        "Wheel": (0, 1, 18, 19),
        "Fender": (*range(2, 10), *range(20, 28)),
        "Back": (10, 11, 28, 29),
        "Front": (16, 17, 34, 35),
        "WindshieldBack": (12, 13, 30, 31),
        "WindshieldFront": (14, 15, 32, 33),
    },
    limbs=(
        *_VEHICLE_SIDE_LIMBS,
        *((a + 18, b + 18) for a, b in _VEHICLE_SIDE_LIMBS),
        *((i, i + 18) for i in range(10, 18)),
    ),
    segments=(
        (5, 15, 16, 17), (5, 6, 12, 15), (6, 10, 11, 12), (23, 33, 34, 35), (23, 24, 30, 33),
        (24, 28, 29, 30), (10, 11, 29, 28), (11, 12, 30, 29), (12, 13, 31, 30), (13, 14, 32, 31),
        (14, 15, 33, 32), (15, 16, 34, 33), (16, 17, 35, 34),
    ),
)  # fmt: skip

PERSON = Skeleton(
    name="person16",
    keypoints=(
        "right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle",
        "pelvis", "thorax", "neck", "head top",
        "right wrist", "right elbow", "right shoulder", "left shoulder", "left elbow", "left wrist",
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)),
    groups={
        "ankle": (0, 5), "knee": (1, 4), "hip": (2, 3), "pelvis": (6,), "thorax": (7,), "neck": (8,),
        "head": (9,), "wrist": (10, 15), "elbow": (11, 14), "shoulder": (12, 13),
    },
    limbs=(
        (0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9),
        (10, 11), (11, 12), (12, 7), (7, 13), (13, 14), (14, 15),
    ),
)  # fmt: skip

# COCO's people, for published HRNet checkpoints. A COCO file's own skeleton comes from the file.
COCO_PERSON = Skeleton(
    name="person17",
    keypoints=(
        "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder",
        "left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip",
        "left knee", "right knee", "left ankle", "right ankle",
    ),
    flip_pairs=tuple((i, i + 1) for i in range(1, 17, 2)),
    groups={
        "head": (0, 1, 2, 3, 4), "shoulder": (5, 6), "elbow": (7, 8), "wrist": (9, 10), "hip": (11, 12),
        "knee": (13, 14), "ankle": (15, 16),
    },
    limbs=(
        (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12),
        (11, 13), (13, 15), (12, 14), (14, 16),
    ),
)  # fmt: skip

SKELETONS = {skeleton.name: skeleton for skeleton in (VEHICLE, PERSON, COCO_PERSON)}


FROM_DATA = "data"  # the name by which a recipe leaves the skeleton to the data set


def get_skeleton(name: "str | Skeleton") -> Skeleton:
    """Return the skeleton with this name, or one that is whole already.

    Raises InputError, which lists the names, if there is none, and where it was left to a data set.
    """
    if isinstance(name, Skeleton):
        return name
    if name == FROM_DATA:
        raise InputError("skeleton is data: it comes from the data set; give --data, or set skeleton to a name")
    if name not in SKELETONS:
        raise InputError(f"unknown skeleton {name!r}; choose one of {', '.join(SKELETONS)}")
    return SKELETONS[name]


MOST_KEYPOINTS = 1000  # of a skeleton; faces have 68 to 478
_SIDES = (("left", "right"), ("l", "r"), ("near", "off"), ("nearside", "offside"), ("左", "右"))
_MIRROR = {a: b for pair in _SIDES for a, b in (pair, pair[::-1])}
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[左右]|\d+|.", re.DOTALL)


def make_skeleton(
    name: str,
    keypoints: Sequence[str],
    limbs: Sequence[tuple[int, int]] = (),
    flip_pairs: Sequence[tuple[int, int]] | None = None,
) -> Skeleton:
    """A skeleton from names: its flip pairs are found in them unless given, its groups are the pairs and the rest."""
    pairs = find_flip_pairs(keypoints) if flip_pairs is None else tuple(flip_pairs)
    partner = dict(pairs)
    groups: dict[str, tuple[int, ...]] = {}
    for k, keypoint in enumerate(keypoints):
        if k in partner:
            other = keypoints[partner[k]]
            common = without_side(keypoint)
            fits = common and common == without_side(other) and common not in {*keypoints, *groups}
            groups[common if fits else f"{keypoint}, {other}"] = k, partner[k]
        elif k not in partner.values():
            groups[keypoint] = (k,)
    return Skeleton(name, tuple(keypoints), pairs, groups, tuple(limbs))


def find_flip_pairs(keypoints: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The left/right pairs that the names show, the lower index first.

    Two names are a pair when they differ in one word only, which is left in one and right in the other: as a word of
    its own (left_eye), in mixed case (leftEye, eyeL, forelegL1), as a letter (L_eye), or near and off. A name that
    could have two partners has none, and so have letters that count further than L and R (a, b, c, …).
    """
    index = {name: k for k, name in enumerate(keypoints)}
    partners = {name: [other for other in _mirrored(name, index) if other in index] for name in keypoints}
    return tuple(
        (k, index[found[0]])
        for k, found in enumerate(partners[name] for name in keypoints)
        if len(found) == 1 and k < index[found[0]] and partners[found[0]] == [keypoints[k]]
    )


def _mirrored(name: str, names: dict[str, int]) -> list[str]:
    """What the name could be on the other side: each of its words for a side exchanged."""
    tokens, found = _TOKEN.findall(name), []
    for i, token in enumerate(tokens):
        other = _MIRROR.get(token.lower())
        if other is None or (len(token) == 1 and token.isascii() and _counts_on(tokens, i, names)):
            continue
        cased = other.upper() if token.isupper() else other.capitalize() if token[0].isupper() else other
        found.append("".join([*tokens[:i], cased, *tokens[i + 1 :]]))
    return found


def _counts_on(tokens: list[str], i: int, names: dict[str, int]) -> bool:
    """Whether the names with another letter in this place show that it is a letter of the alphabet, and no side."""
    before, after = "".join(tokens[:i]), "".join(tokens[i + 1 :])
    others = {name[len(before)] for name in names if _differs_in_a_letter(name, before, after)}
    return bool(others - set("lrLRcmCM"))  # centre and middle


def _differs_in_a_letter(name: str, before: str, after: str) -> bool:
    same = name.startswith(before) and name.endswith(after) and len(name) == len(before) + 1 + len(after)
    return same and name[len(before)].isalpha()


def _is_right(name: str) -> bool:
    """Whether a name of a pair is that of the right side."""
    return bool({"right", "r", "off", "offside", "右"} & {token.lower() for token in _TOKEN.findall(name)})


def without_side(name: str) -> str:
    """The name without its word for a side: eye of left_eye, foreleg1 of forelegL1."""
    kept = [token for token in _TOKEN.findall(name) if token.lower() not in _MIRROR]
    return re.sub(r"[\s_\-.]+", " ", "".join(kept)).strip()


def about_pairs(skeleton: Skeleton) -> str:
    """Which keypoints are paired, for people."""
    names, pairs = skeleton.keypoints, skeleton.flip_pairs
    alone = [name for k, name in enumerate(names) if not any(k in pair for pair in pairs)]
    found = ", ".join(f"{names[a]}:{names[b]}" for a, b in pairs) or "none"
    return (
        f"{skeleton.name}: {len(names)} keypoints; flip pairs {found}; without a partner {', '.join(alone) or 'none'}"
    )


def parse_flip_pairs(text: str, keypoints: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The pairs that `a:b,c:d` names; InputError for a name that isn't there, or is in two pairs."""
    pairs, used = [], set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        names = [name.strip() for name in part.split(":")]
        if len(names) != 2:
            raise InputError(f"flip pairs: {shown(part)} is not a pair; write left_eye:right_eye,left_ear:right_ear")
        for name in names:
            if name not in keypoints:
                known = ", ".join(keypoints)
                raise InputError(f"flip pairs: no keypoint is called {shown(name)}; there are {known[:500]}")
            if name in used:
                raise InputError(f"flip pairs: {shown(name)} is in two pairs; name each keypoint once")
            used.add(name)
        a, b = sorted(list(keypoints).index(name) for name in names)
        pairs.append((a, b))
    return tuple(pairs)


def skeleton_from(values: object) -> Skeleton:
    """The skeleton of `dataclasses.asdict`, as a model file carries it; InputError for values that it can't have."""
    try:
        assert isinstance(values, dict) and isinstance(values["keypoints"], list | tuple)
        name, keypoints = values["name"], tuple(values["keypoints"])
        assert isinstance(name, str) and all(isinstance(keypoint, str) for keypoint in keypoints)
        assert 0 < len(keypoints) <= MOST_KEYPOINTS and len(set(keypoints)) == len(keypoints)
        indices = set(range(len(keypoints)))

        def lists(name: str, length: int) -> tuple[tuple[int, ...], ...]:
            found = tuple(tuple(item) for item in values[name])
            assert all(len(item) == length and set(item) <= indices for item in found)
            return found

        groups = {str(group): tuple(members) for group, members in values["groups"].items()}
        assert all(members and set(members) <= indices for members in groups.values())
        pairs = lists("flip_pairs", 2)
        assert len({k for pair in pairs for k in pair}) == 2 * len(pairs)
        return Skeleton(name, keypoints, pairs, groups, lists("limbs", 2), lists("segments", 4))  # pyright: ignore
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError("skeleton must be the name of one, data, or a whole skeleton as posekit writes it") from error


def check_same_keypoints(wanted: Skeleton, found: Skeleton, where: str, remedy: str) -> None:
    """InputError when two skeletons differ in their keypoints; names those of one that aren't the other's."""
    if wanted.keypoints == found.keypoints:
        return
    missing = [name for name in wanted.keypoints if name not in found.keypoints]
    more = [name for name in found.keypoints if name not in wanted.keypoints]
    parts = [f"without {_some(missing)}"] * bool(missing) + [f"with {_some(more)}"] * bool(more)
    differ = " and ".join(parts) or "in another order"
    raise InputError(
        f"{where}: has {found.num_keypoints} keypoints ({found.name}), not the {wanted.num_keypoints} of "
        f"{wanted.name}: {differ}; {remedy}"
    )


def _some(names: list[str], most: int = 6) -> str:
    return ", ".join(map(shown, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
