"""The page, built from a workspace of real videos."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa
from report_workspace import BOX, HOSTILE, HOSTILE_TAG

from hashtag2action.catalog.schema import Decision, Reason, Run
from hashtag2action.catalog.store import Catalog, Entry
from hashtag2action.report.page import MAX_STORIES, build_report

VOID = {"meta", "img", "br", "link", "input", "hr", "base"}


class Page(HTMLParser):
    """Elements and text of a page; an element that is closed wrongly fails the test."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(self.source)
        assert self._open == []
        self.text = re.sub(r"\s+", " ", self.text.replace("\u00a0", " "))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def build(workspace: Path) -> Page:
    return Page(build_report(workspace, Catalog(workspace)))


def test_tells_the_whole_story(trained: Path) -> None:
    page = build(trained)
    for part in (
        "5 videos, 2 clips, 1 of 3 recognised",
        "A person shows in 5 of 10 checked frames, 4 are enough.",
        "A person shows in 0 of 10 checked frames, 4 would be enough.",
        "− 1 duplicate",
        "− 1 cannot be read",
        "− 1 waiting for a reviewer",
        "the same as source/talk.mp4",
        "an error of 0.53; painting each part in its mean colour gives 0.98",
        "1 of 3 held-out clips correctly, where guessing gets 50 % right",
        "1.070 to 0.530",
        "✓ right",
        "✕ wrong",
        "✕ unreadable",
        "5 in time × 3 in space",
        "What these numbers do not show",
        "The 95 % interval of top-1 reaches from 0 % to 100 %.",
        "No validation split.",
        "encoder_ratio",
        "onnxruntime",
    ):
        assert part in page.text, part
    titles = {
        tag["aria-label"].split(".")[0] for tag in page.all("svg") if tag.get("aria-label") and tag.get("class") is None
    }
    assert titles >= {
        "Videos and clips per hashtag",
        "How long the chosen scenes are",
        "Why videos were rejected",
        "Pre-training: error of the reconstructed patches",
        "Fine-tuning",
        "Held-out videos: true and predicted class",
    }


def test_shows_checked_frames_with_boxes_and_timeline(workspace: Path) -> None:
    page = build(workspace)
    frames = [tag for tag in page.all("img") if (tag["alt"] or "").startswith("Frame at")]
    assert len(frames) == 30
    people = Counter("1 person found" in (tag["alt"] or "") for tag in frames)
    assert people == {True: 15, False: 15}
    boxes = [tag for tag in page.all("rect") if tag.get("class") is None and tag.get("x") == f"{100 * BOX.x1:.2f}"]
    assert len(boxes) == 15
    assert {(tag["y"], tag["width"], tag["height"]) for tag in boxes} == {("12.50", "50.00", "75.00")}
    assert Counter(tag.get("class") for tag in page.all("circle") if tag.get("class")) == {"person": 15, "none": 15}
    scenes = [tag for tag in page.all("rect") if (tag.get("class") or "").startswith("scene")]
    assert sum("chosen" in (tag["class"] or "") for tag in scenes) == 3
    assert len(scenes) > 3  # the cyclist's film is cut


