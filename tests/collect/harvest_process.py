"""Harvest in a process of its own, so that a test can kill it: URL, workspace, clock, settings and hashtags as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from virtual_clock import VirtualClock

from hashtag2action.catalog.ledger import Ledger
from hashtag2action.catalog.store import Catalog
from hashtag2action.collect.credentials import Credentials
from hashtag2action.collect.harvest import harvest
from hashtag2action.collect.research_api import ResearchApi
from hashtag2action.collect.settings import HarvestSettings

if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    clock = VirtualClock(Path(job["clock"]))
    api = ResearchApi(Credentials(*job["credentials"]), clock, job["url"])
    ledger = Ledger(Catalog(Path(job["workspace"])))
    settings = HarvestSettings(**job["settings"])
    print(harvest(ledger, api, dict.fromkeys(job["hashtags"], settings.per_hashtag), settings, clock, wait=True))
