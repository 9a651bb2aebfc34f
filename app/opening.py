"""What a path is opened as."""

from pathlib import Path

from app.paths import expanded
from gaussians.scene import SceneOptions
from gaussians.session.directory import RunDirectory
from gaussians.session.messages.commands import OpenRun, OpenScene, OpenSplat
from gaussians.session.messages.reports import Failed


class NotOpenedError(Exception):
    """Nothing can be opened there.

    Attributes:
        failed: what to say.
        gone: the path, where nothing is there; None: it can't be looked at.
    """

    def __init__(self, failed: Failed, gone: Path | None = None) -> None:
        super().__init__(failed.what)
        self.failed, self.gone = failed, gone


def opening(path: Path) -> OpenRun | OpenScene | OpenSplat:
    """The command that opens a scene, a run or a splat file, whichever it is. Raises NotOpenedError."""
    path = expanded(path)
    try:
        path = path.resolve()
        if RunDirectory(path).exists:
            return OpenRun(path)
        if path.is_dir():
            return OpenScene(path, SceneOptions())
        if path.is_file():
            return OpenSplat(path)
    except OSError as error:
        advice = "Mend that, or open something else; what was open stays."
        raise NotOpenedError(Failed(f"{path}: {error.strerror or error}.", advice)) from error
    advice = "It may have been moved; open it by its new place."
    raise NotOpenedError(Failed(f"{path}: no such file or folder.", advice), gone=path)
