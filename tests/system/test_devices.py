"""The machine can be examined without loading torch."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import headstart.system


def test_no_module_of_this_room_loads_torch() -> None:
    modules = [
        f"headstart.system.{m.name}" for m in pkgutil.iter_modules(headstart.system.__path__)
    ]
    script = f"import sys, {', '.join(modules)}\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
