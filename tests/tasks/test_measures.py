"""What a report shows for each task is complete and consistent with the scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.config.recipes import CLASSIFIER_RECIPES, ENCODER_RECIPES, RECIPES
from headstart.errors import DataError
from headstart.tasks.lookup import task_named


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_every_score_is_explained_and_the_headline_is_one(task: str) -> None:
    measures = task_named(task).measures
    assert tuple(name for name, _ in measures.meanings) == measures.scores
    assert measures.headline == measures.scores[0] and set(measures.shown) <= set(measures.scores)
    assert measures.counts[0] == measures.units


def test_the_scores_are_those_of_a_run(trained: Path) -> None:
    scores = json.loads((trained / "scores.json").read_text())
    measures = task_named("segmentation").measures
    assert set(measures.scores) == set(scores["trivial"])
    for of_class in scores["classes"].values():
        assert {*measures.by_class, *measures.counts} <= set(of_class)
    assert (trained / measures.sheet.file).exists()


def test_each_task_has_its_own_words_options_and_recipes() -> None:
    segmentation, classification = (
        task_named("segmentation").measures,
        task_named("classification").measures,
    )
    assert (segmentation.units, classification.units) == ("frames", "pictures")
    assert segmentation.options == () and classification.options[1] == "classification"
    assert segmentation.recipes is RECIPES and segmentation.encoder_recipes is ENCODER_RECIPES
    assert classification.recipes is classification.encoder_recipes is CLASSIFIER_RECIPES
    assert segmentation.sheet.private and not classification.sheet.private
    assert task_named("pretext").measures.any_folder and not segmentation.any_folder


def test_only_a_dataset_of_the_task_passes_its_check(drawn: Path, coloured: Path) -> None:
    for task, data in (("segmentation", drawn), ("classification", coloured)):
        measures = task_named(task).measures
        assert measures.check(measures.open_to_check(data)).ok
    with pytest.raises(DataError):
        task_named("segmentation").measures.open_to_check(coloured)


def test_an_unknown_task_has_none() -> None:
    with pytest.raises(KeyError):
        task_named("detection")
