"""Real videos given the faults that quality scores are to find, by changing every picture."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

Image = np.ndarray  # (H, W, 3), RGB, uint8
WIDTH, HEIGHT, FPS = 480, 270, 24


def pictures(path: Path, seconds: float) -> list[Image]:
    """Return the first seconds of a video at 480 x 270 and 24 a second, however short it is: it goes on forwards and back."""
    with av.open(str(path)) as container:
        rate = max(1, round(float(container.streams.video[0].average_rate or 24) / FPS))
        frames = itertools.islice(container.decode(video=0), 0, round(seconds * FPS) * rate, rate)
        found = [frame.to_ndarray(format="rgb24", width=WIDTH, height=HEIGHT) for frame in frames]
    bounce = itertools.cycle(range(2 * len(found) - 2))
    return [found[min(i, 2 * len(found) - 2 - i)] for i in itertools.islice(bounce, round(seconds * FPS))]


def write(path: Path, images: list[Image]) -> Path:
    """Write pictures as H.264 at the rate they were read with."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        stream.height, stream.width = images[0].shape[:2]
        for image in images:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        output.mux(stream.encode())
    return path


def letterbox(images: list[Image]) -> list[Image]:
    return [np.pad(image, ((100, 100), (0, 0), (0, 0))) for image in images]


def blurred_bars(images: list[Image]) -> list[Image]:
    """Return a picture of 270 x 480 with its own blurred enlargement above and below, as phones' editors make it."""
    height = WIDTH
    small_height = HEIGHT * HEIGHT // WIDTH // 2 * 2
    done = []
    for image in images:
        back = cv2.resize(image, (HEIGHT * WIDTH // HEIGHT * 2, height))[:, :HEIGHT]
        back = cv2.GaussianBlur(back, (0, 0), 12)
        top = (height - small_height) // 2
        back[top : top + small_height] = cv2.resize(image, (HEIGHT, small_height), interpolation=cv2.INTER_AREA)
        done.append(back)
    return done


def dark(images: list[Image]) -> list[Image]:
    return [(image * 0.15).astype(np.uint8) for image in images]


def blurred(images: list[Image]) -> list[Image]:
    return [cv2.GaussianBlur(image, (0, 0), 4) for image in images]


def still(images: list[Image]) -> list[Image]:
    return [images[0]] * len(images)


def slides(images: list[Image]) -> list[Image]:
    return [images[i // FPS * FPS] for i in range(len(images))]


def shaken(images: list[Image]) -> list[Image]:
    random = np.random.default_rng(0)
    return [np.roll(image, random.integers(-16, 17, 2), axis=(0, 1)) for image in images]


def captions(images: list[Image]) -> list[Image]:
    done = []
    for i, image in enumerate(images):
        image = image.copy()
        for line, y in enumerate(range(60, 240, 40)):
            text = f"part {i // FPS + line}: wait for it, you will see"
            cv2.putText(image, text, (20, y), cv2.FONT_HERSHEY_SIMPLEX, 0.75, (0, 0, 0), 5, cv2.LINE_AA)
            cv2.putText(image, text, (20, y), cv2.FONT_HERSHEY_SIMPLEX, 0.75, (255, 255, 255), 2, cv2.LINE_AA)
        done.append(image)
    return done


def screen(images: list[Image]) -> list[Image]:
    """Return a window with the small video in it, on a page of text that scrolls."""
    page = np.full((1200, WIDTH, 3), 250, np.uint8)
    for line in range(75):
        cv2.putText(
            page, f"{line} lorem ipsum dolor sit amet", (8, 14 + 16 * line), cv2.FONT_HERSHEY_PLAIN, 0.8, (40, 40, 40)
        )
    done = []
    for i, image in enumerate(images):
        shown = page[i // 12 * 4 : i // 12 * 4 + HEIGHT].copy()
        shown[:20] = (60, 90, 160)
        shown[60:195, 220:460] = cv2.resize(image, (240, 135), interpolation=cv2.INTER_AREA)
        done.append(shown)
    return done


def side_by_side(images: list[Image]) -> list[Image]:
    half = WIDTH // 4
    return [
        np.concatenate([image[:, half : 3 * half], other[:, ::-1][:, 2 * half :]], axis=1)
        for image, other in zip(images, reversed(images), strict=True)
    ]


def small(images: list[Image]) -> list[Image]:
    return [cv2.resize(image, (160, 90), interpolation=cv2.INTER_AREA) for image in images]


# fault: how it is made, the measure that must tell it from the unaltered video, and whether it grows (1) or falls (-1)
FAULTS: dict[str, tuple[Callable[[list[Image]], list[Image]], str, int]] = {
    "letterbox": (letterbox, "bars", 1),
    "blurred bars": (blurred_bars, "bars", 1),
    "darkened": (dark, "brightness", -1),
    "blurred": (blurred, "sharpness", -1),
    "still image": (still, "still", 1),
    "slide show": (slides, "still", 1),
    "shaken": (shaken, "shake", 1),
    "captions": (captions, "text", 1),
    "screen recording": (screen, "screen", 1),
    "side by side": (side_by_side, "split", 1),
    "small": (small, "short_side_px", -1),
}
