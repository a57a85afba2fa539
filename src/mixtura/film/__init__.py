"""EM as a film: rows, components and bound, iteration by iteration."""

from __future__ import annotations

from mixtura.film.make import animate
from mixtura.film.record import Film

__all__ = ["Film", "animate"]
