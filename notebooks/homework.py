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
# `headstart homework` as a notebook: a U-Net for surgical instruments, from scratch and started
# from colorization; classifiers, from scratch and started from ImageNet. Every training here
# continues where it was stopped; a finished one answers at once. Open it with Jupyter and jupytext,
# or make it an `.ipynb`: `jupytext --to ipynb notebooks/homework.py`.

# %% tags=["parameters"]
DATA = None  # the folder hw6 of the course; None: scenes that a program draws, to try it
OUT = "homework-notebook"  # gets everything that is written
SCALE = "tiny"  # "full" is the assignment's own: 256 x 320, width 32; "small": 64 x 80, width 16
SEEDS = 1  # a verdict needs 5
THREADS = None  # CPU threads; None: all there are
FASHION_MNIST = None  # its folder; "fashion-mnist" fetches it; None: no part 2
NEW_DATA = None  # an entirely new dataset, one folder a class; None: no 2(c)
MODEL = "vgg16"  # any of torchvision's classifiers
WEIGHTS = None  # a file of its ImageNet weights; None: those that torchvision publishes

# %%
import json
from pathlib import Path

from IPython.display import Image, Markdown, display

from headstart.assignment.homework import not_run, share_starts
from headstart.assignment.parts import (
    CLASSIFIERS,
    Homework,
    classifier,
    command,
    new_data,
    part_a,
    with_steplr,
    without_steplr,
)
from headstart.assignment.report import figures, transfer, words
from headstart.assignment.report import new_data as of_new_data
from headstart.assignment.report.parts import PARTS
from headstart.assignment.report.results import STEPLR, read_results
from headstart.assignment.report.write import write_homework
from headstart.data.drawn.dataset import write_dataset
from headstart.report import charts
from headstart.report.read import read_records
from headstart.runs.run import train
from headstart.studies.cells import Cell
from headstart.studies.study import study
from headstart.system.devices import pick_device
from headstart.training.config import available_threads
from headstart.training.listener import Silent

data, out = Path(DATA or Path(OUT) / "data"), Path(OUT) / "homework"
if DATA is None and not data.exists():
    write_dataset(data, train=30, validation=6, test=10, unlabelled=10, height=32, width=40)
homework = Homework(
    str(data),
    SCALE,
    SEEDS,
    pick_device("auto").type,
    THREADS or available_threads(),
    FASHION_MNIST,
    NEW_DATA,
    MODEL,
    WEIGHTS,
)
missing = not_run(homework, out)


def show(run, picture):
    """The losses of a run in one picture, then what it predicts or restores."""
    display(Image(str(run / "curves.png")), Image(str(run / picture)))


def told(scores, part):
    """The test Dice beside what is expected, reported, and reached by one class everywhere."""
    dice, trivial = scores["dice_assignment"], scores["trivial"]["dice_assignment"]
    lines = [
        f"Test Dice, as the assignment counts it: **{dice:.4f}** (reported: {part.reported}).",
        f"One class everywhere scores {trivial:.4f}.",
        f"Pooled over the foreground: dice {scores['dice']:.4f}.",
        words.stray(scores["absent_fp_rate"]),
        words.collapse(scores["collapsed"]),
    ]
    if part.expected:
        lines.insert(1, f"{words.threshold(dice, part.expected)}.")
    display(Markdown(" ".join(lines)))


def settings(recipe):
    """The hyper-parameters, in full."""
    display(Markdown(f"```json\n{recipe.model_dump_json(indent=1)}\n```"))


# %% [markdown]
# ## 1(a) Implement a simplified U-Net and train it
#
# Four levels, Dice loss and Dice score from scratch, Adam with learning rate 0.001, batch 10, at
# most 200 epochs, StepLR (10, 0.1), early stopping with patience 4. *Draw training and validation
# loss in one picture, and give the Dice on the test split: is it above 0.5?*

# %%
settings(part_a(homework).recipe)
scores = train(part_a(homework), out / "a", Silent())
told(scores, PARTS["a"])
show(out / "a", "predictions.png")

# %% [markdown]
# ## 1(b) Augment the data
#
# Horizontal flip, vertical flip, rotation up to 30 degrees, of picture and mask alike. *Is the Dice
# now above 0.6?*
#
# From here on everything is done with every seed, and (b), (c), (d) together: they are a study of
# two starts. The assignment's own runs are those of seed 1.

