"""Jobs, runs that are ready to begin, from the form: synthesis, into an image, repaint of a result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from napari.components import ViewerModel
from napari.layers import Points

from napari_cosynth.stain.brown import BROWN, brown_share
from napari_cosynth.types import Previews, Progress, Request, Synthesis
from napari_cosynth.widget.docks.request_form import RequestForm
from napari_cosynth.widget.layers import results
from napari_cosynth.widget.layers.layout import SAMPLE_KEY
from napari_cosynth.widget.qt.questions import ask_mpp
from napari_cosynth.widget.result.corrections import Wanted, repaint_request
from napari_cosynth.widget.result.result_view import RunView
from napari_cosynth.widget.result.waiting import Into, Job
from napari_cosynth.widget.run.backend import Backend
from napari_cosynth.widget.run.into_image import into_image
from napari_cosynth.widget.run.live import same_pixels


def synthesis_job(form: RequestForm, backend: Backend, request: Request, fleeting: bool) -> Job:
    """Job that samples the chosen layout.

    ``fleeting``: the next sample of the job replaces the layers of the one before.
    """
    points = form.layout.points
    assert points is not None  # the request has a layout
    view = RunView(request.layout, form.placement_of(request), points.name)
    view.fleeting = fleeting
    return canvas_job(backend, request, form.previews, points, view)


def canvas_job(
    backend: Backend, request: Request, previews: Previews, points: Points, view: RunView
) -> Job:
    """Job that samples a whole canvas, the layout of ``points``, and shows it by ``view``."""
    source = partial(backend.call, "synthesize", request, previews)
    return Job(_words(view.name, request), request, source, points, view, previews=previews)


def into_image_job(viewer: ViewerModel, form: RequestForm, backend: Backend) -> Job | None:
    """Job that samples the chosen layout into the image under it.

    None if the user does not enter the image's µm/px. Raises ValueError if something is missing.
    """
    points = form.layout.points
    request = form.request(form.sampling.draw_seeds(), into_image=True)
    assert points is not None  # the request has a layout
    whole = form.sampling.whole_canvas
    made = into_image(viewer, points, request, form.mpp, ask_mpp, whole)
    if made is None:
        return None
    name, into = f"{points.name} in image", Into(made, form.previews)
    return Job(
        _words(name, made.request),
        made.request,
        partial(_painted, into, backend),
        points,
        RunView(request.layout, made.placement, name),
        into=into,
    )


def painted_all_the_same(job: Job, backend: Backend) -> Job:
    """The same job once the user has agreed to paint into an image that is not H&E."""
    assert job.into is not None  # nothing else is asked about
    into = replace(job.into, sure=True, is_brown=False)
    return replace(job, source=partial(_painted, into, backend), into=into)


def _painted(into: Into, backend: Backend) -> Iterator[Progress | Synthesis]:
    """Events of a run into an image; none if the image is brown.

    Runs in the worker's thread, and reads the slide there.
    """
    place = into.image.read()
    into.is_brown = not into.sure and brown_share(place.image[place.region.slices]) > BROWN
    if not into.is_brown:
        yield from backend.call("inpaint", into.image.request, place, into.previews)


def repaint_job(form: RequestForm, backend: Backend, wanted: Wanted) -> Job:
    """Job that paints a result's image anew where the user wants it. Raises ValueError if it cannot."""
    asked = form.settings((int(form.sampling.seed.value),), wanted.record.layout)
    request = repaint_request(asked, wanted)
    source = partial(backend.call, "repaint", request, wanted.record, wanted.changed)
    return Job(f"{wanted.shown.name}, repainted", request, source, repaint=wanted)


def _words(name: str, request: Request) -> str:
    first, *others = request.seeds
    return f"{name} #{first}" + (f" and {len(others)} more" if others else "")


def made_already(viewer: ViewerModel, request: Request) -> str:
    """Name of the result in the viewer with the pixels that this request would make for its last seed.

    Empty unless the viewer has such a result for each of the request's seeds.
    """
    there: dict[int, str] = {}
    for name, layers in results.groups(viewer).items():
        made = layers["labels"].metadata.get(SAMPLE_KEY) if "labels" in layers else None
        if not isinstance(made, Synthesis) or made.seed not in request.seeds:
            continue
        whole = not made.provenance.keys() & {"resampled", "inpainted"}
        if whole and same_pixels(
            *(replace(r, seeds=(made.seed,)) for r in (made.request, request))
        ):
            there[made.seed] = name
    return there[request.seeds[-1]] if there.keys() == set(request.seeds) else ""
