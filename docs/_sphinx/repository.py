"""Handles links to folders of the repository, and patterns that match no page yet.

MyST links to pages, and offers any other file as a download. A link to a folder becomes a link to
the folder's README.md, or plain text if there is none. Any other target fails the build.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


class Folders(SphinxPostTransform):
    """Runs before MyST's own transform, which looks up link targets."""

    default_priority = 8

    def run(self) -> None:
        for node in list(self.document.findall(pending_xref)):
            if node.get("reftype") != "myst":
                continue
            here = Path(self.env.doc2path(node["refdoc"])).parent
            if not (here / node["reftarget"]).is_dir():
                continue
            page = here / node["reftarget"] / "README.md"
            if page.is_file():
                node["reftarget"] = str(page.resolve().relative_to(self.app.srcdir).with_suffix(""))
                node["refdomain"], node["reftargetid"] = "doc", None
            else:
                node.replace_self(node.children)


def _without_empty_patterns(app: Sphinx, document: str, source: list[str]) -> None:
    """Remove patterns such as ``video*`` that match no page; Sphinx would warn about them."""
    lines = source[0].splitlines(keepends=True)
    here = (Path(app.srcdir) / document).parent
    waits = [bool(re.fullmatch(r"[\w/]+\*\n", x)) and not any(here.glob(x.strip())) for x in lines]
    source[0] = "".join(x for x, empty in zip(lines, waits, strict=True) if not empty)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(Folders)
    app.connect("source-read", _without_empty_patterns)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
