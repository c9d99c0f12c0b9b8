"""People in frames, by a YOLOv8- or YOLOX-style network in an ONNX file."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from hashtag2action.curate.settings import CurateSettings
from hashtag2action.curate.weights import yolov8n_onnx
from hashtag2action.errors import UserError
from hashtag2action.files import sha256_of
from hashtag2action.wheels import cache_folder

Array = np.ndarray[Any, Any]
Style = Literal["yolov8", "yolox"]
Device = Literal["cpu", "cuda"]

PROVIDERS: dict[Device, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    "cuda": ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"}),  # no search anew for every picture size
}
PERSON = 0  # the class's number in COCO
STEP_PX = 32  # sides of the network's input are multiples of it
DOUBT, SURE = 0.1, 0.5  # confidences of a first look: below there is nobody, above somebody, between look closer
PADDING = 114  # grey level around the picture that both families were trained with


@dataclass(frozen=True)
class Box:
    """A person found: corners as shares (0 to 1) of the picture's width and height, and the confidence."""

    x1: float
    y1: float
    x2: float
    y2: float
    score: float

    @property
    def area(self) -> float:
        """Share of the picture that the box covers."""
        return (self.x2 - self.x1) * (self.y2 - self.y1)


@dataclass(frozen=True)
class Detection:
    """The people in one checked frame."""

    index: int
    time_s: float
    boxes: tuple[Box, ...]

    @property
    def area(self) -> float:
        """Share of the picture that people cover, overlaps counted once for each."""
        return min(1.0, sum(box.area for box in self.boxes))


class Detector(Protocol):
    """What finds people in pictures: `PersonDetector`, or one that all workers share."""

    def detect(self, images: Sequence[Array]) -> list[list[Box]]:
        """Return the people in each of the images, (H, W, 3) RGB uint8, all of one size; the surest first."""
        ...


def find_people(
    frames: Iterable[tuple[int, Array]],
    times_s: Sequence[float],
    planned: int,
    settings: CurateSettings,
    detector: Detector,
) -> tuple[Detection, ...]:
    """Look for people in `(index, image)` pairs, `planned` of them, each (H, W, 3) RGB uint8 and of one size.

    With `stop_early` no frame is looked at, or asked for, once those before decide.
    """
    if not settings.stop_early and settings.glance_px is None and settings.first_look_px is None:
        indices, images = zip(*frames, strict=True) if planned else ((), ())
        found = zip(indices, detector.detect([_enlarged(image, settings) for image in images]), strict=True)
        return tuple(Detection(i, round(times_s[i], 3), _counted(boxes, settings)) for i, boxes in found)
    detections: list[Detection] = []
    people = 0
    glancing = True
    for index, image in frames:
        seen = _glance(detector, image, settings) if glancing else None
        glancing = seen is not None  # where a small picture was not enough it will not be for the next frame
        boxes = _counted(_look(detector, image, settings) if seen is None else seen, settings)
        detections.append(Detection(index, round(times_s[index], 3), boxes))
        people += bool(boxes)
        left = planned - len(detections)
        if settings.stop_early and (people >= settings.min_person_frames or people + left < settings.min_person_frames):
            break
    return tuple(detections)


def detector_file(settings: CurateSettings) -> Path:
    """Return the ONNX file that the settings name, fetching and exporting YOLOv8n if it is not in the cache.

    Raises `UserError` where there is none to be had.
    """
    if settings.detector.startswith("onnx:"):
        path = Path(settings.detector.removeprefix("onnx:")).expanduser()
        if not path.is_file():
            raise UserError(f"{path}: no such file; --detector onnx:FILE takes a YOLOv8- or YOLOX-style ONNX file")
        return path
    return yolov8n_onnx(settings.weights, cache_folder(), settings.allow_unpickle)


def detector_identity(settings: CurateSettings) -> str:
    """Return the SHA-256 of the detector's file where the settings name one, else the detector's name. Raises `UserError`."""
    if settings.detector == "yolov8n" and settings.weights is None:
        return settings.detector
    return sha256_of(detector_file(settings) if settings.weights is None else settings.weights.expanduser())


