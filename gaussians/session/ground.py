"""What runs are trained on."""

from dataclasses import dataclass
from pathlib import Path

from gaussians.scene import Scene, SceneOptions


@dataclass(frozen=True, eq=False)
class Ground:
    """A scene, where it is read from, and how."""

    scene: Scene
    path: Path
    options: SceneOptions
