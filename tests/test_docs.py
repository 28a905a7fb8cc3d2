"""The documents are true: commands, links, lists of rooms and modules, tables from their JSON."""

from __future__ import annotations

import doctest
import importlib.util
import re
import runpy
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from headstart.cli.main import app
from headstart.data.drawn.dataset import write_dataset
from headstart.data.layouts.description import Description

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(
        page
        for page in sorted((ROOT / "docs").rglob("*.md"))
        if "_build" not in page.parts and not page.name.startswith("headstart.")  # made pages
    ),
]
EXECUTED = "<!-- executed -->"  # the page's commands run when the site is built


def _shell() -> ModuleType:
    """The module that finds and runs the commands of a page, for the site and for these tests."""
    path = ROOT / "docs" / "_sphinx" / "shell.py"
    spec = importlib.util.spec_from_file_location("shell", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["shell"] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


shell = _shell()

# The comment right above a block that is not executed here, with the reason.
MARK = re.compile(r"needs: (?:hw6|drive|membrane|gpu|network|slurm|ray)|executed by: (\S+)")

# Commands run as written, with every option, on drawn data; only these values are smaller. Names of
# weights that would have to be downloaded are replaced by files with the same tensors; those of the
# extra `weights` are there.
SMALLER = {
    "--size": {"128x160": "16x24", "64x80": "16x24", "96x128": "48x64", "128": "32"},
    "--width": {"16": "2"},
    "--labels": {"30": "6", "30,75,all": "3,all", "100,all": "6"},
    "--seeds": {"5": "1"},
    "--model": {"resnet18": "squeezenet1_0"},
    "--start": {"imagenet": "../weights/squeezenet1_0.safetensors"},
    "--starts": {
        "scratch,imagenet": "scratch,../weights/squeezenet1_0.safetensors",
    },
}
# Added to a command: as little training as possible, on one thread.
ADDED = {
    "train": ("--epochs", "1", "--threads", "1", "--device", "cpu"),
    "pretrain": ("--epochs", "1", "--threads", "1", "--device", "cpu"),
    "study": ("--epochs", "1", "--pretext-epochs", "1", "--threads", "1", "--device", "cpu"),
    "predict": ("--device", "cpu"),
    "evaluate": ("--device", "cpu"),
}
FIRST = "runs/first"
LISTENS = {"serve"}  # runs until it is stopped: tests/serve and tests/cli/test_serve.py start it


def _verbs() -> set[str]:
    return {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}


def _commands() -> list[tuple[str, str]]:
    """Every ``headstart`` command in a shell block, with its page."""
    return [
        (page.name, " ".join(arguments))
        for page in PAGES
        for block in shell.blocks(page.read_text())
        for command in block.commands
        if (arguments := shell.words(command)) is not None
    ]


def _mark(block) -> str:
    """The reason why a block is not executed; blocks that name the real frames need them."""
    return block.mark or ("needs: hw6" if "../shared/data" in block.text else "")


def test_every_command_has_its_verb_and_options() -> None:
    helps: dict[str, str] = {}
    assert len(_commands()) >= 6
    for page, command in _commands():
        verb, *rest = command.split()
        if verb not in helps:
            status, helps[verb] = shell.run(f"headstart {verb} --help", ROOT)
            assert status == 0, (page, command)
        for word in rest:
            if word.startswith("--"):
                assert word in helps[verb], (page, command)


def test_what_is_not_executed_says_why() -> None:
    verbs = _verbs()
    for page in PAGES:
        text = page.read_text()
        assert text.count("```sh\n") == len(shell.blocks(text)), f"{page}: a block is not read"
        for block in shell.blocks(text):
            if not (mark := _mark(block)):
                continue
            reason = MARK.fullmatch(mark)
            assert reason, (page, mark)
            if reason[1]:
                executes = (ROOT / reason[1]).read_text()
                for command in block.commands:
                    words = shell.words(command) or command.split()
                    named = words[0] if words[0] in verbs else words[2 if words[0] == "uv" else 0]
                    assert named in executes or named == reason[1], (page, command)


def test_the_examples_of_what_makes_the_site(monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_sphinx")
    for name in ("shell", "docstrings", "modules"):
        failed, tried = doctest.testmod(importlib.import_module(name))
        assert tried and not failed


@pytest.fixture
def sphinx_modules(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The site's list of rooms and modules."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "_sphinx")
    return importlib.import_module("modules")


def test_the_tutorial_is_executed_by_ci() -> None:
    assert EXECUTED in (ROOT / "docs" / "tutorial.md").read_text()
    assert "sphinx-build -E -q -W" in (ROOT / ".ci" / "run").read_text()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages assume: ``my-data``, ``photos``, a clip, a picture."""
    root = tmp_path_factory.mktemp("reader")
    drawn = write_dataset(
        root / "d", train=10, validation=4, test=5, unlabelled=24, height=32, width=40
    )
    data = root / "here" / "my-data"
    for split in ("train", "validation", "test"):
        for kind in ("images", "masks"):
            (data / split / kind).mkdir(parents=True)
        for path in (drawn / "segmentation" / split).glob("*/*"):
            stem, what = path.stem.split("_")
            kind = "images" if what == "input" else "masks"
            shutil.copy(path, data / split / kind / f"{stem}{path.suffix}")
    (data / "unlabelled").mkdir()
    for path in sorted((drawn / "colorization" / "train_cor").glob("*/*"))[-24:]:
        shutil.copy(path, data / "unlabelled" / path.name)
    shutil.copy(drawn / "mapping.json", data)
    _draw_clip(root / "here" / "clip.mp4", sorted((data / "unlabelled").iterdir()))
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for k, name in enumerate(("ape", "bee", "cat")):
            (root / "here" / "photos" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 60, (18, 20, 3))
                pixels[..., k] += 150
                path = root / "here" / "photos" / split / name / f"{i}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    for path in sorted((data / "test" / "images").iterdir())[:2]:  # and any pictures, beside them
        shutil.copy(path, root / "here" / "photos" / path.name)
    shutil.copy(path, root / "here" / "photo.jpg")
    return root


@pytest.fixture(scope="module")
def first(prepared: Path) -> Path:
    """A finished run, for pages that use ``runs/first`` without training it."""
    folder = prepared / "trained"
    shutil.copytree(prepared / "here", folder)
    command = ["train", "my-data", "--size", "16x24", "--width", "2", "--out", FIRST]
    status, said = shell.run(shell.joined(["headstart", *_smaller(command)]), folder)
    assert status == 0, said
    return folder / FIRST


def _draw_clip(path: Path, pictures: list[Path]) -> None:
    import av

    with av.open(path, "w") as clip:
        stream = clip.add_stream("mpeg4", rate=5)
        stream.height, stream.width = 32, 40
        for picture in pictures[:6]:
            pixels = np.array(Image.open(picture).convert("RGB"))
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        clip.mux(stream.encode())


@pytest.fixture(scope="module")
def weights(prepared: Path) -> Path:
    """Random weights with the names and shapes of those that torchvision publishes."""
    from torchvision.models import squeezenet1_0

    torch.set_num_threads(1)
    (prepared / "weights").mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(squeezenet1_0().state_dict(), prepared / "weights" / "squeezenet1_0.safetensors")
    return prepared / "weights"


def _smaller(arguments: list[str]) -> list[str]:
    """The same command with the values of the tables above."""
    made = list(arguments)
    for k, word in enumerate(arguments[:-1]):
        if word in SMALLER:
            made[k + 1] = SMALLER[word].get(arguments[k + 1], arguments[k + 1])
    for option, value in zip(*[iter(ADDED.get(made[0], ()))] * 2, strict=True):
        if option in made:
            made[made.index(option) + 1] = value
        else:
            made += [option, value]
    if "--model" in made and "--size" not in made:
        made += ["--size", "32"]  # in the place of 224
    return made


RUN_HERE = [
    page
    for page in PAGES
    if EXECUTED not in page.read_text()
    and any(
        (shell.words(command) or [""])[0] not in LISTENS
        for block in shell.blocks(page.read_text())
        if not _mark(block)
        for command in block.commands
    )
]


@pytest.fixture(scope="module")
def studies() -> dict[str, Path]:
    """By command, the folder of the study that it made on an earlier page."""
    return {}


@pytest.mark.parametrize("page", RUN_HERE, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_works(
    page: Path, prepared: Path, weights: Path, first: Path, studies: dict[str, Path]
) -> None:
    """The commands of a page run in one folder, in the order in which a reader would type them.

    A study that an earlier page has run with the same words is taken over.
    """
    here = prepared / f"{page.parent.name}-{page.stem}"
    shutil.copytree(prepared / "here", here)
    if f"--out {FIRST}\n" not in page.read_text():
        shutil.copytree(first, here / FIRST)
    for block in shell.blocks(page.read_text()):
        if _mark(block):
            continue
        for command in block.commands:
            arguments = shell.words(command)
            if arguments is not None:
                if arguments[0] in LISTENS:
                    continue
                command = shell.joined(["headstart", *_smaller(arguments)])
                out = arguments[arguments.index("--out") + 1] if "--out" in arguments else None
            if command in studies:
                shutil.copytree(studies[command], here / out)
                continue
            status, said = shell.run(command, here)
            assert status == 0, f"{command}\nended with {status}:\n{said}"
            assert "Traceback" not in said, said
            if arguments is not None and arguments[0] == "study" and out and (here / out).exists():
                studies[command] = here / out


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        made = re.search(r"api/headstart\.(.*)\.md$", target)  # from a module's docstrings
        place = ROOT / "src" / "headstart" / f"{made[1].replace('.', '/')}.py" if made else None
        if "://" not in target:
            assert (place or page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_line_is_lost_as_a_comment(page: Path) -> None:
    """The site leaves out lines that begin with a percent sign."""
    lines = page.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line.lstrip().startswith("%")]


def test_the_tree_in_the_readme_has_every_room_in_order(sphinx_modules: ModuleType) -> None:
    tree = re.search(r"```\nsrc/headstart/\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert tree is not None
    lines = tree[1].splitlines()
    assert len(lines) < 20  # with the line of the package itself
    named = [name for line in lines for name in re.split(r",\s*", re.split(r"\s{2,}", line)[1])]
    folders = [name.removesuffix("/") for name in named if name.endswith("/")]
    assert folders == sphinx_modules.rooms()
    assert set(named) - {f"{room}/" for room in folders} == {
        f"{module}.py" for module in sphinx_modules.modules()[sphinx_modules.OUTSIDE]
    }


def test_the_guide_lists_every_setting_of_a_dataset_toml() -> None:
    guide = (ROOT / "docs" / "howto" / "own-data.md").read_text(encoding="utf-8")
    table = guide.partition("there are these settings")[2]
    named = set(re.findall(r"^\| `\[*([a-z]+)", table, re.MULTILINE)) | {"pictures", "schema_"}
    assert named == set(Description.model_fields)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


def test_architecture_names_every_module_in_the_tree_of_its_room(
    sphinx_modules: ModuleType,
) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    package = {path.name for path in (ROOT / "src" / "headstart").iterdir() if path.is_dir()}
    assert package - {"__pycache__"} == set(sphinx_modules.rooms())
    for room, modules in sphinx_modules.modules().items():
        if room == sphinx_modules.OUTSIDE:
            tree = page
        else:
            found = re.search(rf"^```text\n{room}/\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
            assert found is not None, room
            tree = found[1]
        listed = set(re.findall(r"\w+\.py", tree))
        files = {f"{name.rpartition('.')[2]}.py" for name in modules}
        assert files <= listed, (room, files - listed)
        assert room == sphinx_modules.OUTSIDE or listed <= files, (room, listed - files)


def test_every_module_says_what_it_is_about(sphinx_modules: ModuleType) -> None:
    for modules in sphinx_modules.modules().values():
        for name, about in modules.items():
            assert about, name


def test_tables_are_made_from_the_json_beside_them() -> None:
    results = ROOT / "docs" / "results"
    tables = runpy.run_path(str(results / "tables.py"))
    for page in results.rglob("README.md"):
        assert tables["filled"](page.read_text()) == page.read_text(), page


def test_contributing_is_short() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 100


def test_no_module_outgrows_what_can_be_read_at_once() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        lines = len(path.read_text().splitlines())
        assert lines <= 400, (path, lines)
