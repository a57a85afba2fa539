"""Measurements of mixtura beside other packages; ``python -m benchmarks`` runs them."""
