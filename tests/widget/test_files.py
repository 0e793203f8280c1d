"""File > Open, File > Save and File > Open Sample, through napari's own plugin manager."""

import dataclasses
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest

from napari_cosynth import registry
from napari_cosynth.datasets.stack import StackDataset
from napari_cosynth.export.stack import Described, append_stack, write_stack
from napari_cosynth.layouts.drawn.patterns import SAMPLES, layout_path
from napari_cosynth.records.base import make_record
from napari_cosynth.synthesis.synthesize import synthesize
from napari_cosynth.types import ClassTable, Request, Synthesis
from napari_cosynth.widget.docks.preferences import Preferences, read_preferences
from napari_cosynth.widget.files.readers import dataset_reader, points_reader, slide_reader
from napari_cosynth.widget.files.writers import write_training_stack
from napari_cosynth.widget.layers.dataset_layers import dataset_layers
from napari_cosynth.widget.layers.layout import is_layout, layout_from, layout_layer
from napari_cosynth.widget.layers.placement import free_placement
from napari_cosynth.widget.layers.record_layers import record_layers
from napari_cosynth.widget.layers.results import blank_layers, fill, groups
from napari_cosynth.widget.result.saving import described_samples
from napari_cosynth.widget.result.shown import ShownResult

PLUGIN = "napari-cosynth"
CLASSES = ClassTable.of("inflammatory", "spindle-shaped")
RECIPE = {"synthetic": True, "seed": 3, "tissue": "colon", "stain": "H&E", "steps": 4}


def a_record(seed=0, classes=CLASSES):
    rng = np.random.default_rng(seed)
    instances = np.zeros((24, 32), np.int32)
    instances[2:8, 3:9] = 1
    instances[12:18, 5 + seed : 12 + seed] = 2
    labels = np.array([0, 1, 2], np.uint8)[instances]
    image = rng.integers(0, 255, (24, 32, 3), np.uint8)
    return make_record(image, instances, labels, classes, 0.5, "colon", f"tile {seed}")


@pytest.fixture(autouse=True)
def plugins(npe2pm):
    """napari's plugin manager with napari's own readers and writers and ours, and no others."""
    for name in ("napari", PLUGIN):
        if name not in npe2pm:
            npe2pm.register(PluginManifest.from_distribution(name))
    return npe2pm


@pytest.fixture
def stack(tmp_path):
    items = [Described(a_record(i), {**RECIPE, "seed": i}) for i in range(3)]
    return write_stack(items, tmp_path / "stack")


@pytest.fixture
def single(tmp_path):
    return write_stack([Described(a_record(), RECIPE)], tmp_path / "single")


