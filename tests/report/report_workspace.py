"""What a test workspace holds: videos cut by the real code, people put where a test can look for them, finished runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from hashtag2action.catalog.schema import Decision, Reason
from hashtag2action.catalog.store import Catalog
from hashtag2action.collect.register import inspect_file
from hashtag2action.curate.cut import cut_clip
from hashtag2action.curate.people import Box, Detection
from hashtag2action.curate.scan import checked_frames, scan_video
from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.video import VideoReport
from hashtag2action.curate.window import choose_window
from hashtag2action.files import sha256_of, write_json
from hashtag2action.media.decode import read_frames
from hashtag2action.media.probe import probe_video

HOSTILE = "</title><script>alert('title')</script><img src=x onerror=alert(1)>"
HOSTILE_TAG = "\"><script>alert('tag')</script>&amp;跳舞"
BOX = Box(0.25, 0.125, 0.75, 0.875, 0.9)
SETTINGS = CurateSettings(min_clip_s=1.0)


def curate(catalog: Catalog, video: int, path: Path, people: int) -> None:
    """Do what curation does to a video, with a person in the first `people` of its checked frames."""
    probe = probe_video(path)
    scan = scan_video(path, probe, SETTINGS)
    scene = scan.chosen
    checked = checked_frames(scene.start_frame, scene.end_frame, SETTINGS.frames_checked)
    found = [(BOX,) if number < people else () for number in range(len(checked))]
    window = choose_window(
        scene, SETTINGS.max_clip_s, scan.times_s, scan.motion, checked, [float(bool(boxes)) for boxes in found]
    )
    clip_path = catalog.workspace / "clips" / f"{sha256_of(path)[:16]}.mp4"
    clip = cut_clip(path, scan, scan.chosen, probe, window, SETTINGS, clip_path)
    accepted = people >= SETTINGS.min_person_frames
    report = VideoReport(
        title=path.stem,
        decision=Decision.ACCEPTED if accepted else Decision.REVIEW,
        reason=Reason.PERSON if accepted else Reason.FEW_PERSON_FRAMES,
        probe=probe,
        cuts=tuple(scan.cuts),
        scenes=tuple(scan.scenes),
        chosen=scene,
        detections=tuple(Detection(i, scan.times_s[i], boxes) for i, boxes in zip(checked, found, strict=True)),
        person_frames=people,
        window=window,
        clip=clip,
    )
    catalog.set_decision(
        video,
        report.decision,
        report.reason,
        report=asdict(report),
        clips=[asdict(clip) | {"path": f"clips/{clip_path.name}"}],
        facts=inspect_file(path).facts,
    )


def pretrain(workspace: Path, catalog: Catalog, clips: Sequence[str]) -> None:
    folder = workspace / "runs" / "pretrain-00000000"
    losses = [1.1 - 0.006 * step for step in range(100)]
    _log(folder, [{"step": step + 1, "loss": loss} for step, loss in enumerate(losses)])
    name = Path(clips[0]).stem
    strip = np.concatenate(list(read_frames(workspace / clips[0], range(8), short_side=64)[:, :64, :64]), axis=1)
    (folder / "reconstructions").mkdir()
    for kind, image in (("original", strip), ("masked", strip // 2), ("reconstructed", strip[::-1])):
        Image.fromarray(image).save(folder / "reconstructions" / f"{name}-{kind}.png")
    write_json(folder / "settings.json", {"settings": {"mask": {"encoder_ratio": 0.9, "decoder_ratio": 0.5}}})
    summary = {
        "model": "vit_tiny", "steps": 100, "epochs": 50.0, "seconds": 70.0, "clips_per_s": 12.0, "loss_first": 1.07,
        "loss_last": 0.53, "baseline_loss": 0.98, "reconstructions": [name], "effective": {"device": "cpu"}, "bad_clips": {},
    }  # fmt: skip
    catalog.record_run("pretrain", "0" * 16, "runs/pretrain-00000000", summary)


def finetune(workspace: Path, catalog: Catalog, clips: Sequence[str]) -> None:
    folder = workspace / "runs" / "finetune-00000000"
    _log(
        folder,
        [{"step": step, "loss": 2 / step, **({"val_top1": 0.5} if step % 5 == 0 else {})} for step in range(1, 21)],
    )
    parts = {"train": [{"path": str(workspace / clips[0]), "label": "talking", "group": "a"}], "val": [], "test": []}
    write_json(folder / "split.json", {"classes": ["cycling", "talking"], "notes": ["no validation split"], **parts})
    summary = {
        "model": "vit_tiny",
        "pretrained": "model.pt",
        "steps": 20,
        "epochs": 20.0,
        "train_top1": 1.0,
        "val_top1": None,
    }
    catalog.record_run("finetune", "0" * 16, "runs/finetune-00000000", summary)


def evaluate(workspace: Path, catalog: Catalog, clips: Sequence[str]) -> None:
    folder = workspace / "runs" / "evaluate-00000000"
    rows = [
        {"path": str(workspace / clips[0]), "label": "talking", "top5": [["talking", 0.75], ["cycling", 0.25]]},
        {"path": str(workspace / clips[1]), "label": "cycling", "top5": [["talking", 0.625], ["cycling", 0.375]]},
        {"path": str(workspace / "clips" / "gone.mp4"), "label": "cycling", "top5": [], "problem": "missing"},
    ]
    write_json(folder / "predictions.json", rows)
    summary = {
        "videos": 3, "unreadable": 1, "unknown_labels": [], "top1": 1 / 3, "top5": 2 / 3, "top1_interval": [0.0, 1.0], "groups": 3,
        "chance": 0.5, "mean_class_accuracy": 0.5, "classes": ["cycling", "talking"], "confusion": [[0, 1], [0, 1]],
        "segments": 5, "crops": 3,
    }  # fmt: skip
    catalog.record_run("evaluate", "0" * 16, "runs/evaluate-00000000", summary)


def _log(folder: Path, records: Sequence[dict[str, float]]) -> None:
    folder.mkdir(parents=True)
    torn = '{"step": 9'
    (folder / "log.jsonl").write_text("\n".join([*(json.dumps(record) for record in records), torn]))
