from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hashtag2action.data.eval_views import EvalPlan, crops, read_views, resize_short, view_indices
from hashtag2action.media.container import MediaError
from hashtag2action.media.decode import open_frames, read_frames


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
    middle = resize_short(torch.from_numpy(read_frames(path, indices[1])), 96)  # (8, 3, 96, w)
    start = (middle.shape[-1] - 96) // 2
    assert torch.equal(views[4], middle[..., start : start + 96].transpose(0, 1))
    assert torch.equal(views[5], middle[..., -96:].transpose(0, 1))


def test_what_is_no_video_is_a_fault_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video")
    with pytest.raises(MediaError):
        read_views(path, EvalPlan())