def layers_by_role(viewer):
    return {layer.metadata["cosynth"]["role"]: layer for layer in viewer.layers}


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_manifest_is_valid_and_reading_it_imports_nothing_heavy():
    code = (
        "import sys; from npe2 import PluginManifest;"
        "m = PluginManifest.from_distribution('napari-cosynth');"
        "assert m.contributions.readers and m.contributions.writers;"
        "heavy = {'torch', 'napari', 'qtpy', 'skimage', 'transformers'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_command_of_the_manifest_can_be_imported():
    manifest = PluginManifest.from_distribution(PLUGIN)
    for command in manifest.contributions.commands:
        assert callable(manifest_object(command.python_name)), command.id


def manifest_object(python_name):
    from npe2.manifest.utils import import_python_name

    return import_python_name(python_name)


@pytest.mark.parametrize("inside", ["", "cosynth.json"])
def test_stack_becomes_layers(stack, inside):
    viewer = ViewerModel()
    viewer.open(stack / inside, plugin=PLUGIN)
    layers = layers_by_role(viewer)
    assert {role: layer.data.shape for role, layer in layers.items() if role != "layout"} == {
        "image": (3, 24, 32, 3),
        "distance": (3, 24, 32),
        "labels": (3, 24, 32),
        "instances": (3, 24, 32),
    }
    assert layers["image"].rgb
    for layer in viewer.layers:
        np.testing.assert_allclose(layer.scale, (1, 0.5, 0.5))
        assert [str(unit) for unit in layer.units] == ["pixel", "micrometer", "micrometer"]
        assert [r["seed"] for r in layer.metadata["cosynth"]["recipes"]] == [0, 1, 2]
    points = layers["layout"]
    assert points.data[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert points.features["class"].tolist() == ["inflammatory", "spindle-shaped"] * 3
    np.testing.assert_allclose(points.face_color[0, :3], CLASSES.colors[1] / 255, atol=1e-6)
    labels = layers["labels"]
    assert labels.features["class"].tolist() == list(CLASSES.names)
    np.testing.assert_allclose(labels.get_color(2)[:3], CLASSES.colors[2] / 255, atol=1e-6)


def test_single_sample_can_be_edited_like_a_fresh_result(single):
    viewer = ViewerModel()
    viewer.open(single, plugin=PLUGIN)
    layers = layers_by_role(viewer)
    assert layers["labels"].data.shape == (24, 32)
    assert is_layout(layers["layout"])
    assert len(layout_from(layers["layout"])) == 2
    assert layers["instances"].features["class"].tolist() == list(CLASSES.names)


def test_stacks_of_folders_of_the_same_name_are_two_results(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    for i, parent in enumerate("ab"):
        folder = write_stack([Described(a_record(i), RECIPE)], tmp_path / parent / "stack")
        viewer.open(folder, plugin=PLUGIN)
    assert list(groups(viewer)) == ["stack", "stack (2)"]
    for i, (name, layers) in enumerate(groups(viewer).items()):
        np.testing.assert_array_equal(layers["image"].data, a_record(i).image)
        assert layers["image"].name == f"{name} · image"
        own = ShownResult(viewer, name).own_layout
        np.testing.assert_allclose(own.data, a_record(i).layout.centroids)


@pytest.mark.parametrize("exporter", registry.names("exporter"))
def test_every_export_opens_again(make_napari_viewer, tmp_path, exporter):
    write = registry.resolve("exporter", exporter)
    items = [Described(a_record(i), {**RECIPE, "seed": i}) for i in range(2)]
    write(items, tmp_path / "made")
    viewer = make_napari_viewer()
    viewer.open(tmp_path / "made", plugin=PLUGIN)
    (layers,) = groups(viewer).values()
    assert {"image", "distance", "labels", "instances"} <= layers.keys()
    for i in range(2):
        np.testing.assert_array_equal(layers["image"].data[i], a_record(i).image)
        np.testing.assert_array_equal(layers["labels"].data[i] > 0, a_record(i).labels > 0)
    recipes = layers["image"].metadata["cosynth"]["recipes"]
    assert [recipe["seed"] for recipe in recipes] == [0, 1]
    # Saved again by its layers, it is the same data set.
    assert len(described_samples([layer.as_layer_data_tuple() for layer in viewer.layers])) == 2


def test_of_tiles_that_differ_the_first_are_shown(make_napari_viewer, tmp_path):
    write = registry.resolve("exporter", "folder")
    large = make_record(
        np.zeros((40, 40, 3), np.uint8),
        np.pad(np.ones((6, 6), np.int32), 17),
        np.pad(np.ones((6, 6), np.uint8), 17),
        CLASSES,
        0.5,
    )
    write([Described(a_record(), {}), Described(large, {})], tmp_path / "made")
    viewer = make_napari_viewer()
    viewer.open(tmp_path / "made", plugin=PLUGIN)
    assert "1 of 2 samples are shown" in notification_manager.records[-1].message
    (layers,) = groups(viewer).values()
    assert layers["image"].data.shape == (24, 32, 3)


def test_what_is_no_slide_is_left_to_napari(tmp_path):
    for name, pixels in {
        "deep": np.zeros((40, 50), np.uint16),
        "real": np.zeros((40, 50), np.float32),
        "many": np.zeros((5, 40, 50), np.uint8),
    }.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels)
        assert slide_reader(str(tmp_path / f"{name}.tif")) is None, name
    tifffile.imwrite(tmp_path / "tile.tif", np.zeros((40, 50, 3), np.uint8), photometric="rgb")
    assert slide_reader(str(tmp_path / "tile.tif")) is not None
    (tmp_path / "any.csv").write_text("a,b\n1,2\n")
    assert points_reader(str(tmp_path / "any.csv")) is None


def test_a_folder_of_something_else_is_left_to_other_readers(tmp_path):
    assert dataset_reader(str(tmp_path)) is None


def test_damaged_stack_says_which_file(stack):
    (stack / "labels.tif").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"labels\.tif: cannot be read as a TIFF"):
        dataset_reader(str(stack))(str(stack))


def test_slide_has_its_scale_and_a_plain_image_none(tmp_path):
    image = np.zeros((40, 50, 3), np.uint8)
    known = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "known.tif", image, photometric="rgb", **known)
    tifffile.imwrite(tmp_path / "unknown.tif", image, photometric="rgb")
    viewer = ViewerModel()
    (known,) = viewer.open(tmp_path / "known.tif", plugin=PLUGIN)
    (unknown,) = viewer.open(tmp_path / "unknown.tif", plugin=PLUGIN)
    assert known.metadata["mpp"] == 0.5
    np.testing.assert_allclose(known.scale, (0.5, 0.5))
    assert str(known.units[0]) == "micrometer"
    assert "mpp" not in unknown.metadata
    np.testing.assert_allclose(unknown.scale, (1, 1))
    assert str(unknown.units[0]) == "pixel"


