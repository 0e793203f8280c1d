"""The form's sampling settings; choices and usual values depend on the checkpoint."""

from __future__ import annotations

import random

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, Label, PushButton, SpinBox
from psygnal import Signal

from napari_cosynth import registry
from napari_cosynth.types.recipe import FAST, FEW, usual_sampler, usual_steps
from napari_cosynth.widget.qt.forms import form, offer
from napari_cosynth.widget.run.facts import CheckpointFacts

LARGEST_SEED = 2**31 - 1
LARGEST_DRAWN = 99_999
"""Largest random seed; small, because seeds are part of layer names."""
DRAFT, FINAL, CUSTOM = "Draft", "Final", "Custom"
AROUND, WHOLE = "around changes", "the whole canvas"
MOST_STEPS = 1000
FEW_DRAFT, USUAL_DRAFT = 2, 6
"""Steps of a draft, with the sampler ``few`` and with others."""
USUAL_PREVIEW = 4
PREVIEW_S = 3.0
"""Seconds after which a preview is shown even if fewer steps are done."""


def preview_every(sampler: str) -> int:
    """Steps between previews, unless the user chooses another number."""
    return 1 if sampler == FEW else USUAL_PREVIEW


def draft_steps(sampler: str, steps: int) -> int:
    """Number of steps of a draft if the full run takes ``steps``."""
    return min(steps, FEW_DRAFT if sampler == FEW else USUAL_DRAFT)


def presets(nodes: int) -> dict[str, tuple[str, int]]:
    """Name -> (sampler, steps), for a checkpoint that was trained for ``nodes`` passes of ``few``."""
    sampler, steps = usual_sampler(nodes)
    return {DRAFT: (sampler, draft_steps(sampler, steps)), FINAL: (sampler, steps)}


