"""The film as a GIF: matplotlib draws the frames, Pillow writes them."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mixtura.errors import UsageError
from mixtura.plot.style import WHOLE, colour, legend, matplotlib, tidy

if TYPE_CHECKING:
    from mixtura.film.record import Film

#: Inches, and dots per inch.
SIZE, DPI = (9.6, 4.4), 90

#: The last frame stays longer.
PAUSE = 6


def film_gif(film: Film, stream: IO[bytes], milliseconds: int) -> None:
    """Write the frames of a film, which plays without end.

    Raises
    ------
    UsageError
        Pillow or matplotlib is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise UsageError.needs_package("a film as GIF", "pillow", "plot") from None
    frames = []
    for pixels in _frames(film):
        image = Image.fromarray(pixels)
        frames.append(image.quantize(128, method=Image.Quantize.FASTOCTREE))
    times = [milliseconds] * (len(frames) - 1) + [PAUSE * milliseconds]
    frames[0].save(
        stream, format="GIF", save_all=True, append_images=frames[1:], duration=times, loop=0
    )


def _frames(film: Film) -> Any:
    """Pixels (height, width, 3) of each frame."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = matplotlib().figure.Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    limits = film.limits
    tidy(left, *film.names)
    tidy(right, "iteration", "nats per row")
    left.set(xlim=limits[0], ylim=limits[1])
    points = left.scatter(*film.rows.T, s=12, linewidths=0, alpha=0.75)
    K = film.weights.shape[1]
    outlines = [left.plot([], [], color=colour(k), lw=1.8)[0] for k in range(K)]
    trails = [left.plot([], [], ".-", color=colour(k), lw=1.0, ms=3)[0] for k in range(K)]
    dots = [left.plot([], [], "o", color=colour(k), mec="white", ms=9)[0] for k in range(K)]
    (stairs,) = right.plot([], [], ":", color=colour(1), lw=1.4, label="lower bound")
    (line,) = right.plot([], [], "o-", color=WHOLE, ms=3.5, lw=1.4, label="log-likelihood")
    low = min(film.bound.min(), film.log_likelihood.min())
    margin = 0.06 * (film.log_likelihood.max() - low) or 0.5
    last = max(int(film.iterations[-1]), 1)
    right.set(
        xlim=(-0.03 * last, 1.03 * last), ylim=(low - margin, film.log_likelihood.max() + margin)
    )
    legend(right)
    left.set_title("iteration", fontsize="medium")
    canvas.draw()
    figure.set_layout_engine("none")  # found once; looking again for each frame takes seconds
    for t, iteration in enumerate(film.iterations):
        points.set_facecolor(film.colours[t] / 255.0)
        for k in range(K):
            outlines[k].set_data(*film.outlines[t, k].T)
            trails[k].set_data(*film.means[: t + 1, k].T)
            dots[k].set_data(*film.means[t, [k]].T)
        x, y = film.iterations[: t + 1], film.log_likelihood[: t + 1]
        line.set_data(x, y)
        stairs.set_data(np.repeat(x, 2), np.column_stack([film.bound[: t + 1], y]).ravel())
        left.set_title(f"iteration {iteration} of {film.iterations[-1]}", fontsize="medium")
        canvas.draw()
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()
