"""Pictures for reports: right sizes, right colours, the same bytes each time, any names."""

from __future__ import annotations

import io
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.figure import Figure
from PIL import Image

from headstart.plots import curves, sheets
from headstart.plots.curves import areas
from headstart.plots.overlay import IGNORED, colour
from headstart.plots.sheets import Example, choose_examples

pytestmark = pytest.mark.usefixtures("figures")
NAMES = ("ground", "tool", "thread", "needle")


def history(epochs: int, dice: float = 0.8) -> list[dict[str, float]]:
    rng = np.random.default_rng(0)
    return [
        {
            "epoch": e,
            "train_loss": 0.2 + np.exp(-e / 8) + 0.02 * rng.random(),
            "validation_loss": 0.3 + np.exp(-e / 9) + 0.05 * rng.random(),
            "validation_dice": float(np.clip(dice * (1 - np.exp(-e / 8)), 0, 1)),
        }
        for e in range(1, epochs + 1)
    ]


def example(height: int = 24, width: int = 32, caption: str = "best: 1", k: int = 3) -> Example:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    truth = np.zeros((height, width), np.uint8)
    truth[4:12, 5:20], truth[14:20, 8:16] = 1, k
    return Example(caption, image, truth, np.roll(truth, 2, axis=1))


def opened(png: bytes) -> np.ndarray:
    """The picture's pixels; not empty, not one colour."""
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    assert set(picture.info) <= {"dpi"}  # no program, no date
    pixels = np.asarray(picture.convert("RGB"))
    assert len(np.unique(pixels @ np.array([1, 256, 65536]))) > 20
    return pixels


# --- curves ---


@pytest.mark.parametrize(
    ("epochs", "best", "dice"),
    [(1, 1, 0.8), (46, 42, 0.8), (3, 2, 0.0), (12, 12, 9.0)],
)
def test_curves_of_any_length(epochs, best, dice):
    pixels = opened(curves.curves(history(epochs, dice), best, "default recipe, scratch, seed 0"))
    assert pixels.shape == (750, 960, 3)
    for ink in ((0, 114, 178), (213, 94, 0), (0, 158, 115)):  # all three lines are to be seen
        assert (np.abs(pixels.astype(int) - ink).max(-1) < 12).sum() > 20


@pytest.mark.parametrize("classes", [1, 3, 25])
def test_a_confusion_matrix_is_dark_where_pictures_are(classes):
    names = [f"class {k}" for k in range(classes)]
    right = np.diag(np.full(classes, 7))
    wrong = np.roll(right, 1, axis=1)
    blue = [
        (opened(curves.confusion(matrix, names, "title")) @ np.ones(3) < 200)
        for matrix in (right, wrong, 0 * right)
    ]
    assert blue[0].sum() > 2 * blue[2].sum()
    assert classes == 1 or (blue[0] != blue[1]).any()


def test_epochs_are_whole_numbers_and_nothing_lies_on_the_axes(monkeypatch):
    drawn = []

    def keep(figure, *_, **__):
        figure.draw_without_rendering()
        drawn.append(figure)
        return b""

    monkeypatch.setattr("headstart.plots.curves.png", keep)
    for epochs in (1, 2, 7, 200):
        curves.curves(history(epochs, dice=0.0), epochs, "title")
        above, below = drawn[-1].axes
        ticks = below.get_xticks()
        assert len(ticks) >= 1
        assert (ticks == ticks.round()).all()
        low, high = below.get_xlim()
        assert low < 1
        assert high > epochs
        assert above.get_ylim()[0] == 0
        assert below.get_ylim() == (0, 1)
        note = below.title if below.title.get_text() else below._right_title
        assert note.get_text() == f"kept: epoch {epochs}, Dice 0.000"
        assert note.get_window_extent().y0 >= below.get_window_extent().y1
        assert [t.get_text() for t in above.get_legend().get_texts()] == ["training", "validation"]


# --- predictions ---


def test_predictions_are_rows_of_three():
    one = opened(sheets.predictions([example()], NAMES, "test frames"))
    three = opened(sheets.predictions([example()] * 3, NAMES, "test frames"))
    assert one.shape[1] == three.shape[1] == 1080
    assert 1.9 < (three.shape[0] - one.shape[0]) / (1080 / 3.1 * 24 / 32) < 2.1
    for k in (1, 3):  # in truth, in prediction, and in the legend
        assert (one == colour(k)).all(-1).sum() > 100
    assert not (one == colour(2)).all(-1).any()


def test_ignored_pixels_of_the_truth_are_grey_and_in_the_legend(monkeypatch):
    plain = example()
    truth = np.where(plain.truth == 3, np.uint8(IGNORED), plain.truth)
    named: list[str] = []
    legend = Figure.legend

    def noted(self, handles, **options):
        named.extend(handle.get_label() for handle in handles)
        return legend(self, handles=handles, **options)

    monkeypatch.setattr(Figure, "legend", noted)
    pixels = opened(sheets.predictions([replace(plain, truth=truth)], NAMES, "test frames"))
    assert named == ["tool", "needle", "ignored"]
    assert (pixels == colour(IGNORED)).all(-1).sum() > 100


@pytest.mark.parametrize("size", [(24, 200), (200, 24)])
def test_predictions_of_any_shape(size):
    pixels = opened(sheets.predictions([example(*size), example()], NAMES, "test frames"))
    assert max(pixels.shape) < 3000


