"""The link that decides what is served: there is one whole set of data at every moment."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hostemr.host.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    for name in ("one", "two"):
        (made.generations / name).mkdir(parents=True)
    return made


def test_nothing_is_served_at_first(layout: Layout) -> None:
    assert layout.served() is None


def test_what_is_served_can_be_changed_and_changed_back(layout: Layout) -> None:
    for name in ("one", "two", "two", "one"):
        layout.serve(name)
        assert layout.served() == name
        assert layout.current.resolve() == layout.generations / name


def test_the_link_leads_on_wherever_the_volume_is_mounted(layout: Layout, tmp_path: Path) -> None:
    layout.serve("one")
    assert not layout.current.readlink().is_absolute()
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    assert Layout(moved).current.resolve() == moved / "generations" / "one"


def test_a_generation_that_is_not_there_is_not_served(layout: Layout) -> None:
    layout.serve("one")
    with pytest.raises(FileNotFoundError) as caught:
        layout.serve("three")
    assert caught.value.filename == str(layout.generations / "three")
    assert caught.value.strerror == "No such file or directory"
    assert layout.served() == "one"


def test_what_a_killed_process_left_is_in_nobodys_way(layout: Layout) -> None:
    (layout.root / ".current.new").symlink_to("generations/two")
    layout.serve("one")
    assert layout.served() == "one"
    assert not (layout.root / ".current.new").is_symlink()


def test_there_is_no_moment_without_data(layout: Layout) -> None:
    layout.serve("one")
    missing = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            if layout.served() not in {"one", "two"}:
                missing.append(layout.served())

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(100):
        layout.serve("two")
        layout.serve("one")
    ended.set()
    watcher.join()
    assert missing == []


def test_serving_nothing_can_be_repeated(layout: Layout) -> None:
    layout.serve("one")
    layout.serve_nothing()
    layout.serve_nothing()
    assert layout.served() is None
    assert (layout.generations / "one").is_dir()


def test_a_folder_in_the_place_of_the_link_is_left_alone(layout: Layout) -> None:
    layout.current.mkdir()
    (layout.current / "data").touch()
    with pytest.raises(OSError, match="Invalid argument"):
        layout.served()
    with pytest.raises(OSError, match="directory"):
        layout.serve("one")
    assert (layout.current / "data").exists()
