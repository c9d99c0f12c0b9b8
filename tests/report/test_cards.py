"""The data card and the model card say what the workspace holds, and what is not known of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_workspace import HOSTILE_TAG

from hashtag2action.catalog.snapshot import freeze
from hashtag2action.catalog.store import Catalog
from hashtag2action.models.cost import energy_kwh
from hashtag2action.report.cards import Card, Section, escape, markdown, shares
from hashtag2action.report.clip_figures import clip_figures
from hashtag2action.report.data_card import data_card, described
from hashtag2action.report.model_card import model_card
from hashtag2action.report.page import build_report

DATASHEET = ("Motivation", "Composition", "Collection process", "Preprocessing, cleaning and labelling", "Uses", "Distribution", "Maintenance")  # fmt: skip


def flat(card: Card) -> str:
    cells = [cell for section in card.sections for row in section.rows for cell in row]
    sentences = [sentence for section in card.sections for sentence in section.sentences]
    return "\n".join([card.title, card.lead, *sentences, *cells]).replace("\u00a0", " ")


def test_data_card_of_a_snapshot(workspace: Path) -> None:
    catalog = Catalog(workspace)
    snapshot = freeze(catalog, "first", {"min_clip_s": 1.0})
    card = data_card(catalog, described(catalog))
    assert set(DATASHEET) <= {section.heading for section in card.sections}
    text = flat(card)
    assert snapshot.digest in text and "snapshot first" in card.lead
    assert "2 clips of 2 videos" in card.lead
    assert '"min_clip_s": 1.0' in text
    assert "1 duplicate" not in text and "duplicate 1 (50 %)" in text
    assert "licence: not known of 2 of 2 clips (100 %)" in text
    assert "brightness: not known of 2 of 2 clips" in text
    assert "age, gender, skin tone" in text


def test_without_a_snapshot_it_is_the_catalog(workspace: Path) -> None:
    catalog = Catalog(workspace)
    assert "the catalog as it stands" in data_card(catalog, described(catalog)).lead


def test_figures_of_a_snapshot(workspace: Path) -> None:
    catalog = Catalog(workspace)
    drawn = {figure.name: figure for figure in clip_figures(freeze(catalog, "first").clips, workspace)}
    assert list(drawn) == ["clips-per-hashtag", "count-ranges", "count-ranges-pie", "durations", "duration-table", "sample-clips"]  # fmt: skip
    assert drawn["sample-clips"].svg.count("<image") == 2 and "<script" not in drawn["sample-clips"].svg
    assert [row[1] for row in drawn["clips-per-hashtag"].rows[1:]] == [1, 1, 1]
    assert sum(row[1] for row in drawn["duration-table"].rows[1:]) == 2


def test_model_card(trained: Path) -> None:
    card = model_card(Catalog(trained), watts=100)
    assert card is not None
    text = flat(card)
    for part in (
        "vit_tiny, pre-trained without labels (VideoMAE V2) and fine-tuned to name actions.",
        "33.3 % of 3 held-out clips, 95 % interval 0.0 % to 100.0 %",
        "100 W a device, as given",
        "energy in kWh = hours x devices x watts / 1000 x PUE",
        "model.pt",
    ):
        assert part in text, part
    seconds = 70.0
    assert f"{1000 * energy_kwh(seconds / 3600, 'cpu', 1, 100):,.3g} Wh" in text


def test_no_model_no_card(workspace: Path) -> None:
    assert model_card(Catalog(workspace)) is None


def test_the_report_writes_both(trained: Path) -> None:
    folder = trained / "report" / "studies"
    folder.mkdir(parents=True)
    (folder / "size.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="450pt" height="9pt"><text>drawn</text></svg>')  # fmt: skip
    (folder / "size.csv").write_text("size,top1\n10,0.5\n")
    (folder / "size.json").write_text(json.dumps({"title": "Accuracy by clips", "alt": "more", "sentences": ["Three runs."]}))  # fmt: skip
    page = build_report(trained, Catalog(trained)).read_text(encoding="utf-8")
    assert "Three runs." in page and ">drawn<" in page and 'href="studies/size.csv"' in page
    assert (trained / "report" / "data_card.md").read_text().startswith("# Data card: catalog")
    model = (trained / "report" / "model_card.md").read_text()
    assert "Model card: vit\\_tiny" in model and "study size" in model


@pytest.mark.parametrize(
    ("text", "shown"), [("a|b\n# c", "a\\|b \\# c"), ("<b>&", "&lt;b&gt;&amp;"), ("x_y*", "x\\_y\\*")]
)
def test_strangers_words_stay_text(text: str, shown: str) -> None:
    assert escape(text) == shown
    written = markdown(Card("c", HOSTILE_TAG, text, (Section(text, (text,), ((text, HOSTILE_TAG),)),)))
    assert "<script" not in written and written.count("\n# ") == 0


def test_shares_are_of_the_whole() -> None:
    assert shares({"b": 1, "a": 3}) == "a 3 (75 %), b 1 (25 %)"
    assert shares({str(n): 1 for n in range(10)}, most=2).endswith("and 8 more")
