"""Part 2: the classifiers of 2(a), 2(b) and beyond, with their records and sections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from headstart.assignment.report import answers, part2_new_data
from headstart.assignment.report.figures import draw_losses
from headstart.assignment.report.part1_records import kept_epoch
from headstart.assignment.report.part1_sections import LOSSES, Part, Rows, Section
from headstart.assignment.settings import CLASSIFIERS, NEW_DATA, VGG16, part_name
from headstart.config.files import read_run_config
from headstart.config.records import RunConfig
from headstart.config.start_names import SCRATCH
from headstart.data.layouts.idx import CLASSES
from headstart.errors import printable
from headstart.models.classifiers import outline
from headstart.models.tuning import trained_weights
from headstart.reports.formatting import NONE, Entry, Table, duration, number, plural
from headstart.reports.records import Records, RunRecord, read_records
from headstart.tasks.classification import recipe_of

PARTS = {
    "2a": Part(
        "All weights random",
        "Does {network}, whose weights are all random, reach an accuracy above 85 % on the test "
        "pictures?",
        0.85,
        0.9089,
        10,
    ),
    "2b": Part(
        "ImageNet, a new last layer",
        "Does {network} with ImageNet’s weights, everything frozen but a new last layer, reach an "
        "accuracy above 60 %?",
        0.60,
        0.8562,
        10,
    ),
    "2b-whole": Part(
        "ImageNet, fine-tuned",
        "Beyond the assignment: (a) trains every weight and (b) a single layer, so they differ in "
        "start and tuning. What do ImageNet’s weights reach if every weight is trained, as in (a)?",
    ),
    "2b-staged": Part(
        "ImageNet, in two stages",
        "Beyond the assignment: what if the new last layer is trained first, then every weight?",
    ),
}


@dataclass(frozen=True)
class Part2:
    """All records that the report of part 2 uses.

    Attributes:
        runs: the runs of 2(a), 2(b) and beyond, by folder.
        configs: the settings of ``runs``.
        new_data: the study of 2(c); ``None`` if it was not run.
        not_run: what is missing to run the other parts, by folder.
    """

    runs: Mapping[str, RunRecord]
    configs: Mapping[str, RunConfig]
    new_data: Records | None
    not_run: Mapping[str, str]

    @property
    def network(self) -> str:
        """Return the name of the classifier; where none was run, the assignment's."""
        model = next((config.model for config in self.configs.values()), VGG16)
        return "VGG16" if model == VGG16 else model

    @property
    def all_runs(self) -> tuple[RunRecord, ...]:
        """Return all runs, including those of 2(c)."""
        return (*self.runs.values(), *(self.new_data.runs if self.new_data else ()))


def read_part2(out: Path, not_run: Mapping[str, str]) -> Part2:
    """Read the records of part 2 from a homework folder.

    Raises:
        DataError: a part that is not in ``not_run`` is not finished, or a record is damaged.
    """
    folders = [folder for folder in CLASSIFIERS if folder not in not_run]
    return Part2(
        {folder: read_records(out / folder).runs[0] for folder in folders},
        {folder: read_run_config(out / folder / "config.json") for folder in folders},
        None if NEW_DATA in not_run else read_records(out / NEW_DATA),
        not_run,
    )


def summary_table(part2: Part2) -> Table:
    """Return the accuracy of all parts, beside the expected and the reported ones."""
    rows: Rows = []
    for folder, part in PARTS.items():
        score: Entry = "not run"
        if folder in part2.runs:
            run = part2.runs[folder]
            epochs = f"{_epochs(part2, folder)} epochs"
            epochs += ", collapsed" if run.scores["collapsed"] else ""
            score = number(run.scores["accuracy"]), epochs
        expected = f"> {part.expected}" if part.expected else NONE
        reported: Entry = NONE
        if part.reported:
            reported = str(part.reported), f"{part.epochs} epochs"
        rows.append((f"{part_name(folder)} {_lower_first(part.title)}", score, expected, reported))
    if part2.runs:
        trivial = next(iter(part2.runs.values())).scores["trivial"]["accuracy"]
        rows.append(("most frequent class", number(trivial), NONE, NONE))
    caption = "Test accuracy, with epochs, beside the reported accuracy."
    return Table(caption, ("part", "accuracy", "expected", "reported"), tuple(rows))


