"""How the suite is spread over processes, and what each of them loads."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

pytest.register_assert_rewrite("tests.tiny_runs")  # conftest.py of a room may import it first

# Files that need what takes seconds to load: torch's exporter; the server of ``cli/command.py``.
# One process loads it, and takes all of them.
TOGETHER = (
    (
        "exports/test_to_onnx.py", "tasks/test_segmentation.py", "inference/test_members.py",
        "inference/test_deep_pictures.py", "inference/test_timm_runs.py", "tasks/test_tiles.py",
        "verbs/test_ignored_pixels.py", "verbs/test_passed_over.py", "inference/test_mirrored.py",
        "tasks/test_code_snippets.py",
    ),
    (
        "cli/test_main.py", "cli/test_video.py", "cli/test_suggest.py", "cli/test_serve.py",
        "cli/test_train.py", "cli/test_forecast.py", "cli/test_doctor.py", "cli/test_explain.py",
        "studies/test_hours.py", "studies/test_minutes.py", "studies/test_slurm.py",
        "test_old_folders.py",
    ),
)  # fmt: skip

# The slowest files, slowest first. They start first, so that no worker waits long for another at
# the end. ``test_rooms.py`` checks the names.
LONG = (
    *TOGETHER[0], *TOGETHER[1], "test_docs.py", "studies/test_study.py",
    "assignment/test_transfer.py", "studies/test_stopping.py", "studies/test_ray.py",
    "runs/test_run.py", "models/test_encoder_unet.py", "reports/test_page.py",
    "serve/test_browser.py", "assignment/test_notebook.py", "data/layouts/test_describing.py",
    "studies/test_classifier_study.py", "assignment/test_homework.py",
    "data/checks/test_classification.py", "verbs/test_verbs.py", "runs/test_cross_validation.py",
    "data/layouts/test_people.py", "data/checks/test_neighbours.py", "tasks/test_classification.py",
    "tasks/test_pretext.py", "data/pictures/test_tiff.py", "studies/test_folds.py",
    "inference/test_annotation_formats.py", "data/checks/test_contact_sheet.py",
    "inference/test_clips.py", "runs/test_card.py",
)  # fmt: skip


class _ByFile(LoadFileScheduling):
    """All tests of a file go to one process, and so do the files of a row of ``TOGETHER``."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid).removeprefix("tests/")
        return next((files[0] for files in TOGETHER if file in files), file)


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures, and torch with them: not in the process that only hands out the tests."""
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        config.pluginmanager.import_plugin("tests.tiny_runs")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling:
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files by ``LONG``; tests within a file keep their order."""
    tests = Path(__file__).parent
    place = {tests / name: k for k, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(LONG)))


def pytest_collection(session: pytest.Session) -> None:
    """Each process imports a share of the test modules first; pytest keeps them as bytecode.

    Otherwise all processes, which come to a module at the same moment, compile every one.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None:
        return
    root, here = Path(__file__).parents[1], int(worker["workerid"].removeprefix("gw"))
    modules = sorted(
        p for given in session.config.args for p in root.joinpath(given).rglob("test_*.py")
    )
    for path in modules[here :: worker["workercount"]]:
        with contextlib.suppress(Exception, pytest.skip.Exception):  # the collection will say it
            importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what is imported by now; to visit it takes long."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """Collect garbage once; pytest collects ten times more, and need not visit what stays.

    At the very end that can go, too: triton calls it leaked otherwise.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)
