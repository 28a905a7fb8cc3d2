"""The site: ``uv run sphinx-build -W --keep-going -b html docs docs/_build/html``.

Pages load nothing from other servers: furo includes its own files, and formulas are MathML. Our own
extensions are in ``_sphinx/``, one short file for each purpose.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_sphinx"))

project = "headstart"
author = copyright = "The headstart developers"  # noqa: A001 - Sphinx's own name
release = metadata.version("headstart")
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "executed",  # runs the tutorial's commands
    "commands",  # shows the help of each verb
    "modules",  # writes a page for each module, room by room
    "docstrings",  # converts our docstrings and signatures
    "mathml",
    "repository",  # handles links to folders
]
exclude_patterns = ["_build", "_sphinx"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False

# References in pages and docstrings must exist. The types in signatures, many of them from other
# libraries, are linked only if they are known.
nitpicky = True
nitpick_ignore_regex = [(r"py:(class|data|exc|attr|func|meth)", r".*")]
suppress_warnings = [
    "ref.python"
]  # two modules have a type of the same name; docstrings give the full names

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
add_module_names = False
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_math_renderer = "mathml"
html_title = "headstart"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072b2", "color-brand-content": "#0072b2"},
    "dark_css_variables": {"color-brand-primary": "#56b4e9", "color-brand-content": "#56b4e9"},
}
html_static_path = ["_sphinx/site.css"]
html_css_files = ["site.css"]
