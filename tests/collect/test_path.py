"""From hashtags to a trained model: `h2a hashtags`, `h2a collect`, `h2a run`, over HTTP on loopback."""

from __future__ import annotations

import csv
import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from fake_platform import KEY, SECRET, FakePlatform, Faults
from typer.testing import CliRunner, Result
from virtual_clock import VirtualClock

from hashtag2action.catalog.store import Catalog
from hashtag2action.catalog.yields import tag_yields
from hashtag2action.cli import collect, hashtags

TINY = [
    "pretrain.optim.max_steps=2", "pretrain.loop.save_every_steps=2", "finetune.optim.max_steps=2",
    "finetune.loop.save_every_steps=2", "evaluate.segments=1", "evaluate.crops=1",
]  # fmt: skip


def h2a(app: object, *arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])  # type: ignore[arg-type]
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.timeout(280)
def test_from_hashtags_to_a_trained_model(tmp_path: Path, shared_videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hashtag2action.pipeline import Workspace

    monkeypatch.setenv("TIKTOK_CLIENT_KEY", KEY)
    monkeypatch.setenv("TIKTOK_CLIENT_SECRET", SECRET)
    work, chosen = tmp_path / "work", tmp_path / "hashtags.csv"
    (tmp_path / "views.csv").write_text(
        "tag,views,date\nplayingpiano,29M,2024-01-01\npiano,44B,2024-01-01\nwaltz,9B,2024-01-01\ntango,1M,2024-01-01\n"
    )
    (tmp_path / "list.txt").write_text("playing piano\nwaltz\ntango\n")

    h2a(hashtags.app, "choose", "-o", chosen, "--list", tmp_path / "list.txt", "--views", tmp_path / "views.csv",
        "--set", "unknown_views=drop", "--set", "datasets=[]")  # fmt: skip
    with chosen.open() as file:
        decisions = {row["tag"]: row["decision"] for row in csv.DictReader(file)}
    assert decisions == {"piano": "keep", "waltz": "keep", "tango": "drop", "playingpiano": "replace"}
    assert (tmp_path / "hashtags.svg").stat().st_size > 1000

    today = datetime.now(timezone.utc).date()
    clock = VirtualClock(tmp_path / "clock", time.time())
    clips = sorted((shared_videos / "yoga").rglob("*.mp4"))[::9][:8]
    arguments = [chosen, "-w", work, "--start", today - timedelta(days=30), "--end", today, "--per-hashtag", 6]
    with FakePlatform(
        clock, ["piano", "waltz"], 8, today - timedelta(days=30), today, Faults(nul_bytes=1.0), files=clips
    ) as fake:
        fake.latency_s = 0.0
        arguments += ["--api-url", fake.url, "--set", "settle_s=0", "--set", "retry_s=0.1"]
        assert "requests" in h2a(collect.app, "tiktok", *arguments, "--plan").output
        assert fake.requests == 0
        h2a(collect.app, "tiktok", *arguments, "--json", tmp_path / "harvest.json")
        assert json.loads((tmp_path / "harvest.json").read_text())["complete"] == 2

        refused = CliRunner().invoke(collect.app, ["download", "-w", str(work)])
        assert "--i-have-permission" in str(refused.exception)
        fetched = ["download", "-w", work, "--url", fake.url + "/videos/{id}.mp4", "--json", tmp_path / "download.json"]
        assert h2a(collect.app, *fetched).exit_code == 0
        assert json.loads((tmp_path / "download.json").read_text())["refused"] > 0, "loopback without --allow-private"

    with FakePlatform(clock, ["piano", "waltz"], 8, today - timedelta(days=30), today, files=clips) as fake:
        catalog = Catalog(work)
        fetched[4] = fake.url + "/videos/{id}.mp4"
        h2a(collect.app, *fetched, "--allow-private")
        assert json.loads((tmp_path / "download.json").read_text())["wanted"] == 0
        h2a(collect.app, *fetched, "--allow-private", "--again")
    done = json.loads((tmp_path / "download.json").read_text())
    assert done["fetched"] == done["listed"] == done["probed"] > 10

    summary = Workspace(work, "demo", TINY).run(work / "collected.csv")
    assert summary["videos"] == done["fetched"]
    assert summary["clips"] > 0
    assert summary["pretrain"]["steps"] == 2
    assert (work / "report" / "index.html").is_file()

    assert sum(row.decided for row in tag_yields(catalog)) >= done["fetched"]
    assert "Plan" in h2a(hashtags.app, "budget", "-w", work, "-n", 20).output
    assert "posts" in h2a(collect.app, "status", "-w", work).output
