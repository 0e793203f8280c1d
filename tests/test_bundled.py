"""The bundled model on a bundled layout, from the shell to a stack: the main job, for real."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth import synthesize
from napari_cosynth.cli import main
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.geometry.prompt import prompt_for
from napari_cosynth.layouts.drawn.patterns import bundled_layouts, layout_path
from napari_cosynth.model.checkpoint import available, load, read_config
from napari_cosynth.types import Layout, Request, Synthesis


def test_the_default_checkpoint_is_bundled_and_fits_the_package():
    assert "default" in available()
    checkpoint = load("default")
    weights = checkpoint.path / "model.safetensors"
    assert weights.stat().st_size <= 30e6
    assert checkpoint.config.class_names == (
        "background",
        "inflammatory",
        "healthy epithelial",
        "malignant epithelial",
        "spindle-shaped",
        "miscellaneous",
        "unspecified",
    )
    assert checkpoint.config.mpp == 0.5
    card = (checkpoint.path / "README.md").read_text(encoding="utf-8").lower()
    for word in ("licence", "non-commercial", "hours", "held-out"):
        assert word in card


def test_a_bundled_layout_becomes_tissue_that_follows_its_points(tmp_path):
    """Labels follow the points and nuclei are dark: what even a short training must reach."""
    out = tmp_path / "stack"
    arguments = ["synthesize", str(layout_path("gland")), "--shape", "256", "256"]
    assert main([*arguments, "--tissue", "colon", "--steps", "8", "--out", str(out)]) == 0
    (record,) = StackDataset(out)
    rows, columns = np.floor(record.layout.centroids + 0.5).astype(int).T
    followed = record.labels[rows, columns] == record.layout.class_ids
    assert followed.mean() > 0.9
    grey = record.image.mean(2)
    assert grey[record.labels > 0].mean() < grey[record.labels == 0].mean() - 15
    spurious = record.instances > len(record.layout)
    assert spurious.mean() < 0.02


@pytest.mark.parametrize("name", ["gland", "stream", "inflammation", "tumour"])
def test_bundled_layouts_are_in_the_checkpoints_terms(name):
    bundled, config = bundled_layouts()[name], read_config("default")
    assert bundled.layout.classes.names == config.class_names
    assert bundled.layout.mpp == config.mpp
    assert bundled.tissue in config.tissues


def test_the_rim_of_a_sample_is_no_rougher_than_what_lies_inside():
    """Differences of grey levels along the outermost line of pixels, against those 4 to 8 pixels in."""
    layout = bundled_layouts()["tumour"].layout
    shape = (80, 104)
    inside = (layout.centroids < np.array(shape) - 1).all(1)
    layout = Layout(
        layout.centroids[inside], layout.class_ids[inside], shape, layout.mpp, layout.classes
    )
    request = Request(layout, prompt_for(layout, "colon"), seeds=(1, 2), device="cpu")
    images = [e.record.image for e in synthesize(request) if isinstance(e, Synthesis)]

    def roughness(depths: range) -> float:
        lines = []
        for grey in (image.astype(float).mean(2) for image in images):
            for turned in (np.rot90(grey, k) for k in range(4)):
                lines += [np.abs(np.diff(turned[depth, 8:-8])).mean() for depth in depths]
        return float(np.mean(lines))

    # 1.6 times as rough where the network's zero padding touches the sample.
    assert roughness(range(1)) < 1.2 * roughness(range(4, 8))