def load_detector(settings: CurateSettings) -> PersonDetector:
    """Return the detector that the settings name; a process loads each only once. Raises `UserError`."""
    path = detector_file(settings).resolve()
    least = settings.confidence if settings.first_look_px is None else min(DOUBT, settings.confidence)
    stamp_ns = path.stat().st_mtime_ns
    return _load(path, stamp_ns, settings.detector_threads, least, settings.overlap, settings.detector_device)


class PersonDetector:
    """A network held by ONNX Runtime; which family it is of is told by the shape of its output."""

    def __init__(self, path: Path, threads: int, confidence: float, overlap: float, device: Device = "cpu") -> None:
        """Load an ONNX file. Raises `UserError` where it is no detector of a known family, or the device cannot be used."""
        self._session = _open_session(path, threads, device)
        self._input = self._session.get_inputs()[0]
        self._confidence, self._overlap = confidence, overlap
        self._batch, _, height, width = (side if isinstance(side, int) else None for side in self._input.shape)
        self._size = (height, width) if height and width else None
        self._style: Style = self._find_style(path)

    def detect(self, images: Sequence[Array]) -> list[list[Box]]:
        """Return the people in each of the images, (H, W, 3) RGB uint8, all of one size; the surest first."""
        if not images:
            return []
        height, width = images[0].shape[:2]
        size = self._size or (-(-height // STEP_PX) * STEP_PX, -(-width // STEP_PX) * STEP_PX)
        scale = min(size[0] / height, size[1] / width) if self._size else 1.0
        shape = (round(height * scale), round(width * scale))
        offset = ((size[0] - shape[0]) // 2, (size[1] - shape[1]) // 2)
        network = [_letterbox(image, shape, offset, size) for image in images]
        found = []
        for start in range(0, len(network), self._batch or len(network)):
            for boxes, scores in self._run(np.stack(network[start : start + (self._batch or len(network))])):
                shares = (boxes - np.tile(offset[::-1], 2)) / np.tile(shape[::-1], 2)
                found.append(_best(np.clip(shares, 0.0, 1.0), scores, self._overlap))
        return found

    def _run(self, images: Array) -> list[tuple[Array, Array]]:
        """Return corners in pixels (N, 4) and confidences (N,) of the person boxes of each image (B, H, W, 3)."""
        count = len(images)
        if self._batch and count < self._batch:
            images = np.concatenate([images, np.zeros((self._batch - count, *images.shape[1:]), np.uint8)])
        if self._style == "yolox":
            images = images[..., ::-1]
        planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
        if self._style == "yolov8":
            planes /= 255.0
        output = self._session.run(None, {self._input.name: planes})[0][:count]
        rows = output.transpose(0, 2, 1) if self._style == "yolov8" else _from_grid(output, *images.shape[1:3])
        return [self._people(row) for row in rows]

    def _people(self, rows: Array) -> tuple[Array, Array]:
        """Keep the boxes (cx, cy, w, h, then scores) whose best class is person and sure enough."""
        scores = rows[:, 4:] if self._style == "yolov8" else rows[:, 5:] * rows[:, 4:5]
        kept = (scores[:, PERSON] >= self._confidence) & (scores.argmax(axis=1) == PERSON)
        centre, half = rows[kept, :2], rows[kept, 2:4] / 2
        return np.concatenate([centre - half, centre + half], axis=1), scores[kept, PERSON]

    def _find_style(self, path: Path) -> Style:
        side = self._size or (64, 64)
        blank = np.zeros((self._batch or 1, 3, *side), np.float32)
        shape = self._session.run(None, {self._input.name: blank})[0].shape
        anchors = sum((side[0] // stride) * (side[1] // stride) for stride in (8, 16, 32))
        if shape[1:] == (84, anchors):
            return "yolov8"
        if shape[1:] == (anchors, 85):
            return "yolox"
        raise UserError(
            f"{path}: its output is {shape}, not (B, 84, {anchors}) of YOLOv8 or (B, {anchors}, 85) of YOLOX; name such a file"
        )


def _glance(detector: Detector, image: Array, settings: CurateSettings) -> list[Box] | None:
    """Return who is in a very small copy, None where nobody is for sure: small pictures hide people."""
    boxes = _smaller(detector, image, settings.glance_px, settings)
    return boxes if boxes and boxes[0].score >= max(SURE, settings.confidence) else None


def _look(detector: Detector, image: Array, settings: CurateSettings) -> list[Box]:
    """Look at a small copy first where the settings say so, and at the whole only if that leaves a doubt."""
    boxes = _smaller(detector, image, settings.first_look_px, settings)
    if boxes is not None:
        best = max((box.score for box in boxes), default=0.0)
        if not DOUBT <= best < max(SURE, settings.confidence):
            return boxes
    return detector.detect([_enlarged(image, settings)])[0]


def _smaller(detector: Detector, image: Array, side_px: int | None, settings: CurateSettings) -> list[Box] | None:
    """Return who is in a copy with that longer side, None where the picture would be looked at no larger anyway."""
    import cv2

    longer = max(image.shape[:2])
    if side_px is None or side_px >= (max(longer, settings.detector_size_px) if settings.detector_enlarge else longer):
        return None
    scale = min(1.0, side_px / longer)
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = image if scale == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return detector.detect([small])[0]


def _enlarged(image: Array, settings: CurateSettings) -> Array:
    import cv2

    scale = settings.detector_size_px / max(image.shape[:2])
    if not settings.detector_enlarge or scale <= 1:
        return image
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def _counted(boxes: Sequence[Box], settings: CurateSettings) -> tuple[Box, ...]:
    return tuple(box for box in boxes if box.score >= settings.confidence and box.area >= settings.min_person_area)


@functools.lru_cache(maxsize=2)
def _load(
    path: Path, _modified_ns: int, threads: int, confidence: float, overlap: float, device: Device
) -> PersonDetector:
    return PersonDetector(path, threads, confidence, overlap, device)


def _open_session(path: Path, threads: int, device: Device) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    provider, how = PROVIDERS[device]
    if provider not in onnxruntime.get_available_providers():
        raise _no_device(device)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[(provider, how)])
    except (
        errors.Fail,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NoSuchFile,
        errors.NotImplemented,
    ) as error:
        raise UserError(f"{path}: ONNX Runtime cannot load it; name a YOLOv8- or YOLOX-style ONNX file") from error
    if provider not in session.get_providers():  # its libraries are missing
        raise _no_device(device)
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[1] != 3 or inputs[0].type != "tensor(float)":
        raise UserError(
            f"{path}: takes no batch of float RGB images (B, 3, H, W); name a YOLOv8- or YOLOX-style ONNX file"
        )
    return session


def _no_device(device: Device) -> UserError:
    return UserError(
        f"detector_device = {device}: ONNX Runtime cannot use it here; pip install onnxruntime-gpu in its place, or choose cpu"
    )


def _letterbox(image: Array, shape: tuple[int, int], offset: tuple[int, int], size: tuple[int, int]) -> Array:
    """Return the image scaled to `shape` with its corner at `offset` on a grey (H, W, 3) of `size`."""
    import cv2

    if image.shape[:2] != shape:
        image = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR)
    canvas = np.full((*size, 3), PADDING, np.uint8)
    canvas[offset[0] : offset[0] + shape[0], offset[1] : offset[1] + shape[1]] = image
    return canvas


def _from_grid(output: Array, height: int, width: int) -> Array:
    """Turn YOLOX's offsets from grid cells, (B, A, 85), into pixels: cells of 8, 16 and 32 pixels, row by row."""
    cells, strides = [], []
    for stride in (8, 16, 32):
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    stride_px = np.concatenate(strides)
    centre = (output[..., :2] + np.concatenate(cells)) * stride_px
    return np.concatenate([centre, np.exp(output[..., 2:4]) * stride_px, output[..., 4:]], axis=2)


def _best(boxes: Array, scores: Array, overlap: float) -> list[Box]:
    """Return the boxes left when of two that overlap the surer one is kept."""
    import cv2

    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), 0.0, overlap) if len(scores) else []
    return [Box(*(round(float(value), 4) for value in (*boxes[i], scores[i]))) for i in kept]
