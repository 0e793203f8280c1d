"""Canvases of any size: overlapping windows sampled jointly, with one clean estimate at every step.

At each step the network gives a clean estimate of every window of the same noisy canvas. Where windows
overlap, images, distances and class probabilities are averaged (MultiDiffusion, Bar-Tal et al. 2023).
One step of the sampler is taken from the average, so each pixel has one image, one distance and one
categorical posterior, not one per window. The windows move from step to step, so that no line of the
canvas is a rim at every step.

A step goes through the canvas from top to bottom. Memory holds only the rows that the current row of
windows covers; rows that no later window covers take their step and go to the disk. The states before
and after a step are two sets of arrays, so a killed run finds the state of its last finished step.

Normalisation, self-attention and attention to the text see one window only. Point features belong to
the whole canvas, so they know points beyond the window's rim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_cosynth.diffusion import joint
from napari_cosynth.diffusion.canvas_noise import CanvasNoise
from napari_cosynth.diffusion.point_features import FeatureRows, PointFeatures
from napari_cosynth.diffusion.sampler import Sampler, initial_state
from napari_cosynth.diffusion.schedule import JointSchedule
from napari_cosynth.diffusion.scratch import Rows, Scratch
from napari_cosynth.diffusion.tensors import Clean, Denoiser, JointState, LabelHead
from napari_cosynth.geometry.box import Box
from napari_cosynth.geometry.windows import Axis, Windows


@dataclass(frozen=True)
class CanvasStep:
    """Progress of a canvas, and the canvas itself, to read rows from before the next state."""

    index: int
    """Finished steps, 0..steps."""
    part: float
    """Finished share of the next step, 0..1."""
    canvas: Canvas


class _Rows:
    """One of the two sets of arrays: a noisy state, and the clean estimate that it was made from."""

    def __init__(self, scratch: Scratch, name: str, shape: tuple[int, int]) -> None:
        height, width = shape
        self.state = scratch.rows(f"{name}-state", (height, 4, width), np.float32)
        self.labels = scratch.rows(f"{name}-labels", shape, np.uint8)
        self.clean = scratch.rows(f"{name}-clean", (height, 4, width), np.float32)
        self.likeliest = scratch.rows(f"{name}-likeliest", shape, np.uint8)

    @property
    def all(self) -> tuple[Rows, ...]:
        return self.state, self.labels, self.clean, self.likeliest

    def write_state(self, y: int, state: JointState) -> None:
        self.state.write(y, _by_row(torch.cat([state.image, state.distance], 1)))
        self.labels.write(y, state.labels[0].to(torch.uint8).cpu().numpy())

    def write_clean(self, y: int, clean: Clean) -> None:
        self.clean.write(y, _by_row(torch.cat([clean.image, clean.distance], 1)))
        self.likeliest.write(y, clean.probabilities[0].argmax(0).to(torch.uint8).cpu().numpy())

    def read_state(self, y0: int, y1: int, device: torch.device) -> JointState:
        both = _from_rows(self.state.read(y0, y1)).to(device)
        labels = torch.from_numpy(self.labels.read(y0, y1))[None].to(device).long()
        return JointState(both[:, :3], both[:, 3:], labels)

    def read_clean(self, y0: int, y1: int, device: torch.device) -> tuple[Tensor, Tensor]:
        both = _from_rows(self.clean.read(y0, y1)).to(device)
        return both[:, :3], both[:, 3:]


class Canvas:
    """One sample of one canvas, from noise to data.

    ``shape`` is (H, W) in pixels, multiples of the windows' grid. ``windows_at_once`` is the network's
    batch; it changes the speed and not the sample.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        features: PointFeatures,
        sampler: Callable[[JointSchedule], Sampler],
        schedule: JointSchedule,
        noise: CanvasNoise,
        steps: int,
        scratch: Scratch,
        windows: Windows,
        windows_at_once: int = 1,
    ) -> None:
        self.denoiser = denoiser
        self.features = features
        self.shape = features.shape
        self.sampler = sampler
        self.schedule = schedule
        self.noise = noise
        self.steps = steps
        self.scratch = scratch
        self.windows = windows
        self.at_once = windows_at_once
        self.device = noise.device
        self._sets = [_Rows(scratch, name, self.shape) for name in ("even", "odd")]
        self._done = 0
        self.written = 0
        """Rows of the current step whose estimate is written."""
        self._sums: _Sums | None = None

    def run(self) -> Iterator[CanvasStep]:
        """Every finished step, and the progress within each; an earlier run's last step comes first."""
        if self.scratch.finished is None:
            self._begin()
        self._done = self.scratch.finished or 0
        if self._done:
            yield CanvasStep(self._done, 0.0, self)
        while self._done < self.steps:
            for part in self._step(self._done):
                yield CanvasStep(self._done, part, self)
            self._done += 1
            yield CanvasStep(self._done, 0.0, self)

    def state(self, y0: int, y1: int) -> JointState:
        """Rows ``y0 <= y < y1`` of the state after the last finished step; a batch of one."""
        return self._sets[self._done % 2].read_state(y0, y1, self.device)

    def estimate(self, y0: int, y1: int) -> tuple[Tensor, Tensor]:
        """Rows ``y0 <= y < y1`` of the clean image (1, 3, h, W) and the likeliest labels (1, h, W).

        Rows that the current step has written are from it, and so are its windows in the next rows.
        The others are from the last finished step; during the first step they are 0.
        """
        split = min(max(self.written, y0), y1)
        images, labels = [], []
        for done, first, last in ((self._done + 1, y0, split), (self._done, split, y1)):
            rows = self._sets[done % 2]
            images.append(rows.read_clean(first, last, self.device)[0])
            labels.append(torch.from_numpy(rows.likeliest.read(first, last)))
        image, likeliest = torch.cat(images, 2), torch.cat(labels)[None]
        if self._sums is not None and split < min(y1, self.written + self._sums.height):
            end = min(y1, self.written + self._sums.height)
            there, seen, ids = self._sums.so_far(split - self.written, end - self.written)
            at = slice(split - y0, end - y0)
            image[:, :, at] = torch.where(there, seen, image[:, :, at])
            likeliest[:, at] = torch.where(there.cpu(), ids.cpu(), likeliest[:, at])
        return image, likeliest

    @property
    def visible(self) -> bool:
        """Whether there is an estimate of any window."""
        return self._done > 0 or self.written > 0 or self._sums is not None

    def _begin(self) -> None:
        height, width = self.shape
        for y in range(0, height, self.windows.side):
            band = Box(y, 0, min(height, y + self.windows.side), width)
            noise = self.noise.within(band)
            self._sets[0].write_state(y, initial_state(noise, *band.shape, self.denoiser.classes))
        self._settle(self._sets[0], 0)

    def _step(self, index: int) -> Iterator[float]:
        """One step from one set of arrays to the other; yields its finished share, 0..1."""
        old, new = self._sets[index % 2], self._sets[(index + 1) % 2]
        rows, columns = self.windows.over(self.shape, index)
        nodes = self.sampler(self.schedule).nodes(self.steps)
        t, before = nodes[index], nodes[index - 1] if index else None
        total = len(rows.starts) * len(columns.starts)
        self._sums = sums = _Sums(self.denoiser.classes, rows.side, self.shape[1], self.device)
        for row, top in enumerate(rows.starts):
            with torch.inference_mode():
                band = old.read_state(top, top + rows.side, self.device)
                features = self.features.rows(top, top + rows.side)
            for first in range(0, len(columns.starts), self.at_once):
                chosen = range(first, min(first + self.at_once, len(columns.starts)))
                with torch.inference_mode():
                    head = self._add(sums, band, features, rows.shares[row], columns, chosen, t)
                yield (row * len(columns.starts) + chosen.stop) / total
            with torch.inference_mode():
                height = rows.finished(row) - top
                remembered = None
                if before is not None:
                    image, distance = old.read_clean(top, top + height, self.device)
                    remembered = Clean(image, distance, image[:, :0]), before
                sampler = self.sampler(self.schedule)
                sampler.before = remembered
                clean = sums.take(height)
                rows_done = Box(top, 0, top + height, self.shape[1])
                noise = self.noise.within(rows_done).at(index + 1)
                done = sampler.step(_top(band, height), clean, head, t, nodes[index + 1], noise)
                new.write_state(top, done)
                new.write_clean(top, clean)
                self.written = top + height
        self.written, self._sums = 0, None
        self._settle(new, index + 1)

    def _add(
        self,
        sums: _Sums,
        band: JointState,
        features: FeatureRows,
        share: npt.NDArray[np.float32],
        columns: Axis,
        chosen: range,
        t: Tensor,
    ) -> LabelHead:
        """Adds the clean estimates of some windows of a row; returns how the label head was trained."""
        side, starts = columns.side, [columns.starts[i] for i in chosen]
        cut = [np.s_[..., x : x + side] for x in starts]
        state = JointState(
            torch.cat([band.image[at] for at in cut]),
            torch.cat([band.distance[at] for at in cut]),
            torch.cat([band.labels[at] for at in cut]),
        )
        context = features.context(starts, side)
        prediction = self.denoiser(state, t.expand(len(starts)), context)
        clean = joint.estimate(prediction, state, t, self.schedule)
        for number, (column, x) in enumerate(zip(chosen, starts, strict=True)):
            shares = torch.from_numpy(np.outer(share, columns.shares[column]))
            sums.add(clean, number, x, shares.to(self.device))
        return prediction.label_head

    def _settle(self, rows: _Rows, finished: int) -> None:
        if self.scratch.folder is not None:
            for array in rows.all:
                array.settle()
        self.scratch.mark(finished)


