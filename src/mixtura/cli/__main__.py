"""``python -m mixtura.cli``: the command line without its script."""

from __future__ import annotations

from mixtura.cli.main import main

if __name__ == "__main__":
    main()
