"""Scenes: one reader per format, one Scene type, one `load_scene`."""

from gaussians.scene.load import load_scene
from gaussians.scene.types import Points, Progress, Scene, SceneOptions, View

__all__ = ["Points", "Progress", "Scene", "SceneOptions", "View", "load_scene"]