def _epochs(part2: Part2, folder: str) -> int:
    """Return the total epochs of all stages."""
    config, epochs = part2.configs[folder], len(part2.runs[folder].history)
    recipe = recipe_of(config)
    return epochs + (recipe.head_epochs if config.tune == "staged" else 0)


def _lower_first(title: str) -> str:
    return title if title.startswith("ImageNet") else title[0].lower() + title[1:]


def part2_sections(part2: Part2) -> list[Section]:
    """Return the sections of 2(a), 2(b) and beyond, then 2(c)."""
    sections = []
    for folder, part in PARTS.items():
        question = part.question.format(network=part2.network)
        opening = (part_name(folder), f"part-{folder}", part.title, question)
        if folder not in part2.runs:
            sections.append(Section(*opening, (), not_run=part2.not_run[folder]))
            continue
        run = part2.runs[folder]
        sections.append(
            Section(
                *opening,
                _answers(part2, folder),
                scores=_scores(run, part),
                figure=f"{folder}-losses",
                caption=f"{LOSSES[:-1]} of the second stage." if folder == "2b-staged" else LOSSES,
                settings=_settings(run, part2.configs[folder]),
                sheet=run.folder / "confusion.png",
                picture=f"{folder}-confusion",
                picture_caption="Rows are the true classes of the test pictures; columns show the "
                "share predicted as each class.",
            )
        )
    b, not_run = part2.runs.get("2b"), part2.not_run.get(NEW_DATA, "")
    return [*sections, part2_new_data.section(part2.new_data, b, not_run)]


def _answers(part2: Part2, folder: str) -> tuple[str, ...]:
    part, scores = PARTS[folder], part2.runs[folder].scores
    accuracy, trivial = scores["accuracy"], scores["trivial"]["accuracy"]
    result = f"The test accuracy is {number(accuracy)}"
    if part.expected is not None:
        result = f"The test accuracy: {answers.threshold(accuracy, part.expected)}"
    if part.reported is not None:
        result += f" (reported: {part.reported})"
    result += f"; always predicting the most frequent class scores {number(trivial)}."
    paragraphs = [f"{result} {answers.collapse(scores['collapsed'], 'for every picture')}"]
    if idle := answers.never_began(part2.runs[folder].history, len(scores["classes"])):
        paragraphs[0] += f" {idle}"
    if folder == "2b-whole" and "2a" in part2.runs:
        from_scratch = number(part2.runs["2a"].scores["accuracy"])
        paragraphs.append(
            f"Trained in the same way, the new weights of (a) reach {from_scratch} and ImageNet’s "
            f"{number(accuracy)}. These are single runs: another seed would give other scores."
        )
    return tuple(paragraphs)


def _scores(run: RunRecord, part: Part) -> Table:
    reported: Entry = NONE
    if part.reported is not None:
        reported = str(part.reported), f"expected > {part.expected}"
    accuracy, trivial = (number(x["accuracy"]) for x in (run.scores, run.scores["trivial"]))
    rows: Rows = [
        ("accuracy", accuracy, trivial, reported),
        ("macro_f1", number(run.scores["macro_f1"]), NONE, NONE),
    ]
    classes = run.scores["classes"].items()
    recalls = [(name, x["recall"]) for name, x in classes if x["recall"] is not None]
    if recalls:
        name, worst = min(recalls, key=lambda pair: pair[1])
        rows.append((f"recall, worst class ({printable(name)})", number(worst), NONE, NONE))
    caption = (
        f"Scores on {plural(run.scores['pictures'], 'test picture')}; constant: always the most "
        "frequent class."
    )
    return Table(caption, ("score", "here", "constant", "reported"), tuple(rows))


