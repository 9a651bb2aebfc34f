from gaussians.cli.picture_names import picture_names


def test_subfolders_are_kept() -> None:
    assert picture_names(["left/a.jpg", "right/a.JPG", "b.c.png"]) == ["left/a.png", "right/a.png", "b.c.png"]


def test_twins_get_a_number() -> None:
    assert picture_names(["a.jpg", "a.png", "A.jpg", "a-2.jpg"]) == [
        "a.png",
        "a-2.png",
        "A-3.png",
        "a-2-2.png",
    ]


def test_nothing_is_written_outside() -> None:
    names = picture_names(["../photos/a.jpg", "/etc/b.jpg", "C:/c.jpg", "x/../../d.jpg"])
    assert names == ["photos/a.png", "etc/b.png", "c.png", "x/d.png"]
