"""Before anything else is imported: what Python compiles is kept, where it would not be.

The suite starts some hundred processes, and with ``PYTHONDONTWRITEBYTECODE`` (containers and CI
like to set it) in an environment that came without bytecode each of them compiles all of PyTorch
again: three fifths of the time of an import. The setting is about files in people's folders, so
here they go into one that is pytest's own. Processes inherit it from the environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parent / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