def test_pyramid_is_multiscale(tmp_path):
    image = np.zeros((64, 64, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "p.ome.tif") as writer:
        options = {"tile": (32, 32), "photometric": "rgb"}
        writer.write(image, subifds=1, metadata={"axes": "YXS"}, **options)
        writer.write(image[::2, ::2], subfiletype=1, **options)
    (layer,) = ViewerModel().open(tmp_path / "p.ome.tif", plugin=PLUGIN)
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(64, 64, 3), (32, 32, 3)]


def test_points_saved_by_napari_load_back(tmp_path):
    viewer = ViewerModel()
    features = pd.DataFrame({"class": ["spindle-shaped", "inflammatory"]})
    layer = viewer.add_points([[3.5, 4], [10, 20]], features=features)
    (path,) = layer.save(str(tmp_path / "points.csv"), plugin="napari")
    (back,) = viewer.open(path, plugin=PLUGIN)
    np.testing.assert_allclose(back.data, layer.data)
    assert back.features["class"].tolist() == ["spindle-shaped", "inflammatory"]
    assert isinstance(back.features["class"].dtype, pd.CategoricalDtype)
    assert not np.array_equal(back.face_color[0], back.face_color[1])


def test_points_without_class_are_left_to_napari(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("index,axis-0,axis-1\n0,1,2\n")
    assert points_reader(str(path)) is None


def test_points_with_classes_of_their_own_and_with_ids(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("index,axis-0,axis-1,class\n0,1,2,mast cell\n1,3,4,2\n")
    ((_, kwargs, _),) = points_reader(str(path))(str(path))
    assert kwargs["features"]["class"].tolist() == ["mast cell", "2"]
    path.write_text("index,axis-0,axis-1,class\n0,1,2,1\n1,3,4,2\n")
    ((_, kwargs, _),) = points_reader(str(path))(str(path))
    assert kwargs["features"]["class"].tolist() == ["inflammatory", "healthy epithelial"]
    path.write_text("index,axis-0,axis-1,class\n0,1,x,1\n")
    with pytest.raises(ValueError, match=r"own\.csv: line 2"):
        points_reader(str(path))(str(path))


def test_napari_offers_the_writer_for_a_result_and_nothing_less(single, plugins):
    viewer = ViewerModel()
    viewer.open(single, plugin=PLUGIN)

    def offered(*roles):
        layers = [layer for role, layer in layers_by_role(viewer).items() if role in roles]
        types = [layer._type_string for layer in layers]
        return any(w.plugin_name == PLUGIN for w in plugins.iter_compatible_writers(types))

    assert offered("image", "labels", "instances", "distance", "layout")
    assert offered("image", "labels", "instances")
    assert not offered("image", "labels")
    assert not offered("layout")


def test_save_all_writes_what_was_read(stack, tmp_path):
    viewer = ViewerModel()
    viewer.open(stack, plugin=PLUGIN)
    saved = viewer.layers.save(str(tmp_path / "copy.cosynth"))
    assert saved == [str(tmp_path / "copy.cosynth")]
    for a, b in zip(StackDataset(stack), StackDataset(saved[0]), strict=True):
        for field in ("image", "labels", "instances", "distance"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
        np.testing.assert_array_equal(a.layout.centroids, b.layout.centroids)
        np.testing.assert_array_equal(a.layout.class_ids, b.layout.class_ids)
    assert contents(stack)["cosynth.json"] == contents(tmp_path / "copy.cosynth")["cosynth.json"]


def test_save_appends_to_a_stack_of_the_same_kind(stack, single):
    (path,) = write_training_stack(str(stack / "cosynth.json"), dataset_layers(single))
    assert path == str(stack)
    assert [s["seed"] for s in StackDataset(stack).samples] == [0, 1, 2, 3]


def test_save_refuses_another_stack_with_the_reason_and_changes_nothing(tmp_path, single):
    other = append_stack([a_record(classes=ClassTable.of("a", "b"))], tmp_path / "other")
    before = contents(other)
    viewer = ViewerModel()
    viewer.open(single, plugin=PLUGIN)
    with pytest.raises(OSError, match="cannot append: its classes"):
        viewer.layers.save(str(other / "cosynth.json"))
    assert contents(other) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "single"]


def edited(layers, role, change):
    """The layer tuples with one layer's data changed."""
    found = []
    for data, kwargs, kind in layers:
        if kwargs["metadata"]["cosynth"]["role"] == role:
            data = change(data.copy())
        found.append((data, kwargs, kind))
    return found


def without(layers, role):
    return [layer for layer in layers if layer[1]["metadata"]["cosynth"]["role"] != role]


def paint(data):
    data[0:3, 0:3] = 1
    return data


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda ls: without(ls, "instances"), "single: no instances layer"),
        (lambda ls: without(without(ls, "labels"), "image"), "no image and no labels layer"),
        (lambda ls: without(ls[:0], ""), "no result among these layers"),
        (lambda ls: ls + ls[:1], "single: two layers of image"),
        (lambda ls: edited(ls, "image", lambda d: d[:-1]), r"image: its shape \(23, 32, 3\)"),
        (lambda ls: edited(ls, "labels", paint), "labels and instances disagree in 9 pixels"),
        (lambda ls: edited(ls, "layout", lambda d: d[::-1]), "point 0 lies in instance 2, not 1"),
        (lambda ls: edited(ls, "layout", lambda d: d + 40), "point 0 at .* outside the canvas"),
    ],
)
def test_what_does_not_agree_is_refused_in_one_line(single, tmp_path, change, reason):
    with pytest.raises(OSError, match=reason) as error:
        write_training_stack(str(tmp_path / "new"), change(dataset_layers(single)))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()


