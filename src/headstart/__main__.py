"""The program ``headstart``, also as ``python -m headstart``."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line.

    Ctrl-C ends the process at once, without a traceback, whatever is being loaded. Commands that
    have work to save take the signal over: see [`headstart.system.signals`][].
    """
    signal.signal(signal.SIGINT, _leave)
    from headstart.cli.main import main as run

    run()


def _leave(number: int, _: object) -> None:
    os.write(2, b"\nstopped; what is finished is kept: run the same command again to go on\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
