import pytest

from app import text


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (4_730_000, "4.73 MB"),
        (999_600, "1.00 MB"),
        (12.1e9, "12.1 GB"),
    ],
)
def test_sizes(number: float, words: str) -> None:
    assert text.size(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3599.9, "1 h"), (3900, "1 h 5 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert text.duration(seconds) == words


@pytest.mark.parametrize(
    ("rate", "words"), [(0.418, "0.42 steps/s"), (8.31, "8.3 steps/s"), (119.6, "120 steps/s")]
)
def test_rates(rate: float, words: str) -> None:
    assert text.rate(rate) == words


def test_counts() -> None:
    assert text.gaussians(1) == "1 Gaussian"
    assert text.gaussians(12345) == "12,345 Gaussians"


def test_models_by_name() -> None:
    assert text.model("photo") == "Ground truth"
    assert text.model("vanilla") == "Vanilla"
    assert text.model("history:1200") == "Student at step 1,200"


def test_a_long_path_keeps_its_end() -> None:
    assert text.shortened("/a/b", 10) == "/a/b"
    assert text.shortened("/a/long/way/to/go", 9) == "…ay/to/go"


def test_a_verdict_says_how_much_smaller_and_how_much_better() -> None:
    assert text.verdict((5397, 24.57), (44982, 24.18), "Vanilla") == (
        "Student: 5,397 Gaussians, 8.3 times fewer than Vanilla, at 24.57 dB held out (+0.39 dB)."
    )
    assert text.verdict((1000, 23.0), (50_000, 24.0), "Mine") == (
        "Student: 1,000 Gaussians, 50 times fewer than Mine, at 23.00 dB held out (-1.00 dB)."
    )
    assert text.verdict((10, None), (10, 24.0), "Mine") == "Student: 10 Gaussians."


def test_what_is_loaded_is_named() -> None:
    assert text.loading("garden", "decoding photos") == ("Opening garden", "Decoding photos")
    assert text.loading("garden", "opening") == ("Opening garden", "")
    assert text.loading("", "once") == ("Compiling for this processor", "Once")


def test_a_long_name_keeps_its_beginning() -> None:
    assert text.begun("a garden", 8) == "a garden"
    assert text.begun("a garden in May", 9) == "a garden…"
    assert len(text.begun("x" * 100, 20)) == 20
