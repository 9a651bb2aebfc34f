"""PLY files that are truncated, damaged, of numbers that are none, or no splats: refused in one line."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement

from gaussians.errors import SplatError
from gaussians.io import read_splat, write_splat
from tests.io.splat_rows import random_gaussians, rows_of, save


@pytest.mark.parametrize("text", [False, True])
def test_truncated_file_says_how_much_is_there(tmp_path: Path, text: bool) -> None:
    path = save(tmp_path / "a.ply", rows_of(random_gaussians(10, 0)), text=text)
    content = path.read_bytes()
    body = content.index(b"end_header\n") + len(b"end_header\n")
    # Seven whole rows, and in the binary file a part of the eighth.
    cut = sum(map(len, content[body:].splitlines(True)[:7])) if text else 7 * 14 * 4 + 5
    path.write_bytes(content[: body + cut])
    with pytest.raises(SplatError, match=r"a\.ply: truncated: holds 7 of 10 vertex rows"):
        read_splat(path)


def test_a_count_beyond_all_memory_is_truncation(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ply", rows_of(random_gaussians(2, 0)))
    path.write_bytes(path.read_bytes().replace(b"vertex 2", b"vertex 999999999999999"))
    with pytest.raises(SplatError, match="truncated: holds 2 of 999999999999999"):
        read_splat(path)


def test_a_count_beyond_all_memory_is_truncation_in_text_too(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ply", rows_of(random_gaussians(2, 0)), text=True)
    path.write_bytes(path.read_bytes().replace(b"vertex 2", b"vertex 999999999999999"))
    with pytest.raises(SplatError, match="truncated: holds 2 of 999999999999999"):
        read_splat(path)


@pytest.mark.parametrize("text", [False, True])
def test_rows_before_the_vertices_that_the_file_cannot_hold_are_truncation(
    tmp_path: Path, text: bool
) -> None:
    path = save(tmp_path / "a.ply", rows_of(random_gaussians(2, 0)), text=text)
    before = b"element camera 99999999999999999999\nproperty float focal\nelement vertex 2\n"
    path.write_bytes(path.read_bytes().replace(b"element vertex 2\n", before))
    with pytest.raises(SplatError, match="truncated: holds 0 of 2 vertex rows"):
        read_splat(path)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("means", torch.nan, "means of 2"),
        ("means", torch.inf, "means of 2"),
        ("log_scales", torch.inf, "scales of 2"),
        ("log_scales", -torch.inf, "scales of 2"),
        ("log_scales", 500.0, "scales of 2"),
        ("logit_opacities", torch.nan, "opacities of 2"),
        ("quats", torch.nan, "rotations of 2"),
        ("shN", torch.nan, "colours of 2"),
    ],
)
def test_numbers_that_are_not_finite_are_counted(tmp_path: Path, name: str, value: float, said: str) -> None:
    gaussians = random_gaussians(10, 1)
    gaussians.tensors()[name][[3, 5]] = value
    path = save(tmp_path / "a.ply", rows_of(gaussians))
    with pytest.raises(SplatError, match=rf"a\.ply: 2 of 10 Gaussians are NaN or infinite \({said}\)"):
        read_splat(path)
    with pytest.raises(SplatError, match="2 of 10"):
        write_splat(tmp_path / "b.ply", gaussians)
    assert not (tmp_path / "b.ply").exists()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", [False, True])
def test_numbers_beyond_float32_are_one_error_and_no_warning(tmp_path: Path, text: bool) -> None:
    rows = rows_of(random_gaussians(10, 1), "<f8")
    rows["x"][3] = 1e300
    path = save(tmp_path / "a.ply", rows, text=text)
    if text:  # may say what its declared type doesn't hold
        path.write_bytes(path.read_bytes().replace(b"double", b"float"))
    with pytest.raises(SplatError, match=r"a\.ply: 1 of 10 Gaussians are NaN or infinite \(means of 1\)"):
        read_splat(path)


def point_cloud(path: Path) -> None:
    save(path, np.zeros(3, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1")]))


def mesh(path: Path) -> None:
    vertices = PlyElement.describe(np.zeros(3, [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]), "vertex")
    faces = PlyElement.describe(np.array([([0, 1, 2],)], [("vertex_indices", "<i4", (3,))]), "face")
    PlyData([vertices, faces]).write(str(path))


def flat_gaussians(path: Path) -> None:
    rows = rows_of(random_gaussians(2, 0))
    names = [name for name in rows.dtype.names or () if name != "scale_2"]
    save(path, np.zeros(2, [(name, "<f4") for name in names]))


def bare_vertices(path: Path) -> None:
    chunk = b"ply\nformat binary_little_endian 1.0\nelement chunk 1\nelement vertex 1\n"
    packed = b"".join(b"property uint packed_%s\n" % name for name in (b"position", b"rotation"))
    more = b"".join(b"property uint packed_%s\n" % name for name in (b"scale", b"color"))
    path.write_bytes(chunk + packed + more + b"end_header\n" + bytes(16))


def only_faces(path: Path) -> None:
    save(path, np.zeros(3, [("x", "<f4")]))
    path.write_bytes(path.read_bytes().replace(b"vertex", b"corner"))


def odd_rest_count(path: Path) -> None:
    save(path, rows_of(random_gaussians(2, 1)))
    path.write_bytes(path.read_bytes().replace(b"f_rest_8", b"other"))


def vertices_with_lists(path: Path) -> None:
    rows = rows_of(random_gaussians(2, 0))
    dtype = [*((name, "<f4") for name in rows.dtype.names or ()), ("more", "<f4", (2,))]
    save(path, np.zeros(2, dtype))


def ragged_text(path: Path) -> None:
    save(path, rows_of(random_gaussians(4, 0)), text=True)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[-2] = b"1 2 3\n"
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (point_cloud, r"perhaps a point cloud: its vertices lack f_dc_0, .*opacity.*rot_3"),
        (mesh, r"perhaps a mesh: its vertices lack f_dc_0"),
        (flat_gaussians, r"flat 2-D Gaussians \(2DGS: its vertices lack scale_2\)"),
        (bare_vertices, "declares no properties of 'chunk'"),
        (only_faces, "no vertices"),
        (odd_rest_count, r"has 8 f_rest_\* properties"),
        (vertices_with_lists, "list properties"),
        (ragged_text, "unreadable text"),
        (lambda path: path.write_bytes(b""), "not a PLY file"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n"), "not a PLY file"),
        (lambda path: path.write_bytes(b"ply\nformat ascii 1.0\nelement vertex 3\n"), "no end_header"),
        (lambda path: path.write_bytes(b"ply\nformat ascii 1.0\nelement vertex x\n"), "'element vertex x'"),
        (lambda path: path.write_bytes(b"ply\nproperty float x\n"), "'property float x'"),
        (lambda path: path.write_bytes(b"ply\nelement vertex -1\n"), "'element vertex -1'"),
        (lambda path: path.write_bytes(b"ply\nformat ebcdic 1.0\nend_header\n"), "'ebcdic' is unknown"),
        (lambda path: path.mkdir(), "cannot be opened"),
        (lambda path: None, "cannot be opened"),
    ],
)
def test_what_is_not_a_splat_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / "a.ply"
    make(path)
    with pytest.raises(SplatError, match=said) as refusal:
        read_splat(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 700), byte=st.integers(0, 255), cut=st.integers(0, 900))
def test_damaged_files_read_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, cut: int
) -> None:
    path = tmp_path_factory.mktemp("damage") / "a.ply"
    save(path, rows_of(random_gaussians(6, 0)))
    content = bytearray(path.read_bytes())
    content[min(at, len(content) - 1)] = byte
    path.write_bytes(content[: len(content) - cut])
    with contextlib.suppress(SplatError):  # any other exception fails the test
        read_splat(path)