def test_distance_and_layout_follow_from_the_instances(single):
    layers = without(without(dataset_layers(single), "distance"), "layout")
    (found,) = described_samples(layers)
    record = a_record()
    np.testing.assert_array_equal(found.record.distance, record.distance)
    np.testing.assert_array_equal(found.record.layout.centroids, record.layout.centroids)


def test_recipe_says_what_was_edited(single):
    layers = dataset_layers(single)
    assert described_samples(layers)[0].description == RECIPE
    changed = edited(layers, "labels", lambda data: np.where(data == 1, 2, data).astype(np.uint8))
    assert described_samples(changed)[0].description == {**RECIPE, "edited": True}


def test_two_results_share_their_layout():
    first, second = a_record(), dataclasses.replace(a_record(), image=a_record(1).image)
    layers = [*record_layers((first,), [RECIPE], "one"), *record_layers((second,), [RECIPE], "two")]
    layouts = [layer for layer in layers if layer[2] == "points"]
    shared = [layer for layer in layers if layer[2] != "points"]
    layouts[0][1]["metadata"]["cosynth"]["result"] = "drawn"
    found = described_samples([*shared, layouts[0]])
    assert [len(item.record.layout) for item in found] == [2, 2]
    np.testing.assert_array_equal(found[1].record.image, second.image)


def test_a_file_is_no_stack(single, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for name in ("notes.txt", "new.json"):
        with pytest.raises(OSError, match="a training stack is a folder"):
            write_training_stack(str(tmp_path / name), dataset_layers(single))
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "new.json").exists()


def test_two_seeds_of_the_real_sampler_are_saved_with_their_recipes(
    layout, tiny_checkpoint, tmp_path
):
    request = Request(
        layout, "colon tissue", checkpoint=str(tiny_checkpoint), steps=2, seeds=(4, 5)
    )
    samples = [item for item in synthesize(request) if isinstance(item, Synthesis)]
    viewer = ViewerModel()
    placement = free_placement(layout.shape, layout.mpp, [])
    for sample in samples:
        group = f"drawn #{sample.seed}"
        layers = blank_layers(placement, sample.record.classes, group)
        fill(layers, sample, group)
        for layer in layers.values():
            viewer.add_layer(layer)
    viewer.add_layer(layout_layer(layout, placement, "drawn"))
    (folder,) = viewer.layers.save(str(tmp_path / "made.cosynth"))
    saved = StackDataset(folder)
    assert saved.samples == [sample.recipe for sample in samples]
    for record, sample in zip(saved, samples, strict=True):
        np.testing.assert_array_equal(record.image, sample.record.image)
        np.testing.assert_array_equal(record.instances, sample.record.instances)
        np.testing.assert_allclose(record.layout.centroids, layout.centroids)


