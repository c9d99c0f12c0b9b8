from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from hashtag2action.data.splits import Sample, Split
from hashtag2action.errors import UserError
from hashtag2action.models import build_classifier, build_videomae, save_checkpoint
from hashtag2action.train.embed import embed, similar
from hashtag2action.train.features import load_encoder, pooled_features, token_features
from hashtag2action.train.probe import probe_split

SMALL = {"image_size": 32, "frames": 4, "dim": 48, "depth": 2, "heads": 3, "patch": 8}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run")
    save_checkpoint(build_videomae("vit_tiny", **SMALL), folder / "model.pt")
    return folder


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_text("no video")
    return path


def test_features_are_the_mean_of_tokens_and_kept_in_a_file(
    model: Path, small_clips: list[Path], broken: Path, tmp_path: Path
) -> None:
    encoder = load_encoder(model, segments=2)
    clips = [*small_clips[:3], broken]
    pooled = pooled_features(encoder, clips, tmp_path)
    tokens = token_features(encoder, clips, tmp_path)
    assert pooled.rows.shape == (4, 48) and tokens.rows.shape == (4, *encoder.shape)
    assert pooled.readable.tolist() == tokens.readable.tolist() == [True, True, True, False]
    assert np.allclose(tokens.rows[:3].astype(float).mean(axis=1), pooled.rows[:3], atol=2e-3)
    assert list(pooled.problems) == [str(broken)] and len(list(tmp_path.glob("*.npz"))) == 2
    kept = next(tmp_path.glob("pooled-*.npz"))
    np.savez(kept, rows=pooled.rows + 1, problems="{}")  # so that it shows where the second look comes from
    assert np.array_equal(pooled_features(encoder, clips, tmp_path).rows, pooled.rows + 1, equal_nan=True)
    broken.write_text("no video either")
    assert np.array_equal(pooled_features(encoder, clips, tmp_path).rows, pooled.rows, equal_nan=True)


def test_nearest_clips_come_from_the_same_film(
    model: Path, small_clips: list[Path], broken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set.parquet"
    found = embed([*small_clips, broken], model, out, {small_clips[0]: "phone"})
    assert (found.clips, found.dim, list(found.unreadable)) == (8, 48, [str(broken)])
    near = similar(small_clips[0], out, count=7)
    assert [Path(each.path).name.split("-")[0] for each in near][:2] == ["carphone", "carphone"]
    assert str(small_clips[0].absolute()) not in [each.path for each in near]
    assert all(a.similarity >= b.similarity for a, b in itertools.pairwise(near)) and near[0].similarity <= 1.0001
    assert similar(small_clips[1], out, count=8)[0].similarity > 0.5


def test_another_model_or_no_set_ends_in_one_clear_line(
    model: Path, small_clips: list[Path], broken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set.parquet"
    embed(small_clips[:2], model, out)
    save_checkpoint(build_classifier("vit_tiny", 3, **SMALL), tmp_path / "other.pt", extra={"classes": list("abc")})
    with pytest.raises(UserError, match="is not the model"):
        similar(small_clips[0], out, model=tmp_path / "other.pt")
    with pytest.raises(UserError, match="not a set"):
        similar(small_clips[0], broken)
    with pytest.raises(UserError, match=r"broken\.mp4"):
        similar(broken, out)
    with pytest.raises(UserError, match="none of 1 clips can be read"):
        embed([broken], model, out)


def test_three_probes_of_one_encoder(model: Path, small_clips: list[Path], broken: Path, tmp_path: Path) -> None:
    """Telling two films apart is easy even for random weights; the unreadable test clip counts as wrong."""
    films = [Sample(clip, clip.name.split("-")[0], clip.stem) for clip in small_clips]
    split = Split(tuple(films[:2] + films[3:6]), (), (films[2], films[6], films[7], Sample(broken, "bikes", "x")))
    found = probe_split(split, model, tmp_path / "probe", segments=1)
    assert {score.kind: score.top1 for score in found.scores} == {"linear": 0.75, "knn": 0.75, "attentive": 0.75}
    assert all(score.low <= 0.75 <= score.high for score in found.scores) and list(found.unreadable) == [str(broken)]
    assert (tmp_path / "probe" / "probe.json").is_file()
    with pytest.raises(UserError, match="no kind 'svm'"):
        probe_split(split, model, tmp_path / "probe", kinds=["svm"])
    with pytest.raises(UserError, match="two classes"):
        probe_split(Split(tuple(films[:2]), (), (films[2],)), model, tmp_path / "probe")
