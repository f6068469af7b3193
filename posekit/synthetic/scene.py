"""The base of all drawn pictures: camera, light, painting of surfaces, and the camera sensor.

The world is in metres, z up, the ground at z = 0. A canvas is an (H, W, 3) uint8 RGB array; pixel coordinates are
(x, y) with (0, 0) the centre of the top-left pixel. Colours are RGB in 0..1. Pictures are painted back to front at
a multiple of the final size and then averaged down, which smooths all edges.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from posekit.synthetic.mesh import Mesh, Pose

NEAR = 1.0  # metres; nothing nearer than this is drawn
SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. `axes` has the rows right, down, forward; `focal` and the principal point are in pixels."""

    position: np.ndarray  # (3,)
    axes: np.ndarray  # (3, 3)
    focal: float
    principal: tuple[float, float]
    size: tuple[int, int]  # width, height

    def view(self, points: np.ndarray) -> np.ndarray:
        """Transform world points (..., 3) to the camera's frame: right, down, forward."""
        return (points - self.position) @ self.axes.T

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project world points (..., 3) to pixels (..., 2). The points must be in front of the camera."""
        seen = self.view(points)
        return seen[..., :2] * (self.focal / np.maximum(seen[..., 2:], 1e-3)) + np.asarray(self.principal)

    def scaled(self, factor: float) -> "Camera":
        """Return the same view with `factor` times as many pixels per side."""
        width, height = self.size
        x, y = self.principal
        return replace(
            self, focal=self.focal * factor, size=(round(width * factor), round(height * factor)),
            principal=((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5),
        )  # fmt: skip

    def cropped(self, left: float, top: float, width: int, height: int) -> "Camera":
        """Return the camera of a part of the picture; its first pixel is (left, top)."""
        return replace(self, principal=(self.principal[0] - left, self.principal[1] - top), size=(width, height))


def look_at(position: np.ndarray, target: np.ndarray, roll: float, focal: float, size: tuple[int, int]) -> Camera:
    """Make a camera at `position` with `target` in the middle of its picture; `roll` in radians."""
    position, target = np.asarray(position, float), np.asarray(target, float)
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    axes = np.stack([c * right + s * down, c * down - s * right, forward])
    return Camera(position, axes, focal, ((size[0] - 1) / 2, (size[1] - 1) / 2), size)


@dataclass(frozen=True)
class Light:
    """Sun and sky. `towards` points to the sun."""

    towards: np.ndarray  # (3,) unit
    sun: np.ndarray  # (3,) RGB
    sky: np.ndarray  # (3,) RGB, light from above
    ground: np.ndarray  # (3,) RGB, light from below
    shadow: float  # how dark a cast shadow is, 0..1

    def shade(self, color: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Compute the colours (..., 3) of matt surfaces with unit `normals` (..., 3) by Lambert's law."""
        up = 0.5 + 0.5 * normals[..., 2:]
        sun = np.maximum(normals @ self.towards, 0.0)[..., None]
        return color * (self.sun * sun + self.sky * up + self.ground * (1 - up))

    def reflect(self, normals: np.ndarray, towards_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the reflected colours (..., 3) and their strength by Schlick's approximation (..., 1)."""
        cosine = np.clip((normals * towards_camera).sum(-1, keepdims=True), 0.0, 1.0)
        ray = 2 * cosine * normals - towards_camera
        height = np.clip(ray[..., 2:] * 2.2 + 0.35, 0.0, 1.0)
        mirrored = self.ground * 0.45 * (1 - height) + self.sky * 1.5 * height
        glint = np.maximum(ray @ self.towards, 0.0)[..., None] ** 60
        return mirrored + 1.6 * self.sun * glint, 0.04 + 0.96 * (1 - cosine) ** 5


def draw_light(rng: np.random.Generator) -> Light:
    """Draw a random daylight: from clear to overcast, from noon to evening."""
    azimuth, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(22, 75))
    towards = np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
    clear = rng.uniform(0, 1)
    exposure = rng.uniform(0.8, 1.15)
    warm = rng.uniform(0, 0.18) * (1 if height < 0.8 else 0.4)
    sun = exposure * clear * 0.85 * np.array([1 + warm, 1.0, 1 - warm])
    sky = exposure * (1.05 - 0.4 * clear) * np.array([0.97, 1.0, 1.05])
    return Light(towards, sun, sky, 0.55 * sky + 0.12 * sun, 0.3 + 0.3 * clear)


