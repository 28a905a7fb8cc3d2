"""A small copy of EndoVis 2017 as released: its folders, sizes and grey levels, drawn pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.data.drawn.scenes import draw_scene
from headstart.seeding import generator

INSTRUMENTS = {  # the folders of ground_truth, spelled as in the release for training
    1: ("Left_Prograsp_Forceps_labels", "Maryland_Bipolar_Forceps_labels", "Other_labels",
        "Right_Prograsp_Forceps_labels"),
    2: ("Left_Prograsp_Forceps_labels", "Other_labels", "Right_Prograsp_Forceps_labels"),
    3: ("Left_Large_Needle_Driver_labels", "Right_Large_Needle_Driver_labels"),
    4: ("Large_Needle_Driver_Left_labels", "Large_Needle_Driver_Right_labels",
        "Prograsp_Forceps_labels"),
    5: ("Bipolar_Forceps_labels", "Grasping_Retractor_labels", "Vessel_Sealer_labels"),
    6: ("Left_Large_Needle_Driver_labels", "Monopolar_Curved_Scissors_labels", "Prograsp_Forceps",
        "Right_Large_Needle_Driver_labels"),
    7: ("Left_Bipolar_Forceps", "Right_Vessel_Sealer"),
    8: ("Bipolar_Forceps_labels", "Left_Grasping_Retractor_labels",
        "Monopolar_Curved_Scissors_labels", "Right_Grasping_Retractor_labels"),
}  # fmt: skip
SHIPPED, CUT = (1080, 1920), (slice(28, 28 + 1024), slice(320, 320 + 1280))


def save(path: Path, array: np.ndarray) -> None:
    """Quickly; the files are large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, compress_level=1)


def framed(scene: np.ndarray) -> np.ndarray:
    """A drawing of 64 x 80 enlarged sixteenfold, with the black border of the release."""
    large = np.repeat(np.repeat(scene, 16, 0), 16, 1)
    shipped = np.zeros((*SHIPPED, *scene.shape[2:]), np.uint8)
    shipped[CUT] = large
    return shipped


def write_release(root: Path, sequences: Iterable[int], frames: int, right: bool = True) -> Path:
    """Sequences of drawn frames, at the true size. Sequence 7's masks are RGB, as released."""
    y, x = np.mgrid[-1:1:64j, -1:1:80j]
    part = np.select([x**2 + y**2 < 0.2, x**2 + y**2 < 0.6], [30, 20], 10).astype(np.uint8)
    for k in sequences:
        folder = root / f"instrument_dataset_{k}"
        for n in range(frames):
            image, classes = draw_scene(generator(0, "release", k, n), 64, 80)
            if not classes.any():  # every frame shows an instrument
                classes[20:40, 30:50] = 1
            save(folder / "left_frames" / f"frame{n:03}.png", framed(image))
            if right:
                seen = framed(np.roll(image, 3, 1))
                save(folder / "right_frames" / f"frame{n:03}.png", seen)
            for i, name in enumerate(INSTRUMENTS[k]):
                level = np.uint8(40) if "Other" in name else part
                own = (classes > 0) & (classes % len(INSTRUMENTS[k]) == i)
                mask = framed(np.where(own, level, np.uint8(0)))
                mask = np.repeat(mask[..., None], 3, 2) if k == 7 else mask
                save(folder / "ground_truth" / name / f"frame{n:03}.png", mask)
        (folder / "camera_calibration.txt").write_text("Width: 1280\n")
    (root / "mappings.json").write_text('{"Background": 0, "Shaft": 10}')
    return root


def touch_release(root: Path, sequences: Iterable[int] = range(1, 9), frames: int = 18) -> Path:
    """The same folders with empty files, for what looks at names only."""
    for k in sequences:
        folder = root / f"instrument_dataset_{k}"
        inside = ["left_frames", "right_frames"]
        inside += [f"ground_truth/{name}" for name in INSTRUMENTS[k]]
        for place in inside:
            (folder / place).mkdir(parents=True)
            for n in range(frames):
                (folder / place / f"frame{n:03}.png").touch()
    return root
