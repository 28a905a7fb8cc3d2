from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.augmentation import Augmentation
from headstart.data.pictures.frame import Frame
from headstart.training.losses import dice_loss
from tests.clips import frames_in

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ON_GPU = str(BENCHMARKS / "on_gpu.sh")
STAGES = [
    "throughput", "assignment-a", "assignment-b", "default", "study", "vgg16", "homework",
    "devices",
]  # fmt: skip


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bash(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_on_gpu_is_valid_bash() -> None:
    done = bash("-n", ON_GPU)
    assert (done.returncode, done.stderr) == (0, "")


def test_on_gpu_lists_its_stages() -> None:
    assert bash(ON_GPU, "--list").stdout.split() == STAGES


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "usage"),
        (["no-such-folder", "out"], 65, "no dataset folder"),
        ([str(BENCHMARKS), "out", "no-such-stage"], 2, "expected one of: throughput"),
        ([str(BENCHMARKS), "out", "vgg16"], 65, "FASHION_MNIST names no folder"),
    ],
)
def test_on_gpu_refuses(arguments: list[str], status: int, said: str) -> None:
    done = bash(ON_GPU, *arguments)
    assert done.returncode == status
    assert said in done.stderr


def test_on_gpu_refuses_without_a_device(tmp_path: Path) -> None:
    python = script(tmp_path / "python", "exit 0")
    done = bash(ON_GPU, str(tmp_path), str(tmp_path / "out"), PYTHON=python)
    assert done.returncode == 69
    assert "no CUDA device" in done.stderr


def test_on_gpu_runs_every_stage_once(tmp_path: Path) -> None:
    """With an interpreter that names a device, notes its arguments and writes what --out asks."""
    body = f"""
    [[ $1 == -c && $2 == *device_count* ]] && {{ echo 2; exit 0; }}
    [[ $1 == -c ]] && {{ [[ $2 == *get_device_name* ]] && echo pretended; exit 0; }}
    echo "$*" >> {tmp_path}/calls
    [[ $1 == *throughput.py ]] && echo '{{}}' > "${{@: -1}}"
    [[ $1 == *collect.py ]] && echo '{{}}' > "$2"
    [[ $1 == *devices.py ]] && mkdir -p "$3" && echo '{{}}' > "$3/devices.json"
    [[ $3 == study || $3 == homework ]] && mkdir -p "${{@: -1}}"
    [[ $3 == study || $3 == homework ]] && echo '{{}}' > "${{@: -1}}/$3.json"
    exit 0"""
    python = script(tmp_path / "python", body)
    done = bash(ON_GPU, str(tmp_path), str(tmp_path / "out"), PYTHON=python)
    assert done.returncode == 0 and "vgg16: left out" in done.stderr
    (tmp_path / "out" / "homework.json").unlink()
    for _ in range(2):
        its = {"PYTHON": python, "FASHION_MNIST": str(tmp_path), "NEW_DATA": str(tmp_path)}
        done = bash(ON_GPU, str(tmp_path), str(tmp_path / "out"), **its)
        assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "out").glob("*.json")) == sorted(
        f"{stage}.json" for stage in STAGES
    )
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 1 + 3 * (3 + 1) + 2 + 1 + 1 + 3 + 1  # nothing was repeated the third time
    assert "--size 224 --recipe assignment" in calls[-4]
    assert "--size 224 --recipe default" in calls[-3]
    assert f"--fashion-mnist {tmp_path} --model vgg16 --new-data {tmp_path} " in calls[-1]
    assert sum("--recipe assignment-augmented " in call for call in calls) == 3


def test_on_gpu_passes_a_failure_on(tmp_path: Path) -> None:
    python = script(tmp_path / "python", "[[ $1 == -c ]] && { echo pretended; exit 0; }\nexit 65")
    done = bash(ON_GPU, str(tmp_path), str(tmp_path / "out"), "default", PYTHON=python)
    assert done.returncode == 65
    assert "default failed with status 65" in done.stderr


def test_students_loss_is_the_assignments() -> None:
    student_loop = load("student_loop")
    mask = torch.randint(0, 4, (2, 6, 5), generator=torch.Generator().manual_seed(1))
    probs = torch.rand(2, 4, 6, 5, generator=torch.Generator().manual_seed(2)).softmax(1)
    one_hot = torch.nn.functional.one_hot(mask, 4).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(
        student_loop.dice_loss(probs, one_hot), dice_loss(probs, mask, absent="count")
    )


