from __future__ import annotations

from pathlib import Path

import pytest

from hashtag2action.errors import UserError
from hashtag2action.pipeline import STAGES, RunSettings
from hashtag2action.settings import Settings, digest, load, recipe_names

EVERY_RECIPE = [(stage, name) for stage in STAGES for name in recipe_names(stage)]


class Inner(Settings):
    min_clip_s: float = 3.5
    name: str = "a"


class Outer(Settings):
    inner: Inner = Inner()
    count: int = 1


@pytest.mark.parametrize(("stage", "name"), EVERY_RECIPE)
def test_every_recipe_loads_and_says_what_it_is_for(stage: str, name: str) -> None:
    assert load(STAGES[stage], stage, name).description


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inner.min_clip_s=2", 2.0),
        ("inner.min_clip_s = 2.5", 2.5),
        ("inner.name=yoga", "yoga"),
        ('inner.name="x=1"', "x=1"),
        ("count=7", 7),
    ],
)
def test_overrides_read_as_toml(text: str, expected: object) -> None:
    loaded = load(Outer, "outer", None, [text])
    key = text.split("=")[0].strip().split(".")[-1]
    assert getattr(loaded if key == "count" else loaded.inner, key) == expected


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["inner.min_clip=2"], ["inner.min_clip", "did you mean `inner.min_clip_s`"]),
        (["cuont=2"], ["cuont", "did you mean `count`"]),
        (["count=many"], ["count", "many"]),
        (["count"], ["key=value"]),
        (["count.more=1"], ["count"]),
    ],
)
def test_a_wrong_override_is_named_with_the_nearest_right_one(overrides: list[str], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        load(Outer, "outer", None, overrides)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


def test_a_stage_recipe_stands_under_the_values_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[curate]\nrecipe = "demo"\nframes_checked = 12\n')
    loaded, demo = load(RunSettings, "run", path), load(RunSettings, "run", "demo")
    assert loaded.curate.frames_checked == 12
    assert loaded.curate.min_clip_s == demo.curate.min_clip_s


def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("[curate\n")
    with pytest.raises(UserError, match=r"broken\.toml: not valid TOML"):
        load(RunSettings, "run", path)


def test_the_digest_follows_values_and_not_the_description() -> None:
    assert digest(Inner()) == digest(Inner(description="words"))
    assert digest(Inner()) != digest(Inner(min_clip_s=3.4))
    assert digest(Inner(), ["clip"]) != digest(Inner())
