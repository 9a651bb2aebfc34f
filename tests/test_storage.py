"""Why a file was not written, and what helps."""

import errno
import os
from pathlib import Path

import pytest

from gaussians.errors import StorageError
from gaussians.storage import check_file_name, replacing


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space or choose another folder."),
        (errno.EACCES, "Choose another folder."),
        (errno.EROFS, "Choose another folder."),
        (errno.ENAMETOOLONG, "Choose another name."),
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
    with pytest.raises(StorageError, match="choose another name"):
        check_file_name(tmp_path / ("long" * 100))

    def locked(_: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", locked)
    with pytest.raises(StorageError, match=r"Permission denied\); choose another folder"):
        check_file_name(tmp_path / "mine.ply")
