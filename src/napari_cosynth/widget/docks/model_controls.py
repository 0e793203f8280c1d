"""The form's controls of the model: checkpoint, stain, tissue, look, prompt and device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from magicgui.widgets import CheckBox, ComboBox, Label, LineEdit, Widget
from psygnal import Signal
from qtpy.QtWidgets import QFileDialog

from napari_cosynth.geometry.prompt import build_prompt
from napari_cosynth.known import available, checkpoints_in
from napari_cosynth.types import H_AND_E
from napari_cosynth.widget.qt.errors import tell
from napari_cosynth.widget.qt.forms import form, offer
from napari_cosynth.widget.run.facts import CheckpointFacts, read_facts

BROWSE = "Other folder…"
NO_TISSUE = "any"
STAINS = (H_AND_E, "IHC")
DEVICES = ("auto", "cpu", "cuda", "mps")
PROMPT_TIP = "What the picture shows, in words"


class ModelControls:
    """Form group with checkpoint, stain, tissue, look, prompt and device."""

    changed_checkpoint = Signal(CheckpointFacts)
    edited = Signal()
    """Something changed that goes into the next request."""

    def __init__(
        self,
        folder: Path | None = None,
        device: str = "auto",
        look: Sequence[Widget] = (),
    ) -> None:
        """``folder`` holds more checkpoints to offer; ``device`` is the device chosen at first.

        The controls in ``look`` come first, beside the tissue. The device's box is placed by another
        form.
        """
        names = available() + [
            str(path) for path in (checkpoints_in(folder) if folder else {}).values()
        ]
        self.checkpoint = ComboBox(choices=[*names, BROWSE], label="Checkpoint")
        self.tissue = ComboBox(choices=[NO_TISSUE], label="Tissue")
        self.stain = ComboBox(choices=list(STAINS), label="Stain")
        self.prompt = LineEdit(label="Prompt")
        self.follow = CheckBox(value=True, text="auto")
        self.device = ComboBox(choices=list(DEVICES), label="Device")
        self.device.value = device if device in DEVICES else "auto"
        self.tissue.tooltip = "The tissue that the prompt names, whose looks are drawn"
        self.stain.tooltip = "The stain that the prompt names"
        self.prompt.tooltip = PROMPT_TIP
        self.follow.tooltip = "Build the prompt from the layout's classes; off: keep what you typed"
        self.device.tooltip = "auto takes cuda, then mps, then cpu"
        self._words = [Label(value=text) for text in ("stain", "tissue")]
        # The look comes first because nothing changes the image more. It shares a line with the tissue:
        # at 1280x800 another line would push the form's end out of sight.
        first = (
            ("Look", [*look, self._words[1], self.tissue]) if look else ("Tissue", [self.tissue])
        )
        self.native = form(
            first,
            ("Checkpoint", [self.checkpoint, self._words[0], self.stain]),
            ("Prompt", [self.prompt, self.follow]),
        )
        self.facts: CheckpointFacts | None = None
        self._classes: list[str] | None = None
        self._last = names[0] if names else ""
        self.checkpoint.changed.connect(self._choose)
        self.tissue.changed.connect(self._rebuild_prompt)
        self.stain.changed.connect(self._rebuild_prompt)
        self.follow.changed.connect(self._rebuild_prompt)
        self.prompt.native.textEdited.connect(self._typed)
        self.device.changed.connect(lambda: self.edited.emit())
        if names:
            self.use(names[0])

    def use(self, name: str) -> None:
        """Chooses a checkpoint by name. Raises ValueError, and changes nothing, if it cannot be read."""
        facts = read_facts(name)
        self.facts, self._last = facts, name
        self.add(name)
        with self.checkpoint.changed.blocked():
            self.checkpoint.value = name
        self.checkpoint.tooltip = f"{name}: {len(facts.classes) - 1} classes at {facts.mpp:g} µm/px"
        with self.tissue.changed.blocked(), self.stain.changed.blocked():
            self.tissue.choices = [NO_TISSUE, *facts.tissues]
            self.stain.choices = [*STAINS, *(s for s in facts.stains if s not in STAINS)]
            self.stain.value = facts.stains[0] if facts.stains else H_AND_E
        known = ", ".join(facts.stains)
        offer(
            self.stain,
            lambda name: (
                "" if name in facts.stains else f"the checkpoint was trained on {known} only"
            ),
        )
        self.changed_checkpoint.emit(facts)
        self._rebuild_prompt()

    def add(self, name: str) -> None:
        """Adds a checkpoint's folder to the list; the chosen one stays chosen."""
        if name not in self.checkpoint.choices:
            before = [c for c in self.checkpoint.choices if c != BROWSE]
            with self.checkpoint.changed.blocked():
                self.checkpoint.choices = [*before, name, BROWSE]

    @property
    def tissue_name(self) -> str:
        return "" if self.tissue.value == NO_TISSUE else str(self.tissue.value)

    def suggest_tissue(self, name: str) -> None:
        """Chooses a layout's own tissue if the checkpoint knows it and the user chose none."""
        if self.tissue.value == NO_TISSUE and name in self.tissue.choices:
            self.tissue.value = name

    @property
    def summary(self) -> str:
        """The form in one line."""
        name = Path(str(self.checkpoint.value)).name
        return f"{name} · {self.tissue_name or 'any tissue'}, {self.stain.value}"

    def show_classes(self, names: list[str] | None) -> None:
        """Builds the prompt from the classes in the layout, unless the user typed a prompt."""
        self._classes = names
        self._rebuild_prompt()

    def _rebuild_prompt(self) -> None:
        if self.follow.value and self._classes is not None:
            self.prompt.value = build_prompt(self._classes, self.tissue_name, str(self.stain.value))
            self.prompt.native.setCursorPosition(0)
        self.prompt.tooltip = self.prompt.value or PROMPT_TIP
        self.edited.emit()

    def type_prompt(self, text: str) -> None:
        """Enters a prompt as if the user typed it; no change if the classes give the same prompt."""
        if text != self.prompt.value:
            self.prompt.value = text
            self._typed()

    def _typed(self) -> None:
        with self.follow.changed.blocked():
            self.follow.value = False
        self.edited.emit()

    def _choose(self, name: str) -> None:
        if name == BROWSE:
            name = QFileDialog.getExistingDirectory(self.native, "A checkpoint folder")
        try:
            if name:
                self.use(name)
        except (ValueError, OSError) as error:
            tell(error)
        finally:
            with self.checkpoint.changed.blocked():
                self.checkpoint.value = self._last
