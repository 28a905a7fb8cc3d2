"""Keeps pytest's search for doctests from importing scripts that need other libraries."""

collect_ignore_glob = ["make_*.py"]
