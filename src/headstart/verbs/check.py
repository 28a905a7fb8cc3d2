"""``headstart.check``: what is in a dataset, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from headstart.data.checks import classification, segmentation
from headstart.data.checks.classification import ClassReport
from headstart.data.checks.segmentation import Report
from headstart.data.layouts.class_dataset import ClassDataset
from headstart.data.layouts.dataset import Dataset, FaultyDatasetError
from headstart.data.layouts.describing import description_text
from headstart.data.task import find_dataset
from headstart.errors import Finding, UsageError
from headstart.system.disk import write_atomic


def check(
    data: Path | str, *, out: Path | str | None = None, describe: Path | str | None = None
) -> Report | ClassReport:
    """Describe a dataset, with masks or with classes, and find its faults.

    Args:
        data: the dataset's folder; for EndoVis 2017 also ``FOLDER/type-fold0``; or the word
            ``fashion-mnist``, which is fetched; or a ``dataset.toml``.
        out: a folder to write ``contact-sheet.png`` to: pictures with their masks over them, or a
            row of pictures of each class. It must be new, or empty but for an earlier sheet, and
            outside the dataset. By default no sheet is written.
        describe: a file, which must not exist, to write the reading of a dataset with masks to, as
            a ``dataset.toml``; by default nothing is written.

    Returns:
        A report, whose ``findings`` are the faults and whose ``ok`` says that none is an error.

    Raises:
        DataError: there is no dataset to look at; or one with errors, if ``describe`` is given.
        UsageError: ``out`` holds other files or lies in the dataset; or ``describe`` exists, or
            the dataset has classes in place of masks.
        DiskError: the sheet cannot be written.
    """
    data = Path(data)
    try:
        dataset = find_dataset(data).read()
    except FaultyDatasetError as faults:
        if describe is not None:  # it would read other frames once the faults are mended
            raise
        dataset = faults.dataset
    if describe is not None:
        write_description(dataset, data, Path(describe))
    folder = None if out is None else Path(out)
    if isinstance(dataset, ClassDataset):
        return classification.report_on(dataset, folder)
    return segmentation.report_on(dataset, folder)


def write_description(dataset: Dataset | ClassDataset, data: Path, file: Path) -> None:
    """Write how a dataset is read as a ``dataset.toml``, to be edited.

    Raises:
        UsageError: the file exists, or the dataset has classes in place of masks.
        DiskError: the file cannot be written.
    """
    if isinstance(dataset, ClassDataset):
        message = "--describe is for datasets with masks; class folders need no dataset.toml"
        raise UsageError(Finding("bad-setting", "error", message, "leave it out"))
    if file.exists():
        message = f"{file} exists"
        raise UsageError(Finding("bad-setting", "error", message, "give another name"))
    write_atomic(file, description_text(dataset, data, file))
