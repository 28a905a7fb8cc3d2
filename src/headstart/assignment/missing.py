"""The parts of a homework that are not run, each with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from headstart.assignment.datasets import Datasets, is_missing
from headstart.assignment.parts import classifier_run, new_data_study
from headstart.assignment.settings import (
    CLASSIFIERS,
    NEW_DATA,
    PARTS,
    Homework,
    folders_of,
    homework_command,
    part_of,
    with_needed,
)
from headstart.config.records import RunConfig
from headstart.config.start_files import weights_file
from headstart.config.start_names import SCRATCH
from headstart.errors import HeadstartError
from headstart.models.classifiers import check_network, check_size, make_network
from headstart.records.vouching import STUDY
from headstart.studies.summary import read_summary
from headstart.training.starts import move, read_published, read_source


def not_run(
    homework: Homework, datasets: Datasets, out: Path, fetch: bool = True
) -> dict[str, str]:
    """Return the parts that are not run, each with the reason; those of part 2 by folder.

    Weights are checked first, so that a wrong path does not fail after hours of training. What
    was run before is not among them.

    Args:
        homework: the settings.
        datasets: its datasets.
        out: the homework folder.
        fetch: whether to download published weights that are missing.

    Raises:
        HeadstartError: weights exist but are faulty, or the network does not exist.
    """
    reasons = _without_data(homework, datasets, out, fetch)
    return {**reasons, **_not_chosen(homework, out)}


def _not_chosen(homework: Homework, out: Path) -> dict[str, str]:
    """Return the parts that were not chosen and have no results from before."""
    reasons = {}
    folders = (*folders_of(homework), *(part for part in PARTS if part in homework.parts))
    for folder in (*PARTS[:4], *CLASSIFIERS, NEW_DATA):
        part = part_of(folder)
        if folder in folders or is_done(folder, out):
            continue
        if (reason := homework.left_out.get(folder) or homework.left_out.get(part)) is not None:
            reasons[folder] = reason
            continue
        if part in homework.parts:  # beyond the assignment, and sizes.json has no more of it
            reasons[folder] = (
                f"Beyond the assignment, and left out to fit --hours {homework.hours:g}"
            )
            continue
        alone = replace(homework, parts=with_needed([part]))
        reasons[folder] = f"Not chosen. To run it: {homework_command(alone, out)}"
        if part == NEW_DATA and homework.new_data is None:
            reasons[folder] += ", with --fashion-mnist and --new-data"
        elif part[0] == "2" and homework.fashion_mnist is None:
            reasons[folder] += ", with --fashion-mnist"
    return reasons


def is_done(folder: str, out: Path) -> bool:
    """Return whether a part has results from before."""
    if folder == "1a":
        return (out / "a" / "scores.json").exists()
    if folder == "1c":
        return any((out / "steplr" / "starts").glob("colorization-1-*/scores.json"))
    if folder in ("1b", "1d"):
        begun = (out / "steplr" / STUDY).exists()
        start = SCRATCH if folder == "1b" else "colorization"
        records = read_summary(out / "steplr")["records"] if begun else []
        return any((row["start"], row["seed"]) == (start, 1) for row in records)
    return (out / folder / (STUDY if folder == NEW_DATA else "scores.json")).exists()


def _without_data(homework: Homework, datasets: Datasets, out: Path, fetch: bool) -> dict[str, str]:
    """Return the folders of the chosen parts that lack data or weights, each with the reason."""
    unfinished = [f for f in folders_of(homework) if not is_done(f, out)]
    all_of_part2 = (*unfinished, *((NEW_DATA,) if NEW_DATA in homework.parts else ()))
    if not any(part in homework.parts for part in ("2a", "2b", "2c")):
        return {}
    if homework.fashion_mnist is None:
        reason = (
            "No data: give the folder with Fashion-MNIST's four idx files as --fashion-mnist, or "
            "the word fashion-mnist to download them"
        )
        return dict.fromkeys(all_of_part2, reason)
    if datasets.pictures is None:
        assert datasets.download_error is not None
        if any(is_done(folder, out) for folder in CLASSIFIERS):
            raise datasets.download_error  # a finished part must not appear as not run
        return dict.fromkeys(all_of_part2, _sentence(datasets.download_error))
    config = classifier_run(homework, "2a", datasets.pictures, out)
    check_network(config.model)
    check_size(config.model, config.size)
    reasons: dict[str, list[str]] = {}
    if NEW_DATA not in homework.parts:
        pass
    elif datasets.new_pictures is None:
        reasons[NEW_DATA] = [
            "No data: give a folder of pictures as --new-data, with one folder for each class"
        ]
    else:
        new_data_study(homework, datasets.new_pictures, out)
    from_imagenet = [folder for folder in unfinished if folder != "2a"]
    if from_imagenet and fetch and (reason := _missing_weights(homework, config)):
        for folder in (*from_imagenet, *all_of_part2[len(unfinished) :]):
            if folder == NEW_DATA and "2b" not in from_imagenet:
                continue
            reasons.setdefault(folder, []).append(reason)
    return {folder: ". ".join(each) for folder, each in reasons.items()}


def _missing_weights(homework: Homework, config: RunConfig) -> str:
    """Return why the ImageNet weights are missing; empty if they exist and fit the network."""
    try:
        if homework.weights is None:
            source = read_published(config.model)
        else:
            source = read_source(weights_file(homework.weights), homework.weights)
    except HeadstartError as e:
        if not is_missing(e):
            raise
        return _sentence(e).replace("--start", "--weights")
    with torch.random.fork_rng(devices=[]):
        network, head = make_network(config.model, 2)
    move(network, source, (), f"{head.name}.", whole=True)
    return ""


def _sentence(error: HeadstartError) -> str:
    finding = error.findings[0]
    return f"{finding.message[0].upper()}{finding.message[1:]}; {finding.hint}"
