"""The dock's form -> :class:`Request`, the placement of its result, and the time it will take."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_cosynth.types import NO_PREVIEWS, Layout, Previews, Request
from napari_cosynth.widget.docks.model_controls import ModelControls
from napari_cosynth.widget.layers.layout import placement_from
from napari_cosynth.widget.layers.placement import Placement
from napari_cosynth.widget.layers.region import has_image_under
from napari_cosynth.widget.layout.layout_controls import LayoutControls
from napari_cosynth.widget.look.look_controls import LookControls
from napari_cosynth.widget.run.sampling_controls import PREVIEW_S, SamplingControls
from napari_cosynth.widget.run.speed import Speeds, duration


@dataclass(frozen=True)
class RequestForm:
    """The dock's groups of controls, read together as one form."""

    model: ModelControls
    sampling: SamplingControls
    layout: LayoutControls
    look: LookControls

    def request(self, seeds: tuple[int, ...], into_image: bool = False) -> Request:
        """The form's request for these seeds; call it once the look is ready.

        Raises ValueError if the form is no valid request.
        """
        look, look_of = self.look.asked_into_image() if into_image else self.look.asked()
        request = self.settings(seeds, self.layout.layout_now())
        return replace(request, look=look, look_of=look_of)

    def settings(self, seeds: tuple[int, ...], layout: Layout) -> Request:
        """The form's request for any layout, without a look. Raises ValueError if it is not valid."""
        if self.model.facts is None:
            raise ValueError("no checkpoint: choose one first")
        return Request(
            layout=layout,
            prompt=str(self.model.prompt.value),
            checkpoint=self.model.facts.name,
            sampler=str(self.sampling.sampler.value),
            steps=int(self.sampling.steps.value),
            guidance=float(self.sampling.guidance.value),
            seeds=seeds,
            tissue=self.model.tissue_name,
            stain=str(self.model.stain.value),
            device=str(self.model.device.value),
        )

    def live_request(self) -> Request:
        """Request for Live: the shown seed, on the model's grid. Raises ValueError if it is not valid."""
        request = self.request((int(self.sampling.seed.value),))
        layout = request.layout.scaled_to(self.mpp)
        return replace(request, layout=layout)

    @property
    def previews(self) -> Previews:
        """Previews of a run of this form: after how many steps and seconds one is shown."""
        every = int(self.sampling.preview.value)
        return Previews(every, PREVIEW_S) if every else NO_PREVIEWS

    @property
    def mpp(self) -> float:
        """µm/px of the model's grid, on which results lie."""
        assert self.model.facts is not None  # a request needs a checkpoint
        return self.model.facts.mpp

    def placement_of(self, request: Request) -> Placement:
        """Placement of the result of a request of this form."""
        points = self.layout.points
        assert points is not None  # the request has a layout
        return placement_from(points).at_mpp(self.mpp, request.layout.scaled_to(self.mpp).shape)

    def expected_time(self, speeds: Speeds) -> tuple[str, str]:
        """The next run's time in words, and its device and precision in words.

        The time of *Into image* is added if there is an image under the layout. Both texts are empty if
        nothing can run.
        """
        points, facts = self.layout.points, self.model.facts
        if points is None or facts is None:
            return "", ""
        placement = placement_from(points)
        factor = placement.mpp / facts.mpp
        shape = placement.shape[0] * factor, placement.shape[1] * factor
        steps, guidance = int(self.sampling.steps.value), float(self.sampling.guidance.value)
        device, count = str(self.model.device.value), int(self.sampling.count.value)
        seconds = speeds.seconds(facts.name, device, steps, guidance, shape)
        speed = speeds.of(facts.name, device)
        if seconds is None or speed is None:
            return "time: known after the first run", ""
        on = f"on {speed.device}, {speed.precision}"
        words = duration(count * seconds)
        into = speeds.seconds(facts.name, device, steps, guidance, shape, into_image=True)
        if into is None or not has_image_under(self.layout.viewer, points):
            return f"{words} {on}", on
        return f"{words}, into image {duration(into)}", on
