from __future__ import annotations

import torch

from hashtag2action.models import build_videomae
from hashtag2action.train.probe import clip_features, probe


def blobs(people: int, spread: float) -> tuple[torch.Tensor, list[str], list[str]]:
    """Three classes around three corners, seen in every person."""
    generator = torch.Generator().manual_seed(0)
    labels = [name for name in "abc" for _ in range(4 * people)]
    groups = [f"person {i % people}" for i in range(len(labels))]
    corners = torch.eye(8)[:3].repeat_interleave(4 * people, dim=0)
    return corners + spread * torch.randn(len(labels), 8, generator=generator), labels, groups


def test_separable_features_are_classified_and_noise_is_not():
    result = probe(*blobs(people=6, spread=0.05))
    assert (result.linear, result.knn, result.clips, result.groups) == (1.0, 1.0, 72, 6)
    noise = probe(*blobs(people=6, spread=100.0))
    assert noise.linear < 0.6 and noise.knn < 0.6


def test_what_marks_a_person_does_not_help():
    """Each person shows one class only: memorising people must not count."""
    generator = torch.Generator().manual_seed(0)
    groups = [f"person {i // 8}" for i in range(96)]
    labels = ["abc"[i // 8 % 3] for i in range(96)]
    features = torch.randn(12, 16, generator=generator).repeat_interleave(8, dim=0)
    result = probe(features, labels, groups)
    assert result.linear < 0.8 and result.knn < 0.8


def test_features_of_real_clips(small_clips):
    model = build_videomae("vit_tiny", image_size=32, frames=4, dim=48, depth=1, patch=8)
    features = clip_features(model, small_clips[:3], rate=2)
    assert features.shape == (3, 48) and torch.isfinite(features).all()
    assert not torch.allclose(features[0], features[2])
