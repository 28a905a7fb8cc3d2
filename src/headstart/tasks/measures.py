"""What a report shows that depends on the task: scores, words, figures, settings, options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.checks.classification import ClassReport
from headstart.data.checks.segmentation import Report
from headstart.data.framing import Framing


@dataclass(frozen=True)
class Sheet:
    """The figure of a run that shows its answers.

    Attributes:
        file: its name in the run's folder.
        private: whether it shows pictures of the dataset, coloured by class.
        alt: a description for screen readers; ``{name}`` and ``{split}`` are filled in.
        caption: what it shows; ``{split}`` is filled in.
    """

    file: str
    private: bool
    alt: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Measures:
    """What a report shows for a task.

    Attributes:
        headline: the score that verdicts are about.
        scores: all scores of a split, as ``scores.json`` names them.
        shown: the scores in the table of all runs.
        by_class: the scores of each class; the first one stands in the main table.
        counts: what ``scores.json`` counts for each class.
        class_mean: whether the headline is a mean over foreground classes; else it is one number
            over everything that was scored.
        meanings: an explanation of each score.
        unit: what is scored, in the singular.
        sheet: the figure of a run's answers.
        open_to_check: opens a dataset with labels; raises DataError where the folder is none.
        check: what ``headstart check`` does with it.
        any_folder: whether a folder of pictures that is no dataset will do, too.
        hidden_settings: settings that mean nothing for the task and are left out.
        options: command-line options that name the task; none for the default task.
        framing: the default framing of pictures, which a command does not name.
        recipes: recipes with a name, for the U-Net.
        encoder_recipes: the same for all other networks.
        pretext_recipe: whether a study's command names the recipe of its pretexts.
    """

    headline: str
    scores: tuple[str, ...]
    shown: tuple[str, ...]
    by_class: tuple[str, ...]
    counts: tuple[str, ...]
    class_mean: bool
    meanings: tuple[tuple[str, str], ...]
    unit: str
    sheet: Sheet
    open_to_check: Callable[[Path], Any]
    check: Callable[[Any], Report | ClassReport]
    any_folder: bool
    hidden_settings: tuple[str, ...]
    options: tuple[str, ...]
    framing: Framing
    recipes: Mapping[str, Any]
    encoder_recipes: Mapping[str, Any]
    pretext_recipe: bool

    @property
    def units(self) -> str:
        """The plural of ``unit``, which is also the name of their number in ``scores.json``."""
        return f"{self.unit}s"