def _settings(run: RunRecord, config: RunConfig) -> Table:
    recipe = recipe_of(config)
    network = outline(config.model, len(run.scores["classes"]))
    sizes = {name: weight.numel() for name, weight in network.named_parameters()}
    trained = trained_weights(network, config.tune)
    count = sum(size for name, size in sizes.items() if name in trained)
    start = "new weights"
    if config.start != SCRATCH:
        start = "ImageNet’s weights, all but the last layer"
    rate = recipe.head_learning_rate if config.tune == "head" else recipe.learning_rate
    optimizer = f"{recipe.optimizer.capitalize()}, learning rate {rate:g}"
    epochs = answers.epochs(len(run.history), recipe.epochs, kept_epoch(run), recipe.patience)
    if config.tune == "staged":
        optimizer += f" (last layer alone: {recipe.head_learning_rate:g})"
        epochs = f"{recipe.head_epochs} of the last layer, then {epochs}"
    labels = run.labelled
    size = f"{config.size[0]} × {config.size[1]}"
    head = f"a new last layer{_layers_before_head(config.model)}"
    rows: Rows = [
        ("network", f"torchvision’s {config.model}, with {head}"),
        ("start", start),
        ("trained", f"{count:,} of {sum(sizes.values()):,} weights"),
        ("input", f"{size}, three channels, ImageNet’s mean and deviation"),
        ("output", f"softmax over {len(run.scores['classes'])} classes"),
        ("loss", "cross-entropy"),
        ("optimizer", optimizer),
        ("batch", str(recipe.batch)),
        ("schedule", answers.schedule(recipe)),
        ("augmentation", answers.augmentation(recipe)),
        ("epochs", epochs),
        ("pictures", f"{labels.train} labelled for training, {labels.validation} for "
         "validation"),
        ("seed", str(config.seed)),
        ("time", f"{duration(run.seconds)} on {config.device}"),
    ]  # fmt: skip
    return Table("Hyper-parameters.", ("setting", "value"), tuple(rows), left=(1,))


def _layers_before_head(model: str) -> str:
    """Describe the layers before a new last layer that replaces a convolution."""
    layers = [type(module).__name__ for module in outline(model, 2).modules()]
    return " after pooling and standardisation" if "Standardise" in layers else ""


def draw_part2(part2: Part2) -> dict[str, Figure]:
    """Draw the figures of part 2, by name."""
    figures = {
        f"{folder}-losses": draw_losses(run.history, kept_epoch(run), "cross-entropy")
        for folder, run in part2.runs.items()
    }
    if part2.new_data is not None:
        figures["2c-labels"] = part2_new_data.draw_accuracies(part2.new_data)
    return figures


def deviations(part2: Part2) -> list[str]:
    """Return how part 2 deviates from the assignment's scale."""
    if "2a" not in part2.configs:
        return []
    config, run = part2.configs["2a"], part2.runs["2a"]
    differences = []
    if config.model != VGG16:
        differences.append(f"the classifier is {config.model} (assignment: VGG16)")
    if tuple(run.scores["classes"]) != CLASSES:
        differences.append("the pictures are not Fashion-MNIST, on which the reported scores are")
    if config.labels is not None:
        differences.append(f"it learns from {run.labels} labelled pictures (assignment: all)")
    if config.size != (224, 224):
        size = f"{config.size[0]} × {config.size[1]}"
        differences.append(f"pictures of part 2 are {size} (assignment: 224 × 224)")
    return differences


def part2_json(part2: Part2) -> dict[str, Any]:
    """Return what ``homework.json`` records of part 2, by folder."""
    by_folder: dict[str, Any] = {}
    for folder, part in PARTS.items():
        if folder not in part2.runs:
            by_folder[folder] = {"not_run": part2.not_run[folder]}
            continue
        run = part2.runs[folder]
        names = ("accuracy", "macro_f1", "collapsed", "trivial")
        by_folder[folder] = {
            "epochs": _epochs(part2, folder),
            "kept": kept_epoch(run),
            **{name: run.scores[name] for name in names},
            "expected": part.expected,
            "reported": part.reported,
            "reported_epochs": part.epochs,
        }
    by_folder[NEW_DATA] = {"not_run": part2.not_run.get(NEW_DATA)}
    if part2.new_data is not None:
        by_folder[NEW_DATA] = part2_new_data.new_data_json(part2.new_data)
    return by_folder


def part2_answers(part2: Part2) -> list[str]:
    """Return the answers of part 2, one line each."""
    lines = []
    for folder in PARTS:
        result = f"not run. {part2.not_run.get(folder, '')}"
        if folder in part2.runs:
            result = _answers(part2, folder)[0]
        lines.append(f"{part_name(folder)}: {result}")
    new_data = [f"not run. {part2.not_run.get(NEW_DATA, '')}"]
    if part2.new_data is not None:
        new_data = part2_new_data.better_start(part2.new_data)
    return [*lines, *(f"{part_name(NEW_DATA)}: {line}" for line in new_data)]
