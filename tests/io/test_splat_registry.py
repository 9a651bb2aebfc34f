"""The registry of splat formats: suffixes, file sizes, and a full disk."""

import errno
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussians.errors import SplatError, StorageError
from gaussians.io import (
    read_splat,
    readable_suffixes,
    splat_bytes,
    splats_within,
    writable_suffixes,
    write_splat,
)
from gaussians.model import Gaussians


def some_gaussians(n: int) -> Gaussians:
    return Gaussians(
        torch.rand(n, 3),
        torch.rand(n, 4),
        torch.rand(n, 3),
        torch.rand(n),
        torch.rand(n, 1, 3),
        torch.rand(n, 0, 3),
    )


def test_other_suffixes_are_refused_with_the_list(tmp_path: Path) -> None:
    assert readable_suffixes() == (".ply", ".splat")
    assert writable_suffixes() == (".ply",)
    with pytest.raises(SplatError, match=r"\.obj cannot be read as splats; can be read: \.ply, \.splat"):
        read_splat(tmp_path / "a.obj")
    with pytest.raises(SplatError, match=r"\.splat: splats cannot be written .*: \.ply"):
        write_splat(tmp_path / "a.splat", some_gaussians(1))
    with pytest.raises(SplatError, match="cannot be written"):
        splat_bytes(1, 0, ".xyz")


@settings(deadline=None)
@given(size=st.integers(0, 20_000_000), sh_degree=st.integers(0, 3))
def test_splats_within_a_size_is_the_most_that_fit(size: int, sh_degree: int) -> None:
    n = splats_within(size, sh_degree)
    assert n == 0 or splat_bytes(n, sh_degree) <= size
    assert splat_bytes(n + 1, sh_degree) > size


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ply"
    write_splat(path, some_gaussians(3))
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_splat(path, some_gaussians(5))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_trained_parameters_can_be_written_as_they_are(tmp_path: Path) -> None:
    gaussians = some_gaussians(3)
    write_splat(tmp_path / "a.ply", gaussians.map(lambda tensor: tensor.double().requires_grad_()))
    for name, tensor in read_splat(tmp_path / "a.ply").tensors().items():
        assert torch.equal(tensor, gaussians.tensors()[name])
