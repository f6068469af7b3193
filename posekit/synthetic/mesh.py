"""Objects made of flat faces, and their poses. Metres, z up, the ground at z = 0; colours are RGB in 0..1."""

from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True)
class Pose:
    """The place of an object on the ground, in metres, and its heading in radians from the world's x axis."""

    x: float
    y: float
    heading: float

    @property
    def turn(self) -> np.ndarray:
        """The rotation (3, 3) from object to world."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])

    def place(self, points: np.ndarray) -> np.ndarray:
        """Transform points (..., 3) from the object's frame to the world."""
        return points @ self.turn.T + (self.x, self.y, 0.0)

    def bring_back(self, point: np.ndarray) -> np.ndarray:
        """Transform a point (3,) from the world to the object's frame."""
        return (point - (self.x, self.y, 0.0)) @ self.turn


@dataclass(frozen=True)
class Mesh:
    """Flat convex faces in painting order. A triangle repeats a corner.

    facing: a face is painted if the camera is on the side to which it points.
    normals: for shading only; they may be tilted to make a surface look rounder than it is.
    gloss: how much of the sky a face reflects; 1 is like varnish.
    glow: how much of its colour is visible without light.
    """

    corners: np.ndarray  # (F, 4, 3) metres
    facing: np.ndarray  # (F, 3) outward
    normals: np.ndarray  # (F, 3) unit
    colors: np.ndarray  # (F, 3) RGB
    gloss: np.ndarray  # (F,)
    glow: np.ndarray  # (F,)


def faces(
    corners: np.ndarray, facing: np.ndarray | tuple, color: tuple | np.ndarray, gloss: float = 0.0, glow: float = 0.0,
    normals: np.ndarray | None = None,
) -> Mesh:  # fmt: skip
    """Make a mesh of one material from corners (F, 4, 3) and outward directions (F, 3), or one for all (3,)."""
    count = len(corners)
    facing = np.broadcast_to(np.asarray(facing, float), (count, 3))
    colors = np.broadcast_to(np.asarray(color, float), (count, 3))
    return Mesh(
        corners, facing, facing if normals is None else normals, colors, np.full(count, gloss), np.full(count, glow)
    )


def polygon(
    points: np.ndarray, normal: tuple | np.ndarray, color: tuple | np.ndarray, gloss: float = 0.0, glow: float = 0.0
) -> Mesh:
    """Split a flat convex polygon (N, 3) into faces."""
    count = len(points)
    first = np.arange(1, count - 1, 2)
    index = np.column_stack([np.zeros_like(first), first, first + 1, np.minimum(first + 2, count - 1)])
    return faces(points[index], normal, color, gloss, glow)


def join(meshes: list[Mesh]) -> Mesh:
    """Join meshes into one that paints them in this order."""
    return Mesh(*(np.concatenate([getattr(m, f.name) for m in meshes]) for f in fields(Mesh)))


def mirrored(mesh: Mesh) -> Mesh:
    """Mirror the mesh at the plane y = 0."""
    corners, facing, normals = (values * (1, -1, 1) for values in (mesh.corners, mesh.facing, mesh.normals))
    return replace(mesh, corners=corners, facing=facing, normals=normals)


def moved(mesh: Mesh, turn: np.ndarray, shift: np.ndarray | tuple) -> Mesh:
    """Rotate the mesh by `turn` (3, 3) about the origin, then shift it by (3,)."""
    return replace(
        mesh, corners=mesh.corners @ turn.T + shift, facing=mesh.facing @ turn.T, normals=mesh.normals @ turn.T
    )


def far_first(mesh: Mesh, eye: np.ndarray, nearer: np.ndarray | float = 0.0) -> Mesh:
    """Sort the faces from far to near as seen from `eye` (3,), each `nearer` metres closer; for small faces only."""
    order = np.argsort(nearer - np.linalg.norm(mesh.corners.mean(1) - eye, axis=1), kind="stable")
    return Mesh(*(getattr(mesh, f.name)[order] for f in fields(Mesh)))


def box(low: tuple, high: tuple, color: tuple | np.ndarray, gloss: float = 0.0) -> Mesh:
    """Make an upright box, without its bottom face, which no camera above the ground can see."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    ground = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)
    bottom, top = (np.column_stack([ground, np.full(4, z)]) for z in (z0, z1))
    sides = np.stack([bottom, np.roll(bottom, -1, 0), np.roll(top, -1, 0), top], axis=1)
    normals = np.array([(0, -1, 0), (1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, 0, 1)], float)
    return faces(np.concatenate([sides, top[None]]), normals, color, gloss)