def test_sample_layouts_open():
    viewer = ViewerModel()
    for key in ("gland", "stream", "inflammation", "tumour"):
        (layer,) = viewer.open_sample(PLUGIN, key)
        assert is_layout(layer)
        assert layout_from(layer).shape == (256, 256)
        assert layer.metadata["cosynth"]["tissue"] == "colon"
    assert layout_path("gland").is_file()


def test_finished_pair_is_small_and_agrees():
    folder = SAMPLES / "pair"
    if not folder.is_dir():
        pytest.skip("no finished pair yet: python tools/make_samples.py pair")
    assert sum(file.stat().st_size for file in folder.iterdir()) < 1_000_000
    viewer = ViewerModel()
    viewer.open_sample(PLUGIN, "pair")
    assert set(layers_by_role(viewer)) == {"image", "distance", "labels", "instances", "layout"}
    (found,) = described_samples([layer.as_layer_data_tuple() for layer in viewer.layers])
    assert found.description["synthetic"] is True
    assert "edited" not in found.description


def test_finished_project_lies_over_its_slide_and_has_its_recipes():
    files = [SAMPLES / "project.tif", *(SAMPLES / "project").rglob("*.*")]
    assert sum(file.stat().st_size for file in files if file.is_file()) < 300_000
    viewer = ViewerModel()
    viewer.open_sample(PLUGIN, "project")
    slide, found = viewer.layers[0], groups(viewer)
    assert slide.metadata["mpp"] == pytest.approx(0.499)
    assert set(found) == {"project #1", "project #2"}
    (layout,) = [layer for layer in viewer.layers if is_layout(layer)]
    for result in found.values():
        image = result["image"]
        top, left = slide.world_to_data(image.data_to_world((0, 0)))
        under = slide.data[round(top) :, round(left) :][
            : image.data.shape[0], : image.data.shape[1]
        ]
        same = (under == image.data).all(-1)
        # Far from what was added the slide's own pixels stay; there, there is a nucleus.
        assert 0.1 < same.mean() < 0.9
        (recipe,) = image.metadata["cosynth"]["recipes"]
        for y, x, _ in recipe["inpainted"]["edit"]["added"]:
            assert not same[round(y), round(x)]
        np.testing.assert_allclose(layout.translate, image.translate)
    assert {n: found[n]["image"].visible for n in found} == {
        "project #1": True,
        "project #2": False,
    }
    named = {layer.name: layer.as_layer_data_tuple() for layer in viewer.layers[1:]}
    (one,) = described_samples([named[n] for n in named if "#1" in n])
    assert one.description["seed"] == 1 and "edited" not in one.description


def test_ihc_sample_is_a_real_image_without_an_invented_scale():
    (layer,) = ViewerModel().open_sample(PLUGIN, "ihc")
    assert layer.data.shape == (512, 512, 3)
    np.testing.assert_allclose(layer.scale, (1, 1))


def test_ihc_sample_that_cannot_be_downloaded_is_one_line(tmp_path, monkeypatch):
    """A scikit-image that came without the picture, on a machine without a network."""
    from skimage.data import _fetchers

    fetcher = _fetchers._image_fetcher
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.txt").write_text("as scikit-image has it")
    monkeypatch.setattr(_fetchers, "_DISTRIBUTION_DIR", str(tmp_path))
    monkeypatch.setattr(fetcher, "path", tmp_path / "cache")
    monkeypatch.setattr(fetcher, "retry_if_failed", 0)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    viewer = ViewerModel()
    with pytest.raises(ValueError, match=r"could not download it: [A-Za-z]*Error; ") as error:
        viewer.open_sample(PLUGIN, "ihc")
    assert "\n" not in str(error.value) and error.value.__suppress_context__
    assert not viewer.layers


def test_preferences_have_our_entries(plugin_settings, tmp_path):
    from napari.settings import get_plugin_settings

    assert read_preferences() == Preferences("auto", 0, None)
    synthesis = get_plugin_settings(PLUGIN).synthesis
    synthesis.device, synthesis.steps, synthesis.checkpoints = "cpu", 6, str(tmp_path)
    assert read_preferences() == Preferences("cpu", 6, tmp_path)
    synthesis.checkpoints = str(tmp_path / "gone")
    assert read_preferences().checkpoints is None
