"""What the numbers on the page do not show, worked out from how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hashtag2action.catalog.statistics import Statistics
from hashtag2action.report.runs import Evaluation, Finetuning, Pretraining
from hashtag2action.report.words import duration, number, percent

PAPER_CLIPS = 283_582
PAPER_MIN_CLIP_S = 3.5
NOTHING_LEARNT = 0.9  # a loss above this share of the mean's counts as hardly better

BY_HEART_EPOCHS = 300  # more often than the paper's 200


def limits(
    counts: Statistics,
    min_clip_s: float | None,
    pretraining: Pretraining | None,
    finetuning: Finetuning | None,
    evaluation: Evaluation | None,
) -> list[str]:
    """Return sentences, the weightiest first."""
    return [
        *_of_evaluation(evaluation, finetuning.notes if finetuning else ()),
        *_of_training(pretraining, finetuning, evaluation),
        *_of_data(counts, min_clip_s),
    ]


def _of_evaluation(evaluation: Evaluation | None, notes: Sequence[str]) -> Iterator[str]:
    if evaluation is None:
        yield "Nothing was evaluated: no number on this page says how well actions are recognised."
        return
    videos, sources = evaluation.videos, evaluation.summary.get("groups")
    origin = f" from {number(sources, 'source')}" if sources else ""
    yield (
        f"Accuracy was measured on {number(videos, 'held-out clip')}{origin}, "
        f"so one clip more or less moves top-1 by {100 / max(1, videos):.1f} percentage points."
    )
    yield from _doubt(evaluation)
    if evaluation.majority is not None and evaluation.top1 <= evaluation.majority:
        yield (
            f"Always answering the test's most frequent class would be right for {percent(evaluation.majority)}: "
            f"with {percent(evaluation.top1)} the model is no better than that."
        )
    untested = [name for name, clips in zip(evaluation.classes, evaluation.per_class, strict=False) if clips == 0]
    if untested and not notes:
        yield f"Learnt but never tested, as no clip of theirs was held out: {_listed(untested)}."
    if strange := evaluation.summary.get("unknown_labels"):
        yield f"Held out but never learnt, and so always wrong: {_listed(strange)}."
    if unreadable := evaluation.summary.get("unreadable"):
        yield f"{number(unreadable, 'held-out clip')} could not be read; unreadable clips count as wrong."
    if len(evaluation.classes) <= 5:
        yield f"With {number(len(evaluation.classes), 'class', 'classes')}, every one of them is among the top 5: that number says nothing."


def _doubt(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.interval is None:
        return
    low, high = evaluation.interval
    sources = int(evaluation.summary.get("groups") or evaluation.videos)
    text = f"The 95 % interval of top-1 reaches from {percent(low)} to {percent(high)}. "
    if low == high:
        text = "All draws of the bootstrap agree, which with so few sources is no sign of certainty. "
    elif low <= evaluation.chance:
        text += f"It holds chance ({percent(evaluation.chance)}): these results do not show that the model recognises anything. "
    elif evaluation.majority is not None and low <= evaluation.majority:
        text += (
            f"It lies above chance ({percent(evaluation.chance)}) but holds what always answering the test's most frequent class "
            f"would give ({percent(evaluation.majority)}): it is not shown that the model does better than that. "
        )
    else:
        text += f"It lies above chance ({percent(evaluation.chance)}): something was learnt, but how much stays open. "
    if sources < 30:
        text += f"It is drawn from {number(sources, 'source')} only, so it is itself rough and more likely too narrow than too wide."
    yield text.strip()


def _of_training(
    pretraining: Pretraining | None, finetuning: Finetuning | None, evaluation: Evaluation | None
) -> Iterator[str]:
    if evaluation is not None or finetuning is not None:
        yield "Everything was trained once, with one seed. How much another seed would change the result was not measured."
    if pretraining is not None and finetuning is not None:
        yield (
            "Whether pre-training helped is not shown: that takes the same fine-tuning from random weights, several times "
            "over, at equal cost."
        )
    if pretraining is not None and _hardly_learnt(pretraining):
        yield (
            f"The reconstruction loss ends at {pretraining.loss_last:.2f}, hardly better than painting every hidden patch in its "
            f"mean colour ({pretraining.baseline:.2f}): pre-training was too short to learn much."
        )
    if pretraining is not None:
        yield (
            "The reconstruction loss is that of the clips which the model trains on. It shows that training works, not "
            "that the representation carries over to other videos."
        )
        seen = pretraining.summary.get("epochs")
        if isinstance(seen, (int, float)) and seen >= BY_HEART_EPOCHS:
            yield f"Each clip was seen {seen:,.0f} times, so much of what the model imagines it has learnt by heart."
    if finetuning is not None:
        yield from (f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in finetuning.notes)


def _of_data(counts: Statistics, min_clip_s: float | None) -> Iterator[str]:
    if counts.clips:
        times = PAPER_CLIPS / counts.clips
        more = f", {times:,.0f} times as many" if times > 2 else ""
        hashtags = sum(1 for row in counts.hashtags if row.kept)
        yield (
            f"The data are {number(counts.clips, 'clip')} ({duration(counts.clip_s)}) of {number(hashtags, 'hashtag')}; the paper "
            f"has {PAPER_CLIPS:,} clips{more}. Its results are not to be expected here."
        )
    if min_clip_s is not None and min_clip_s < PAPER_MIN_CLIP_S:
        yield f"Clips from {min_clip_s:g} s on were kept; the paper's shortest are {PAPER_MIN_CLIP_S} s."
    if counts.accepted or counts.review:
        yield (
            "Whether a person is in the picture was decided by a detector, and whether the hashtag names the action by whoever "
            "posted the video. Nobody checked either here, so the share of wrong decisions and wrong labels is unknown."
        )
    if counts.videos:
        yield (
            "Copies are found by their bytes and by how their frames look. Copies that look different, and other parts of the "
            "same recording, can still lie on both sides of the split, unless they were given a common group."
        )


def _hardly_learnt(run: Pretraining) -> bool:
    return run.loss_last is not None and run.baseline is not None and run.loss_last > NOTHING_LEARNT * run.baseline


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
