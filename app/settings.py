"""What the window remembers between starts, as JSON in the user's configuration folder."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from gaussians.errors import StorageError
from gaussians.storage import write_json

MOST_RECENT = 8
SCALES = (0.8, 1.0, 1.25, 1.5, 2.0, 2.5)
LEAST_ROOM = (900, 500)  # px of width and height, divided by the scale: with less, things overlap
AMPLE_HEIGHT = 1000  # px at scale 1: a window so high is readable from where one sits


def settings_file() -> Path:
    """Where the settings are kept."""
    return Path(platformdirs.user_config_dir("splat-distillery")) / "studio.json"


def fitting_scale(wanted: float | None, width: int, height: int) -> float:
    """The scale to be used in a window of this size, px: what is wanted (None: by the height), if it fits."""
    if wanted is None:
        wanted = max(1.0, height / AMPLE_HEIGHT)
    most = min(wanted, width / LEAST_ROOM[0], height / LEAST_ROOM[1])
    return max((scale for scale in SCALES if scale <= most), default=SCALES[0])


@dataclass
class Settings:
    """The user's choices.

    Attributes:
        scale: of all text and widgets; None: by the size of the window.
        width, height: of the window, px.
        recent: what was opened last, the newest first.
        layout: the cells; see `Layout.to_json`.
        preview_share: of the worker's time while the camera moves.
    """

    scale: float | None = None
    width: int = 1280
    height: int = 720
    recent: list[Path] = field(default_factory=list)
    layout: Any = None
    preview_share: float = 0.5

    def opened(self, path: Path) -> None:
        """Note what was opened."""
        self.recent = [path, *(other for other in self.recent if other != path)][:MOST_RECENT]

    def save(self, path: Path) -> str | None:
        """Write them; what went wrong, or None: lost settings are no reason to stop anything."""
        document = {
            "scale": self.scale,
            "window": [self.width, self.height],
            "recent": [str(path) for path in self.recent],
            "layout": self.layout,
            "preview_share": self.preview_share,
        }
        try:
            write_json(path, document)
        except StorageError as error:
            return str(error)
        return None


def load_settings(path: Path) -> Settings:
    """What `save` wrote; what is missing or can't be understood is as at first."""
    settings = Settings()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return settings
    if not isinstance(document, dict):
        return settings
    scale = document.get("scale")
    if isinstance(scale, int | float) and SCALES[0] <= scale <= SCALES[-1]:
        settings.scale = float(scale)
    window = document.get("window")
    if isinstance(window, list) and len(window) == 2 and all(isinstance(side, int) for side in window):
        settings.width, settings.height = max(960, window[0]), max(600, window[1])
    recent = document.get("recent")
    if isinstance(recent, list):
        settings.recent = [Path(item) for item in recent if isinstance(item, str)][:MOST_RECENT]
    share = document.get("preview_share")
    if isinstance(share, int | float) and 0 <= share <= 1:
        settings.preview_share = float(share)
    settings.layout = document.get("layout")
    return settings
