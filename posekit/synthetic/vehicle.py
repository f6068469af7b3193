"""Draw vehicles with VeRi's keypoint labels: pictures, and one csv per split."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from posekit.files import new_folder, write_text
from posekit.synthetic.mesh import Pose
from posekit.synthetic.scene import Camera, encode_jpeg, expose, look_at
from posekit.synthetic.street import paint_street
from posekit.synthetic.variety import develop, how_drawn
from posekit.synthetic.vehicle_mesh import Vehicle, draw_looks, self_hidden
from posekit.synthetic.vehicle_shapes import Body, draw_body
from posekit.synthetic.writing import check_request, draw_all, mark_drawn

SPLITS = ("train", "test")
VIEWS = 8  # images per identity
CAMERAS = 20
TRAFFIC = 40  # unlabelled vehicles per split that drive around the labelled ones
MAX_IMAGES = 9999 // 2 * VIEWS  # a split's identities are four digits, odd in train and even in test


@dataclass(frozen=True)
class Drawn:
    """One picture and its labels; keypoints (36, 2) in pixels, visible (36,) bool."""

    name: str
    image: np.ndarray  # (H, W, 3) uint8 RGB
    keypoints: np.ndarray
    visible: np.ndarray
    data: bytes  # the JPEG file

    @property
    def row(self) -> str:
        """Return the line of the label file."""
        height, width = self.image.shape[:2]
        points = np.round(self.keypoints).astype(int)
        cells = [f"{x},{y},{int(v)}" for (x, y), v in zip(points, self.visible, strict=True)]
        return ",".join([self.name, str(width), str(height), *cells])


def write_vehicles(
    out: Path,
    train: int,
    test: int,
    seed: int,
    label_files: Mapping[str, str],
    image_folders: Mapping[str, str],
    workers: int | None = None,
    varied: bool = False,
) -> None:
    """Draw `train` and `test` vehicles into the new folder `out`.

    label_files: split -> the label file to write below `out`; image_folders: split -> its folder below images/;
    varied: views, places and cameras vary as far as they can, to help with photographs.

    The same seed gives the same bytes with any number of `workers` (None: one per core), because each image is a pure
    function of (seed, split, index). No identity is in both splits. The folder appears only once it is complete.
    Raises InputError if `out` exists and isn't an empty folder, and for counts or seeds out of range.
    """
    out = Path(out)
    check_request(out, train, test, seed, MAX_IMAGES)
    with new_folder(out) as building:
        mark_drawn(building, train=train, test=test, seed=seed, **how_drawn(varied))
        for split, count in zip(SPLITS, (train, test), strict=True):
            folder = building / "images" / image_folders[split]
            folder.mkdir(parents=True)
            rows = draw_all(partial(_write_image, folder, seed, split, varied), count, split, workers)
            write_text(building / label_files[split], "".join(row + "\n" for row in sorted(rows)))


def _write_image(folder: Path, seed: int, split: str, varied: bool, index: int) -> str:
    """Draw an image and write its file; return its line of the label file."""
    drawn = draw_image(seed, split, index, varied)
    (folder / drawn.name).write_bytes(drawn.data)
    return drawn.row


def draw_image(seed: int, split: str, index: int, varied: bool = False) -> Drawn:
    """Draw image `index` of a split: a pure function of the four arguments."""
    number = SPLITS.index(split)
    identity, view = divmod(index, VIEWS)
    vehicle = draw_vehicle(seed, number, identity)
    rng = np.random.default_rng([seed, number, 1, index])
    place = int(rng.integers(1, CAMERAS + 1))
    name = f"{2 * identity + 1 + number:04d}_c{place:03d}_{index * 5 + 1000:08d}_{view}.jpg"
    camera, pose = draw_camera(rng, vehicle.body, varied)
    fine = 2.0 if max(camera.size) < 330 else 1.5
    traffic = [draw_vehicle(seed, number, -1 - int(k)) for k in rng.integers(0, TRAFFIC, 6)]
    canvas, covered = paint_street(camera.scaled(fine), vehicle, pose, traffic, rng, varied)
    keypoints = camera.project(pose.place(vehicle.body.keypoints))
    hidden = self_hidden(vehicle.body, pose.bring_back(camera.position)) | _under(covered, keypoints, fine)
    image = expose(canvas, camera.size, rng)
    image = develop(image, rng) if varied else image
    return Drawn(name, image, keypoints, ~hidden, encode_jpeg(image, rng))


@lru_cache(maxsize=96)
def draw_vehicle(seed: int, split: int, identity: int) -> Vehicle:
    """Draw the vehicle of an identity; negative ones are the split's unlabelled traffic. A pure function."""
    rng = np.random.default_rng([seed, split, 0 if identity >= 0 else 2, abs(identity)])
    return draw_looks(rng, draw_body(rng))


def _under(mask: np.ndarray, keypoints: np.ndarray, fine: float) -> np.ndarray:
    """Return which keypoints (N, 2), in final pixels, the occluders' mask (H, W), `fine` times as large, covers."""
    at = np.round((keypoints + 0.5) * fine - 0.5).astype(int)
    height, width = mask.shape
    return mask[np.clip(at[:, 1], 0, height - 1), np.clip(at[:, 0], 0, width - 1)] > 127


def draw_camera(rng: np.random.Generator, body: Body, varied: bool = False) -> tuple[Camera, Pose]:
    """Draw a traffic camera cropped around the vehicle, and the vehicle's pose at the world's origin.

    varied: any view, half of them from a person's height.
    """
    heading = rng.uniform(-np.pi, np.pi) if varied else draw_heading(rng)
    pose = Pose(0.0, 0.0, heading)
    elevation = np.radians(np.clip(rng.normal(17, 5.5), 6, 34))
    height = rng.uniform(3.8, 7.5) + 0.35 * body.size[2]
    distance = max(height / np.sin(elevation), 1.9 * body.size[0])
    if varied and rng.random() < 0.5:
        distance = rng.uniform(1.9, 5.0) * body.size[0]
        elevation = np.arcsin(rng.uniform(0.8, 2.2) / distance)
    ground = distance * np.cos(elevation)
    position = np.array((-ground, 0.0, distance * np.sin(elevation)))
    aim = np.array((0, 0, 0.5 * body.size[2]))
    camera = look_at(position, aim, np.radians(rng.normal(0, 1.5)), 1000.0, (2, 2))
    outline = np.concatenate([panel.grid.reshape(-1, 3) for panel in body.panels.values()])
    tread = body.keypoints[[0, 1, 18, 19]] * (1, 1, 0)
    points = pose.place(np.concatenate([outline, tread]))
    low, high = _box(camera.project(points))
    area = np.exp(rng.normal(np.log(166), 0.365)) ** 2  # area of the vehicle's box, pixels²
    camera = camera.scaled(np.sqrt(area / np.prod(high - low)))
    low, high = _box(camera.project(points))
    margin = (high - low) * rng.gamma(3.0, 0.023, (2, 2))
    first = np.round(low - margin[0])
    width, height_px = (np.round(high + margin[1]) - first + 1).astype(int)
    return camera.cropped(first[0], first[1], int(width), int(height_px)), pose


def _box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points.min(0), points.max(0)


def draw_heading(rng: np.random.Generator) -> float:
    """Draw a heading, mostly towards or away from the camera, which looks along the world's x axis."""
    if rng.random() < 0.25:
        return rng.uniform(-np.pi, np.pi)
    return rng.choice([0.0, np.pi]) + np.radians(rng.normal(0, 19))
