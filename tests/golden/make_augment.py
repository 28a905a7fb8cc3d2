"""What torchvision's v2 transforms make of one picture and its mask, for ``augment.npz``.

Importing torchvision takes about 15 seconds, so that the suite compares with the file. In an
environment of its own::

    uv venv /tmp/golden-venv
    uv pip install --python /tmp/golden-venv/bin/python torch==2.15.0 torchvision==0.29.2
    /tmp/golden-venv/bin/python tests/golden/make_augment.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torchvision
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as v2

HEIGHT, WIDTH = 18, 26
ANGLES = (-30.0, -7.5, 12.25, 30.0, 90.0)  # degrees; positive is counter-clockwise
FACTORS = (0.6, 0.9, 1.3)


def main() -> None:
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(20, 180, (3, HEIGHT, WIDTH), dtype=np.uint8))
    mask = torch.from_numpy(rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8))
    x = image.float() / 255
    arrays = {
        "versions": np.array(
            [f"torch {torch.__version__}", f"torchvision {torchvision.__version__}"]
        ),
        "angles": np.array(ANGLES),
        "factors": np.array(FACTORS),
        "image": image.numpy(),
        "mask": mask.numpy(),
        "flip_horizontal": v2.horizontal_flip(x).numpy(),
        "flip_vertical": v2.vertical_flip(x).numpy(),
        "turned_image": torch.stack(
            [v2.rotate(x, a, InterpolationMode.BILINEAR) for a in ANGLES]
        ).numpy(),
        "turned_mask": torch.stack([v2.rotate(mask[None], a)[0] for a in ANGLES]).numpy(),
        "brightness": torch.stack([v2.adjust_brightness(x, f) for f in FACTORS]).numpy(),
        "contrast": torch.stack([v2.adjust_contrast(x, f) for f in FACTORS]).numpy(),
        "saturation": torch.stack([v2.adjust_saturation(x, f) for f in FACTORS]).numpy(),
    }
    np.savez_compressed(Path(__file__).with_name("augment.npz"), **arrays)


if __name__ == "__main__":
    main()
