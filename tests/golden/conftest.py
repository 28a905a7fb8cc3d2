"""Keeps pytest's search for doctests from importing a script that needs other libraries."""

collect_ignore = ["make_scores.py"]
