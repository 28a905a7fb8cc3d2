"""Temperatures of trained networks: which pixels, at which size, and that nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.data.decoded_frames import Decoded, decode
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.duplicates import Fingerprints
from headstart.inference.opening import open_segmenter
from headstart.records.calibration import Calibration, read_calibration
from headstart.scores.calibration import bins_of, expected_calibration_error
from headstart.tasks.calibration import count_and_calibrate, sampled_pixels
from headstart.tasks.class_maps import count_maps, segment_decoded

CPU = torch.device("cpu")
TILE = 8, 8


class Colours(nn.Module):
    """A network whose three logits are the channels of the picture, times a number."""

    def __init__(self, scale: float = 8.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x


def frames(truth: list[np.ndarray], size: tuple[int, int] = (6, 8), seed: int = 0) -> Decoded:
    """Pictures of noise, at another size than their true classes."""
    rng = np.random.default_rng(seed)
    return Decoded(
        names=tuple(f"{i}" for i in range(len(truth))),
        images=rng.integers(0, 256, (len(truth), 3, *size), np.uint8),
        masks=None,
        present=np.ones((len(truth), 3), bool),
        truth=tuple(truth),
        sizes=tuple((t.shape[0], t.shape[1]) for t in truth),
        digest="",
        prints=Fingerprints((), np.zeros((0, 32, 40, 3), np.uint8)),
    )


def noise(count: int, size: tuple[int, int], seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 3, size).astype(np.uint8) for _ in range(count)]


def calibrated(
    network: nn.Module, validation: Decoded, scored: Decoded, ignore: int | None = None
) -> Calibration:
    args = (validation, scored, "test", 3, 0.0, TILE, CPU, ignore)
    return count_and_calibrate(network, *args)[1]


@pytest.mark.parametrize("own_size", [False, True])
def test_one_prediction_of_the_scored_split_gives_what_two_would(own_size: bool) -> None:
    """Counts and bins, bit for bit; whatever is kept, and where a class is left out."""
    validation, scored = frames(noise(3, (20, 28))), frames(noise(3, (20, 28)), seed=5)
    if own_size:
        validation, scored = (at_own_size(data) for data in (validation, scored))
    seen: list[int] = []

    class Counted(Colours):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return super().forward(x)

    network, area = Counted(), 0.34
    args = (network, validation, scored, "test", 3, area, TILE, CPU, None)
    counts, record, nothing = count_and_calibrate(*args)
    once, seen[:] = sum(seen), []
    maps = list(segment_decoded(network, scored, TILE, CPU, area))
    assert 2 * sum(seen) == once and not nothing
    assert np.array_equal(counts, count_maps(maps, scored, 3))
    assert (counts[:, 1:, :2].sum(2) == 0).any(), "a class was left out of a frame"
    before = np.zeros((15, 4))
    for part in sampled_pixels(network, scored, TILE, CPU, None, 1 << 20):
        before += bins_of(*part, 1.0)
    assert np.array_equal(np.round(before, 6), record.before.sums)
    again, same, kept = count_and_calibrate(*args, keep=3 * 20 * 28)
    assert same == record and np.array_equal(counts, again)
    assert all(torch.equal(a, b) for a, b in zip(kept, maps, strict=True))


def at_own_size(data: Decoded) -> Decoded:
    rng = np.random.default_rng(len(data.names))
    pictures = tuple(rng.integers(0, 256, (*size, 3), np.uint8) for size in data.sizes)
    return replace(data, images=data.images[:, :, :0, :0], pictures=pictures)


def test_all_pixels_have_the_probabilities_that_are_scored() -> None:
    """Those that F.interpolate gives, at sizes above, below and equal to the network's."""
    for size in ((13, 21), (3, 5), (6, 8), (1, 7)):
        data = frames(noise(2, size))
        parts = list(sampled_pixels(Colours(), data, TILE, CPU, None, 10_000))
        logits = Colours()(torch.from_numpy(data.images).float() / 255)
        expected = F.interpolate(logits.softmax(1), size=size, mode="bilinear", align_corners=False)
        for (probs, truth), of_frame, mask in zip(parts, expected, data.truth, strict=True):
            assert np.allclose(probs, of_frame.flatten(1).T.numpy(), atol=1e-5)
            assert np.array_equal(truth, mask.ravel())


def test_a_sample_is_even_the_same_again_and_part_of_all_pixels() -> None:
    data = frames([*noise(1, (40, 60)), *noise(2, (20, 30))])
    sample, again = (list(sampled_pixels(Colours(), data, TILE, CPU, None, 600)) for _ in range(2))
    assert [len(truth) for _, truth in sample] == [400, 100, 100]
    for (probs, truth), (probs2, truth2) in zip(sample, again, strict=True):
        assert np.array_equal(probs, probs2) and np.array_equal(truth, truth2)
    everything = list(sampled_pixels(Colours(), data, TILE, CPU, None, 10_000))
    for (some, _), (all_, _) in zip(sample, everything, strict=True):
        known = {row.tobytes() for row in all_.round(5)}
        assert {row.tobytes() for row in some.round(5)} <= known
        assert len({row.tobytes() for row in some}) > 0.9 * len(some)  # none is taken twice


def test_ignored_pixels_are_left_out() -> None:
    truth = noise(2, (12, 16))
    truth[0][:6] = 255
    truth[1][:] = 255
    sizes = [len(t) for _, t in sampled_pixels(Colours(), frames(truth), TILE, CPU, 255, 10_000)]
    assert sizes == [6 * 16, 0]


def test_a_split_without_labelled_pixels_leaves_temperature_1() -> None:
    blank = frames([np.full((4, 4), 255, np.uint8)])
    record = calibrated(Colours(), blank, frames(noise(2, (9, 9))), 255)
    assert record.temperature == 1 and "no validation label" in record.reason
    assert record.before == record.after


def test_too_sure_a_network_is_brought_back() -> None:
    """Labels are drawn from what the network says, which is then made five times as sure."""
    rng = np.random.default_rng(2)
    data = frames(noise(6, (6, 8)))
    probs = Colours(4.0)(torch.from_numpy(data.images).float() / 255).softmax(1).numpy()
    drawn = (rng.random((6, 1, 6, 8)) < probs.cumsum(1)).argmax(1).astype(np.uint8)
    data = replace(data, truth=tuple(drawn))
    record = calibrated(Colours(20.0), data, data)
    assert record.temperature == pytest.approx(5.0, rel=0.3)
    assert record.after.ece < record.before.ece / 2
    assert record.after.nll < record.before.nll


def test_the_record_of_a_run_is_what_its_network_gives(trained: Path, drawn: Path, tmp_path: Path):
    """By a way of its own: the test frames through the opened run, resized by NumPy."""
    from headstart.inference.class_maps import resized

    record, segmenter = read_calibration(trained), open_segmenter(trained, "cpu")
    assert record is not None and record.split == "test" and record.fitted_on == "validation"
    dataset = open_dataset(drawn)
    data = decode(dataset.splits["test"], segmenter.size, dataset.label_map, dataset.root, tmp_path)
    probs = segmenter.probabilities(np.array(data.images))
    sizes = zip(probs, data.sizes, strict=True)
    pixels = np.concatenate([resized(p, size).reshape(len(p), -1).T for p, size in sizes])
    truth = np.concatenate([np.asarray(t).ravel() for t in data.truth])
    for part, temperature in ((record.before, 1.0), (record.after, record.temperature)):
        assert part.sums[:, 0].sum() == len(truth)
        expected = expected_calibration_error(bins_of(pixels, truth, temperature))
        assert part.ece == pytest.approx(expected, abs=2e-3)
