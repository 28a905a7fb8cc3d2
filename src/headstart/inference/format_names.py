"""The formats in which predicted masks are written, by name; loads nothing."""

from __future__ import annotations

from typing import Literal

AnnotationFormat = Literal["coco", "labelme", "yolo", "cvat"]
"""Formats of annotation tools; [`headstart.inference.annotation_formats`][] writes them."""

MaskFormat = Literal["masks", AnnotationFormat]
"""What ``--format`` takes: only masks, or annotations beside them."""

LABELME_FOLDER, YOLO_FOLDER = "labelme", "labels"

WRITTEN = ("annotations.json", "annotations.xml", "data.yaml", LABELME_FOLDER, YOLO_FOLDER)
"""The files and folders that the formats write."""

ProbabilityFormat = Literal["png", "npz"]
"""What ``--probabilities`` takes: a 16-bit PNG for each class, or a NumPy file for all classes."""

PROBABILITIES = "probabilities"
"""The folder that they are written to."""
