"""Numbers as people read them: counts, sizes, durations, rates."""


def count(number: int) -> str:
    """A count of things: "1,234,567"."""
    return f"{number:,}"


def gaussians(number: int) -> str:
    """A count of Gaussians: "1 Gaussian", "12,345 Gaussians"."""
    return f"{number:,} Gaussian{'' if number == 1 else 's'}"


def some(number: int, of: int) -> str:
    """Some of the Gaussians that there are: "812 of 12,345 Gaussians"."""
    return f"{number:,} of {gaussians(of)}"


def size(number: float) -> str:
    """Bytes, in decimal units, three digits: "0 B", "812 B", "4.73 MB", "12.1 GB"."""
    if number < 1000:
        return f"{int(number)} B"
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.5 or unit == "TB":
            break
    digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{digits}f} {unit}"


def duration(seconds: float) -> str:
    """A duration, in its two largest units: "8 s", "3 min 20 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def rate(per_second: float) -> str:
    """Steps a second, with as many digits as tell something: "0.42 steps/s", "8.3 steps/s", "120 steps/s"."""
    digits = 2 if per_second < 1 else 1 if per_second < 20 else 0
    return f"{per_second:.{digits}f} steps/s"


def model(name: str) -> str:
    """What a model is called on screen: "photo" is "Ground truth", "history:120" is "Student at step 120"."""
    kind, _, step = name.partition(":")
    if kind == "history":
        return f"Student at step {count(int(step))}"
    return {"photo": "Ground truth"}.get(name, name[:1].upper() + name[1:])


def loading(name: str, what: str) -> tuple[str, str]:
    """Two lines on what is being loaded: "Opening garden" and "Decoding photos".

    Args:
        name: of what is opened; "": nothing is, kernels are compiled for a run.
        what: is done now.
    """
    title = f"Opening {name}" if name else "Compiling for this processor"
    return title, "" if what == "opening" else what[:1].upper() + what[1:]


def shortened(path: str, length: int) -> str:
    """A path of at most `length` characters: its end, after an ellipsis."""
    return path if len(path) <= length else "…" + path[-(length - 1) :]


def begun(words: str, length: int) -> str:
    """Words of at most `length` characters: their beginning, before an ellipsis."""
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"


def verdict(student: tuple[int, float | None], teacher: tuple[int, float | None], name: str) -> str:
    """What distilling came to: "5,397 Gaussians, 8.3 times fewer than Vanilla, at 24.57 dB (+0.39 dB)".

    Args:
        student, teacher: their Gaussians, and their held-out PSNR in dB where it is known.
        name: of the teacher.
    """
    (few, psnr), (many, reference) = student, teacher
    words = f"Student: {gaussians(few)}"
    if many > few:
        times = many / few
        words += f", {times:.{1 if times < 20 else 0}f} times fewer than {name}"
    if psnr is not None:
        words += f", at {psnr:.2f} dB held out"
    if psnr is not None and reference is not None:
        words += f" ({psnr - reference:+.2f} dB)"
    return words + "."
