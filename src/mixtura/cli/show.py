"""``mixtura show``: what a model holds."""

from __future__ import annotations

import click

from mixtura.cli.console import Console
from mixtura.cli.options import common


@click.command("show")
@click.argument("model")
@common
def command(console: Console, model: str) -> None:
    """Say what MODEL holds: components, criteria, how the fit ended.

    With --json the same document as "mixtura fit --json".
    """
    from mixtura import describe, modelfile

    facts = describe.document(modelfile.load(model))
    if console.as_json:
        console.document(facts)
    else:
        with console.data() as stream:
            stream.write(describe.text(facts) + "\n")
