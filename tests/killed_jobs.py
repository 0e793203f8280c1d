"""What is killed: exports, conversions, saving from napari, data sets, a large canvas."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from killing import Content, Job, folder_content
from napari_cosynth import registry
from napari_cosynth.cli import main
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.diffusion.scratch import RUN
from napari_cosynth.export.stack import write_stack
from napari_cosynth.generate.manifest import MANIFEST, read_manifest
from napari_cosynth.generate.plan import FolderLayouts, Plan
from napari_cosynth.generate.run import Engine, generate, in_this_process
from napari_cosynth.layouts.sources.points_csv import write_layout
from napari_cosynth.types import ClassTable, Layout
from nuclei import items


def export(kind: str) -> Job:
    """Three samples in the place of two."""
    write = registry.resolve("exporter", kind)
    return Job(
        lambda out: write(items(3), out, overwrite=True),
        folder_content,
        before=lambda out: write(items(2), out, overwrite=True),
    )


def command(*arguments: str) -> None:
    """Runs a command. Raises OSError with its last line where it is refused."""
    import contextlib
    import io

    with contextlib.redirect_stderr(io.StringIO()) as said:
        if main(arguments) != 0:
            raise OSError(said.getvalue().splitlines()[-1])


def conversion(kind: str, root: Path) -> Job:
    """A stack into another format, in the place of one of fewer samples."""
    source = write_stack(items(3), root / "stack", overwrite=True)
    write = registry.resolve("exporter", kind)
    return Job(
        lambda out: command("convert", str(source), str(out), "--to", kind, "--overwrite"),
        folder_content,
        before=lambda out: write(items(2), out, overwrite=True),
    )


def saving(root: Path) -> Job:
    """Layers of napari behind the samples of a stack, by File > Save."""
    from napari_cosynth.widget.files.writers import write_training_stack
    from napari_cosynth.widget.layers.dataset_layers import dataset_layers

    layers = dataset_layers(write_stack(items(1), root / "one", overwrite=True))
    return Job(
        lambda out: write_training_stack(str(out / "cosynth.json"), layers),
        folder_content,
        before=lambda out: write_stack(items(2), out, overwrite=True),
    )


def layouts(root: Path) -> Path:
    """A data folder with layouts of three classes."""
    classes = ClassTable.of("inflammatory", "epithelial", "spindle-shaped")
    folder = root / "data" / "layouts"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(4):
        rng = np.random.default_rng(number)
        places = rng.uniform(4, 28, (6, 2)).astype(np.float32)
        ids = rng.integers(1, 4, 6).astype(np.uint8)
        write_layout(Layout(places, ids, (32, 32), 0.5, classes), folder / f"{number}.csv")
    return root / "data"


def generation(root: Path, checkpoint: Path, engine: Callable[[], Engine] | None = None) -> Job:
    """A data set by a plan; finished samples are never made again."""
    data = layouts(root)
    plan = Plan(
        name="tiny",
        samples=7,
        shape=(32, 32),
        layouts=(FolderLayouts("folder", "layouts", tissue="colon"),),
        checkpoint=str(checkpoint),
        steps=1,
        shard_size=3,
    )

    def make(out: Path) -> None:
        own = in_this_process if engine is None else engine()
        generate(plan, out, data, resume=out.exists(), engine=own, quiet=True)

    def finished(out: Path) -> int:
        if not (out / MANIFEST).exists():
            return 0
        manifest = read_manifest(out)
        shards = {e["shard"] for e in manifest.samples if e["kept"]}
        listed = [e["id"] for e in manifest.samples]
        assert listed == list(range(len(listed)))
        assert all(len(StackDataset(out / shard)) for shard in shards)
        waiting = {int(p.stem) for p in out.glob("pending/[0-9]*.safetensors")}
        return len(waiting.union(listed))

    return Job(make, folder_content, finished, alone=engine is not None)


def canvas(root: Path, checkpoint: Path) -> Job:
    """A canvas of several windows whose steps lie in a scratch folder until the stack is there."""
    from napari_cosynth.geometry import windows
    from napari_cosynth.model.checkpoint import load
    from napari_cosynth.synthesis import trajectories

    load(checkpoint)  # what is imported here is not once more in each process

    points = root / "layout.csv"
    points.write_text("index,axis-0,axis-1,class\n0,10,12,epithelial\n1,50,40,inflammatory\n")

    def small(self: windows.Windows, grid: int = 16) -> None:
        for name, value in (("side", 48), ("overlap", 16), ("grid", grid)):
            object.__setattr__(self, name, value)

    def make(out: Path) -> None:  # in a process of its own
        if out.exists():
            return
        trajectories.LARGEST_WHOLE = 64
        windows.Windows.__init__ = small  # type: ignore[method-assign]
        command(
            "synthesize", str(points), "--shape", "64", "80", "--steps", "4", "--look", "none",
            "--checkpoint", str(checkpoint), "--out", str(out), "--scratch", f"{out}-scratch",
        )  # fmt: skip

    def steps(out: Path) -> int:
        if out.exists():
            return 5
        (record,) = list(Path(f"{out}-scratch").glob(f"seed-*/{RUN}")) or [None]
        return 0 if record is None else json.loads(record.read_text())["finished"] or 0

    return Job(make, folder_content, steps, alone=True)


def trained(run: Path) -> Content:
    """The weights of a training run and of its state, whose file has times in it."""
    found = {k: v for k, v in folder_content(run).items() if k.endswith(".safetensors")}
    if (run / "last.ckpt").exists():
        state = torch.load(run / "last.ckpt", weights_only=True)
        tensors = state["state_dict"]
        found |= {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
        found["step"] = str(state["global_step"]).encode()
    return found


def training(recipe: object, data: Path) -> Job:
    """A training run that saves its state at every step."""
    from napari_cosynth.training.run import train

    def make(run: Path) -> None:
        going = (run / "last.ckpt").exists() or run.exists()
        train(recipe, data, run, resume=going, device="cpu", progress=False, save_minutes=0)  # type: ignore[arg-type]

    return Job(make, trained, lambda run: int(trained(run).get("step", b"0")))
