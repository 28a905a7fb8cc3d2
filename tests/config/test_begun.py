"""What an option that is not given means in a folder that has begun."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headstart.config.begun import options_as_begun
from headstart.config.options import StudyOptions, TrainOptions
from headstart.config.recipes import DEFAULT
from headstart.config.records import RunConfig
from headstart.config.resolve import run_config, study_config
from headstart.errors import UsageError
from headstart.studies.hours import wants_proposal


def test_options_that_are_not_given_are_those_that_a_study_was_begun_with(drawn: Path) -> None:
    given = StudyOptions(
        starts="scratch", labels="4,6", seeds="1,2", score="validation", drop_leaks=True
    )
    begun = study_config(given, drawn, "segmentation", 12)
    for options in (StudyOptions(), StudyOptions(seeds=5), StudyOptions(hours=1.0)):
        again = study_config(options_as_begun(options, begun), drawn, "segmentation", 12, begun)
        assert (again.labels, again.score, again.drop_leaks) == ((4, 6), "validation", True)
        assert again.tunes == begun.tunes
    more = study_config(
        options_as_begun(StudyOptions(labels="all"), begun), drawn, "segmentation", 12, begun
    )
    assert more.labels == (12,)  # which the study adds to its own


def test_a_study_keeps_its_reference_and_the_spelling_of_its_starts(
    drawn: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained.parent)
    spelt = [trained.name, f"{trained.name}/", f"./{trained.name}", str(trained)]
    twice = study_config(StudyOptions(starts=["scratch", *spelt]), drawn, "segmentation", 12)
    assert twice.starts == ("scratch", trained.name)
    given = StudyOptions(starts=f"scratch,{trained.name}", against=trained.name)
    begun = study_config(given, drawn, "segmentation", 12)
    for other in spelt:
        options = options_as_begun(StudyOptions(starts=f"scratch,{other}", seeds=7), begun)
        again = study_config(options, drawn, "segmentation", 12, begun)
        assert (again.starts, again.against) == (("scratch", trained.name), trained.name)
    of_arms = StudyOptions(starts=f"scratch,{spelt[1]}", methods="supervised,supervised-longer")
    arms = study_config(of_arms, drawn, "segmentation", 12, begun).starts
    assert arms[1] == trained.name and arms[3] == f"{trained.name}+supervised-longer"


@pytest.mark.parametrize("start", ["imagenet", "imagenet-chroma", "imagenet+semi-supervised"])
def test_published_weights_cannot_join_a_study_of_the_unet(drawn: Path, start: str) -> None:
    begun = study_config(StudyOptions(starts="scratch"), drawn, "segmentation", 12)
    for starts in (f"scratch, {start}", ["scratch", start]):
        with pytest.raises(UsageError, match=re.escape(start)) as caught:
            options_as_begun(StudyOptions(starts=starts), begun)
        (finding,) = caught.value.findings
        assert finding.code == "settings-differ" and "--out" in str(finding.hint)


@pytest.mark.parametrize("name", ["labels", "score", "tile", "looks", "epochs"])
def test_a_study_is_proposed_only_if_nothing_about_it_is_given(name: str) -> None:
    value = {"labels": "all", "score": "validation", "tile": True, "looks": "5,10", "epochs": 2}
    assert not wants_proposal(StudyOptions(**{name: value[name]}))
    assert wants_proposal(StudyOptions()) and wants_proposal(StudyOptions(seeds=5, hours=1.0))


@pytest.mark.parametrize("newer", [{"adapt_min_area": False}, {"validation_windows": None}])
def test_a_folder_of_an_older_version_keeps_what_it_did(
    drawn: Path, newer: dict[str, object]
) -> None:
    """It does not adapt ``min_area``; and all windows validate."""
    older = DEFAULT.model_copy(update=newer)
    begun = RunConfig(data=str(drawn), recipe=older)
    assert run_config(TrainOptions(), drawn, begun).recipe == older
    assert run_config(TrainOptions(recipe="default"), drawn, begun).recipe == older
    assert run_config(TrainOptions(recipe="default"), drawn).recipe == DEFAULT
