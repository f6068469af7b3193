"""The skeletons of vehicles and people: keypoint names, flip pairs, groups, limbs and surface segments."""

from dataclasses import dataclass

from posekit.errors import InputError


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

# COCO's people, for published HRNet checkpoints; posekit has no layout for COCO data.
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


def get_skeleton(name: str) -> Skeleton:
    """Return the skeleton with this name; raise an InputError that lists the names if there is none."""
    if name not in SKELETONS:
        raise InputError(f"unknown skeleton {name!r}; choose one of {', '.join(SKELETONS)}")
    return SKELETONS[name]
