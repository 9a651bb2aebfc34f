"""What takes the keys while something lies over the window, and what they move while one types."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gui.person import Person
from tests.session import tiny

PATIENCE = 240  # seconds: machines are slow and shared


@pytest.fixture
def person(display: str, tmp_path: Path) -> Iterator[Person]:
    person = Person(display, tmp_path, tiny.write(tmp_path / "garden"), tmp_path / "run")
    try:
        person.wait("the scene", lambda known: known["images"] and "preset" in known["items"], PATIENCE)
        person.focus()
        yield person
    finally:
        person.end()


def goes_on(person: Person) -> None:
    """Go to the next photo's place, by a key."""
    before = person.knows()["dataset"]
    person.press("n")
    person.wait("the next view", lambda known: known["dataset"] not in (None, before), 15)


@pytest.mark.timeout(600)
def test_an_open_list_takes_the_keys(person: Person) -> None:
    goes_on(person)
    before = person.knows()["dataset"]
    for opens in (lambda: person.click("preset"), lambda: person.click("photo", button=3)):
        opens()
        for key in ("space", "n", "w", "1", "F1"):
            person.press(key)
        known = person.knows()
        assert known["dataset"] == before
        assert known["run"] is None, "no run was begun"
        assert "photo" in known["cells"]
        assert "shortcuts close" not in known["items"]
        person.press("Escape")
    goes_on(person)

    person.click("settings")
    person.click("scale")
    person.press("Return")
    person.press("Escape")
    person.wait("the dialog still", lambda known: "settings close" in known["items"])
    person.press("Escape")
    person.wait("it is put away", lambda known: "settings close" not in known["items"])
    goes_on(person)


@pytest.mark.timeout(600)
def test_nothing_moves_below_the_hand_of_who_types(person: Person) -> None:
    person.click("student.budget")
    before = person.knows()["items"]
    person.type("5M")
    known = person.wait("what is wrong", lambda known: "recipe line" in known["items"])
    person.screenshot("50 half a budget")
    for tag in ("student.budget", "seed", "tab Recipe"):
        assert known["items"][tag] == before[tag]
    assert known["items"]["recipe line"][1] > before["seed"][3]
    person.do("type", "B")
    person.wait("that nothing is", lambda known: "recipe line" not in known["items"])
