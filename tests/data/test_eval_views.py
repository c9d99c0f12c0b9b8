from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hashtag2action.data import eval_views
from hashtag2action.data.eval_views import (
    EvalPlan,
    crops,
    read_video,
    read_views,
    resize_short,
    resize_with_pillow,
    view_indices,
)
from hashtag2action.media.container import MediaError
from hashtag2action.media.decode import open_frames, read_frames
from hashtag2action.media.frame_folder import frames_path
from hashtag2action.media.probe import probe_video


def test_segments_start_where_the_official_formula_says() -> None:
    """300 frames at rate 4 are 75; starts are int(k * (75 - 16) / 4) = 0, 14, 29, 44, 59 of them."""
    indices = view_indices(300, EvalPlan(segments=5))
    assert indices[:, 0].tolist() == [0, 56, 116, 176, 236]
    assert (indices[:, 1:] - indices[:, :-1] == 4).all()
    assert view_indices(300, EvalPlan(segments=1))[0].tolist() == list(range(116, 180, 4))


def test_a_short_video_repeats_its_last_strided_frame() -> None:
    indices = view_indices(30, EvalPlan(segments=2))
    assert indices.tolist() == [[0, 4, 8, 12, 16, 20, 24, *[28] * 9]] * 2


def test_two_interleaved_segments_of_tsn() -> None:
    indices = view_indices(64, EvalPlan(segments=2, sampling="tsn"))
    assert indices.tolist() == [list(range(0, 64, 4)), list(range(2, 64, 4))]


@pytest.mark.parametrize(("height", "width"), [(40, 100), (100, 40), (40, 40)])
def test_crops_lie_along_the_long_side(height: int, width: int) -> None:
    where = torch.arange(height * width).view(1, 1, height, width).expand(2, 3, -1, -1)
    found = crops(where, EvalPlan(size=40, crops=3))
    starts = [0, 30, 60] if height != width else [0, 0, 0]
    step = width if height > width else 1
    assert [int(crop[0, 0, 0, 0]) for crop in found] == [start * step for start in starts]
    assert all(crop.shape == (3, 2, 40, 40) for crop in found)
    (centre,) = crops(where, EvalPlan(size=40, crops=1))
    assert int(centre[0, 0, 0, 0]) == starts[1] * step


def test_views_are_slices_of_the_same_decoded_frames(shared_videos: Path) -> None:
    path = shared_videos / "yoga" / "padmasana" / sorted((shared_videos / "yoga" / "padmasana").iterdir())[0].name
    plan = EvalPlan(frames=8, rate=4, size=96, segments=3, crops=3)
    views = read_views(path, plan)
    assert views.shape == (9, 3, 8, 96, 96) and views.dtype == torch.uint8
    with open_frames(path) as reader:
        indices = view_indices(reader.frames, plan)
    middle = torch.from_numpy(resize_short(read_frames(path, indices[1]), 96))  # (8, 3, 96, w)
    start = (middle.shape[-1] - 96) // 2
    assert torch.equal(views[4], middle[..., start : start + 96].transpose(0, 1))
    assert torch.equal(views[5], middle[..., -96:].transpose(0, 1))


def test_resizing_without_pytorch_agrees_within_a_level(shared_videos: Path) -> None:
    path = next((shared_videos / "panda" / "person").iterdir())
    frames = read_frames(path, [0, 20, 40])
    fast, slow = resize_short(frames, 96), resize_with_pillow(frames, 96)
    assert fast.shape == slow.shape and np.abs(fast.astype(int) - slow).max() <= 1
    small = frames[:, :96, :128]
    assert np.array_equal(resize_short(small, 96), small.transpose(0, 3, 1, 2))
    assert np.array_equal(resize_with_pillow(small, 96), small.transpose(0, 3, 1, 2))


def test_frames_are_read_in_parts_where_they_are_many(shared_videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = next((shared_videos / "panda" / "person").iterdir())
    plan = EvalPlan(frames=16, rate=2, size=64, segments=4, crops=3)
    whole = read_video(path, plan)
    monkeypatch.setattr(eval_views, "MEMORY_BYTES", 1)
    assert np.array_equal(read_video(path, plan).pixels, whole.pixels)
    assert 0.05 < whole.brightness < 0.95 and whole.seconds == pytest.approx(probe_video(path).duration_s, rel=0.02)


def test_the_papers_fifteen_views_by_hand() -> None:
    """300 frames of 340 x 256: 75 strided frames leave room for 59 starts, k * 59 / 4; crops at k * 73 / 2 of 297 x 224."""
    plan = EvalPlan(segments=5, crops=3)
    assert plan.views == 15
    assert view_indices(300, plan)[:, 0].tolist() == [0, 4 * 14, 4 * 29, 4 * 44, 4 * 59]
    where = np.arange(224 * 297).reshape(1, 1, 224, 297).repeat(3, axis=1)
    assert [int(crop[0, 0, 0, 0]) for crop in crops(where, plan)] == [0, 36, 73]


def test_something_somethings_six_views_by_hand() -> None:
    """37 frames in 16 parts of 2.3125: the first view takes each part's start, the second 1.15625 further."""
    plan = EvalPlan(segments=2, crops=3, sampling="tsn")
    assert plan.views == 6
    first, second = view_indices(37, plan).tolist()
    assert first == [0, 2, 4, 6, 9, 11, 13, 16, 18, 20, 23, 25, 27, 30, 32, 34]
    assert second == [1, 3, 5, 8, 10, 12, 15, 17, 19, 21, 24, 26, 28, 31, 33, 35]


def test_a_folder_of_pictures_is_judged_like_its_video(small_clips: list[Path], tmp_path: Path) -> None:
    frames = read_frames(small_clips[0], range(32))
    for number, frame in enumerate(frames, 1):
        Image.fromarray(frame).save(tmp_path / f"img_{number:05d}.png")
    plan = EvalPlan(frames=8, rate=2, size=32, segments=2, crops=3)
    video, pictures = read_video(small_clips[0], plan), read_video(frames_path(tmp_path, 1, 32), plan)
    assert np.array_equal(video.pixels, pictures.pixels) and pictures.seconds is None


def test_what_is_no_video_is_a_fault_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video")
    with pytest.raises(MediaError):
        read_views(path, EvalPlan())