def test_students_move_image_and_mask_together(tmp_path: Path) -> None:
    """The picture is the mask, drawn: after augmentation the two still agree but at edges."""
    student_loop = load("student_loop")
    grey = np.zeros((48, 60), dtype=np.uint8)
    grey[8:30, 10:50] = 120
    grey[20:40, 30:45] = 240
    Image.fromarray(grey).save(tmp_path / "mask.png")
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(tmp_path / "image.png")
    frame = Frame("0", tmp_path / "image.png", tmp_path / "mask.png")
    everything = Augmentation(flip_horizontal=True, flip_vertical=True, rotation=30.0)
    data = student_loop.Frames([frame], (0, 120, 240), (48, 60), everything)
    random.seed(5)
    for _ in range(12):
        image, one_hot = data[0]
        assert image.shape == (3, 48, 60) and one_hot.shape == (3, 48, 60)
        assert bool((one_hot.sum(0) == 1).all())
        levels = torch.tensor([0.0, 120.0, 240.0])[:, None, None] / 255
        agree = ((one_hot * levels).sum(0) - image[0]).abs() < 1 / 255
        assert agree.float().mean() > 0.9


def test_throughput_writes_what_it_measured(tmp_path: Path) -> None:
    out = tmp_path / "t.json"
    command = [sys.executable, str(BENCHMARKS / "throughput.py"), "--device", "cpu"]
    options = {"size": "16x16", "width": 1, "batch": 2, "pictures": 5, "rounds": 2, "threads": 1}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(
        [*command, *arguments, "--workers", "0", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    assert record["schema"] == 1
    assert record["hardware"]["cpu"]
    assert (record["settings"]["pictures"], record["settings"]["size"]) == (5, [16, 16])
    assert len(record["rounds"]) == 2
    assert set(record["ratios"]) == {"fit / bound", "students / bound", "fit / students"}
    bound, ratio = record["bound"], record["ratios"]["fit / bound"]
    taken = sorted(r["fit"] / r[bound] for r in record["rounds"])
    assert [ratio["min"], ratio["max"]] == pytest.approx([taken[0], taken[1]])
    assert (
        0 < record["peak_memory"]["fit"]["process_mb"] <= record["peak_memory"]["all"]["process_mb"]
    )
    assert record["beside_training"]["checkpoint_seconds"] > 0


def test_collect_adds_up_what_runs_cost(tmp_path: Path) -> None:
    run = tmp_path / "default-1"
    run.mkdir()
    for name in ("config", "environment", "scores"):
        (run / f"{name}.json").write_text(json.dumps({"of": name}))
    row = {"epoch": 1, "steps": 30, "train_seconds": 2.0, "validation_seconds": 0.5}
    rows = [row, {**row, "epoch": 2}]
    (run / "timing.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    collected = load("collect").collect(run)
    assert collected["hardware"] == {"of": "environment"}
    assert (collected["epochs"], collected["steps"]) == (2, 60)
    assert (collected["train_seconds"], collected["validation_seconds"]) == (4.0, 1.0)


def test_a_slope_is_found_behind_a_loud_beginning(drawn: Path, tmp_path: Path) -> None:
    """Two MB in 1,000 frames; the decoder stays as it is. The clip is as long as was asked."""
    video = load("video")
    readings = [
        {"command_mb": 700 + 2 * i / 10 + (50 if i < 10 else 0), "decoder_mb": 90.0,
         "areas_bytes": 50 * i}
        for i in range(1, 101)
    ]  # fmt: skip
    assert video.slope(readings, "command_mb", 10_000) == pytest.approx(2)
    assert video.slope(readings, "decoder_mb", 10_000) == pytest.approx(0, abs=1e-9)
    video.make_clip(tmp_path / "a.mp4", drawn, 30, 10, (32, 40))
    times = [time for time, _ in frames_in(tmp_path / "a.mp4")]
    assert times == [Fraction(i, 10) for i in range(30)]
    assert video.resident_mb(os.getpid()) > 50 and video.resident_mb(2**22 + 1) == 0


def test_what_benchmarks_take_from_the_package_is_there() -> None:
    """They run rarely: what was renamed is not to be found out then."""
    for path in sorted(BENCHMARKS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headstart"):
                module = importlib.import_module(node.module or "")
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    there = hasattr(module, alias.name) or importlib.util.find_spec(name)
                    assert there, f"{path.name} imports {name}"
