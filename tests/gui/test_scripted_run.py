"""One run as a person would do it, on a virtual display: judged by the pixels on the screen."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gaussians.io import read_splat
from tests.gui.person import ROOT, Person

DEMO = ROOT / "assets" / "demo"
PATIENCE = 420  # seconds for a stage: machines are slow and shared


@pytest.fixture
def person(display: str, tmp_path: Path) -> Iterator[Person]:
    person = Person(display, tmp_path, DEMO, tmp_path / "run")
    try:
        yield person
    finally:
        person.end()
        keep = os.environ.get("SCREENSHOTS")
        if keep:
            Path(keep).mkdir(parents=True, exist_ok=True)
            for picture in tmp_path.glob("*.png"):
                shutil.copy(picture, keep)


def is_picture(pixels: np.ndarray) -> bool:
    """Whether it shows something: many colours, not an empty cell with a line of text."""
    return pixels.std() > 20 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 2000


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of two pictures of one size, of 255."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def middles(*pictures: np.ndarray) -> list[np.ndarray]:
    """Of each picture the middle, as large as all of them are."""
    height, width = (min(sides) for sides in zip(*(picture.shape[:2] for picture in pictures), strict=True))
    corners = [((len(picture) - height) // 2, (picture.shape[1] - width) // 2) for picture in pictures]
    return [
        picture[top : top + height, left : left + width]
        for picture, (top, left) in zip(pictures, corners, strict=True)
    ]


@pytest.mark.timeout(1500)
def test_from_the_demo_to_an_exported_student_and_back(person: Person, tmp_path: Path) -> None:
    person.wait("the demo", lambda known: "photo" in known["images"], PATIENCE)
    person.focus()
    assert is_picture(person.cell("photo", "01 demo"))

    person.click("start")
    person.wait("the first teacher", lambda known: "vanilla" in known["images"], PATIENCE)
    early = person.cell("vanilla", "02 first teacher")
    photo = person.cell("photo", "02 first teacher")
    person.wait("steps", lambda known: known["points"]["loss"] >= 20, PATIENCE)
    later = person.cell("vanilla", "03 it learns")
    assert apart(later, photo) < apart(early, photo), "the image follows training towards the photo"

    person.click("tab Curves")
    person.wait_for_item("plot loss")
    student_is_there(person)
    the_comparison_is_scrubbed(person)
    a_teacher_is_switched_off(person)
    a_view_is_jumped_to(person)
    the_timeline_is_scrubbed(person)

    person.wait("the end", lambda known: known["run_state"] == "finished", PATIENCE)
    person.wait("the sharp student", lambda known: known["images"].get("student") == ["student", True])
    person.screenshot("10 finished")
    ellipsoids_are_shown(person)
    the_student_is_exported(person, tmp_path)
    person.press("ctrl+q")
    the_run_is_reopened(person, tmp_path)


def student_is_there(person: Person) -> None:
    person.wait("the student", lambda known: known["images"].get("student", [""])[0] == "student", PATIENCE)
    assert is_picture(person.cell("student", "04 student"))


def the_comparison_is_scrubbed(person: Person) -> None:
    # Its row below the cells leaves them less room: places are not to change from here on.
    person.wait("a past", lambda known: len(known["history"]) > 1 and "timeline" in known["items"], PATIENCE)
    person.click("show compare")
    person.wait("the comparison", lambda known: "compare" in known["cells"])
    for _ in range(4):  # two clicks that a busy machine sees too far apart are no double click
        person.double_click("compare")
        time.sleep(2)
        if list(person.knows()["cells"]) == ["compare"]:
            break
    person.wait("it enlarged", lambda known: list(known["cells"]) == ["compare"])
    person.wait(
        "its images", lambda known: {"compare first", "compare second"} <= set(known["images"]), PATIENCE
    )
    middle, edge = person.place("compare"), person.place("compare", 0.1)
    person.drag(middle, (edge[0], middle[1]))
    column = edge[0] - round(person.knows()["cells"]["compare"][0]) - 4

    def divider(image: np.ndarray) -> float:
        line = image[: image.shape[0] // 3, column - 2 : column + 3]
        return float((line.min(axis=2) > 240).any(axis=1).mean())

    scrubbed, tries = person.cell("compare", "05 scrubbed"), 0
    while divider(scrubbed) <= 0.9 and tries < 10:  # a busy machine takes a moment to draw it
        scrubbed, tries = person.cell("compare", "05 scrubbed"), tries + 1
    assert divider(scrubbed) > 0.9, "the divider is where the mouse left it"
    person.click("compare mode", 0.66)
    person.wait_for_item("compare most")
    errors = person.cell("compare", "06 error map")
    assert apart(*middles(errors, scrubbed)) > 20  # its own controls leave the cell less room
    assert np.median(errors) < 100, "errors are small, so the map is mostly dark"
    person.press("Escape")
    person.click("show compare")


def a_teacher_is_switched_off(person: Person) -> None:
    person.click("tab Teachers")
    person.wait_for_item("teacher on perturbed")
    person.click("teacher on perturbed", 0.05)
    known = person.wait("its share to be nothing", lambda known: known["shares"].get("perturbed") == 0)
    assert sum(known["shares"].values()) == pytest.approx(1)
    person.screenshot("07 a teacher is off")


def a_view_is_jumped_to(person: Person) -> None:
    before = person.cell("photo", "08 before the jump")
    person.click("next")
    person.wait("the next view", lambda known: known["dataset"] not in (None, "000.jpg"))
    person.wait("its images", lambda known: known["images"]["student"][1], PATIENCE)
    assert apart(person.cell("photo", "08 jumped"), before) > 5


def the_timeline_is_scrubbed(person: Person) -> None:
    person.wait("a past", lambda known: len(known["history"]) > 1 and "timeline" in known["items"], PATIENCE)
    person.click("timeline", 0.03)
    known = person.wait(
        "the student's past", lambda known: known["images"]["student"][0].startswith("history:")
    )
    assert known["images"]["student"][0] == f"history:{known['history'][0]}"
    assert is_picture(person.cell("student", "09 the past"))
    person.click("timeline now")
    person.wait("the present", lambda known: known["images"]["student"][0] == "student")


def ellipsoids_are_shown(person: Person) -> None:
    image = person.cell("student", "10 finished")

    def looks(how: Callable[[float], bool], shot: str) -> np.ndarray:
        for _ in range(PATIENCE):
            now = person.cell("student", shot)
            if how(apart(now, image)):
                return now
            time.sleep(0.5)
        raise AssertionError(shot)

    person.hold("v")  # which is repeated meanwhile, and shown once
    assert is_picture(looks(lambda difference: difference > 10, "10 ellipsoids"))
    person.click("ellipsoids")
    looks(lambda difference: difference < 1, "10 images again")


def the_student_is_exported(person: Person, folder: Path) -> None:
    count = person.knows()["counts"]["student"]
    person.press("ctrl+e")
    person.wait_for_item("export write")
    person.click("export name")
    person.type("mine")
    person.click("export write")
    path = folder / "run" / "mine.ply"
    person.wait("the file", lambda _: path.exists(), PATIENCE)
    person.wait("that it was read back", lambda known: known["exported"] == str(path), PATIENCE)
    person.screenshot("11 exported")
    assert len(read_splat(path)) == count

    def written(file: Path) -> int:
        return file.stat().st_mtime_ns

    first, own = written(path), folder / "run" / "student.ply"
    person.press("Return")
    person.screenshot("11 it is there already")
    assert written(path) == first, "it asks before"
    person.press("Return")
    person.wait("another", lambda _: written(path) != first, PATIENCE)
    before = written(own)
    person.click("export name")
    person.type("student")
    for _ in range(2):
        person.press("Return")
    person.screenshot("11 the run's own file")
    assert written(own) == before
    person.click("export close")


def the_run_is_reopened(person: Person, folder: Path) -> None:
    person.process.wait(timeout=PATIENCE)
    again = Person(person.display, folder, folder / "run", folder / "run")
    try:
        known = again.wait("the run", lambda known: "student" in known["images"], PATIENCE)
        assert known["run"] == str(folder / "run")
        assert known["points"]["loss"] > 20, "its curves are there"
        assert is_picture(again.cell("student", "12 reopened"))
    finally:
        again.end()


@pytest.mark.timeout(900)
def test_what_fails_is_said_and_closing_while_training_saves(person: Person, tmp_path: Path) -> None:
    person.wait("the demo", lambda known: "photo" in known["images"], PATIENCE)
    person.focus()
    person.press("space")
    person.wait("the first teacher", lambda known: "vanilla" in known["images"], PATIENCE)

    person.press("ctrl+e")
    person.wait_for_item("export write")
    person.click("export folder")
    person.type("/proc/nowhere")
    person.click("export write")

    def says_more_than_that_it_writes(known: dict) -> bool:
        _, top, _, bottom = known["items"].get("export line", (0, 0, 0, 0))
        return bottom - top > 30  # px: two lines

    person.wait("why not", says_more_than_that_it_writes, PATIENCE)
    person.screenshot("20 a folder that can not be written")
    person.click("export close")
    person.wait("it is put away", lambda known: "export close" not in known["items"])

    before = person.wait("more steps", lambda known: known["points"]["loss"] >= 3, PATIENCE)
    person.press("ctrl+q")
    person.wait_for_item("closing save")
    person.screenshot("21 closing asks")
    person.click("closing save")
    assert person.process.wait(timeout=PATIENCE) == 0

    again = Person(person.display, tmp_path, tmp_path / "run", tmp_path / "run")
    try:
        again.wait("the run", lambda known: known["run"] and "start" in known["items"], PATIENCE)
        again.focus()
        assert again.knows()["points"]["loss"] >= 3
        again.screenshot("22 it can be resumed")
        again.click("start")
        done = before["points"]["loss"]
        again.wait("further steps", lambda known: known["points"]["loss"] > done, PATIENCE)
    finally:
        again.end()


@pytest.mark.timeout(900)
def test_the_list_of_views_shows_its_photos_wherever_it_is_scrolled(person: Person) -> None:
    def thumbnails(known: dict) -> list[str]:
        """Those in sight, downwards."""
        items = known["items"]
        return sorted(
            (item for item in items if item.startswith("thumbnail ")), key=lambda item: items[item][1]
        )

    def shown(shot: str) -> list[str]:
        """Those in sight as a whole, each of which must be a picture."""
        time.sleep(1)
        image, known = person.screenshot(shot), person.knows()
        whole = thumbnails(known)[1:-1]  # those at the edges may be cut off
        for name in whole:
            left, top, right, bottom = (round(side) for side in known["items"][name])
            assert image[top:bottom, left:right].std() > 10, f"{name} is empty"
        return whole

    person.wait("the demo", lambda known: "photo" in known["images"], PATIENCE)
    person.focus()
    person.click("tab Views")
    person.wait("thumbnails", thumbnails)
    first = shown("30 the first views")
    person.move(*person.place(first[2]))
    person.do("click", "--repeat", "200", "--delay", "5", "5")  # the wheel, downwards
    last = shown("31 the last views")
    assert len(first) > 3
    assert len(last) > 3
    assert not set(first) & set(last)
    person.click(last[0])
    person.wait("that view", lambda known: f"thumbnail {known['dataset']}" == last[0])
