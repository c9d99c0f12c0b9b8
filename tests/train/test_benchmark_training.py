"""From a data set as it lies on disk to a tested classifier."""

from __future__ import annotations

import shutil
from pathlib import Path

from labelled import small_settings

from hashtag2action.data.benchmarks import read_benchmark
from hashtag2action.train.evaluate import evaluate
from hashtag2action.train.finetune import finetune
from hashtag2action.train.finetune_settings import EvaluateSettings
from hashtag2action.train.split_file import read_split


def test_an_official_list_is_trained_on_and_its_test_is_the_test(small_clips: list[Path], tmp_path: Path) -> None:
    lines: dict[str, list[str]] = {"train": ["gone.mp4 1"], "test": ["lost.mp4 0"]}
    for clip in small_clips:
        (tmp_path / "set").mkdir(exist_ok=True)
        shutil.copy(clip, tmp_path / "set" / clip.name)
        lines["test" if clip.stem[-1] == "0" else "train"].append(f"{clip.name} {int('bikes' in clip.name)}")
    for part, listed in lines.items():
        (tmp_path / "set" / f"{part}.csv").write_text("\n".join(listed) + "\n")
    (tmp_path / "set" / "classes.txt").write_text("phone\nride\n")
    benchmark = read_benchmark("list", tmp_path / "set")
    split = benchmark.to_split(val_share=0)
    settings = small_settings(optim__epochs=3)
    summary = finetune(split, settings, tmp_path / "run", classes=benchmark.classes)
    assert (summary.train_clips, summary.test_clips, summary.classes) == (6, 2, ["phone", "ride"])
    assert "1 train videos are not on disk" in summary.notes
    test = read_split(tmp_path / "run").split.test
    assert test == benchmark.test
    judged = evaluate(test, tmp_path / "run", EvaluateSettings(segments=2, crops=3), tmp_path / "evaluate")
    assert judged.videos == 2 and judged.unreadable == 0 and sum(map(sum, judged.confusion)) == 2
