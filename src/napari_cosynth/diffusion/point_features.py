"""Point features of a whole canvas, made part by part when rows are first read, and kept on the disk.

They do not depend on t. Making them takes a third of a pass of the compact network, too long to repeat
for every window and step. Those of the first rows are made first, so a picture need not wait for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_cosynth.diffusion.scratch import Rows, Scratch
from napari_cosynth.diffusion.tensors import Condition, Context, Denoiser
from napari_cosynth.geometry.box import Box

PART = 512
"""Side of a part in pixels."""
REACH = 64
"""Pixels around a part that its features may depend on. The compact encoder's convolutions reach 40
pixels, the paper's 46 (a test measures both)."""


class PointFeatures:
    """The features that ``denoiser.prepare`` would give the whole canvas, read by rows.

    ``condition`` returns the points and the text of a box of the canvas, a batch of one. ``shape`` is
    the canvas' (H, W) in pixels.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        condition: Callable[[Box], Condition],
        shape: tuple[int, int],
    ) -> None:
        self.shape = shape
        self.look: Tensor | None = None
        """Look of all contexts, float32 (1, N) as in :class:`Condition`, or None."""
        self._scratch = Scratch(None, "")
        self._rows: Rows | None = None
        self._denoiser, self._condition = denoiser, condition
        self._made = 0
        """Rows of pixels whose features are made."""

    def _make(self, y1: int) -> None:
        """Makes the features of the rows up to ``y1``, unless they are made."""
        with torch.inference_mode():
            while self._made < y1:
                y, width = self._made, self.shape[1]
                for_row = [self._part(Box(y, x, y + PART, x + PART)) for x in range(0, width, PART)]
                self._write(y, torch.cat(for_row, 3))
                self._made = y + PART

    def _part(self, part: Box) -> Tensor:
        """Features (g, C, h, w) of a part; g is the batch of one sample, 2 for a guided denoiser."""
        part = part.clipped(self.shape)
        around = part.grown(REACH).clipped(self.shape)
        made = self._denoiser.prepare(self._condition(around))
        self._fold = around.shape[0] // made.points.shape[2]
        self._text, self._text_mask = made.text, made.text_mask
        inside = part.moved(-around.y0, -around.x0)
        y, x = (slice(s.start // self._fold, s.stop // self._fold) for s in inside.slices)
        return made.points[:, :, y, x]

    def _write(self, y: int, features: Tensor) -> None:
        copies, channels, _, width = features.shape
        # numpy has no bfloat16, so the bits are stored as integers.
        self._dtype, self._device = features.dtype, features.device
        bits = features.contiguous().view(_BITS[features.element_size()]).cpu()
        if self._rows is None:
            rows = self.shape[0] // self._fold
            shape = (rows, copies, channels, width)
            self._rows = self._scratch.rows("points", shape, bits.numpy().dtype)
        self._rows.write(y // self._fold, bits.permute(2, 0, 1, 3).contiguous().numpy())

    def close(self) -> None:
        """Closes the files on the disk."""
        self._scratch.close()

    def rows(self, y0: int, y1: int) -> FeatureRows:
        """Features of the canvas' rows ``y0 <= y < y1``, read once for all windows in them."""
        self._make(y1)
        assert self._rows is not None
        bits = torch.from_numpy(self._rows.read(y0 // self._fold, y1 // self._fold))
        features = bits.view(self._dtype).permute(1, 2, 0, 3).to(self._device)
        return FeatureRows(features, self._text, self._text_mask, self.look, self._fold)


@dataclass(frozen=True)
class FeatureRows:
    """Some rows of a canvas' features, with its text."""

    points: Tensor
    """Point features, (g, C, h, W)."""
    text: Tensor
    """Text tokens, (g, L, D)."""
    text_mask: Tensor
    """bool (g, L)."""
    look: Tensor | None
    """float32 (1, N), or None."""
    fold: int
    """Pixels per feature along each axis."""

    def context(self, starts: Sequence[int], side: int) -> Context:
        """The context of a batch of windows, ``side`` pixels wide; ``starts`` are their first columns."""
        cut = [self.points[..., x // self.fold : (x + side) // self.fold] for x in starts]
        # A guided denoiser expects all samples with the text first, then all without.
        points = torch.stack(cut, 1).flatten(0, 1)
        return Context(
            points,
            self._per_window(self.text, cut),
            self._per_window(self.text_mask, cut),
        ).in_look(self.look)

    @staticmethod
    def _per_window(text: Tensor, windows: Sequence[Tensor]) -> Tensor:
        return torch.stack([text] * len(windows), 1).flatten(0, 1)


_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
