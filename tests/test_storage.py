"""Where files are written: through links, and to nothing that is no file."""

import os
from pathlib import Path

import pytest

from gaussians.errors import StorageError
from gaussians.storage import check_file_name, write_bytes


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