def test_predictions_without_foreground():
    nothing = np.zeros((24, 32), np.uint8)
    opened(sheets.predictions([Example("frame: 1", example().image, nothing, nothing)], NAMES, ""))


ODD = (
    *(r"$\frac", r"\frac{1}{2}", "$x$", "$$", "a_b_c", "^{", "%#&", "x" * 300, "鉗子", "a\nb"),
    *("\udcff", " "),
)


@pytest.mark.parametrize("name", [r"$\frac", "$x$", "x" * 300, "鉗子\n\udcff"])
def test_any_caption_and_title(name):
    opened(sheets.predictions([example(caption=name)], NAMES, name))
    opened(curves.curves(history(3), 2, name))


def test_any_class_name():
    classes = np.arange(len(ODD) + 1, dtype=np.uint8).repeat(3)[None].repeat(20, 0)
    image = np.zeros((*classes.shape, 3), np.uint8)
    opened(sheets.predictions([Example("best: 1", image, classes, classes)], ("ground", *ODD), "t"))


def test_twelve_long_names_fit(monkeypatch):
    names = ("ground", *(f"Large_Needle_Driver_Left_labels_{k}" for k in range(12)))
    truth = np.repeat(np.arange(13, dtype=np.uint8), 4)[None].repeat(20, 0)
    image = np.zeros((*truth.shape, 3), np.uint8)
    pixels = opened(
        sheets.predictions([Example("best: 1", image, truth, truth)], names, "test frames")
    )
    assert (pixels[:, :6] == 255).all()  # no label runs over the side
    assert (pixels[:, -2:] == 255).all()


def test_same_input_same_bytes_whatever_matplotlib_is_set_to():
    first = curves.curves(history(5), 3, "t"), sheets.predictions([example()], NAMES, "t")
    with mpl.rc_context({"lines.linewidth": 5, "font.size": 20, "savefig.facecolor": "red"}):
        again = curves.curves(history(5), 3, "t"), sheets.predictions([example()], NAMES, "t")
    assert again == first


# --- choosing ---


@given(
    hnp.arrays(float, st.integers(0, 30), elements=st.floats(0, 1) | st.just(np.nan)),
    st.integers(1, 4),
)
def test_no_frame_twice(dice, each):
    chosen = choose_examples(dice, each)
    indices = [i for _, i in chosen]
    assert len(set(indices)) == len(indices)
    assert all(0 <= i < len(dice) for i in indices)
    with_foreground = int((~np.isnan(dice)).sum())
    assert len(chosen) == min(3 * each, with_foreground or len(dice))
    if with_foreground:
        assert not np.isnan(dice[indices]).any()


def test_best_typical_and_worst():
    dice = np.array([0.5, 0.9, np.nan, 0.1, 0.7, 0.3, 0.8, 0.2, 0.6])
    assert choose_examples(dice, 1) == [("best", 1), ("typical", 8), ("worst", 3)]
    assert choose_examples(dice, 2) == [
        *(("best", 1), ("best", 6)),
        *(("typical", 8), ("typical", 0)),
        *(("worst", 7), ("worst", 3)),
    ]


def test_few_frames_and_no_foreground():
    assert choose_examples(np.array([0.2, 0.9])) == [("frame", 1), ("frame", 0)]
    assert choose_examples(np.full(3, np.nan)) == [("no foreground", i) for i in range(3)]
    assert len(choose_examples(np.full(30, np.nan))) == 6
    assert choose_examples(np.array([])) == []


# --- areas over time ---


def stretches(n: int) -> np.ndarray:
    ends = np.linspace(0, 60, n + 1)
    return np.stack([ends[:-1], ends[1:]], 1)


def test_areas_have_a_lane_for_each_class_seen():
    shares = np.zeros((50, 5))
    shares[:, 0], shares[10:30, 1], shares[20:, 4] = 0.8, 0.1, 0.05
    pixels = opened(areas(stretches(50), shares, ("ground", "a", "b", "c", "$d"), "a.mp4: $x$"))
    inks = {k: (np.abs(pixels.astype(int) - colour(k)).max(-1) < 8).sum() for k in range(1, 5)}
    assert inks[2] == inks[3] == 0
    assert inks[1] / inks[4] == pytest.approx(20 * 0.1 / (30 * 0.05), rel=0.1)


@pytest.mark.parametrize(("frames", "classes"), [(1, 2), (3, 2), (4000, 40)])
def test_areas_of_any_number_of_frames_and_classes(frames, classes):
    shares = np.random.default_rng(0).dirichlet(np.ones(classes), frames)
    names = tuple(f"a rather long instrument's name {k}" for k in range(classes))
    pixels = opened(areas(stretches(frames), shares, names, "a.mp4"))
    assert pixels.shape[1] == 1080 and pixels.shape[0] < 1300
    opened(areas(stretches(frames), np.eye(classes)[np.zeros(frames, int)], names, "nothing"))


def test_what_the_truth_ignores_is_grey_in_the_prediction_too() -> None:
    """A network's guess outside the region that counts is neither right nor wrong."""
    image = np.full((20, 20, 3), 200, np.uint8)
    truth = np.zeros((20, 20), np.uint8)
    truth[:, 10:] = 255
    guess, other = np.ones((20, 20), np.uint8), np.ones((20, 20), np.uint8)
    other[:, 10:] = 0
    drawn = [
        sheets.predictions([Example("a", image, truth, map_)], ("bg", "tool"), "test")
        for map_ in (guess, other)
    ]
    assert drawn[0] == drawn[1]
