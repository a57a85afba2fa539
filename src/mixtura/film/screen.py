"""The film as a page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura.plot.style import colour
from mixtura.stats import Array
from mixtura.webpage import asset, escape, json_text, page, plotly_script

if TYPE_CHECKING:
    from mixtura.film.record import Film

#: Steps across the picture to which places are rounded.
STEPS = 5_000

_BODY = """<h1>{title}</h1>
<p class="faint">{words}</p>
<div class="controls" role="group" aria-label="film">
<button id="play" type="button">Play</button>
<button id="back" type="button" aria-label="one iteration back">Back</button>
<button id="step" type="button" aria-label="one iteration on">Step</button>
<input id="slider" type="range" min="0" max="0" value="0" step="1" aria-label="iteration">
</div>
<p class="facts" aria-live="polite"><strong id="status"></strong><span id="value"></span>
<span id="weights"></span></p>
<div class="stage"><div id="plane"></div><div id="curve"></div></div>
<p class="faint">{reading}</p>
<script type="application/json" id="film">{data}</script>"""

_READING = (
    "Each iteration has two steps. The E step gives every row its probabilities of belonging to "
    "each component: the colours. The M step moves the components to the rows so weighted: {what}. "
    "It lifts the lower bound (dotted); the next E step lifts the bound on to the log-likelihood "
    "itself, which therefore never falls."
)


def film_page(film: Film) -> str:
    """Write the page, with Plotly inside."""
    what = (
        "the curves are weight times density of each component, the dots below are rows"
        if film.densities
        else "the ellipses, with the numbers at the means and their trails behind them"
    )
    body = _BODY.format(
        title=escape(film.title),
        words=escape(film.words),
        reading=escape(_READING.format(what=what)),
        data=json_text(facts(film)),
    )
    scripts = [plotly_script(), asset("film.js", "mixtura.film")]
    return page(film.title, body, scripts, style=asset("film.css", "mixtura.film"))


def facts(film: Film) -> dict[str, Any]:
    """What the page's script reads; names are escaped, since Plotly reads markup in them."""
    limits = film.limits
    decimals = [_decimals(float(high - low)) for low, high in limits]
    likelihood, bound = film.log_likelihood, film.bound
    low, high = min(likelihood.min(), bound.min()), likelihood.max()
    margin = 0.06 * (high - low) or 0.5
    last = float(film.iterations[-1])
    return {
        "names": [escape(name) for name in film.names],
        "colours": [colour(k) for k in range(film.weights.shape[1])],
        "boundColour": colour(1),
        "iterations": film.iterations.tolist(),
        "rows": _rounded(film.rows, decimals),
        "rowColours": [frame.tobytes().hex() for frame in film.colours],
        "outlines": _rounded(film.outlines, decimals),
        "means": _rounded(film.means, decimals),
        "weights": film.weights.round(5).tolist(),
        "logLikelihood": _finite(likelihood),
        "bound": _finite(bound),
        "limits": limits.tolist(),
        "curveLimits": [
            [-0.03 * max(last, 1.0), 1.03 * max(last, 1.0)],
            [float(low - margin), float(high + margin)],
        ],
    }  # fmt: skip


def _decimals(width: float) -> int:
    """Decimals that tell the steps of a picture apart."""
    return max(0, math.ceil(math.log10(STEPS / width))) if width > 0 else 6


def _rounded(places: Array, decimals: list[int]) -> Any:
    """Nested lists with a few digits; Python's own floats write the shortest ones."""
    own = [np.round(places[..., j], decimals[j]) for j in range(2)]
    return np.stack(own, axis=-1).tolist()


def _finite(values: Array) -> list[float]:
    return [float(f"{value:.10g}") for value in values]
