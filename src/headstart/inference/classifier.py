"""Classification in use: a class for each picture, written to ``classes.csv``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image

from headstart.data.framing import resize_image
from headstart.data.labelled_pictures import Labelled, read_labelled_pictures
from headstart.data.layouts.class_dataset import ClassDataset
from headstart.data.layouts.class_layouts import open_classes
from headstart.data.pictures.frame import Frame, read_frame
from headstart.data.pictures.reading_rules import NO_RULES, ReadingRules
from headstart.errors import DataError, Finding, UsageError
from headstart.inference.class_maps import resized
from headstart.inference.finished_run import FinishedRun
from headstart.inference.onnx_file import OnnxFile
from headstart.inference.predictor import Answers, ExportForm, Images, Predictions, spread
from headstart.inference.segmenter import mirrored_digest
from headstart.scores import classification as scores
from headstart.scores.calibration import calibrated
from headstart.system.disk import disk_errors, locked, sweep, write_atomic
from headstart.system.spreadsheets import csv_text

if TYPE_CHECKING:
    from torch import Tensor
    from torch import device as Device
    from torch.nn import Module as Network
else:
    Device = Network = Tensor = Any  # torch takes seconds to load, and an ONNX file needs none

Small = Sequence[UInt8[np.ndarray, "_ _ _"]]
_TORCH_BATCH, _ONNX_BATCH = 64, 8
_ALONE = 3  # pictures that are compared once more, alone


@dataclass(frozen=True)
class Classifier:
    """A trained classifier; see [`Predictor`][headstart.inference.predictor.Predictor].

    Attributes:
        size: height and width at which the network was trained.
        names: the classes.
        digest: SHA-256 of the file of weights, or of the ONNX file.
        probabilities: maps pictures, each ``(c, h, w)``, grey or RGB, no larger than ``size``, to
            the probability of each class; it enlarges them to ``size``.
        temperature: brings these probabilities closer to how often the class is right: see
            [`calibrated`][headstart.scores.calibration.calibrated].
    """

    size: tuple[int, int]
    names: tuple[str, ...]
    digest: str
    probabilities: Callable[[Small], Float32[np.ndarray, "n k"]]
    temperature: float = 1.0
    unseen: Callable[[str], Classifier] | None = None

    task: ClassVar[str] = "classification"
    dataset: ClassVar[type] = ClassDataset
    predicts_masks: ClassVar[bool] = False
    rules: ClassVar[ReadingRules] = NO_RULES  # no dataset of classes declares any

    @staticmethod
    def refusal(path: Path, task: str, network: str) -> DataError:
        """See the interface."""
        message = f"{path} is of a {task} ({network}), which does not know classes of pictures"
        return DataError(Finding("no-classifier", "error", message))

    @staticmethod
    def network(run: FinishedRun) -> Network:
        """See the interface."""
        import torch

        from headstart.models.averaged import Averaged
        from headstart.models.classifiers import make_network, versioned

        if run.members:
            return Averaged(map(Classifier.network, run.members)).eval()
        with torch.random.fork_rng(devices=[]):
            network, _ = make_network(run.network_name, len(run.facts.names))
        run.load_into(network, versioned(network, dict(run.weights)))
        return network.eval()

    @classmethod
    def from_run(cls, run: FinishedRun, device: Device, mirror: bool = False) -> Classifier:
        """See the interface."""
        return cls.of_network(cls.network(run), run, device, mirror)

    @classmethod
    def of_network(
        cls, own: Network, run: FinishedRun, device: Device, mirror: bool = False
    ) -> Classifier:
        """See the interface."""
        import torch

        from headstart.models.averaged import Mirrored
        from headstart.training.features import prepared
        from headstart.training.placement import placed

        size, expected = run.facts.size, (run.facts.mean, run.facts.std)
        network = placed(Mirrored(own) if mirror else own, device)

        def to_input(pictures: Small) -> Float[Tensor, "b 3 h w"]:
            if len({picture.shape for picture in pictures}) == 1:
                together = torch.from_numpy(np.stack(pictures))
                return prepared(together, size, device, expected=expected)
            alone = (torch.from_numpy(picture[None]) for picture in pictures)
            return torch.cat([prepared(p, size, device, expected=expected) for p in alone])

        @torch.no_grad()
        def probabilities(pictures: Small) -> Float32[np.ndarray, "n k"]:
            logits = (network(to_input(batch)) for batch in _batches(pictures, _TORCH_BATCH))
            batches = [batch.float().softmax(1).cpu() for batch in logits]
            return torch.cat([torch.zeros(0, len(run.facts.names)), *batches]).numpy()

        digest = mirrored_digest(run.digest) if mirror else run.digest
        return Classifier(size, run.facts.names, digest, probabilities, run.temperature)

    @classmethod
    def from_onnx(cls, file: OnnxFile, mirror: bool = False) -> Classifier:
        """See the interface."""
        from headstart.inference.onnx_session import start_session

        size, names = file.facts.size, file.facts.names
        run = start_session(file, [None, 3, *size], per_pixel=False, mirror=mirror)

        def to_input(picture: UInt8[np.ndarray, "_ _ _"]) -> Float32[np.ndarray, "3 h w"]:
            enlarged = _of_size(picture.astype(np.float32) / np.float32(255), size)
            return np.repeat(enlarged, 3, axis=0) if len(enlarged) == 1 else enlarged

        def probabilities(pictures: Small) -> Float32[np.ndarray, "n k"]:
            inputs = (np.stack([*map(to_input, b)]) for b in _batches(pictures, _ONNX_BATCH))
            none = np.zeros((0, len(names)), dtype=np.float32)
            return np.concatenate([none, *[run(batch) for batch in inputs]])

        digest = mirrored_digest(file.digest) if mirror else file.digest
        return Classifier(size, names, digest, probabilities, file.facts.temperature)

    @classmethod
    def export_form(cls, run: FinishedRun) -> ExportForm:
        """See the interface; the graph standardises pictures before the network."""
        height, width = run.facts.size
        return ExportForm(
            network=cls.network(run),
            fixed_size=run.facts.size,
            standardises=False,
            mean=run.facts.mean,
            std=run.facts.std,
            input=f"RGB in [0, 1], float32: pictures x 3 x {height} x {width}, any number",
            normalisation="inside: minus mean, divided by std, by channel",
        )

    def predict_pictures(self, frames: Sequence[Frame], root: Path, out: Path) -> Predictions:
        """See the interface; writes ``classes.csv``."""
        names, probabilities, findings = classes_of_pictures(self, frames, root)
        if not names:
            raise DataError(findings)
        path = write_classes(out, names, self.names, probabilities, self.temperature)
        if findings:
            raise DataError(findings)
        return Predictions(len(names), {"classes": path})

    def predict_split(self, dataset: ClassDataset, split: str, out: Path) -> Predictions:
        """See the interface."""
        pictures, probabilities = classes_of_split(self, dataset, split)
        args = (pictures.names, self.names, probabilities, self.temperature)
        path = write_classes(out, *args)
        return Predictions(len(pictures.names), {"classes": path})

    def evaluate(self, dataset: ClassDataset, split: str) -> dict[str, Any]:
        """See the interface."""
        if self.names != dataset.names:
            message = (
                f"the network was trained for {', '.join(self.names)}, but {dataset.root} has "
                f"{', '.join(dataset.names)}"
            )
            raise DataError(Finding("other-classes", "error", message))
        pictures, probabilities = classes_of_split(self, dataset, split)
        predicted = probabilities.argmax(1)
        matrix = scores.confusion_matrix(pictures.labels, predicted, len(dataset.names))
        return {"split": split, **scores.score(matrix, dataset.names)}

    def sample(self, data: Path, split: str, count: int) -> Images:
        """See the interface."""
        dataset = open_classes(data)
        pictures = dataset.splits.get(split)
        if pictures is None:
            return []
        some = pictures.subset(np.array(spread(range(len(pictures.names)), count), dtype=np.int64))
        few = replace(dataset, splits={split: some})
        with tempfile.TemporaryDirectory() as cache:
            return list(read_labelled_pictures(few, split, self.size, Path(cache)).images)

    def as_sample(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "3 h2 w2"]:
        """See the interface."""
        return not_above(image, self.size)

    def answers(self, images: Images) -> Answers:
        """See the interface."""
        batches = (images, *([image] for image in images[:_ALONE]))
        probabilities = tuple(map(self.probabilities, batches))
        classes = probabilities[0].argmax(1)
        return Answers((self.size,) * len(batches), probabilities, (classes,))


def _batches(pictures: Small, length: int) -> list[Small]:
    return [pictures[i : i + length] for i in range(0, len(pictures), length)]


def _of_size(
    picture: Float32[np.ndarray, "c h w"], size: tuple[int, int]
) -> Float32[np.ndarray, "c h2 w2"]:
    """Return a picture resized bilinearly, antialiased when it shrinks, as `prepared` does."""
    if picture.shape[1] <= size[0] and picture.shape[2] <= size[1]:
        return resized(picture, size)
    bilinear = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(c).resize(size[::-1], bilinear)) for c in picture])


def not_above(
    image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "3 h2 w2"]:
    """Return a picture, shrunk to ``size`` if it is larger; only the network enlarges pictures."""
    if image.shape[0] > size[0] or image.shape[1] > size[1]:
        image = resize_image(image, size)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def classes_of_pictures(
    classifier: Classifier, frames: Sequence[Frame], root: Path
) -> tuple[list[str], Float[np.ndarray, "n k"], list[Finding]]:
    """Return names and probabilities of each class, for the pictures that can be read.

    Args:
        classifier: the trained network.
        frames: the pictures.
        root: their folder, for messages; links that leave it are refused.

    Returns:
        The names of the frames, their probabilities, and what is wrong with other pictures.
    """
    names: list[str] = []
    findings: list[Finding] = []
    parts = [classifier.probabilities([])]
    for start in range(0, len(frames), _TORCH_BATCH):
        pictures = []
        for frame in frames[start : start + _TORCH_BATCH]:
            try:
                pictures.append(not_above(read_frame(frame, root), classifier.size))
                names.append(frame.name)
            except DataError as e:
                findings.extend(e.findings)
        parts.append(classifier.probabilities(pictures))
    return names, np.concatenate(parts), findings


def classes_of_split(
    classifier: Classifier, dataset: ClassDataset, split: str
) -> tuple[Labelled, Float[np.ndarray, "n k"]]:
    """Return the pictures of a split, and the probability of each class.

    Raises:
        UsageError: the dataset has no such split.
        DataError: pictures cannot be read; all of them are named.
    """
    if split not in dataset.splits:
        message = f"{dataset.root} has no split {split}; it has {', '.join(dataset.splits)}"
        raise UsageError(Finding("no-such-split", "error", message))
    with tempfile.TemporaryDirectory() as cache:
        pictures = read_labelled_pictures(dataset, split, classifier.size, Path(cache))
        images = list(pictures.images)
        if classifier.unseen is None:
            return pictures, classifier.probabilities(images)
        pairs = zip(pictures.names, images, strict=True)
        each = [classifier.unseen(name).probabilities([image]) for name, image in pairs]
        return pictures, np.concatenate(each)


def write_classes(
    out: Path,
    names: Sequence[str],
    classes: Sequence[str],
    probabilities: Float[np.ndarray, "n k"],
    temperature: float = 1.0,
) -> Path:
    """Write ``out/classes.csv``: each picture, its most probable class, calibrated probabilities.

    Args:
        out: the folder; it is made if it does not exist.
        names: of the pictures.
        classes: names of the classes.
        probabilities: of each class, for each picture, before calibration.
        temperature: see [`calibrated`][headstart.scores.calibration.calibrated].

    Returns:
        The file.

    Raises:
        UsageError: the file exists with other content.
        LockedError: another process is using the folder.
        DiskError: the file cannot be written.
    """
    rows: list[tuple[str, ...]] = [("picture", "class", "probability", *classes)]
    scaled = calibrated(probabilities, temperature)
    for name, own, row in zip(names, probabilities, scaled, strict=True):
        best = int(own.argmax())  # before scaling, which may round two classes to a tie
        rows.append((name, classes[best], f"{row[best]:.6f}", *(f"{p:.6f}" for p in row)))
    path, text = out / "classes.csv", csv_text(rows)
    _refuse_other_classes(path, text)  # before a lock is made
    with locked(out, sweeping=False), disk_errors(out):
        _refuse_other_classes(path, text)
        sweep(out, path.name)
        write_atomic(path, text)
    return path


def _refuse_other_classes(path: Path, text: str) -> None:
    """Refuse to overwrite a table, unless it only lacks pictures that could not be read."""
    with disk_errors(path):
        there = set(path.read_text(errors="replace").splitlines()) if path.exists() else set()
    if not there <= set(text.splitlines()):
        message = f"{path} exists and was made from other weights or pictures"
        hint = "choose another --out: nothing is overwritten"
        raise UsageError(Finding("not-empty", "error", message, hint))
