"""The field's PLY layout: exact round trips, and every variant that programs write."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement

from gaussians.errors import SplatError
from gaussians.io import read_splat, splat_bytes, write_splat
from tests.io.splat_rows import assert_equal, random_gaussians, rows_of, save

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "splats"


@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
@pytest.mark.parametrize("n", [1, 300])
def test_round_trip_is_bit_exact(tmp_path: Path, sh_degree: int, n: int) -> None:
    gaussians = random_gaussians(n, sh_degree)
    path = tmp_path / "a.ply"
    write_splat(path, gaussians)
    again = read_splat(path)
    assert_equal(again, gaussians)
    assert again.sh_degree == sh_degree
    assert path.stat().st_size == splat_bytes(n, sh_degree)


@pytest.mark.parametrize("sh_degree", [0, 3])
def test_a_file_of_no_gaussians_is_written_but_not_read(tmp_path: Path, sh_degree: int) -> None:
    path = tmp_path / "a.ply"
    write_splat(path, random_gaussians(0, sh_degree))
    assert path.stat().st_size == splat_bytes(0, sh_degree)
    with pytest.raises(SplatError, match=r"a\.ply: holds no Gaussians"):
        read_splat(path)


FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(1, 5), sh_degree=st.integers(0, 3))
def test_round_trip_of_any_finite_floats(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, n: int, sh_degree: int
) -> None:
    template = random_gaussians(n, sh_degree)
    count = sum(tensor.numel() for tensor in template.tensors().values())
    values = torch.tensor(data.draw(st.lists(FINITE, min_size=count, max_size=count)))
    parts = iter(values.split([tensor.numel() for tensor in template.tensors().values()]))
    gaussians = template.map(lambda tensor: next(parts).reshape(tensor.shape))
    gaussians.log_scales.clamp_(max=88)  # beyond, scales themselves are not finite
    path = tmp_path_factory.mktemp("round") / "a.ply"
    write_splat(path, gaussians)
    assert_equal(read_splat(path), gaussians)


def test_written_columns_are_the_fields(tmp_path: Path) -> None:
    gaussians = random_gaussians(7, 2)
    write_splat(tmp_path / "a.ply", gaussians)
    vertices = PlyData.read(str(tmp_path / "a.ply"))["vertex"].data
    expected = rows_of(gaussians)
    for name in expected.dtype.names or ():
        assert np.array_equal(vertices[name], expected[name]), name
    names = list(vertices.dtype.names)
    assert names[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    assert names[-8:] == ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert not any(vertices[name].any() for name in ("nx", "ny", "nz"))


@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("text", "byte_order"), [(False, "<"), (False, ">"), (True, "=")], ids=["little", "big", "ascii"]
)
def test_reads_every_encoding(tmp_path: Path, sh_degree: int, text: bool, byte_order: str) -> None:
    gaussians = random_gaussians(9, sh_degree)
    path = save(tmp_path / "a.ply", rows_of(gaussians), text=text, byte_order=byte_order)
    assert_equal(read_splat(path), gaussians)


@pytest.mark.parametrize("text", [False, True])
def test_reads_doubles_bytes_extras_and_any_order(tmp_path: Path, text: bool) -> None:
    gaussians = random_gaussians(9, 1)
    rows = rows_of(gaussians, "<f8")
    names = list(rows.dtype.names or ())[::-1]
    mixed = np.empty(9, [("red", "u1"), *((name, "<f8") for name in names), ("label", "<i2")])
    for name in names:
        mixed[name] = rows[name]
    mixed["red"], mixed["label"] = 200, -3
    assert_equal(read_splat(save(tmp_path / "a.ply", mixed, text=text)), gaussians)


def test_reads_beside_other_elements_comments_and_windows_line_ends(tmp_path: Path) -> None:
    gaussians = random_gaussians(4, 0)
    before = PlyElement.describe(np.zeros(5, [("focal", "<f4"), ("id", "u1")]), "camera")
    after = PlyElement.describe(np.array([([0, 1, 2],)], [("vertex_indices", "<i4", (3,))]), "face")
    for text in (False, True):
        vertices = PlyElement.describe(rows_of(gaussians), "vertex")
        buffer = io.BytesIO()
        PlyData([before, vertices, after], text=text, comments=["made here"]).write(buffer)
        header, body = buffer.getvalue().split(b"end_header\n")
        header = header.replace(b"made here", "gemacht für dich".encode()).replace(b"\n", b"\r\n")
        (tmp_path / "a.ply").write_bytes(header + b"end_header\r\n" + body)
        assert_equal(read_splat(tmp_path / "a.ply"), gaussians)


def test_surplus_trailing_bytes_are_ignored(tmp_path: Path) -> None:
    gaussians = random_gaussians(4, 3)
    path = save(tmp_path / "a.ply", rows_of(gaussians))
    path.write_bytes(path.read_bytes() + b"\x7f" * 1234)
    assert_equal(read_splat(path), gaussians)


def test_mip_splattings_filter_widens_and_fades(tmp_path: Path) -> None:
    gaussians = random_gaussians(5, 1)
    sizes = torch.tensor([0.0, 0.01, 0.5, 2.0, 30.0])
    rows = rows_of(gaussians)
    filtered = np.empty(5, [*rows.dtype.descr, ("filter_3D", "<f4")])
    for name in rows.dtype.names or ():
        filtered[name] = rows[name]
    filtered["filter_3D"] = sizes
    read = read_splat(save(tmp_path / "a.ply", filtered))
    # As the released code fuses it: get_scaling_with_3D_filter, get_opacity_with_3D_filter.
    squares = gaussians.scales**2
    wider = squares + sizes[:, None] ** 2
    opacities = gaussians.opacities * (squares.prod(dim=1) / wider.prod(dim=1)).sqrt()
    assert torch.allclose(read.scales, wider.sqrt(), rtol=1e-6)  # seen 2e-7
    assert torch.allclose(read.opacities, opacities, rtol=1e-5)  # seen 6e-7
    for name in ("means", "quats", "sh0", "shN"):
        assert torch.equal(read.tensors()[name], gaussians.tensors()[name])


def test_infinite_logits_become_finite_and_others_stay(tmp_path: Path) -> None:
    gaussians = random_gaussians(4, 0)
    gaussians.logit_opacities[:] = torch.tensor([torch.inf, -torch.inf, 25.0, -0.5])
    read = read_splat(save(tmp_path / "a.ply", rows_of(gaussians)))
    assert read.logit_opacities.tolist() == [16.0, -16.0, 25.0, -0.5]


def test_huge_finite_values_are_not_mistaken_for_infinite_ones(tmp_path: Path) -> None:
    gaussians = random_gaussians(3, 0)
    gaussians.means[:] = 3e38  # their sum overflows
    write_splat(tmp_path / "a.ply", gaussians)
    assert_equal(read_splat(tmp_path / "a.ply"), gaussians)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/splats is not here")
def test_a_real_file_agrees_with_plyfile_and_rewrites_to_the_same_bytes(tmp_path: Path) -> None:
    source = SHARED / "inria_kacytran" / "point_cloud.ply"
    gaussians = read_splat(source)
    assert (len(gaussians), gaussians.sh_degree) == (9080, 3)
    expected = PlyData.read(str(source))["vertex"].data
    actual = rows_of(gaussians)
    for name in actual.dtype.names or ():
        assert np.array_equal(actual[name], expected[name]), name
    write_splat(tmp_path / "a.ply", gaussians)
    again = (tmp_path / "a.ply").read_bytes()
    body = 4 * 62 * 9080
    normals = np.frombuffer(source.read_bytes()[-body:], "<f4").reshape(-1, 62)[:, 3:6]
    assert not normals.any()  # else the comparison below would be of what we drop
    assert again[-body:] == source.read_bytes()[-body:]
