"""A canvas by windows is one sample: whatever the windows' batch, whenever it was stopped."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_cosynth.diffusion import point_features
from napari_cosynth.diffusion.canvas import Canvas, CanvasStep, _Sums
from napari_cosynth.diffusion.canvas_noise import CanvasNoise
from napari_cosynth.diffusion.guidance import guided
from napari_cosynth.diffusion.point_features import REACH, PointFeatures
from napari_cosynth.diffusion.sampler import AncestralSampler, DpmSolver, SdeDpmSolver, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.scratch import RUN, Scratch
from napari_cosynth.diffusion.tensors import Clean, Condition, Denoiser, JointState
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.windows import Windows
from napari_cosynth.model.checkpoint import load
from napari_cosynth.model.unet import JointUNet, preset

SCHEDULE = JointSchedule()
SHAPE = (96, 128)
WHOLE = Box(0, 0, *SHAPE)
STEPS = 3


@pytest.fixture
def network(tiny_checkpoint: Path) -> JointUNet:
    return load(tiny_checkpoint).model.network


def condition(shape: tuple[int, int], width: int = 16) -> Callable[[Box], Condition]:
    rng = np.random.default_rng(4)
    points = np.where(rng.random(shape) < 0.004, rng.integers(1, 4, shape), 0)
    text = torch.from_numpy(rng.normal(size=(1, 5, width)).astype(np.float32))
    mask = torch.ones(1, 5, dtype=torch.bool)
    return lambda box: Condition(torch.from_numpy(points[box.slices].copy())[None], text, mask)


def canvas(
    denoiser: Denoiser,
    sampler: type = SdeDpmSolver,
    windows: Windows | None = None,
    at_once: int = 1,
    scratch: Scratch | None = None,
    steps: int = STEPS,
) -> Canvas:
    features = PointFeatures(denoiser, condition(SHAPE), SHAPE)
    return Canvas(
        denoiser,
        features,
        sampler,
        SCHEDULE,
        CanvasNoise(5, WHOLE),
        steps,
        scratch or Scratch(None, ""),
        windows or Windows(48, 16, 16),
        at_once,
    )


def last(run: Canvas) -> JointState:
    for _ in run.run():
        pass
    return run.state(0, SHAPE[0])


def difference(first: JointState, second: JointState) -> float:
    assert torch.equal(first.labels, second.labels)
    return max(
        float((a - b).abs().max())
        for a, b in ((first.image, second.image), (first.distance, second.distance))
    )


@pytest.mark.parametrize("sampler", [SdeDpmSolver, AncestralSampler, DpmSolver])
@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_one_window_is_the_ordinary_sampler(
    network: JointUNet, sampler: type, weight: float
) -> None:
    denoiser = guided(network, weight)
    with torch.inference_mode():
        context = denoiser.prepare(condition(SHAPE)(WHOLE))
    noise = CanvasNoise(5, WHOLE)
    *_, ordinary = sample(denoiser, context, sampler(SCHEDULE), SCHEDULE, noise, SHAPE, STEPS)
    one = last(canvas(denoiser, sampler, Windows(128, 64, 16)))
    assert difference(one, ordinary.state) == 0


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_the_windows_batch_changes_nothing(network: JointUNet, weight: float) -> None:
    denoiser = guided(network, weight)
    assert difference(last(canvas(denoiser)), last(canvas(denoiser, at_once=3))) < 1e-5


def test_progress_rises_to_every_step(network: JointUNet) -> None:
    events = [(s.index + s.part) for s in canvas(network).run()]
    assert events == sorted(events) and events[-1] == STEPS
    assert len(events) > 6 * STEPS


def test_a_window_is_seen_before_its_row_is_done(network: JointUNet) -> None:
    run = canvas(network)
    events = run.run()
    assert not run.visible
    next(events)
    assert run.visible and run.written == 0
    first, labels = run.estimate(0, SHAPE[0])
    seen = first[0].abs().sum(0) > 0
    assert seen[:32, :40].all() and not seen[:, 48:].any() and not seen[48:].any()
    assert (labels[0, 48:] == 0).all() and labels.shape == (1, *SHAPE)
    while not run.written:
        next(events)
    done, likeliest = run.estimate(0, SHAPE[0])
    # Only the first window covers these columns.
    assert torch.allclose(
        done[:, :, : run.written, :32], first[:, :, : run.written, :32], atol=1e-5
    )
    assert torch.equal(likeliest[:, : run.written, :32], labels[:, : run.written, :32])


def test_features_are_made_when_their_rows_are_first_read(
    network: JointUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(point_features, "PART", 32)
    asked: list[Box] = []
    of = condition(SHAPE)

    def noted(box: Box) -> Condition:
        asked.append(box)
        return of(box)

    features = PointFeatures(network, noted, SHAPE)
    assert not asked
    for y1, parts in ((16, 4), (32, 4), (33, 8), (96, 12), (96, 12)):
        features.rows(0, y1)
        assert len(asked) == parts


@pytest.mark.parametrize("killed_after", [1, 10, 25])
def test_a_killed_run_goes_on_to_the_same_pixels(
    network: JointUNet, tmp_path: Path, killed_after: int
) -> None:
    whole = last(canvas(network))
    first = canvas(network, scratch=Scratch(tmp_path / "run", "this"))
    events = first.run()
    seen: list[CanvasStep] = [next(events) for _ in range(killed_after)]
    # Nothing is said to the run: what it wrote so far is all that is left of it.
    second = canvas(network, scratch=Scratch(tmp_path / "run", "this"))
    assert second.scratch.finished == seen[-1].index
    assert difference(last(second), whole) == 0


def test_a_run_killed_while_it_writes_its_noise_begins_anew(
    network: JointUNet, tmp_path: Path
) -> None:
    whole = last(canvas(network))
    killed = Scratch(tmp_path / "run", "this")
    killed.rows("even-state", (4, 4), np.float32).write(0, np.ones((2, 4), np.float32))
    killed.close()
    again = canvas(network, scratch=Scratch(tmp_path / "run", "this"))
    assert again.scratch.finished is None
    assert difference(last(again), whole) == 0
    with pytest.raises(ValueError, match="identity"):
        Scratch(tmp_path / "run", "another")


def test_a_scratch_folder_is_for_one_run(tmp_path: Path) -> None:
    Scratch(tmp_path / "run", "this").mark(2)
    with pytest.raises(ValueError, match=f"{RUN}: identity: expected this very request"):
        Scratch(tmp_path / "run", "another")
    (tmp_path / "run" / RUN).write_text("[")
    with pytest.raises(ValueError, match=f"{RUN}: cannot be read"):
        Scratch(tmp_path / "run", "this")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").touch()
    with pytest.raises(ValueError, match="mine: expected a new folder"):
        Scratch(tmp_path / "mine", "this")


def test_a_damaged_array_is_named(network: JointUNet, tmp_path: Path) -> None:
    list(canvas(network, scratch=Scratch(tmp_path, "this")).run())
    (tmp_path / "odd-labels").write_bytes(b"short")
    with pytest.raises(ValueError, match="odd-labels: expected 12288 bytes"):
        canvas(network, scratch=Scratch(tmp_path, "this"))


def test_averaged_probabilities_sum_to_one(network: JointUNet) -> None:
    generator = torch.Generator().manual_seed(0)
    rows, columns = Windows(48, 16, 16).over(SHAPE, 1)
    sums, given = _Sums(4, 48, SHAPE[1], torch.device("cpu")), []
    for row in range(len(rows.starts)):
        for column, x in enumerate(columns.starts):
            logits = 4 * torch.randn(1, 4, 48, 48, generator=generator)
            clean = Clean(logits[:, :3], logits[:, :1], logits.softmax(1))
            shares = torch.from_numpy(np.outer(rows.shares[row], columns.shares[column]))
            sums.add(clean, 0, x, shares)
        given.append(sums.take(rows.finished(row) - rows.starts[row]).probabilities)
    whole = torch.cat(given, 2)
    assert whole.shape[2:] == SHAPE
    torch.testing.assert_close(whole.sum(1), torch.ones(1, *SHAPE))


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_features_by_parts_are_those_of_the_whole(
    network: JointUNet, monkeypatch: pytest.MonkeyPatch, weight: float
) -> None:
    from napari_cosynth.diffusion import point_features

    monkeypatch.setattr(point_features, "PART", 32)
    shape = (224, 256)
    denoiser = guided(network, weight)
    with torch.inference_mode():
        whole = denoiser.prepare(condition(shape)(Box(0, 0, *shape)))
    features = PointFeatures(denoiser, condition(shape), shape)
    found = features.rows(32, 96).context([16, 160], 48)
    copies = len(whole.points)
    assert len(found.points) == len(found.text) == len(found.text_mask) == 2 * copies
    for copy in range(copies):
        for number, x in enumerate((16, 160)):
            wanted = whole.points[copy, :, 16:48, x // 2 : (x + 48) // 2]
            torch.testing.assert_close(found.points[2 * copy + number], wanted)
            assert torch.equal(found.text[2 * copy + number], whole.text[copy])
            assert torch.equal(found.text_mask[2 * copy + number], whole.text_mask[copy])


@pytest.mark.parametrize("name", ["compact", "paper"])
def test_no_point_is_felt_beyond_the_reach(name: str) -> None:
    width, middle = 192, 96
    encoder = JointUNet(
        preset(name, classes=3, widths=(8,), blocks=(1,), self_attention=(), cross_attention=())
    ).points
    points = torch.zeros(2, 4, width, dtype=torch.long)  # a strip: the kernels are square
    points[1, 2, middle] = 2
    with torch.inference_mode():
        features = encoder(points)
    felt = ((features[1] - features[0]).abs().amax((0, 1)) > 0).nonzero()
    assert (felt * (width // features.shape[-1]) - middle).abs().max() < REACH


UNDER_A_CAP = """
import resource, sys, torch
torch.set_num_threads(1)
from napari_cosynth.diffusion.canvas import Canvas
from napari_cosynth.diffusion.canvas_noise import CanvasNoise
from napari_cosynth.diffusion.point_features import PointFeatures
from napari_cosynth.diffusion.sampler import SdeDpmSolver, sample
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.scratch import Scratch
from napari_cosynth.diffusion.tensors import Condition
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.windows import Windows
from napari_cosynth.model.checkpoint import load

