import importlib
import json
from pathlib import Path

import pytest

from gaussians.cli import doctor, main
from gaussians.session import checkup, equipment
from gaussians.session.checkup import Finding, check_up
from tests.cli.command_line import refused


def by_name() -> dict[str, Finding]:
    return {finding.what: finding for finding in check_up()}


def test_doctor_reports_every_line_with_a_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", str(tmp_path / "d.json")]) == 0
    document = json.loads((tmp_path / "d.json").read_text())
    out = capsys.readouterr().out
    names = [finding["what"] for finding in document["findings"]]
    for name in ("Python", "processor", "PyTorch", "GPU", "gsplat", "Numba", "CPU kernels", "display"):
        assert name in names
    for finding in document["findings"]:
        assert finding["verdict"] in ("ok", "note", "missing")
        assert any(line.startswith(f"{finding['what']} ") for line in out.splitlines())
        if finding["verdict"] != "ok":
            assert finding["advice"]
    assert document["auto"].startswith(("cpu: ", "cuda: "))
    assert document["auto"] in out
    assert document["machine"]["cores"] >= 1
    assert document["machine"]["memory_bytes"] > 1e8


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_compiled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "compile_kernels", None)
    line = refused(capsys, "doctor", "--compile", "--json", str(tmp_path))
    assert line == f"error: {tmp_path}: is a folder; give the name of a file to write"


def test_what_is_missing_is_named_and_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.import_module

    def broken(name: str, package: str | None = None) -> object:
        if name == "pycolmap":
            raise ImportError("libGL.so.1: cannot open shared object file\nand so on")
        return real(name, package)

    monkeypatch.setattr(checkup.importlib, "import_module", broken)
    assert doctor.run([]) == doctor.FAILED_CHECK
    out = capsys.readouterr().out
    assert "libGL.so.1: cannot open shared object file" in out
    assert "and so on" not in out
    assert "pip install pycolmap" in out


def test_the_display_is_found_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup.sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":7")
    assert by_name()["display"] == Finding("display", "ok", "DISPLAY=:7")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert by_name()["display"].verdict == "note"
    assert "xvfb-run" in by_name()["display"].advice


def test_kernels_are_compiled_when_the_mark_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "compiled.json"
    monkeypatch.setattr(checkup, "kernel_folder", lambda: tmp_path)
    monkeypatch.setattr(checkup, "compiled_mark", lambda: mark)
    assert by_name()["CPU kernels"].found.startswith("not compiled yet")
    (tmp_path / "kernel.nbi").touch()
    assert by_name()["CPU kernels"].found.startswith("some compiled")
    assert "doctor --compile" in by_name()["CPU kernels"].advice
    mark.touch()
    assert by_name()["CPU kernels"].verdict == "ok"


@pytest.mark.parametrize(
    ("features", "machine", "name"),
    [
        ({"avx512f": True, "avx512vl": True, "avx2": True}, "x86_64", "AVX-512"),
        ({"avx512f": False, "avx2": True, "fma": True}, "x86_64", "AVX2"),
        ({"sse2": True}, "x86_64", "SSE2"),
        ({}, "arm64", "NEON"),
        ({}, "riscv64", "unknown"),
    ],
)
def test_the_widest_vector_unit_is_named(
    features: dict[str, bool], machine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equipment.llvm, "get_host_cpu_features", lambda: dict(features))
    monkeypatch.setattr(equipment.platform, "machine", lambda: machine)
    assert equipment.vector_units() == name


def test_little_memory_and_space_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_LITTLE_SPACE", 1e18)
    monkeypatch.setattr(checkup, "_LITTLE_MEMORY", 1e18)
    found = by_name()
    assert found["disk space"].verdict == "note"
    assert "--resolution" in found["memory"].advice


def test_unwritable_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["doctor", "--json", str(tmp_path / "file" / "d.json")]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_compiling_runs_the_whole_pipeline_and_leaves_its_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gaussians.session import warmup

    mark = tmp_path / "compiled.json"
    monkeypatch.setattr(warmup, "compiled_mark", lambda: mark)
    stages: list[str] = []
    assert warmup.compile_kernels(stages.append) > 0
    assert stages == ["scene", "trunk", "vanilla", "perturbed", "dropout", "labels", "student"]
    assert json.loads(mark.read_text())["seconds"] > 0
    monkeypatch.setattr(doctor, "compile_kernels", lambda: 12.3)
    assert main(["doctor", "--compile"]) == 0
    err = capsys.readouterr().err
    assert "compiling kernels for this machine, once: about a minute" in err
    assert "kernels are compiled (12 s)" in err


@pytest.mark.parametrize(
    ("reason", "compiled", "verdict", "text"),
    [
        ("no CUDA toolkit (nvcc)", False, "missing", "but no CUDA toolkit (nvcc)"),
        (None, False, "note", "not compiled yet"),
        (None, True, "ok", "CUDA kernels compiled"),
    ],
)
def test_gsplat_on_a_machine_with_a_gpu(
    reason: str | None, compiled: bool, verdict: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(checkup.cuda_gsplat, "unavailable_reason", lambda: reason)
    monkeypatch.setattr(checkup, "_gsplat_is_compiled", lambda: compiled)
    finding = checkup._gsplat()
    assert finding.verdict == verdict
    assert text in finding.found
