"""Checkpoints there and back, and every way one can be wrong."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_cosynth.model.checkpoint import CheckpointConfig, build, load, read_config, save


@pytest.fixture
def folder(tiny_checkpoint, tmp_path):
    return shutil.copytree(tiny_checkpoint, tmp_path / "mine")


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_tensor(folder, change):
    tensors = load_file(folder / "model.safetensors")
    name = sorted(tensors)[0]
    change(tensors, name)
    save_file(tensors, folder / "model.safetensors")
    return name


def test_there_and_back(tiny_checkpoint):
    first = load(tiny_checkpoint)
    assert first.classes.names[0] == "background"
    assert first.config == read_config(tiny_checkpoint)
    stored = load_file(tiny_checkpoint / "model.safetensors")
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, stored[name].float())
    assert {p.name for p in tiny_checkpoint.iterdir()} == {
        "model.safetensors",
        "config.json",
        "README.md",
    }


def test_saving_replaces_whole_folders(folder):
    before = load(folder)
    save(before.model, before.config, folder, "# again\n", half=False)
    assert load(folder).sha256 != before.sha256
    assert [p.name for p in folder.parent.iterdir()] == ["mine"]


def test_a_failed_save_leaves_the_old_one(folder):
    before = load(folder)
    broken = build(before.config)
    torch.nn.init.constant_(broken.network.stem.weight, float("nan"))
    with pytest.raises(ValueError, match="NaN"):
        save(broken, before.config, folder, "")
    assert load(folder).sha256 == before.sha256
    assert [p.name for p in folder.parent.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"surprise": 1}, "surprise: unknown key"),
        ({"mpp": -1}, "mpp"),
        ({"mpp": "small"}, "mpp"),
        ({"format": 2}, "format"),
        ({"class_names": ["background", "a"]}, "class_names"),
        ({"areas": {"unheard of": 30.0}}, "areas: 'unheard of' is no class"),
        ({"areas": {"background": 30.0}}, "areas: 'background' is no class"),
        ({"areas": {"epithelial": 0}}, "areas: epithelial: expected µm² above 0"),
        ({"text": {"kind": "os.system"}}, "text-encoder"),
        ({"text": {"kind": "compact", "vocabulary": [], "evil": 1}}, "evil"),
        ({"network": {"classes": 4, "widths": [8, 10**9], "blocks": [1, 1]}}, "widths"),
    ],
)
def test_a_bad_configuration_names_file_and_field(folder, changes, message):
    change_config(folder, **changes)
    with pytest.raises(ValueError, match=message) as error:
        load(folder)
    assert "config.json" in str(error.value)


def test_missing_and_unreadable_files(folder, tmp_path):
    with pytest.raises(ValueError, match="no checkpoint folder"):
        load(tmp_path / "nowhere")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors: no such file"):
        load(folder)
    (folder / "config.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ValueError, match=r"config\.json: cannot be read"):
        load(folder)


def test_a_pickle_is_not_opened(folder, tmp_path):
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return marker.write_text, ("boom",)

    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="not a safetensors file"):
        load(folder)
    assert not marker.exists()


def test_a_truncated_file(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a safetensors file"):
        load(folder)


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda t, n: t.pop(n), "got none"),
        (lambda t, n: t.update({n: torch.zeros(3, 3, 3)}), r"got \(3, 3, 3\)"),
        (lambda t, n: t.update(extra=torch.zeros(1)), "'extra': expected none"),
        (lambda t, n: t.update({n: torch.full_like(t[n], float("nan"))}), "NaN"),
        (lambda t, n: t.update({n: torch.full_like(t[n], float("inf"))}), "infinite"),
    ],
)
def test_wrong_tensors_are_named(folder, change, message):
    change_tensor(folder, change)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_a_huge_network_is_refused_before_memory_is_taken(folder):
    """Sizes are compared on the meta device: a lie in config.json costs nothing."""
    config = json.loads((folder / "config.json").read_text())
    config["network"]["widths"] = [4096, 8192]
    config["network"]["blocks"] = [16, 16]
    change_config(folder, network=config["network"])
    with pytest.raises(ValueError, match="tensor"):
        load(folder)


def test_the_users_folder_is_known_by_name(folder, monkeypatch):
    monkeypatch.setenv("COSYNTH_CHECKPOINTS", str(folder.parent))
    assert load("mine").path == folder
    with pytest.raises(ValueError, match=r"known by name: default, mine$"):
        load("yours")
    shutil.copytree(folder, folder.parent / "default")
    assert load("default").path != folder.parent / "default"  # a bundled name means the bundled one


def test_configuration_is_frozen_data(tiny_checkpoint):
    config = read_config(tiny_checkpoint)
    assert isinstance(config, CheckpointConfig)
    with pytest.raises(AttributeError):
        config.mpp = 1
