"""How a fitted estimator shows itself in a notebook: a card above scikit-learn's own diagram."""

from __future__ import annotations

from typing import Any

from mixtura.fitting import Fitted


class CardMixin:
    """Put what a fit found above the diagram of an estimator."""

    def _repr_html_inner(self) -> str:
        return self._card() + super()._repr_html_inner()  # type: ignore[misc, no-any-return]

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**options)  # type: ignore[misc]
        if "text/html" in bundle:
            bundle["text/html"] = self._card() + bundle["text/html"]
        return bundle

    def _card(self) -> str:
        """HTML of the fit; nothing before there is one."""
        fitted = getattr(self, "fitted_", None)
        if not isinstance(fitted, Fitted):
            return ""
        from mixtura.describe import card

        return card(fitted)