def test_is_accessible_and_well_formed(trained: Path) -> None:
    page = build(trained)
    assert all(tag.get("alt") for tag in page.all("img"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    assert {(tag["href"] or "")[1:] for tag in page.all("a") if (tag["href"] or "").startswith("#")} <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for tag in page.all("svg"):
        assert tag.get("aria-hidden") == "true" or (tag.get("role") == "img" and tag.get("aria-label"))


def test_loads_nothing_from_elsewhere(trained: Path) -> None:
    page = build(trained)
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    assert all((tag["src"] or "").startswith("data:image/") for tag in page.all("img"))
    assert re.findall(r"url\(\s*['\"]?(?!#)", page.source) == []
    assert re.findall(r"(?:src|href|action)\s*=\s*['\"]?\s*(?:[a-z]+:)?//", page.source) == []
    for tag in page.all("a"):
        target = tag["href"] or ""
        assert target.startswith("#") or (trained / "report" / target).is_file()
    policy = next(tag["content"] for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy or "")


def test_escapes_what_strangers_wrote(trained: Path) -> None:
    page = build(trained)
    assert HOSTILE in page.text
    assert f"#{HOSTILE_TAG}" in page.text
    assert "<script" not in page.source and "onerror" not in {
        key for _, attributes in page.elements for key in attributes
    }
    for figure in (trained / "report" / "figures").glob("*.svg"):
        assert "<script" not in figure.read_text(encoding="utf-8")


def test_same_facts_same_bytes(trained: Path) -> None:
    def written() -> dict[str, bytes]:
        build_report(trained, Catalog(trained))
        files = {path.name: path.read_bytes() for path in (trained / "report").rglob("*") if path.is_file()}
        shutil.rmtree(trained / "report")
        return files

    first = written()
    assert {"index.html", "hashtags.svg", "hashtags.csv", "pretrain-loss.csv", "confusion.svg"} <= set(first)
    assert written() == first


def test_is_built_anew_only_for_new_facts(workspace: Path) -> None:
    catalog = Catalog(workspace)
    page = build_report(workspace, catalog)
    before = page.stat().st_mtime_ns
    assert build_report(workspace, catalog).stat().st_mtime_ns == before
    video = catalog.videos(Decision.REVIEW)[0]
    catalog.set_decision(video.id, Decision.REJECTED, Reason.SCENE_TOO_SHORT)
    assert "Nothing waits for a reviewer." in Page(build_report(workspace, catalog)).text


@pytest.mark.parametrize("stage", ["nothing", "registered", "curated", "pretrain", "finetune", "evaluate"])
def test_says_what_has_not_been_done(stage: str, trained: Path, tmp_path: Path) -> None:
    done = ["pretrain", "finetune", "evaluate"]
    folder = tmp_path / "new" if stage in ("nothing", "registered") else trained
    catalog = Catalog(folder)
    if stage == "registered":
        catalog.register([Entry(Path("/videos/a.mp4"), ("dance",))])
    _forget(catalog, done[done.index(stage) + 1 :] if stage in done else done)
    text = Page(build_report(folder, catalog)).text
    sentences = {
        "pretrain": "No pre-training has finished in this workspace.",
        "finetune": "No fine-tuning has finished in this workspace.",
        "evaluate": "No evaluation has finished in this workspace.",
    }
    for name, sentence in sentences.items():
        finished = stage in done and done.index(name) <= done.index(stage)
        assert (sentence in text) == (not finished), name
    assert ("No clip has been kept so far." in text) == (stage in ("nothing", "registered"))
    if stage == "registered":
        assert "1 is still to be looked at" in text


def test_a_large_workspace_makes_a_page_of_bounded_size(workspace: Path) -> None:
    catalog = Catalog(workspace)
    model = max(catalog.videos(Decision.ACCEPTED), key=lambda video: len(video.hashtags))
    folder = workspace / "source"
    catalog.register(Entry(folder / f"{n}.mp4", (f"tag{n % 40}",)) for n in range(600))
    for n, video in enumerate(catalog.videos(Decision.PENDING)):
        if n % 2:
            catalog.set_decision(video.id, Decision.REJECTED, Reason.UNREADABLE, detail="x" * 500)
        else:
            clip = {column: getattr(model.clips[0], column) for column in _CLIP} | {"path": f"clips/{n}.mp4"}
            catalog.set_decision(video.id, Decision.ACCEPTED, Reason.PERSON, report=model.report, clips=[clip])
    page = build(workspace)
    assert len(page.source) < 1_000_000
    assert f"{MAX_STORIES} of 302 videos shown" in page.text and "290 not shown" in page.text
    assert "60 of 302 videos shown, spread over reasons" in page.text
    assert "The source file can no longer be read" in page.text
    assert "the 25 most frequent of 44" in page.text


def test_frames_come_from_the_source_where_the_clip_is_gone(workspace: Path) -> None:
    shutil.rmtree(workspace / "clips")
    page = build(workspace)
    assert sum((tag["alt"] or "").startswith("Frame at") for tag in page.all("img")) == 30
    assert "can no longer be read" not in page.text


_CLIP = ("start_s", "end_s", "scene_s", "frames", "fps", "width", "height", "size_bytes", "sha256")


def _forget(catalog: Catalog, stages: list[str]) -> None:
    with catalog.session() as session:
        session.execute(sa.delete(Run).where(Run.stage.in_(stages)))
