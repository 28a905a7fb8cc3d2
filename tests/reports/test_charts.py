"""Figures: the same bytes each time, nothing from outside, legible, any names."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from headstart.reports import charts, figure_files
from headstart.reports.arms import Point

pytestmark = pytest.mark.usefixtures("figures")
HISTORY = [{"epoch": e, "train_loss": 2 / e, "validation_loss": 3 / e} for e in range(1, 21)]


def curves(names: tuple[str, ...] = ("scratch", "colorization")) -> Figure:
    lines = [
        (name, [Point(n, 0.2 + 0.1 * i, 0.1, 0.4, (0.1, 0.3)) for n in (30, 300)])
        for i, name in enumerate(names)
    ]
    return charts.label_efficiency(lines, 0.02, "dice (test)")


def panels(count: int = 2) -> Figure:
    runs = tuple((i, HISTORY) for i in (0, 1))
    some = [charts.Panel(f"{30 * (i + 1)} labels", runs, 0.5) for i in range(count)]
    return charts.losses(some, ["scratch", "colorization"], share=True)


def reliability(names: tuple[str, ...] = ("scratch", "colorization")) -> Figure:
    rng = np.random.default_rng(0)
    before, after = rng.random((2, 15, 4))
    before[:, 1:3], after[:, 1:3] = before[:, :1] * 0.5, after[:, :1] * 0.7
    lines = [charts.ReliabilityLine(i, name, before, after) for i, name in enumerate(names)]
    return charts.reliability(lines)


def differences(names: tuple[str, ...] = ("colorization", "imagenet")) -> Figure:
    rows = [
        charts.Difference(i + 1, f"{name} against scratch, 30 labels", 0.05, 0.01, 0.09)
        for i, name in enumerate(names)
    ]
    rows.append(charts.Difference(1, "colorization against scratch, 1 label", -0.2, None, None))
    return charts.differences(rows, 0.02, "dice")


@pytest.mark.parametrize("draw", [curves, panels, reliability, differences])
def test_the_same_bytes_each_time(draw) -> None:
    for write in (figure_files.png, figure_files.pdf, lambda f: figure_files.svg(f, "a", "b")):
        assert write(draw()) == write(draw())


@pytest.mark.parametrize("draw", [curves, panels, reliability, differences])
def test_an_svg_names_nothing_outside_and_shares_no_names(draw) -> None:
    one, other = (figure_files.svg(draw(), called, "alt") for called in ("one", "other"))
    assert "http" not in one and "<style" not in one and "<?xml" not in one
    names = re.findall(r' id="([^"]+)"', one)
    assert len(names) == len(set(names)) and not set(names) & set(
        re.findall(r' id="([^"]+)"', other)
    )
    assert set(re.findall(r'(?:href="|url\()#(\w+)', one)) <= set(names)
    ElementTree.fromstring(one)


@pytest.mark.parametrize("draw", [curves, panels, reliability, differences])
def test_text_is_legible_on_a_phone(draw) -> None:
    """390 px wide, 16 px of margin on each side."""
    text = figure_files.svg(draw(), "a", "b")
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', text)[1])  # type: ignore[index]
    sizes = [float(s) for s in re.findall(r"font-size: ([\d.]+)px", text)]
    assert sizes and min(sizes) * 358 / width >= 9


def test_a_network_that_is_always_equally_sure_is_drawn() -> None:
    bins = np.zeros((15, 4))
    bins[4] = [6400, 339, 2029, 100]
    assert figure_files.png(charts.reliability([charts.ReliabilityLine(0, "scratch", bins, bins)]))


def test_pictures_are_pictures() -> None:
    with Image.open(io.BytesIO(figure_files.png(curves()))) as picture:
        assert picture.format == "PNG" and picture.width > 1000 and set(picture.info) <= {"dpi"}
    pdf = figure_files.pdf(panels())
    assert pdf.startswith(b"%PDF") and b"CreationDate" not in pdf


def test_nothing_drawn_is_cut_off() -> None:
    """The outermost pixels are white."""
    for figure in (
        curves(),
        panels(3),
        reliability(),
        differences(),
        differences(("a very long name of a start, " * 3, "b", "c")),
        curves(("a very long name of a start, " * 3, "b", "c")),
    ):
        with Image.open(io.BytesIO(figure_files.png(figure))) as picture:
            pixels = np.asarray(picture.convert("L"))
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert edge.min() > 250


@settings(max_examples=10)
@given(st.text(max_size=60))
def test_any_name_can_be_drawn(name: str) -> None:
    text = figure_files.svg(curves((name, "b")), "a", name)
    ElementTree.fromstring(text)
    assert "<script" not in text


def test_a_difference_is_drawn_where_it_is() -> None:
    """The marks and intervals, read back from the figure."""
    (axes,) = differences().axes
    drawn = [(*line.get_xdata(),) for line in axes.lines]
    assert drawn == [(0.01, 0.09), (0.05,), (0.01, 0.09), (0.05,), (-0.2,)]
    band = axes.patches[0].get_path().get_extents(axes.patches[0].get_patch_transform())
    assert (band.x0, band.x1) == (-0.02, 0.02)
    assert [text.get_text() for text in axes.texts][-1] == "colorization against scratch, 1 label"


def test_a_dollar_is_a_dollar() -> None:
    name = r"$\alpha$ & 5$"
    assert r"$\alpha$ &amp; 5$" in figure_files.svg(curves((name, "b")), "a", "b")


def test_one_budget_one_seed_no_interval() -> None:
    lines = [("scratch", [Point(300, 0.5, None, None, (0.5,))])]
    assert "300" in figure_files.svg(charts.label_efficiency(lines, None, "dice"), "a", "b")


def test_a_loss_of_zero_has_a_place() -> None:
    flat = [{"epoch": 1, "train_loss": 0.0, "validation_loss": 1.0}]
    figure_files.png(charts.losses([charts.Panel("x", ((0, flat),))], ["scratch"], share=False))


@pytest.mark.parametrize(
    "minutes", [(0.83, 1.57), (12.7, 18.6), (3.0, 20.0), (0.5, 60.0), (2.0, 2.0)]
)
def test_times_have_two_ticks_or_more(minutes: tuple[float, ...]) -> None:
    point = Point(30, 0.5, 0.4, 0.6, (0.4, 0.6))
    rows = [charts.Cost(i, f"arm {i}", 60 * m, point) for i, m in enumerate(minutes)]
    rows.append(charts.Cost(2, "arm 2", 60 * minutes[-1], replace(point, labels=300)))
    for axes in charts.costs(rows, "dice").axes:
        low, high = axes.get_xlim()
        assert sum(low <= tick <= high for tick in axes.get_xticks()) >= 2
        assert all(low < m < high for m in minutes)


@pytest.mark.parametrize(("ahead", "span"), [(0.002, 0.1), (0.3, 0.33)])
def test_small_differences_look_small(ahead: float, span: float) -> None:
    points = [Point(30, 0.5 + ahead * i, None, None, (0.5,)) for i in range(2)]
    rows = [charts.Cost(i, f"arm {i}", 60, point) for i, point in enumerate(points)]
    (axes,) = charts.costs(rows, "dice").axes
    low, high = axes.get_ylim()
    assert high - low == pytest.approx(span) and low + high == pytest.approx(1 + ahead)
