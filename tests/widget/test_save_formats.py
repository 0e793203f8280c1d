"""File > Save in every format, through napari's own plugin manager."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManifest

from napari_cosynth import registry
from napari_cosynth.datasets.formats import open_records
from napari_cosynth.datasets.recipes import read_sample
from napari_cosynth.export.stack import write_stack
from nuclei import items

PLUGIN = "napari-cosynth"
EXTENSIONS = {kind: kind for kind in registry.names("exporter")} | {
    "omezarr": "zarr",
    "stack": "cosynth",
}


@pytest.fixture(autouse=True)
def plugins(npe2pm):
    """napari's plugin manager with napari's own readers and writers and ours, and no others."""
    for name in ("napari", PLUGIN):
        if name not in npe2pm:
            npe2pm.register(PluginManifest.from_distribution(name))
    return npe2pm


@pytest.mark.parametrize("kind", EXTENSIONS)
@pytest.mark.parametrize("count", [1, 3])
def test_layers_are_saved_by_the_extension(tmp_path, kind, count):
    made = items(count, shape=(48, 48))
    viewer = ViewerModel()
    viewer.open(write_stack(made, tmp_path / "source"), plugin=PLUGIN)
    target = tmp_path / f"saved.{EXTENSIONS[kind]}"
    assert viewer.layers.save(str(target)) == [str(target)]
    found, dataset = open_records(target)
    assert (found, len(dataset)) == (kind, count)
    for index, (record, item) in enumerate(zip(dataset, made, strict=True)):
        np.testing.assert_array_equal(record.image, item.record.image)
        np.testing.assert_array_equal(record.labels, item.record.labels)
        layout, recipe = read_sample(target, index)
        assert recipe == item.description
        np.testing.assert_allclose(layout.centroids, item.record.layout.centroids)
    if kind != "stack":  # which appends
        with pytest.raises(OSError, match="exists already"):
            viewer.layers.save(str(target))
