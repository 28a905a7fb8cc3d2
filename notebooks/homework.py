# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The assignment
#
# `headstart homework` as a notebook: a U-Net for surgical instruments, trained from scratch and
# from colorization, and classifiers, trained from scratch and from ImageNet. Every training
# continues where it was stopped, and a finished one is not repeated. Open the file with Jupyter
# and jupytext, or convert it: `jupytext --to ipynb notebooks/homework.py`.

# %% tags=["parameters"]
DATA = None  # the course's folder hw6; None draws a small dataset to try the notebook
OUT = "homework-notebook"  # the folder for all output
SCALE = "tiny"  # "full" is the assignment's: 256 x 320, width 32; "small" is 64 x 80, width 16
SEEDS = 1  # a verdict needs 5
THREADS = None  # CPU threads; None uses all
FASHION_MNIST = None  # its folder; "fashion-mnist" downloads it; None skips part 2
NEW_DATA = None  # an entirely new dataset, one folder for each class; None skips 2(c)
MODEL = "vgg16"  # any of torchvision's classifiers
WEIGHTS = None  # a file with its ImageNet weights; None uses torchvision's

# %%
import json
from pathlib import Path

from IPython.display import Image, Markdown, display

from headstart.assignment.datasets import open_datasets
from headstart.assignment.missing import not_run
from headstart.assignment.parts import (
    classifier_run,
    new_data_study,
    part_a,
    with_steplr,
    without_steplr,
)
from headstart.assignment.report import answers, part1_sections, part2_classifiers
from headstart.assignment.report.figures import draw_seeds
from headstart.assignment.report.part1_records import STEPLR, read_part1
from headstart.assignment.report.part2_new_data import better_start, draw_accuracies
from headstart.assignment.report.write import write_homework
from headstart.assignment.run import share_starts
from headstart.assignment.settings import CLASSIFIERS, Homework, homework_command
from headstart.data.drawn.dataset import write_dataset
from headstart.reports import figure_files
from headstart.reports.records import read_records
from headstart.runs.run import train
from headstart.studies.cells import Cell
from headstart.studies.study import study
from headstart.system.devices import pick_device
from headstart.system.processor import available_threads
from headstart.training.listener import Silent

data, out = Path(DATA or Path(OUT) / "data"), Path(OUT) / "homework"
if DATA is None and not data.exists():
    write_dataset(data, train=30, validation=6, test=10, unlabelled=10, height=32, width=40)
homework = Homework(
    str(data),
    SCALE,
    SEEDS,
    pick_device("auto"),
    THREADS or available_threads(),
    FASHION_MNIST,
    NEW_DATA,
    MODEL,
    WEIGHTS,
)
datasets = open_datasets(homework)
frames, pictures = datasets.frames, datasets.pictures
missing = not_run(homework, datasets, out)


def show(run, picture):
    """Show a run's losses, then its predictions or restorations."""
    display(Image(str(run / "curves.png")), Image(str(run / picture)))


def show_dice(scores, part):
    """Show the test Dice beside the expected and reported ones and the best constant prediction."""
    dice, trivial = scores["dice_assignment"], scores["trivial"]["dice_assignment"]
    lines = [
        f"Test Dice by the assignment's definition: **{dice:.4f}** (reported: {part.reported}).",
        f"One class everywhere scores {trivial:.4f}.",
        f"Pooled foreground Dice: {scores['dice']:.4f}.",
        answers.stray(scores["absent_fp_rate"]),
        answers.collapse(scores["collapsed"]),
    ]
    if part.expected:
        lines.insert(1, f"{answers.threshold(dice, part.expected)}.")
    display(Markdown(" ".join(lines)))


def settings(recipe):
    """Show all hyper-parameters."""
    display(Markdown(f"```json\n{recipe.model_dump_json(indent=1)}\n```"))


# %% [markdown]
# ## 1(a) Implement a simplified U-Net and train it
#
# Four levels, Dice loss and Dice score from scratch, Adam with learning rate 0.001, batch 10, at
# most 200 epochs, StepLR (10, 0.1), early stopping with patience 4. *Draw training and validation
# loss in one picture, and give the Dice on the test split: is it above 0.5?*

# %%
settings(part_a(homework).recipe)
scores = train(part_a(homework), out / "a", Silent(), dataset=frames.dataset)
show_dice(scores, part1_sections.PARTS["a"])
show(out / "a", "predictions.png")

# %% [markdown]
# ## 1(b) Augment the data
#
# Horizontal flip, vertical flip and rotation up to 30 degrees of picture and mask alike. *Is the
# Dice now above 0.6?*
#
# From here on all seeds are trained. Parts (b), (c) and (d) are one study of two starts; the
# assignment's own runs are those of seed 1.

