"""Time of a sample on this machine: measured at every run, stored, and shown before the next run."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from qtpy.QtCore import QStandardPaths

from napari_cosynth.io.atomic import replaced_file
from napari_cosynth.synthesis.place import CONTEXT, SMALLEST_WINDOW
from napari_cosynth.types import Synthesis
from napari_cosynth.widget.run.background import Background

FILE = "napari-cosynth/speed.json"
"""File in the user's cache folder."""
WORTH_KEEPING = 0.2
"""Relative difference below which a new measurement is not written to the file."""


INTO_IMAGE = " into image"
"""Suffix of a device for samples into real images, which take longer."""
IMAGE_PASSES = 1.5
"""Assumed passes of each step into an image until measured: most steps are taken twice, the first are
left out (``diffusion.blend``)."""


@dataclass(frozen=True)
class Speed:
    """One measurement; a sample's time is nearly proportional to its steps and pixels."""

    seconds: float
    """Seconds per step and megapixel, for one pass of the network; guidance other than 0 and 1 takes
    two."""
    device: str
    """The device that computed it; for ``auto`` the one it chose."""
    precision: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"seconds: expected a time above 0, got {self.seconds}")


class Speeds:
    """The last measurement of each checkpoint on each device, kept in the user's cache."""

    def __init__(self, file: Path | None = None) -> None:
        cache = QStandardPaths.writableLocation(
            QStandardPaths.StandardLocation.GenericCacheLocation
        )
        self.file = file or Path(cache) / FILE
        self._known = _read(self.file)
        self._work = Background("speed")

    @property
    def busy(self) -> bool:
        """Whether a measurement is being written to the file."""
        return self._work.busy

    def close(self) -> None:
        """Ends the background work; a file that is being written is finished."""
        self._work.close()

    def of(self, checkpoint: str, device: str) -> Speed | None:
        """Measurement of a checkpoint on a device or ``auto``; None before the first run."""
        return self._known.get(_key(checkpoint, device))

    def seconds(
        self,
        checkpoint: str,
        device: str,
        steps: int,
        guidance: float,
        shape: tuple[float, float],
        into_image: bool = False,
    ) -> float | None:
        """Expected seconds of a sample of (H, W) pixels; None if nothing was measured."""
        usual = self.of(checkpoint, device)
        if not into_image:
            return None if usual is None else usual.seconds * work(steps, guidance, shape)
        pixels = work(steps, guidance, window_shape(shape))
        if (measured := self.of(checkpoint, device + INTO_IMAGE)) is not None:
            return measured.seconds * pixels
        return None if usual is None else IMAGE_PASSES * usual.seconds * pixels

    def learn(self, sample: Synthesis) -> None:
        """Takes the measurement from a finished sample; ignores samples of only a window of a canvas."""
        if sample.seconds <= 0 or "resampled" in sample.provenance:
            return
        request, shape = sample.request, sample.record.labels.shape
        inside = "inpainted" in sample.provenance
        if inside:
            shape = window_shape(shape)
        speed = Speed(
            sample.seconds / work(request.steps, request.guidance, shape),
            str(sample.provenance["device"]),
            str(sample.provenance["precision"]),
        )
        key = _key(request.checkpoint, request.device + (INTO_IMAGE if inside else ""))
        before, self._known[key] = self._known.get(key), speed
        if before is None or abs(speed.seconds / before.seconds - 1) > WORTH_KEEPING:
            # In the background, because waiting until the file is on the disk may take long.
            self._work.do(partial(_write, self.file, dict(self._known)))


def window_shape(region: tuple[float, ...]) -> tuple[float, ...]:
    """(H, W) of the window that is sampled around a region of (H, W) pixels in a large enough image."""
    return tuple(max(side + 2 * CONTEXT, SMALLEST_WINDOW) for side in region)


def work(steps: int, guidance: float, shape: tuple[float, ...]) -> float:
    """Steps x megapixels x passes of a sample of (H, W) pixels."""
    passes = 1 if guidance in (0.0, 1.0) else 2
    return steps * passes * shape[0] * shape[1] / 1e6


def duration(seconds: float) -> str:
    """A time in words, rounded to the precision of the estimate."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"


def _key(checkpoint: str, device: str) -> str:
    return f"{checkpoint}|{device}"


def _write(file: Path, known: dict[str, Speed]) -> None:
    table = {key: asdict(speed) for key, speed in known.items()}
    # If the cache cannot be written, the user need not know.
    with suppress(OSError), replaced_file(file) as fresh:
        fresh.write_text(json.dumps(table, indent=1), encoding="utf-8")


def _read(file: Path) -> dict[str, Speed]:
    """The measurements of earlier sessions; empty if the file is missing or damaged."""
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(key): Speed(float(row["seconds"]), str(row["device"]), str(row["precision"]))
            for key, row in table.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
