"""What may be imported where, checked in fresh interpreters; the registry; the manifest."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from napari_cosynth import registry

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "napari", "qtpy", "magicgui", "transformers", "lightning", "skimage", "pandas")


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*(m.split('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_and_its_manifest_import_nothing_heavy():
    assert not loaded_after("import napari_cosynth, napari_cosynth.registry") & set(HEAVY)
    statement = (
        "from npe2 import PluginManifest\nPluginManifest.from_distribution('napari-cosynth')"
    )
    assert not loaded_after(statement) & {"torch", "transformers", "lightning", "skimage"}


def test_training_needs_neither_napari_nor_qt():
    modules = loaded_after("import napari_cosynth.training.run")
    assert not modules & {"napari", "qtpy", "magicgui", "PyQt6", "PySide6"}


def test_the_shell_shows_its_help_without_torch():
    assert "torch" not in loaded_after("import napari_cosynth.cli as c; c._parser().format_help()")


@pytest.mark.parametrize("kind,name", [(k, n) for k in registry.ENTRIES for n in registry.names(k)])
def test_every_registered_name_resolves_to_its_protocol(kind, name):
    found = registry.resolve(kind, name)
    if kind == "dataset":
        assert {"__len__", "__getitem__", "__iter__", "tissues"} <= set(dir(found))
        assert {"root", "only", "without"} <= set(inspect.signature(found).parameters)
    elif kind == "sampler":
        # The times of few are the checkpoint's: model.samplers gives them.
        wanted = ["schedule", "times"] if name == "few" else ["schedule"]
        assert list(inspect.signature(found).parameters) == wanted
        assert {"state", "clean", "t", "s"} <= set(inspect.signature(found.step).parameters)
    elif kind == "text-encoder":
        assert callable(found.unknown)
    elif kind == "normaliser":
        assert list(inspect.signature(found).parameters) == ["reference"]
        assert list(inspect.signature(found.__call__).parameters) == ["self", "image"]
    elif kind == "layout":
        path, *further = inspect.signature(found).parameters.values()
        assert path.name == "path"
        assert all(option.default is not option.empty for option in further)
        assert inspect.signature(found).return_annotation == "Nuclei"
    elif kind == "exporter":
        assert list(inspect.signature(found).parameters)[:3] == ["items", "path", "overwrite"]
    else:
        pytest.fail(f"no protocol is tested for {kind!r}")


def test_the_public_names_of_sampling():
    import napari_cosynth

    for name in ("inpaint", "repaint", "resynthesize", "synthesize"):
        module = importlib.import_module(f"napari_cosynth.synthesis.{name}")
        assert getattr(napari_cosynth, name) is getattr(module, name)
        assert name in napari_cosynth.__all__


def test_documented_names_of_earlier_folders_are_the_same_things():
    code = (
        "from napari_cosynth.data.stack import StackDataset as one\n"
        "from napari_cosynth.data.shards import ShardsDataset as two\n"
        "import napari_cosynth.data.base as three\n"
        "from napari_cosynth.layouts.points_csv import read_layout as four, write_layout\n"
        "from napari_cosynth.layouts.patterns import bundled_layouts as five\n"
        "from napari_cosynth.datasets.stack import StackDataset\n"
        "from napari_cosynth.datasets.shards import ShardsDataset\n"
        "import napari_cosynth.records.base as base\n"
        "from napari_cosynth.layouts.sources.points_csv import read_layout\n"
        "from napari_cosynth.layouts.drawn.patterns import bundled_layouts\n"
        "assert one is StackDataset and two is ShardsDataset and three is base\n"
        "assert four is read_layout and five is bundled_layouts\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_lists_the_known():
    with pytest.raises(
        ValueError, match=r"sampler: expected one of ancestral, fast, few, flow, got 'x'"
    ):
        registry.resolve("sampler", "x")


def test_the_import_contracts_hold():
    """Who may import whom (ARCHITECTURE.md), by import-linter."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_manifest_is_valid():
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", "napari_cosynth"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_link_at_the_top_is_the_packaged_manifest():
    """A copy of it where the source distribution was unpacked, which holds no links."""
    packaged = ROOT / "src" / "napari_cosynth" / "napari.yaml"
    assert (ROOT / "napari.yaml").read_bytes() == packaged.read_bytes()
