"""Which photos are kept for testing."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gaussians.errors import RecipeError, SceneError
from gaussians.scene.types import SceneOptions

_LISTED = 5


def choose_test(
    scene: Path, names: Sequence[str], own: frozenset[str] | None, options: SceneOptions
) -> tuple[frozenset[str], str]:
    """The names of the test photos, and a note on how they were chosen.

    By `options.test_names` if given, else by the scene's own split if it has one and no other N than the
    default is asked for, else every Nth by name.

    Args:
        scene: for messages.
        names: of all photos, sorted.
        own: the split that the scene's files make.
        options: what was asked for.

    Raises:
        SceneError: a test name fits no photo, or no photo is left to train on.
        RecipeError: a negative test_every.
    """
    if options.test_every < 0:
        raise RecipeError(f"--test-every {options.test_every}: must be at least 0, which holds out none")
    if options.test_names:
        test, note = _by_name(scene, names, options.test_names), "test views: by name"
    elif own is not None and options.test_every == SceneOptions.test_every:
        test, note = own, "test views: as the scene's files have them"
    elif options.test_every:
        test = frozenset(names[:: options.test_every])
        note = f"test views: one in {options.test_every} by name, from the first on"
    else:
        test, note = frozenset(), "test views: none"
    if len(test) == len(names) == 1:
        raise SceneError(f"{scene}: its only photo is a test view; train on it by --test-every 0.")
    if len(test) == len(names):
        raise SceneError(
            f"{scene}: all {len(names)} photos are test views, none is left to train on; name fewer, or one "
            "in more (--test-every; 0: none)."
        )
    return test, f"{note} ({len(test)} of {len(names)})"


def _by_name(scene: Path, names: Sequence[str], wanted: Sequence[str]) -> frozenset[str]:
    chosen: set[str] = set()
    for text in wanted:
        fitting = [name for name in names if _fits(name, text.replace("\\", "/"))]
        if not fitting:
            some = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
            raise SceneError(f"{scene}: has no photo {text!r} for a test view; its photos are {some}")
        chosen.update(fitting)
    return frozenset(chosen)


def _fits(name: str, text: str) -> bool:
    """The whole name or its end from a slash on, with its suffix or without."""
    bare = str(PurePosixPath(name).with_suffix(""))
    return any(full == text or full.endswith("/" + text) for full in (name, bare))
