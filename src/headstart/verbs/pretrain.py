"""``headstart.pretrain``: one pretext, on pictures without labels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headstart.config.begun import pretext_before
from headstart.config.option_values import Size
from headstart.config.options import PretextOptions, PretextRecipeOption
from headstart.config.records import PretextConfig
from headstart.config.resolve import pretext_config
from headstart.errors import Finding
from headstart.studies.costs import Cost, cost_of_pretext
from headstart.tasks.pretext import PretextTask, colour_warnings
from headstart.tasks.segmentation import Segmentation
from headstart.training.listener import SILENT, Listener
from headstart.verbs.default_framing import tiles_where_thin
from headstart.verbs.default_network import about_pretext
from headstart.verbs.machine import on_this_machine

_SEGMENTATION = Segmentation()
_FILES = ("restorations.png", "curves.png", "README.md", "weights.safetensors")


@dataclass(frozen=True)
class PretrainResult:
    """A finished pretext, which is a start for ``train``.

    Attributes:
        folder: its folder.
        config: every setting that decided the result.
        scores: the content of ``scores.json``.
        files: what a person looks at first.
        cost: with ``dry_run``, what the pretext would take; there are no scores then.
    """

    folder: Path
    config: PretextConfig
    scores: dict[str, Any]
    files: tuple[Path, ...]
    cost: Cost | None = None


def pretrain(
    data: Path | str,
    *,
    pretext: str = "colorization",
    out: Path | str | None = None,
    recipe: PretextRecipeOption | None = None,
    size: Size | None = None,
    tile: bool = False,
    squeeze: bool = False,
    model: str | None = None,
    width: int | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    drop_leaks: bool = False,
    device: str = "auto",
    threads: int | None = None,
    precision: Literal["float32", "bfloat16"] | None = None,
    checkpoint_seconds: float = 10.0,
    fresh: bool = False,
    dry_run: bool = False,
    forecast: Callable[[PretextConfig, Cost], None] | None = None,
    listener: Listener | None = None,
) -> PretrainResult:
    """Pre-train a network on pictures without labels, as ``headstart pretrain`` does.

    The same call resumes a pretext that was stopped; a finished one returns at once.

    Args:
        data: a dataset, or any folder of pictures.
        pretext: what the network learns: to restore, with ``"colorization"``, ``"chroma"``,
            ``"masked-denoising"`` or ``"masked-colorization"``, or that two views of a picture are
            alike, with ``"vicreg"``; after ``imagenet-``, as in ``"imagenet-colorization"``, from
            the published weights of its encoder.
        out: the pretext's folder; by default ``runs/PRETEXT``.
        recipe: a pretext recipe: its name, its ``.toml`` or ``.json`` file, or a value.
        size: height and width to train at; by default what fits the pictures, see
            [`headstart.data.training_size`][].
        model: ``"unet"``, or the classifier that becomes the encoder.
        tile: train on tiles of that size, which are cut from the pictures at their own size, for
            objects that would vanish in smaller pictures. This is the default where it is that of
            [`train`][headstart.verbs.train.train].
        squeeze: resize pictures to that size whatever their shape, as older versions did, and pad
            none.
        width: channels of the network's finest level.
        epochs: the maximum number of epochs, each a pass over the pictures.
        steps: the number of optimizer steps; by default the recipe's.
        seed: fixes order, augmentation, what is hidden, and new weights.
        drop_leaks: leave out pictures that are also validation or test frames.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        threads: CPU threads; by default all that are available.
        precision: of the products in training, ``"float32"`` or ``"bfloat16"``; by default bfloat16
            where it is faster.
        checkpoint_seconds: seconds between checkpoints.
        fresh: start beside ``out`` if it exists, and never overwrite.
        dry_run: train nothing; measure a few steps, and return what the pretext would take.
        forecast: hears the same before a new pretext begins; None: nothing is measured.
        listener: hears how the training goes; None: nobody does.

    Raises:
        HeadstartError: options or data are wrong, or as
            [`headstart.runs.run.train`][headstart.runs.run.train].
    """
    folder = Path(out) if out is not None else Path("runs") / pretext
    options = PretextOptions(
        pretext=pretext,
        recipe=recipe,
        size=size,
        tile=tile,
        squeeze=squeeze,
        model=model,
        width=width,
        epochs=epochs,
        steps=steps,
        seed=seed,
        drop_leaks=drop_leaks,
        device=device,
        threads=threads,
        precision=precision,
    )
    before = pretext_before(None if fresh else folder)
    config = pretext_config(options, data, before)
    pictures = PretextTask().open(Path(data))
    thin: tuple[Finding, ...] = ()
    if pictures.dataset is not None:  # with masks, which say what whole pictures would hide
        size_of_labelled = functools.partial(_SEGMENTATION.fitting_size, pictures.dataset)
        hidden = _SEGMENTATION.hidden_objects(pictures.dataset)
        options, thin = tiles_where_thin(
            options, _SEGMENTATION.name, size_of_labelled, hidden, before
        )
        config = pretext_config(options, data, before)
    said = (*about_pretext(model, config), *thin) if before is None else ()
    for finding in (*pictures.passed_over, *colour_warnings(pictures, [config.pretext]), *said):
        if listener is not None:
            listener.finding(finding)

    from headstart.runs.folder import fresh_folder
    from headstart.runs.run import train

    fitting_size = functools.partial(PretextTask().fitting_size, pictures)
    config = on_this_machine(config, options, before, fitting_size)
    folder = fresh_folder(folder) if fresh else folder
    if dry_run:
        return PretrainResult(folder, config, {}, (), cost_of_pretext(config, pictures))
    if forecast is not None and not (folder / "config.json").exists():
        forecast(config, cost_of_pretext(config, pictures))
    scores = train(config, folder, listener or SILENT, checkpoint_seconds, dataset=pictures)
    return PretrainResult(folder, config, scores, tuple(folder / name for name in _FILES))
