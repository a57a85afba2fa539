"""Many compiled runs at once: those that lag behind leave early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.families.runs import Limits, Runs

#: EM steps that every start gets before the ranking, and how many go on.
SHORT_STEPS = 10
POLISHED = 3

#: Inner iterations of M steps that have no closed form: until runs have been compared, and
#: after that. EM climbs as fast with a few as with all of them.
ROUGH_INNER = 2
FINAL_INNER = 5

#: Steps of those that go on, before and while their gains are watched; and how many times
#: what was gained meanwhile a run is trusted to gain yet.
SETTLE_STEPS = 5
WATCH_STEPS = 20
TRUST = 2.0

#: Rounds of moves at most; each begins where the one before found a better mixture.
ROUNDS = 3

Places = NDArray[np.intp]

#: Goes on with runs, of which the places among all are told too.
Onward = Callable[[Runs, Places, Limits], Runs]


def told_apart(
    runs: Runs, cells: Sequence[Any], onward: Onward, limits: Limits, slack: float = 0.0
) -> tuple[Runs, Places]:
    """Go on with runs until those of one cell can be compared, and keep the best of each cell.

    Runs that lag behind the best of their cell by more than `TRUST` times what they gained in
    the last steps leave early. Degenerate ones are left out, and with them cells that have no
    other. Objectives within `slack` nats count as equal, see `Runs.ranked`.

    Returns
    -------
    Runs
        One of each cell.
    ndarray of int
        The place of each among the runs given.
    """
    places = np.arange(len(runs))
    for steps in (SETTLE_STEPS, WATCH_STEPS):
        before = runs
        look = limits._replace(max_iter=min(steps, limits.max_iter))
        runs = added(before, onward(before, places, look))
    gains = runs.objective - before.objective
    leaders = best_of_cells(runs, cells, slack)
    leader = np.array([leaders.get(cell, -1) for cell in cells], dtype=np.intp)
    could_reach = runs.objective + TRUST * gains + slack
    hopeful = runs.ended & ((could_reach >= runs.objective[leader]) | (leader == places))
    places = np.flatnonzero(hopeful)
    if len(places):
        kept = runs.take(places)
        runs = added(kept, onward(kept, places, limits))
        best = best_of_cells(runs, [cells[int(i)] for i in places], slack)
        chosen = np.array(list(best.values()), dtype=np.intp)
        return runs.take(chosen), places[chosen]
    return runs.take(places), places


def best_of_cells(runs: Runs, cells: Sequence[Any], slack: float = 0.0) -> dict[Any, int]:
    """The best run of each cell, by cell; those of which all runs are degenerate are left out."""
    best: dict[Any, int] = {}
    ended = runs.ended
    for j in runs.ranked(slack):
        if ended[j]:
            best.setdefault(cells[int(j)], int(j))
    return best


def added(before: Runs, after: Runs) -> Runs:
    """The later runs, with the steps of the earlier ones counted."""
    return replace(after, n_iter=before.n_iter + after.n_iter)
