"""The command line: one thin command per verb, no logic of its own."""

from __future__ import annotations

import sys

import typer

from hashtag2action.cli import cards, collect, dataset, hashtags, model, review, stages, study
from hashtag2action.errors import UserError

app = typer.Typer(
    name="h2a",
    help="From hashtags to a trained action recogniser: curate videos, pre-train, fine-tune, evaluate, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    stages.run,
    stages.demo,
    stages.register,
    stages.curate,
    stages.describe,
    stages.pretrain,
    stages.finetune,
    stages.evaluate,
    model.predict,
    model.export,
    model.probe,
    model.embed,
    model.similar,
    stages.report,
    stages.recipes,
    collect.forget,
):
    app.command()(command)
app.command(name="model-card")(cards.model)
dataset.app.command(name="card")(cards.data)
app.add_typer(hashtags.app, name="hashtags")
app.add_typer(collect.app, name="collect")
app.add_typer(dataset.app, name="dataset")
app.add_typer(review.app, name="review")
app.add_typer(study.app, name="study")


STOPPED = 130  # status of a command that Ctrl-C ended


def main() -> None:
    """Run the command; a user's mistake is one line and status 2, Ctrl-C status 130."""
    try:
        status = app(standalone_mode=False)  # typer 0.29 returns 130 on Ctrl-C, earlier versions raise
    except UserError as error:
        _say(str(error))
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        status = STOPPED
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is None:
            raise
        _say(f"{usage().rstrip('.')}; see `h2a --help`")
        sys.exit(2)
    if status == STOPPED:
        _say("stopped; the same command goes on from here")
    sys.exit(status or 0)


def _say(line: str) -> None:
    print(f"h2a: {line}", file=sys.stderr)