# %%
steplr = with_steplr(homework, frames)
settings(steplr.recipe)
record = study(steplr, out / "steplr", Silent(), print, dataset=frames.dataset)
runs = {
    start: out / "steplr" / Cell(start, "all", steplr.labels[0], 1).run for start in steplr.starts
}
show_dice(json.loads((runs["scratch"] / "scores.json").read_text()), part1_sections.PARTS["b"])
show(runs["scratch"], "predictions.png")

# %% [markdown]
# ## 1(c) Colorization
#
# The same network with a head of three channels turns the grey frame into the colour frame. The
# loss is the mean squared error; no labels are needed. *Draw the losses; keep the weights.*

# %%
settings(steplr.pretext_recipe)
colorization = next((out / "steplr" / "starts").glob("colorization-1-*"))
scores = json.loads((colorization / "scores.json").read_text())
display(Markdown(answers.learned(scores["loss"], scores["trivial"]["loss"])))
show(colorization, "restorations.png")

# %% [markdown]
# ## 1(d) Segmentation, started from colorization
#
# Hyper-parameters as in (b); initial weights from (c), all but the head. *Compare with (b).*

# %%
show_dice(json.loads((runs["colorization"] / "scores.json").read_text()), part1_sections.PARTS["d"])
show(runs["colorization"], "predictions.png")

# %% [markdown]
# ## Is the difference between (b) and (d) due to colorization?
#
# Or to the schedule, the seed or the metric? The same study with a constant learning rate, from the
# same weights of (c), and then each possible reason in turn.

# %%
share_starts(out)
constant = without_steplr(homework, frames)
study(constant, out / "constant", Silent(), print, dataset=frames.dataset)
part1 = read_part1(out, frames.test_groups)
display(Markdown(f"**{answers.headline(part1.effects, part1.no_effects)}**"))
if part1.effects:
    display(Markdown(answers.of_colorization(part1.effects)))
    display(Markdown(answers.of_schedule(part1.effects)))
display(Markdown(answers.of_seeds(part1.pairs_of(STEPLR))))
display(Markdown(answers.of_metric(part1.pairs, part1.trivial["dice_assignment"])))
display(Image(figure_files.png(draw_seeds(part1.pairs, part1.trivial))))

# %% [markdown]
# ## 2(a) and 2(b) VGG16 on Fashion-MNIST
#
# (a) All weights random: is the test accuracy above 85 %? (b) ImageNet's weights, everything frozen
# but a new last layer: above 60 %? Beyond the assignment: ImageNet's weights with every weight
# trained, as in (a), because (a) and (b) differ in two things at once.


# %%
def show_accuracy(scores, part):
    """Show the test accuracy beside the expected and reported ones and the best constant."""
    accuracy, trivial = scores["accuracy"], scores["trivial"]["accuracy"]
    lines = [
        f"Test accuracy: **{accuracy:.4f}** (reported: {part.reported or 'nothing'}).",
        f"Always predicting the most frequent class scores {trivial:.4f}.",
    ]
    if part.expected:
        lines.insert(1, f"{answers.threshold(accuracy, part.expected)}.")
    display(Markdown(" ".join(lines)))


for folder in CLASSIFIERS:
    display(Markdown(f"**{part2_classifiers.PARTS[folder].title}**"))
    if folder in missing:
        display(Markdown(f"Not run: {missing[folder]}."))
        continue
    config = classifier_run(homework, folder, pictures, out)
    settings(config.recipe)
    cache = out / "2a" / "cache"
    scores = train(config, out / folder, Silent(), cache=cache, dataset=pictures.dataset)
    show_accuracy(scores, part2_classifiers.PARTS[folder])
    show(out / folder, "confusion.png")

# %% [markdown]
# ## 2(c) Which is the better start for an entirely new dataset?
#
# Measured: trainings that start from (a), from (b), which as a start is ImageNet, and from new
# weights, with several label budgets and seeds.

# %%
if "2c" in missing:
    display(Markdown(f"Not run: {missing['2c']}."))
else:
    new_pictures = datasets.new_pictures
    config = new_data_study(homework, new_pictures, out)
    study(config, out / "2c", Silent(), print, dataset=new_pictures.dataset)
    new_data = read_records(out / "2c")
    for line in better_start(new_data):
        display(Markdown(line))
    display(Image(figure_files.png(draw_accuracies(new_data))))

# %% [markdown]
# ## The report
#
# As a page, as LaTeX, and as PDF if LaTeX is installed.

# %%
command = homework_command(homework, out)
written = write_homework(out, command, True, missing, frames.test_groups)
display(Markdown("\n".join(f"- `{path}`" for path in written.files)))
if written.no_pdf:
    display(Markdown(f"No `report.pdf`: {written.no_pdf}."))
