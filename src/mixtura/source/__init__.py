"""Data of any kind and size as blocks of rows that can be read again and again.

`as_source` is the door: arrays, data frames, CSV, Parquet and Arrow files,
folders, globs and standard input come in; a `DataSource` comes out. `summarise`
looks at all rows once and refuses what cannot be used.
"""

from __future__ import annotations

from mixtura.source.arrays import ArraySource
from mixtura.source.base import Block, DataSource, Part, Stretch
from mixtura.source.door import as_source, read_column, scan
from mixtura.source.drop import AttachedSource, DroppingSource, PickedSource, every_row
from mixtura.source.files import FileSource
from mixtura.source.held import HeldSource, hold
from mixtura.source.look import Look, look_at
from mixtura.source.paths import read_standard_input
from mixtura.source.plan import (
    Plan,
    block_rows_within,
    blocks_at_once,
    plan_of,
    readers_at_once,
)
from mixtura.source.summary import Summary, check_block, concluded, summarise

__all__ = [
    "ArraySource",
    "AttachedSource",
    "Block",
    "DataSource",
    "DroppingSource",
    "FileSource",
    "HeldSource",
    "Look",
    "Part",
    "PickedSource",
    "Plan",
    "Stretch",
    "Summary",
    "as_source",
    "block_rows_within",
    "blocks_at_once",
    "check_block",
    "concluded",
    "every_row",
    "hold",
    "look_at",
    "plan_of",
    "read_column",
    "read_standard_input",
    "readers_at_once",
    "scan",
    "summarise",
]