def film(color: np.ndarray) -> np.ndarray:
    """Map brightness (...) to pixel values: linear up to 0.7, then compressed, which keeps shading in sunlit white."""
    bright = np.maximum(color - 0.7, 0.0)
    return np.round(255 * (np.clip(color, 0.0, 0.7) + 0.3 * (1 - np.exp(-bright / 0.3)))).astype(int)


def to_pixel(color: np.ndarray) -> tuple[int, int, int]:
    """Convert RGB in 0..1 to OpenCV's integers."""
    red, green, blue = film(np.asarray(color)).tolist()
    return red, green, blue


def fixed(points: np.ndarray) -> np.ndarray:
    """Convert pixel coordinates to fixed-point integers for OpenCV's `shift` argument."""
    return np.round(np.clip(points, -60000, 60000) * (1 << SUBPIXEL_BITS)).astype(np.int32)


def fill(canvas: np.ndarray, points: np.ndarray, color: np.ndarray | float) -> None:
    """Fill the polygon `points` (N, 2), in pixels, on a colour canvas or on a one-channel mask."""
    cv2.fillPoly(canvas, [fixed(points)], _value(canvas, color), shift=SUBPIXEL_BITS)


def _value(canvas: np.ndarray, color: np.ndarray | float) -> tuple[float, ...]:
    return (float(color),) if canvas.ndim == 2 else to_pixel(np.asarray(color))


def fill_faces(canvas: np.ndarray, faces: np.ndarray, colors: np.ndarray) -> None:
    """Fill convex polygons (F, C, 2), in pixels, in order, each with its colour (F, 3)."""
    corners = fixed(faces)
    values = film(colors).tolist()
    for polygon, value in zip(corners, values, strict=True):
        cv2.fillConvexPoly(canvas, polygon, value, shift=SUBPIXEL_BITS)


