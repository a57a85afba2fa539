"""``mixtura show``: what a model holds."""

from __future__ import annotations

import sys

import click

from mixtura.cli.console import Console
from mixtura.cli.options import common


@click.command("show")
@click.argument("model")
@click.option(
    "--sketch/--no-sketch",
    default=None,
    help="Draw weights and densities with block characters. Default: on a terminal.",
)
@common
def command(console: Console, model: str, sketch: bool | None) -> None:
    """Say what MODEL holds: components, criteria, how the fit ended.

    With --json the same document as "mixtura fit --json", or, for a classifier, as the
    model of "mixtura classify --json".
    """
    from mixtura import describe, modelfile
    from mixtura.classify import Classifier

    found = modelfile.load_any(model)
    if isinstance(found, Classifier):
        facts = describe.class_document(found)
        words = describe.class_text(facts)
    else:
        facts = describe.document(found)
        words = describe.text(facts)
        if sketch or (sketch is None and sys.stdout.isatty()):
            words += "\n\n" + describe.sight(found)
    if console.as_json:
        console.document(facts)
    else:
        with console.data() as stream:
            stream.write(words + "\n")
