"""A vehicle in traffic: the street, vehicles around it, and objects in front of it."""

import cv2
import numpy as np

from posekit.synthetic.mesh import Pose
from posekit.synthetic.scene import Camera, Light, cast_shadow, draw_light, fill, on_screen, paint_mesh
from posekit.synthetic.surroundings import paint_ground, paint_leaves, paint_pole
from posekit.synthetic.variety import crease, obstruct, repaint
from posekit.synthetic.vehicle_mesh import Vehicle

MOST_COVERED = 0.4  # share of a vehicle's outline that one vehicle in front may cover


def paint_street(
    camera: Camera,
    vehicle: Vehicle,
    pose: Pose,
    traffic: list[Vehicle],
    rng: np.random.Generator,
    varied: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Paint `vehicle` at `pose` and some of `traffic`; return the canvas (H, W, 3) and the occluders' mask (H, W)."""
    width, height = camera.size
    canvas, mask = np.empty((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    light = draw_light(rng)
    turned = rng.uniform(-np.pi, np.pi) if rng.random() < 0.15 else rng.normal(0, 0.06)
    paint_ground(canvas, camera, light, rng, pose.heading + turned)
    if varied:
        repaint(canvas, rng)
    behind, front = place_traffic(camera, vehicle, pose, traffic, rng)
    for other, where in behind:
        paint_vehicle(canvas, camera, light, other, where)
    surface = np.zeros_like(mask) if varied else None
    paint_vehicle(canvas, camera, light, vehicle, pose, surface)
    if surface is not None:
        crease(canvas, surface, rng)
    for other, where in front:
        if _share_covered(camera, vehicle, pose, other, where) < MOST_COVERED:
            paint_vehicle(canvas, camera, light, other, where, mask)
    if rng.random() < 0.13:
        towards = (camera.position - (pose.x, pose.y, 0)) * (1, 1, 0)
        across = np.array((-towards[1], towards[0], 0)) / np.linalg.norm(towards)
        reach = rng.uniform(0.25, 0.6) * towards + across * rng.uniform(-0.4, 0.4) * vehicle.body.size[0]
        paint_pole(canvas, mask, camera, light, rng, reach + (pose.x, pose.y, 0))
    if rng.random() < 0.06:
        paint_leaves(canvas, mask, light, rng)
    if varied:
        obstruct(canvas, mask, rng)
    return canvas, mask


def paint_vehicle(
    canvas: np.ndarray, camera: Camera, light: Light, vehicle: Vehicle, pose: Pose, mask: np.ndarray | None = None
) -> None:
    """Paint a vehicle and its shadow. If `mask` (H, W) is given, set the vehicle's pixels in it to 255."""
    outline = pose.place(vehicle_outline(vehicle))
    ground = outline - outline[:, 2:] * np.append(light.towards[:2] / light.towards[2], 1.0)
    if not on_screen(camera, np.concatenate([outline, ground])):
        return
    cast_shadow(canvas, camera, light, outline)
    paint_mesh(canvas, camera, light, vehicle.mesh, pose, mask)


def vehicle_outline(vehicle: Vehicle) -> np.ndarray:
    """Return points (40, 3) whose convex hull approximates the vehicle's, including the ground under the wheels."""
    keypoints = vehicle.body.keypoints
    return np.concatenate([keypoints, keypoints[[0, 1, 18, 19]] * (1, 1, 0)])


def place_traffic(
    camera: Camera, vehicle: Vehicle, pose: Pose, traffic: list[Vehicle], rng: np.random.Generator
) -> tuple[list[tuple[Vehicle, Pose]], list[tuple[Vehicle, Pose]]]:
    """Place some of `traffic` in the lanes around `vehicle`; return those behind and those in front, far first."""
    behind, front, taken = [], [], [(vehicle, pose)]
    for other in traffic:
        nearer = rng.random() < 0.13
        ahead = rng.choice([-1, 1]) * rng.uniform(0, 13)
        lane = rng.choice([-2, -1, 0, 1, 2]) * 3.3 + rng.normal(0, 0.25)
        spot = pose.place(np.array((ahead, lane, 0.0)))
        heading = pose.heading + rng.choice([0, np.pi]) + rng.normal(0, 0.08)
        where = Pose(spot[0], spot[1], heading)
        distance = camera.view(spot)[2] - camera.view(np.array((pose.x, pose.y, 0.0)))[2]
        if any(_touch(other, where, *there) for there in taken):
            continue
        if distance > 1.5:
            behind.append((other, where))
        elif distance < -1.5 and nearer:
            front.append((other, where))
        else:
            continue
        taken.append((other, where))
    for group in (behind, front):
        group.sort(key=lambda item: -camera.view(np.array((item[1].x, item[1].y, 0.0)))[2])
    return behind, front


def _touch(one: Vehicle, here: Pose, two: Vehicle, there: Pose) -> bool:
    """Whether the ground rectangles of two vehicles, half a metre longer and wider than these, overlap."""
    rectangles = []
    for vehicle, pose in ((one, here), (two, there)):
        length, width, _ = vehicle.body.size
        size = (length + 0.5, width + 0.5)
        rectangles.append(((pose.x, pose.y), size, float(np.degrees(pose.heading))))
    return cv2.rotatedRectangleIntersection(*rectangles)[0] != cv2.INTERSECT_NONE


def _share_covered(camera: Camera, vehicle: Vehicle, pose: Pose, other: Vehicle, where: Pose) -> float:
    """Return the share of `vehicle`'s outline in the picture that `other` covers, 0..1."""
    width, height = camera.size
    masks = []
    for who, place in ((vehicle, pose), (other, where)):
        outline = place.place(vehicle_outline(who))
        mask = np.zeros((height // 4, width // 4), np.uint8)
        if camera.view(outline)[..., 2].min() > 1.0:
            hull = cv2.convexHull(camera.scaled(0.25).project(outline).astype(np.float32))[:, 0]
            fill(mask, hull, 255)
        masks.append(mask > 0)
    return float((masks[0] & masks[1]).sum() / max(1, masks[0].sum()))
