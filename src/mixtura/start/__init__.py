"""Initial mixtures: a sample of the rows, several rough partitions of it, short runs of EM.

Starts are found on the distinct rows of a sample, in sorted order, with their
weights added up: neither the order of the rows nor whether a row is repeated or
weighted changes a start.
"""

from mixtura.start.batch import FINAL_INNER, POLISHED, SHORT_STEPS
from mixtura.start.contest import best_run, rank
from mixtura.start.hierarchy import Tree, agglomerate
from mixtura.start.initial import from_partition, given_start, initial_mixtures, one_hot
from mixtura.start.moves import split_starts
from mixtura.start.partitions import PARTITIONS, moves_among, partitions, portfolio
from mixtura.start.sample import SAMPLE_ROWS, distinct, draw_sample, rng_for, sample_limit
from mixtura.start.spaces import standardised, whitened

__all__ = [
    "FINAL_INNER",
    "PARTITIONS",
    "POLISHED",
    "SAMPLE_ROWS",
    "SHORT_STEPS",
    "Tree",
    "agglomerate",
    "best_run",
    "distinct",
    "draw_sample",
    "from_partition",
    "given_start",
    "initial_mixtures",
    "moves_among",
    "one_hot",
    "partitions",
    "portfolio",
    "rank",
    "rng_for",
    "sample_limit",
    "split_starts",
    "standardised",
    "whitened",
]
