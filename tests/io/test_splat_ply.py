"""The field's PLY layout: exact round trips, every variant that programs write, and refusals."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement

from gaussians.errors import SplatError
from gaussians.io import read_splat, splat_bytes, write_splat
from gaussians.model import Gaussians

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "splats"


def random_gaussians(n: int, sh_degree: int, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    higher = (sh_degree + 1) ** 2 - 1
    return Gaussians(draw(n, 3), draw(n, 4), draw(n, 3), draw(n), draw(n, 1, 3), draw(n, higher, 3))


def assert_equal(one: Gaussians, other: Gaussians) -> None:
    for name, tensor in one.tensors().items():
        assert tensor.dtype == other.tensors()[name].dtype == torch.float32
        assert tensor.shape == other.tensors()[name].shape, name
        # Bits, so that -0.0 and denormals count.
        assert torch.equal(tensor.view(torch.int32), other.tensors()[name].view(torch.int32)), name


def rows_of(gaussians: Gaussians, dtype: str = "<f4") -> np.ndarray:
    """The vertices as plyfile wants them, by an independent spelling of the layout."""
    columns: dict[str, torch.Tensor] = {axis: gaussians.means[:, i] for i, axis in enumerate("xyz")}
    columns |= {f"f_dc_{c}": gaussians.sh0[:, 0, c] for c in range(3)}
    higher = gaussians.shN.shape[1]
    for c in range(3):
        columns |= {f"f_rest_{c * higher + k}": gaussians.shN[:, k, c] for k in range(higher)}
    columns |= {"opacity": gaussians.logit_opacities}
    columns |= {f"scale_{i}": gaussians.log_scales[:, i] for i in range(3)}
    columns |= {f"rot_{i}": gaussians.quats[:, i] for i in range(4)}
    rows = np.empty(len(gaussians), [(name, dtype) for name in columns])
    for name, column in columns.items():
        rows[name] = column.numpy()
    return rows


def save(path: Path, rows: np.ndarray, *, text: bool = False, byte_order: str = "<") -> Path:
    vertices = PlyElement.describe(rows, "vertex")
    PlyData([vertices], text=text, byte_order=byte_order).write(str(path))
    return path


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


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("means", torch.nan, "means of 2"),
        ("means", torch.inf, "means of 2"),
        ("log_scales", torch.inf, "scales of 2"),
        ("log_scales", -torch.inf, "scales of 2"),
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


def test_huge_finite_values_are_not_mistaken_for_infinite_ones(tmp_path: Path) -> None:
    gaussians = random_gaussians(3, 0)
    gaussians.means[:] = 3e38  # their sum overflows
    write_splat(tmp_path / "a.ply", gaussians)
    assert_equal(read_splat(tmp_path / "a.ply"), gaussians)


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
