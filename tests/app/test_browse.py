import copy
from pathlib import Path

import pytest

from app.browse import Browser, kind_of
from app.paths import is_same


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("run", "scene/sparse/0", "nerf", "photos", "more photos/images", "empty", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run" / "recipe.json").write_text("{}")
    for part in ("cameras", "images", "points3D"):
        (tmp_path / "scene" / "sparse" / "0" / f"{part}.txt").write_text("")
    (tmp_path / "nerf" / "transforms.json").write_text("{}")
    (tmp_path / "photos" / "one.JPG").write_text("")
    (tmp_path / "more photos" / "images" / "one.png").write_text("")
    (tmp_path / "a.ply").write_bytes(bytes(1234))
    (tmp_path / "notes.txt").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("run", "Run"),
        ("scene", "Scene"),
        ("nerf", "Scene"),
        ("photos", "Photos"),
        ("more photos", "Photos"),
        ("empty", "Folder"),
        ("gone", "Folder"),
    ],
)
def test_a_folder_is_known_by_what_is_in_it(home: Path, name: str, kind: str) -> None:
    assert kind_of(home / name) == kind


def names(browser: Browser) -> list[str]:
    return [entry.path.name for entry in browser.entries]


def test_folders_come_first_then_files_of_the_suffixes_and_nothing_hidden(home: Path) -> None:
    folders = ["empty", "more photos", "nerf", "photos", "run", "scene"]
    assert names(Browser.at(home)) == folders
    browser = Browser.at(home, (".ply",))
    assert names(browser) == [*folders, "a.ply"]
    assert browser.entries[-1].what == "1.23 kB"


def test_a_typed_name_narrows_the_list_and_chooses_its_first(home: Path) -> None:
    browser = Browser.at(home)
    browser.type("photo")
    assert names(browser) == ["photos", "more photos"]
    assert browser.target == home / "photos"
    browser.type("none such")
    assert browser.target is None
    assert browser.problem


def test_a_typed_path_is_gone_into_or_opened(home: Path) -> None:
    browser = Browser.at(home / "empty", (".ply",))
    browser.type(f"{home}/a.ply")
    assert browser.target == home / "a.ply"
    assert browser.enter() == home / "a.ply"
    browser.type("../run/")
    assert browser.enter() is None
    assert browser.folder.resolve() == home / "run"
    browser.type(f"{home}/notes.txt")
    assert browser.target == home / "notes.txt", "even what is not listed, whatever comes of it"
    browser.type(f"{home}/gone/away")
    assert browser.enter() is None
    assert "gone/away" in browser.problem


def test_enter_opens_what_can_be_opened_and_goes_into_other_folders(home: Path) -> None:
    browser = Browser.at(home)
    browser.move(1)
    assert browser.chosen is not None
    assert browser.chosen.path.name == "empty"
    assert browser.enter() is None
    assert browser.folder == home / "empty"
    browser.go(home)
    browser.type("scene")
    assert browser.enter() == home / "scene"
    for_files = Browser.at(home, (".ply",))
    for_files.type("scene")
    assert for_files.target is None, "a folder is no splat file"
    assert for_files.enter() is None
    assert for_files.folder == home / "scene"


def test_the_choice_moves_and_stays_within_the_list(home: Path) -> None:
    browser = Browser.at(home)
    assert browser.target == home, "nothing chosen: the folder itself"
    for _ in range(20):
        browser.move(1)
    assert browser.target == home / "scene"
    for _ in range(20):
        browser.move(-1)
    assert browser.target == home / "empty"


def test_it_begins_at_the_nearest_folder_that_is_there(home: Path) -> None:
    assert Browser.at(home / "gone" / "further").folder == home
    browser = Browser.at(home)
    assert not browser.go(home / "gone")
    assert browser.folder == home
    assert "gone" in browser.problem


def test_while_a_path_is_typed_its_folder_is_listed(home: Path) -> None:
    browser = Browser.at(home / "empty")
    browser.type(f"{home}/")
    assert names(browser)[0] == "empty"
    browser.type(f"{home}/ru")
    assert names(browser) == ["run"]
    assert browser.enter() == home / "run"
    browser.type(f"{home}/")
    browser.chosen = browser.entries[0]
    assert browser.target == home / "empty", "a click counts more than what was typed"
    browser.type("")
    assert names(browser) == []
    browser.type(f"{home}/gone/ru")
    assert browser.problem
    assert browser.target is None


def test_a_copy_is_another_browser(home: Path) -> None:
    browser = Browser.at(home)
    other = copy.copy(browser)
    other.type("ru")
    assert other.go(home / "scene")
    assert browser.folder == home
    assert browser.target == home
    assert len(names(browser)) == 6


def test_what_cannot_be_looked_at_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser.at(home)
    browser.type("~nobody-of-that-name/")
    assert browser.target is None
    assert browser.problem

    def gone(*_: object, **__: object) -> bool:
        raise PermissionError(13, "Permission denied")

    for look in ("exists", "is_file"):
        monkeypatch.setattr(Path, look, gone)
    browser.type(str(home / "locked"))
    assert browser.target is None
    assert browser.enter() is None
    assert str(home / "locked") in browser.problem
    files = Browser.at(home, (".ply",))
    files.chosen = files.entries[-1]
    assert files.target is None


def test_what_begins_with_the_name_comes_before_what_has_it_within(home: Path) -> None:
    browser = Browser.at(home)
    browser.type("photo")
    assert names(browser) == ["photos", "more photos"]


def test_a_file_is_the_same_however_it_is_spelt(tmp_path: Path) -> None:
    (tmp_path / "run" / "teachers").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "run")
    own = tmp_path / "run" / "student.ply"
    for _ in range(2):
        assert is_same(own, own)
        assert is_same(tmp_path / "link" / "student.ply", own)
        assert is_same(tmp_path / "run" / "teachers" / ".." / "student.ply", own)
        assert not is_same(tmp_path / "run" / "mine.ply", own)
        own.touch()
    own.unlink()
    assert is_same(tmp_path / "run" / "Student.ply", own), "where letter case counts it would be another"
