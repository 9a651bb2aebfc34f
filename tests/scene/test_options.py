from pathlib import Path

import pytest

from gaussians.errors import RecipeError, SceneError
from gaussians.scene import SceneOptions
from gaussians.scene.resolution import Resolution
from gaussians.scene.split import choose_test

SCENE = Path("garden")
NAMES = tuple(f"left/img_{index:02d}.jpg" for index in range(10))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (None, (801, 533)),
        ("1", (801, 533)),
        ("1/2", (401, 267)),
        ("0.5", (401, 267)),
        ("1/4", (200, 133)),
        ("400", (400, 266)),
        ("1600", (801, 533)),
    ],
)
def test_resolution_is_a_fraction_or_a_width(text: str | None, size: tuple[int, int]) -> None:
    assert Resolution.parse(text).size(801, 533, reduction=1.0) == size


def test_a_fraction_is_of_the_full_size_whatever_copy_is_read() -> None:
    quarter = Resolution.parse("1/4")
    # 3118 wide in full; the copy of a quarter is 779 wide, half a pixel less than a quarter: used as it is.
    assert quarter.size(779, 519, reduction=779 / 3118) == (779, 519)
    assert quarter.size(1559, 1039, reduction=0.5) == (780, 520)


@pytest.mark.parametrize("text", ["", "half", "0", "-1", "1/0", "nan", "inf", "2/1", "800.5", "1/2/3", "3"])
def test_nonsense_resolutions_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"resolution.*fraction such as 1/2.*width"):
        Resolution.parse(text)


def test_a_divisor_is_recognised() -> None:
    with pytest.raises(RecipeError, match=r"did you mean 1/4\?"):
        Resolution.parse("4")


@pytest.mark.parametrize(("every", "expected"), [(8, {0, 8}), (3, {0, 3, 6, 9}), (0, set()), (100, {0})])
def test_every_nth_by_name_from_the_first_on(every: int, expected: set[int]) -> None:
    test, _ = choose_test(SCENE, NAMES, None, SceneOptions(test_every=every))
    assert test == {NAMES[index] for index in expected}


@pytest.mark.parametrize("text", ["left/img_03.jpg", "img_03.jpg", "img_03", "left/img_03", "left\\img_03"])
def test_a_test_view_by_its_name_or_its_end(text: str) -> None:
    test, note = choose_test(SCENE, NAMES, None, SceneOptions(test_names=(text,)))
    assert test == {"left/img_03.jpg"}
    assert "(1 of 10)" in note


def test_an_unknown_test_view_lists_some_that_exist() -> None:
    with pytest.raises(SceneError, match=r"garden: has no photo 'g_03' .*left/img_00\.jpg, .*\.\.\."):
        choose_test(SCENE, NAMES, None, SceneOptions(test_names=("img_03", "g_03")))


def test_the_scenes_own_split_goes_before_every_nth_and_after_names() -> None:
    own = frozenset(NAMES[:2])
    assert choose_test(SCENE, NAMES, own, SceneOptions())[0] == own
    assert choose_test(SCENE, NAMES, own, SceneOptions(test_names=("img_05",)))[0] == {NAMES[5]}


def test_something_must_be_left_to_train_on() -> None:
    with pytest.raises(SceneError, match="garden: all 10 photos are test views"):
        choose_test(SCENE, NAMES, None, SceneOptions(test_every=1))
    with pytest.raises(SceneError, match=r"garden: its only photo is a test view; .*--test-every 0"):
        choose_test(SCENE, NAMES[:1], None, SceneOptions())
    with pytest.raises(RecipeError, match="--test-every -1"):
        choose_test(SCENE, NAMES, None, SceneOptions(test_every=-1))


def test_another_n_than_the_default_goes_before_the_files_own_split() -> None:
    names, own = [f"{index}" for index in range(8)], frozenset({"3"})
    assert choose_test(SCENE, names, own, SceneOptions())[0] == own
    assert choose_test(SCENE, names, own, SceneOptions(test_every=4))[0] == {"0", "4"}
    assert choose_test(SCENE, names, own, SceneOptions(test_every=0))[0] == set()
    with pytest.raises(SceneError, match="--test-every; 0: none"):
        choose_test(SCENE, names, None, SceneOptions(test_every=1))
