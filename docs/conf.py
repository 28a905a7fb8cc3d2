"""The site: ``uv run sphinx-build -W --keep-going -b html docs docs/_build/html``.

Nothing is loaded from elsewhere: furo brings its own files, and formulas are MathML. What is not
Sphinx's own stands in ``_sphinx/``, one short file a purpose.
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
    "commands",  # each verb with its help
    "modules",  # a page for each module, in the order of the tree in README.md
    "docstrings",  # what a docstring and a signature look like here
    "mathml",
    "repository",  # links to what is no page
]
exclude_patterns = ["_build", "_sphinx"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False

# What a page or a docstring refers to by name must be there. Types in signatures are named by
# autodoc, many of them other libraries', and are linked where they are known.
nitpicky = True
nitpick_ignore_regex = [(r"py:(class|data|exc|attr|func|meth)", r".*")]
suppress_warnings = [
    "ref.python"
]  # two modules have a type of one name; docstrings name both whole

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