class SamplingControls:
    """Form group with preset, sampler, steps, guidance, seed, count and preview.

    It also has the switch for Live, which the run bar places.
    """

    edited = Signal()

    def __init__(self, steps: int = 0, device: ComboBox | None = None) -> None:
        """``steps``: number of steps at the start; 0: the checkpoint's usual number.

        ``device``: the box for the device, which this form places.
        """
        self._nodes = 0  # until there is a checkpoint
        self.preset = ComboBox(choices=[DRAFT, FINAL, CUSTOM], value=FINAL, label="Quality")
        self.sampler = ComboBox(
            choices=sorted(registry.names("sampler"), key=lambda n: (n != FEW, n != FAST, n)),
            value=FAST,
            label="Sampler",
        )
        self.steps = SpinBox(value=usual_steps(FAST, 0), min=1, max=MOST_STEPS, label="Steps")
        self.guidance = FloatSpinBox(value=1.0, min=0.0, max=20.0, step=0.5, label="Guidance")
        self.seed = SpinBox(value=0, min=0, max=LARGEST_SEED, label="Seed")
        self.random = CheckBox(value=True, text="random")
        self.reuse = PushButton(text="reuse")
        self.count = SpinBox(value=1, min=1, max=100, label="Samples")
        self.preview = SpinBox(value=USUAL_PREVIEW, min=0, max=100, label="Preview")
        self.painted = ComboBox(choices=[AROUND, WHOLE], value=AROUND, label="Into image")
        self.live = CheckBox(value=False, text="Live")
        self.preset.tooltip = (
            "How many steps: few for a draft, or as many as the sampler usually takes"
        )
        self.sampler.tooltip = (
            "How noise becomes a picture; the first is what the model was made for"
        )
        self.steps.tooltip = "Passes of the network: more take longer"
        self.live.tooltip = (
            "Sample again after every edit: a draft at once, the full number of steps when you rest"
        )
        self.guidance.tooltip = (
            "How strongly the text is followed: 1 as trained; any other value doubles the time"
        )
        self.random.tooltip = "Draw a new seed for every run; off: this seed again"
        self.seed.tooltip = "What the noise is drawn from: the same seed, the same pixels"
        self.reuse.tooltip = "Hold the last run's seed: the same noise for the runs that follow"
        self.count.tooltip = "How many samples, with consecutive seeds"
        self.preview.tooltip = (
            f"Show the picture every so many steps, and after {PREVIEW_S:g} s without one; 0 never"
        )
        self.painted.tooltip = (
            "What Into image paints. Around changes: the points that you added, moved, re-tagged or "
            "removed since they were taken from the image; of other layouts, the whole canvas"
        )
        self.reuse.enabled = False
        self._last_seed: int | None = None
        self._words = [Label(value=text) for text in ("preview every", "steps", "guidance")]
        self.native = form(
            ("Quality", [self.preset, self._words[0], self.preview]),
            ("Sampler", [self.sampler, self._words[1], self.steps]),
            ("Seed", [self.seed, self.random, self.reuse]),
            ("Samples", [self.count, self._words[2], self.guidance]),
            ("Into image", [self.painted]),
            *([] if device is None else [("Device", [device])]),
        )
        self.preset.changed.connect(self._use_preset)
        self.sampler.changed.connect(self._use_sampler)
        self.steps.changed.connect(self._name_preset)
        self.reuse.changed.connect(self._reuse)
        self.seed.changed.connect(self._hold)
        for widget in (self.guidance, self.random, self.count):
            widget.changed.connect(lambda: self.edited.emit())
        self._first_steps = steps
        self._shown = FAST

    def use_facts(self, facts: CheckpointFacts) -> None:
        """Offers what this checkpoint can be sampled with.

        A chosen preset stays, with this checkpoint's steps. A custom choice stays if the checkpoint
        supports it.
        """
        self._nodes = facts.nodes
        offer(self.sampler, self._reason_against)
        preset, sampler, steps = self.preset.value, self.sampler.value, int(self.steps.value)
        if self._first_steps:
            sampler, most = usual_sampler(self._nodes)
            steps, self._first_steps = self._first_steps, 0
            self._set(FAST if sampler == FEW and steps > most else sampler, steps)
        elif preset != CUSTOM or self._reason_against(sampler):
            self._set(*presets(self._nodes)[FINAL if preset == CUSTOM else preset])
        else:
            self._set(sampler, steps)
        self._name_preset()

    @property
    def summary(self) -> str:
        """The form in one line."""
        steps = "1 step" if self.steps.value == 1 else f"{self.steps.value} steps"
        how = self.sampler.value if self.preset.value == CUSTOM else self.preset.value
        parts = [f"{how}, {steps}", f"seed {self.seed.value}"]
        if self.random.value:
            parts[1] = "random seed"
        if self.count.value > 1:
            parts.append(f"{self.count.value} samples")
        return " · ".join(parts)

    @property
    def whole_canvas(self) -> bool:
        """Whether *Into image* also paints where no point changed."""
        return bool(self.painted.value == WHOLE)

    def draw_seeds(self) -> tuple[int, ...]:
        """The next run's seeds; a random seed is shown in the form, so that it can be used again."""
        if self.random.value:
            with self.seed.changed.blocked():
                self.seed.value = random.randint(0, LARGEST_DRAWN)
        first = int(self.seed.value)
        self._last_seed = first
        self.reuse.enabled = True
        return tuple(range(first, first + int(self.count.value)))

    def use(self, sampler: str, steps: int) -> bool:
        """Chooses a sampler and its steps; False, without a change, if the form does not have them."""
        most = self._nodes if sampler == FEW else MOST_STEPS
        if sampler not in self.sampler.choices or not 1 <= steps <= most:
            return False
        self._set(sampler, steps)
        self._name_preset()
        return True

    def hold(self, seed: int) -> None:
        """Fixes the seed of the following runs."""
        self.seed.value = seed
        self._hold()

    def _hold(self) -> None:
        """Switches random seeds off, because the user entered a seed."""
        with self.random.changed.blocked():
            self.random.value = False
        self.edited.emit()

    def _reuse(self) -> None:
        if self._last_seed is not None:
            self.random.value = False
            self.seed.value = self._last_seed

    def _reason_against(self, sampler: str) -> str:
        if sampler != FEW or self._nodes:
            return ""
        return "the checkpoint was not trained for a few passes"

    def _set(self, sampler: str, steps: int) -> None:
        """Shows a sampler and its steps, at most as many as it can have, without a signal."""
        most = self._nodes if sampler == FEW else MOST_STEPS
        with self.sampler.changed.blocked(), self.steps.changed.blocked():
            self.sampler.value = sampler
            self.steps.value = min(steps, most, int(self.steps.max))
            self.steps.max = most
            self.steps.value = min(steps, most)
        if self.preview.value == preview_every(self._shown):  # else the user chose it
            self.preview.value = preview_every(sampler)
        self._shown = sampler

    def _use_preset(self, name: str) -> None:
        if name != CUSTOM:
            self._set(*presets(self._nodes)[name])
        self.edited.emit()

    def _use_sampler(self, name: str) -> None:
        """Chooses a sampler; to and from ``few`` the steps become the usual ones of the new sampler."""
        few = FEW in (name, self._shown) and name != self._shown
        self._set(name, usual_steps(name, self._nodes) if few else int(self.steps.value))
        self._name_preset()

    def _name_preset(self) -> None:
        now = (str(self.sampler.value), int(self.steps.value))
        known = presets(self._nodes)
        # With one or two passes, draft and final are the same; then the chosen preset stays.
        fitting = [name for name in known if known[name] == now]
        if self.preset.value not in fitting:
            with self.preset.changed.blocked():
                self.preset.value = fitting[-1] if fitting else CUSTOM
        self.edited.emit()