network = load(sys.argv[1]).model.network
text = torch.zeros(1, 3, 16), torch.ones(1, 3, dtype=torch.bool)

def by_windows(shape):
    condition = lambda box: Condition(torch.zeros(1, *box.shape, dtype=torch.long), *text)
    features = PointFeatures(network, condition, shape)
    noise = CanvasNoise(1, Box(0, 0, *shape))
    parts = network, features, SdeDpmSolver, JointSchedule(), noise, 1, Scratch(None, "")
    for step in Canvas(*parts, Windows(128, 32, 16)).run():
        pass
    return step.canvas.state(0, 64)

def at_once(shape):
    context = network.prepare(Condition(torch.zeros(1, *shape, dtype=torch.long), *text))
    noise = CanvasNoise(1, Box(0, 0, *shape))
    for step in sample(network, context, SdeDpmSolver(JointSchedule()), JointSchedule(), noise, shape, 1):
        pass

way = {"by_windows": by_windows, "at_once": at_once}[sys.argv[2]]
with torch.inference_mode():
    way((640, 128))
with open("/proc/self/status") as status:
    held = next(int(line.split()[1]) for line in status if line.startswith("VmData")) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (held + 2**26, held + 2**26))
with torch.inference_mode():
    way((16384, 128))
print("sampled")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the cap is Linux's")
def test_memory_does_not_grow_with_the_canvas(tiny_checkpoint: Path) -> None:
    """64 MiB more than what a canvas of 640 rows takes are enough for 16,384, and not at once."""

    def run(way: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", UNDER_A_CAP, str(tiny_checkpoint), way]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("by_windows")
    assert done.stdout.strip() == "sampled", done.stderr[-500:]
    assert "sampled" not in run("at_once").stdout