def on_screen(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Return which shapes (..., N, 3) are entirely in front of the camera and may be in its picture, (...) bool."""
    return _visible_faces(camera, points)[1]


def _visible_faces(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project shapes (..., N, 3) to pixels (..., N, 2); also return which are in front of the camera and in view."""
    seen = camera.view(points)
    depth = seen[..., 2:]
    pixels = seen[..., :2] * (camera.focal / np.maximum(depth, NEAR)) + np.asarray(camera.principal)
    inside = (pixels.max(-2) > -1) & (pixels.min(-2) < np.asarray(camera.size))
    return pixels, inside.all(-1) & (depth[..., 0].min(-1) > NEAR)


def paint_mesh(
    canvas: np.ndarray, camera: Camera, light: Light, mesh: Mesh, pose: Pose, mask: np.ndarray | None = None
) -> None:
    """Paint the faces that face the camera. If `mask` (H, W) is given, set their pixels in it to 255."""
    local = replace(camera, position=pose.bring_back(camera.position), axes=camera.axes @ pose.turn)
    sunny = replace(light, towards=light.towards @ pose.turn)
    seen = np.flatnonzero(((local.position - mesh.corners[:, 0]) * mesh.facing).sum(-1) > 0)
    pixels, shown = _visible_faces(local, mesh.corners[seen])
    seen, pixels = seen[shown], pixels[shown]
    towards = local.position - mesh.corners[seen, 0]
    towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
    normals, colors, glow = mesh.normals[seen], mesh.colors[seen], mesh.glow[seen, None]
    mirrored, strength = sunny.reflect(normals, towards)
    strength = np.minimum(strength * mesh.gloss[seen, None], 1.0)
    matt = sunny.shade(colors, normals) * (1 - glow) + colors * glow
    fill_faces(canvas, pixels, matt * (1 - strength) + strength * mirrored)
    if mask is not None:
        for face in fixed(pixels):
            cv2.fillConvexPoly(mask, face, (255,), shift=SUBPIXEL_BITS)


def paint_flat(canvas: np.ndarray, camera: Camera, shapes: np.ndarray, color: np.ndarray | float) -> None:
    """Fill convex world polygons (F, N, 3) with one colour, unshaded; parts behind the camera are clipped."""
    pixels, shown = _visible_faces(camera, shapes)
    if shown.any():
        value = _value(canvas, color)
        for corners in fixed(pixels[shown]):
            cv2.fillConvexPoly(canvas, corners, value, shift=SUBPIXEL_BITS)
    seen = camera.view(shapes)
    near, far = seen[..., 2].min(-1), seen[..., 2].max(-1)
    for shape in seen[(near <= NEAR) & (far > NEAR)]:
        cut = _cut_near(shape)
        fill(canvas, cut[:, :2] * (camera.focal / cut[:, 2:]) + np.asarray(camera.principal), color)


def _cut_near(shape: np.ndarray) -> np.ndarray:
    """Clip a convex polygon (N, 3), in the camera's frame, to the part farther than NEAR."""
    after = np.roll(shape, -1, axis=0)
    here, there = shape[:, 2] - NEAR, after[:, 2] - NEAR
    crossing = (here > 0) != (there > 0)
    part = (here / np.where(crossing, here - there, 1.0))[:, None]
    points = np.stack([shape, shape + part * (after - shape)], axis=1).reshape(-1, 3)
    return points[np.column_stack([here > 0, crossing]).ravel()]


def cast_shadow(canvas: np.ndarray, camera: Camera, light: Light, points: np.ndarray) -> None:
    """Darken the ground where the convex hull of world `points` (N, 3) blocks the sun and much of the sky."""
    blur = 0.1 * camera.focal / np.linalg.norm(camera.position - points.mean(0))
    slope = light.towards[:2] / light.towards[2]
    for reach, strength, sigma in ((1.0, light.shadow, 1.0), (0.12, 0.55, 2.5)):
        flat = points[:, :2] - reach * points[:, 2:] * slope
        hull = cv2.convexHull(flat.astype(np.float32))[:, 0]
        darken(canvas, camera, np.column_stack([hull, np.zeros(len(hull))])[None], strength, float(sigma * blur))


def darken(canvas: np.ndarray, camera: Camera, shapes: np.ndarray, strength: float, sigma: float) -> None:
    """Multiply the canvas by 1 - strength inside the world polygons (F, N, 3), edges blurred by sigma pixels."""
    height, width = canvas.shape[:2]
    small = camera.scaled(0.25)
    mask = np.zeros((height // 4 + 1, width // 4 + 1), np.uint8)
    paint_flat(mask, small, shapes, 255.0 * strength)
    if not mask.any():
        return
    side = int(sigma / 2) + 1
    mask = 255 - cv2.blur(cv2.blur(mask, (side, side)), (side, side))
    mask = cv2.resize(mask, (4 * mask.shape[1], 4 * mask.shape[0]))[:height, :width]
    cv2.multiply(canvas, cv2.merge([mask] * 3), dst=canvas, scale=1 / 255)


def expose(canvas: np.ndarray, size: tuple[int, int], rng: np.random.Generator, steady: float = 1.0) -> np.ndarray:
    """Turn a painted canvas into a photograph, uint8 RGB: average down to `size`; add defocus, contrast and noise.

    steady: factor on defocus and motion blur; 1 suits a picture filled by one object.
    """
    image = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    blur = steady * rng.uniform(0, 0.006) * np.sqrt(size[0] * size[1])
    if blur > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    if rng.random() < 0.15:
        image = smear(image, rng, 0.02 * steady)
    noise = rng.standard_normal((size[1], size[0]), np.float32) * rng.uniform(0.5, 5.0)
    contrast = rng.uniform(0.8, 1.1)
    noise += 118 * (1 - contrast) + rng.uniform(-14, 14)
    return cv2.scaleAdd(image.astype(np.float32), contrast, cv2.merge([noise] * 3)).clip(0, 255).astype(np.uint8)


def smear(image: np.ndarray, rng: np.random.Generator, most: float) -> np.ndarray:
    """Add motion blur in a random direction, up to `most` of the picture's longer side."""
    length = max(2.0, rng.uniform(0, most) * max(image.shape[:2]))
    angle = rng.uniform(0, np.pi)
    side = int(length) | 1
    kernel = np.zeros((side, side), np.float32)
    middle = (side - 1) / 2
    step = np.array([np.cos(angle), np.sin(angle)]) * middle
    start, end = np.round(middle - step).astype(int), np.round(middle + step).astype(int)
    cv2.line(kernel, start.tolist(), end.tolist(), (1.0,))
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def encode_jpeg(image: np.ndarray, rng: np.random.Generator) -> bytes:
    """Encode an RGB image as JPEG at a traffic camera's quality."""
    quality = int(rng.integers(60, 93))
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise OSError("the JPEG encoder failed")
    return data.tobytes()
