import pytest

from gaussians.distill.budget import parse_budget
from gaussians.errors import RecipeError
from gaussians.io import splat_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12%", 1200),
        ("12.5 %", 1250),
        ("100%", 10_000),
        ("0.001%", 1),
        ("50", 50),
        ("5_000", 5000),
        (" 7 ", 7),
    ],
)
def test_counts(text: str, expected: int) -> None:
    assert parse_budget(text).count(10_000, sh_degree=3) == expected


def test_a_percentage_is_never_exceeded() -> None:
    for vanilla in range(1, 400):
        assert parse_budget("12%").count(vanilla, 3) <= max(1, 0.12 * vanilla)


def test_never_more_than_vanilla_has() -> None:
    assert parse_budget("50000").count(300, 3) == 300
    assert parse_budget("1GB").count(300, 3) == 300


def test_room_for_more_than_vanilla_has_is_known() -> None:
    assert [parse_budget(text).exceeds(300, 3) for text in ("301", "1GB")] == [True, True]
    assert [parse_budget(text).exceeds(300, 3) for text in ("300", "5kB", "100%")] == [False] * 3


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("text", ["5MB", "800kB", "2MiB", "24.5 kb", "2500B"])
def test_a_file_size_is_filled_and_not_exceeded(text: str, degree: int) -> None:
    budget = parse_budget(text)
    count = budget.count(10**9, degree)
    assert splat_bytes(count, degree) <= budget.amount < splat_bytes(count + 1, degree)


def test_a_file_size_too_small_for_one_gaussian() -> None:
    with pytest.raises(RecipeError, match=r"100B.*single Gaussian"):
        parse_budget("100B").count(1000, 3)


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0%",
        "0MB",
        "0.0kB",
        "-5",
        "-5%",
        "101%",
        "12.5",
        "",
        "%",
        "MB",
        "many",
        "5 apples",
        "1e3",
        "5,5%",
        "nan",
        "inf",
    ],
)
def test_nonsense_is_one_clear_line(text: str) -> None:
    with pytest.raises(RecipeError) as failure:
        parse_budget(text)
    message = str(failure.value)
    assert "\n" not in message
    assert f'"{text}"' in message
