"""A Ray of this process alone, or a cluster that it joins.

A Ray of its own listens on the loopback address only, asks for a token, has no dashboard and sends
no usage statistics; its processes and files go when this process ends. If that is killed, Linux and
Ray end the processes; a temporary folder with Ray's logs stays. Joining needs an address, and a Ray
on this machine that belongs to that cluster.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from headstart.errors import Finding, HeadstartError, UsageError
from headstart.system.packages import require
from headstart.system.processor import available_threads

ANSWERS = 5.0
"""Seconds that a cluster has to answer."""
_STORE = 80 * 2**20  # bytes, the least: what workers send is an error's text at most
_QUIET: dict[str, Any] = {
    "configure_logging": True,
    "logging_level": "CRITICAL",
    "log_to_driver": False,
}
_ALONE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on every system: Ray's name for "loopback only"
    "RAY_AUTH_MODE": "token",
}
_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # an empty frame of HTTP/2
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS
_HERE = ("127.0.0.1", "::1")


def imported() -> Any:
    """Return the module ``ray``, whose types change between its versions."""
    return importlib.import_module("ray")


class Connection:
    """A connection to Ray; where the caller's process has one already, that one.

    A thread of its own begins it and ends it: in the main thread, Ray would let SIGTERM raise
    ``SystemExit`` anywhere, and Linux ends Ray's processes with the thread that began them.

    Args:
        address: of a cluster, ``"HOST:PORT"`` or ``"auto"``; None: a Ray of this process alone.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: no cluster answers at the address, or it cannot be joined from here.
    """

    def __init__(self, address: str | None) -> None:
        self._address, self._error = address, ""
        self._ready, self._over = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        _refuse_malformed(address)
        with _environment({} if address else {**_ALONE, "RAY_AUTH_TOKEN": secrets.token_hex(32)}):
            require("ray")  # Ray reads the environment when it is imported
            if imported().is_initialized():
                return
            self._thread = threading.Thread(target=self._serve, name="ray", daemon=True)
            self._thread.start()
            self._ready.wait()
        _handle_signals_again()
        if self._error:
            self._thread.join()
            raise self._refused()

    def _serve(self) -> None:
        folder = None if self._address else tempfile.mkdtemp(prefix="headstart-ray-")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Ray's plans for its next version
                _begin(self._address, folder)
        except (Exception, SystemExit) as error:
            self._error = str(error).strip() or type(error).__name__
            self._over.set()
        self._ready.set()
        self._over.wait()
        with contextlib.suppress(Exception):  # it may be gone already
            imported().shutdown()
        if folder is not None:
            _read_environment()
            shutil.rmtree(folder, ignore_errors=True)

    def _refused(self) -> HeadstartError:
        first = self._error.splitlines()[0]
        if self._address is None:
            message, hint = f"Ray did not start: {first}", "try --on local, or ray status"
            return HeadstartError(Finding("no-ray", "error", message, hint))
        message = f"the Ray cluster {self._address} cannot be joined: {first}"
        hint = (
            "run the command on a machine of the cluster, with the versions of Ray and Python that "
            "it has; ray status shows whether it is up"
        )
        return UsageError(Finding("no-ray", "error", message, hint))

    def close(self) -> None:
        """Leave the cluster, or end the Ray of this process with all its processes."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            _handle_signals_again()


def _begin(address: str | None, folder: str | None) -> None:
    ray = imported()
    if address is not None:
        services = importlib.import_module("ray._private.services")
        _refuse_silent(services.canonicalize_bootstrap_address(address))
        with _constants(RAY_ENABLE_UV_RUN_RUNTIME_ENV=False):
            ray.init(address=address, **_QUIET)
        return
    _read_environment()
    with _constants(RAY_ENABLE_UV_RUN_RUNTIME_ENV=False, ENABLE_RAY_CLUSTER=False):
        ray.init(
            address="local",
            num_cpus=available_threads(),
            include_dashboard=False,
            object_store_memory=_STORE,
            _temp_dir=folder,
            **_QUIET,
        )
    if (listens := ray.nodes()[0]["NodeManagerAddress"]) not in _HERE:
        ray.shutdown()
        raise RuntimeError(f"it listens on {listens}, expected the loopback address")


@contextlib.contextmanager
def _constants(**values: bool) -> Iterator[None]:
    """Change what Ray has read from the environment.

    With ``RAY_ENABLE_UV_RUN_RUNTIME_ENV``, a command below ``uv run`` would send Ray a copy of the
    working folder, pictures and all, and every worker would begin with a ``uv run`` of its own.
    """
    constants = vars(importlib.import_module("ray._private.ray_constants"))
    before = {name: constants[name] for name in values}
    constants.update(values)
    try:
        yield
    finally:
        constants.update(before)


def _handle_signals_again() -> None:
    """Install Python's handlers again: Ray's library in C replaces that of SIGTERM by its own."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.getsignal(number))


def _read_environment() -> None:
    """Let Ray read the environment again, where it was imported with another one."""
    library = importlib.import_module("ray._raylet")
    library.Config.initialize("")
    library.AuthenticationTokenLoader.instance().reset_cache()


def _refuse_malformed(address: str | None) -> None:
    if address is None or address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        message = f"--ray {address} is no address of a Ray cluster"
        hint = (
            "give HOST:PORT of its head, as 10.0.0.1:6379, or auto on one of its machines; "
            "ray:// is for clients outside the cluster, which do not see its folders"
        )
        raise UsageError(Finding("no-ray", "error", message, hint))


def _refuse_silent(address: str) -> None:
    """Ask whether gRPC answers, which Ray speaks: Ray itself would go on asking for minutes.

    Raises:
        OSError: nothing answers, or something else does.
    """
    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWERS) as there:
            there.sendall(_HELLO)
            answer = there.recv(len(_SETTINGS), socket.MSG_WAITALL)
    except (OSError, OverflowError) as error:
        raise OSError(f"nothing answers at {address}: {error}") from error
    if len(answer) < len(_SETTINGS) or answer[3] != _SETTINGS[3]:
        raise OSError(f"what answers at {address} is not Ray")


@contextlib.contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before: dict[str, Any] = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