# %%
steplr = with_steplr(homework)
settings(steplr.recipe)
record = study(steplr, out / "steplr", Silent(), print)
runs = {
    start: out / "steplr" / Cell(start, "all", steplr.labels[0], 1).run for start in steplr.starts
}
told(json.loads((runs["scratch"] / "scores.json").read_text()), PARTS["b"])
show(runs["scratch"], "predictions.png")

# %% [markdown]
# ## 1(c) Colorization
#
# The same network with a head of three channels: the grey frame goes in, the colour frame comes
# out, mean squared error. No label is needed. *Draw the losses; keep the weights.*

# %%
settings(steplr.pretext_recipe)
colorization = next((out / "steplr" / "starts").glob("colorization-1-*"))
scores = json.loads((colorization / "scores.json").read_text())
display(Markdown(words.learned(scores["loss"], scores["trivial"]["loss"])))
show(colorization, "restorations.png")

# %% [markdown]
# ## 1(d) Segmentation, started from colorization
#
# The hyper-parameters of (b), the weights of (c) but for the head. *Compare with (b).*

# %%
told(json.loads((runs["colorization"] / "scores.json").read_text()), PARTS["d"])
show(runs["colorization"], "predictions.png")

# %% [markdown]
# ## Is the difference between (b) and (d) due to colorization?
#
# Or to the schedule, the seed, the metric? The same study again with a constant learning rate, from
# the very same weights of (c); then every possible reason by itself.

# %%
share_starts(out)
study(without_steplr(homework), out / "constant", Silent(), print)
results = read_results(out)
display(Markdown(f"**{words.headline(results.effects, results.no_effects)}**"))
if results.effects:
    display(Markdown(words.of_colorization(results.effects)))
    display(Markdown(words.of_schedule(results.effects)))
display(Markdown(words.of_seeds(results.of(STEPLR))))
display(Markdown(words.of_metric(results.pairs, results.a.scores["trivial"]["dice_assignment"])))
display(Image(charts.png(figures.seeds(results.pairs, results.a.scores["trivial"]))))

# %% [markdown]
# ## 2(a) and 2(b) VGG16 on Fashion-MNIST
#
# (a) All weights random: is the test accuracy above 85 %? (b) ImageNet's weights, everything frozen
# but a new last layer: above 60 %? And beyond the assignment: ImageNet's weights with every weight
# trained, as in (a), for (a) and (b) differ in two things at once.


# %%
def recognised(scores, part):
    """The test accuracy beside what is expected, reported, and reached without looking."""
    accuracy, trivial = scores["accuracy"], scores["trivial"]["accuracy"]
    lines = [
        f"Test accuracy: **{accuracy:.4f}** (reported: {part.reported or 'nothing'}).",
        f"The most frequent class every time scores {trivial:.4f}.",
    ]
    if part.expected:
        lines.insert(1, f"{words.threshold(accuracy, part.expected)}.")
    display(Markdown(" ".join(lines)))


for folder in CLASSIFIERS:
    display(Markdown(f"**{transfer.PARTS[folder].title}**"))
    if folder in missing:
        display(Markdown(f"Not run: {missing[folder]}."))
        continue
    config = classifier(homework, folder)
    settings(config.recipe)
    scores = train(config, out / folder, Silent(), cache=out / "2a" / "cache")
    recognised(scores, transfer.PARTS[folder])
    show(out / folder, "confusion.png")

# %% [markdown]
# ## 2(c) Which is the better start for an entirely new dataset?
#
# By measurement: from (a), from (b), which as a start is ImageNet, and from new weights, with
# several numbers of labels and seeds.

# %%
if "2c" in missing:
    display(Markdown(f"Not run: {missing['2c']}."))
else:
    study(new_data(homework, out), out / "2c", Silent(), print)
    compared = read_records(out / "2c")
    for line in of_new_data.preferred(compared):
        display(Markdown(line))
    display(Image(charts.png(of_new_data.draw(compared))))

# %% [markdown]
# ## The report
#
# The same as a page, as LaTeX, and as PDF where a LaTeX is installed.

# %%
written = write_homework(out, command(homework, out), pictures=True, not_run=missing)
display(Markdown("\n".join(f"- `{path}`" for path in written.files)))
if written.no_pdf:
    display(Markdown(f"No `report.pdf`: {written.no_pdf}."))