SEEN = 0.01
"""Sum of weights from which a pixel is shown before all windows are added; at their rims it is lower."""


class _Sums:
    """Weighted sums of clean estimates over the rows that a row of windows covers."""

    def __init__(self, classes: int, side: int, width: int, device: torch.device) -> None:
        # The last is the sum of the weights, which is 1 where all windows are added.
        self._sums = torch.zeros(1, 4 + classes + 1, side, width, device=device)
        self.height = side

    def add(self, clean: Clean, number: int, x: int, shares: Tensor) -> None:
        """Adds sample ``number`` of a batch at column ``x``, weighted by ``shares`` (h, w)."""
        one = torch.cat([clean.image, clean.distance, clean.probabilities], 1)[number]
        columns = self._sums[0, :, :, x : x + one.shape[-1]]
        columns[:-1] += shares * one
        columns[-1] += shares

    def so_far(self, y0: int, y1: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of rows, what the windows added so far give.

        Where there is any (h, W), the clean image (1, 3, h, W), and the likeliest labels (1, h, W).
        """
        rows = self._sums[:, :, y0:y1]
        weights = rows[:, -1:]
        there = weights[0, 0] > SEEN
        image = rows[:, :3] / weights.clamp_min(SEEN)
        return there, image, rows[:, 4:-1].argmax(1).to(torch.uint8)

    def take(self, height: int) -> Clean:
        """Removes and returns the upper ``height`` rows, which are complete; the others move up."""
        done = self._sums[:, :, :height].clone()
        left = self._sums[:, :, height:].clone()
        self._sums.zero_()
        self._sums[:, :, : left.shape[2]] = left
        return Clean(done[:, :3], done[:, 3:4], done[:, 4:-1])


def _top(state: JointState, height: int) -> JointState:
    return JointState(
        state.image[:, :, :height], state.distance[:, :, :height], state.labels[:, :height]
    )


def _by_row(values: Tensor) -> npt.NDArray[np.float32]:
    """(1, C, h, W) -> float32 (h, C, W)."""
    return values[0].movedim(0, 1).float().contiguous().cpu().numpy()


def _from_rows(rows: npt.NDArray[np.float32]) -> Tensor:
    """float32 (h, C, W) -> (1, C, h, W)."""
    return torch.from_numpy(rows).movedim(1, 0)[None]
