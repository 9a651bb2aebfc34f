"""Where files are written, and what is said where they can't be."""

import errno
import os
from pathlib import Path

import pytest

from gaussians.errors import StorageError
from gaussians.storage import check_file_name, replacing, write_bytes


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space or choose another folder."),
        (errno.EACCES, "Choose another folder."),
        (errno.EROFS, "Choose another folder."),
        (errno.ENAMETOOLONG, "Choose a shorter name."),
    ],
)
def test_the_advice_is_for_what_is_in_the_way(number: int, advice: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, replacing(tmp_path / "mine.ply"):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).endswith(f"unchanged. {advice}")


def test_an_error_without_a_number_may_be_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Free some space"), replacing(tmp_path / "mine.ply"):
        raise OSError("a library's own words")


def test_a_path_that_can_not_be_looked_at_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="choose a shorter name"):
        check_file_name(tmp_path / ("long" * 100))

    def locked(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "stat", locked)
    with pytest.raises(StorageError, match=r"Permission denied\); choose another folder"):
        check_file_name(tmp_path / "mine.ply")


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path):
    real, link = tmp_path / "real" / "numbers.json", tmp_path / "link.json"
    real.parent.mkdir()
    link.symlink_to(real)
    for content in (b"first", b"second"):  # at first there is nothing at the other end
        write_bytes(link, content)
        assert link.is_symlink()
        assert real.read_bytes() == content
    assert [path.name for path in real.parent.iterdir()] == [real.name]


def test_a_link_to_itself_is_refused(tmp_path: Path):
    link = tmp_path / "link.json"
    link.symlink_to(link)
    with pytest.raises(StorageError, match=r"link\.json: could not be written \(Too many levels"):
        write_bytes(link, b"content")
    assert link.is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_are_refused_and_stay(tmp_path: Path):
    pipe, link = tmp_path / "pipe.json", tmp_path / "link.json"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(StorageError, match=f"{path}: is a device or pipe; give the name of a file"):
            check_file_name(path)
        with pytest.raises(StorageError, match="is a device or pipe"):
            write_bytes(path, b"content")
    assert pipe.is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json", "pipe.json"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("file/x.json", "{folder}/file is no folder; choose another place"),
        ("file/new/x.json", "{folder}/file is no folder; choose another place"),
        (f"{'x' * 240}.json", "could not be written (File name too long); choose a shorter name"),
        (f"new/folder/{'x' * 240}.json", "could not be written (File name too long); choose a shorter name"),
    ],
)
def test_what_no_file_can_be_is_told_before_anything_is_written(tmp_path: Path, name: str, said: str):
    (tmp_path / "file").write_text("mine")
    path = tmp_path / name
    for write in (check_file_name, lambda path: write_bytes(path, b"content")):
        with pytest.raises(StorageError) as caught:
            write(path)
        assert str(caught.value) == f"{path}: {said.format(folder=tmp_path)}"
    assert [left.name for left in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no folder that nobody can write to")
def test_a_folder_that_cannot_be_written_is_told_at_once():
    with pytest.raises(
        StorageError, match=r"^/proc/x\.json: nothing can be written to /proc \(.*another folder"
    ):
        check_file_name(Path("/proc/x.json"))


def test_a_name_that_can_be_written_leaves_nothing(tmp_path: Path):
    check_file_name(tmp_path / "new" / "x.json")
    check_file_name(tmp_path / "x.json")
    assert not list(tmp_path.iterdir())
