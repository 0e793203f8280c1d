"""Text encoders: vocabulary, unknown words, CLIP by a local folder."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
import torch

from napari_cosynth.geometry.prompt import build_prompt
from napari_cosynth.model.checkpoint import load
from napari_cosynth.model.clip_text import ClipTextEncoder
from napari_cosynth.model.text import CompactTextEncoder, vocabulary, words

VOCABULARY = vocabulary(["spindle-shaped", "inflammatory"], ["colon", "kidney"], ["IHC"])


def test_every_prompt_of_the_vocabulary_is_known():
    encoder = CompactTextEncoder(VOCABULARY, width=16, heads=2)
    for tissue in ("colon", "kidney", ""):
        for names in ([], ["inflammatory"], ["inflammatory", "spindle-shaped"]):
            for stain in ("H&E", "IHC"):
                assert encoder.unknown(build_prompt(names, tissue, stain)) == []


def test_unknown_words_are_flagged_once():
    encoder = CompactTextEncoder(VOCABULARY, width=16, heads=2)
    assert encoder.unknown("colon Pancreas, pancreas and mitoses") == ["pancreas", "mitoses"]


def test_words():
    assert words("H&E-stained, Spindle-shaped (a).") == ["h&e-stained", "spindle-shaped", "a"]


def test_padding_does_not_change_a_prompt():
    torch.manual_seed(0)
    encoder = CompactTextEncoder(VOCABULARY, width=16, heads=2).eval()
    with torch.no_grad():
        alone, _ = encoder(["colon tissue"])
        both, mask = encoder(["colon tissue", "high-quality histopathology colon tissue image"])
    assert mask.tolist()[0] == [True, True, False, False, False]
    torch.testing.assert_close(both[0, :2], alone[0])


def test_empty_prompts_are_all_masked():
    encoder = CompactTextEncoder(VOCABULARY, width=16, heads=2)
    text, mask = encoder(["", "..."])
    assert not mask.any()
    assert torch.isfinite(text).all()


def test_clip_from_a_folder(clip_folder):
    encoder = ClipTextEncoder(str(clip_folder))
    text, mask = encoder(["colon tissue", ""])
    assert text.shape[2] == encoder.width == 16
    assert mask[0].any()
    assert not mask[1].any()
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not encoder.train().model.training


def test_clip_that_is_not_there_says_so_without_asking_the_network():
    with pytest.raises(ValueError, match="'vinid/none' cannot be loaded"):
        ClipTextEncoder("vinid/none")


def test_a_checkpoint_that_names_clip_sends_nothing(tmp_path):
    """In a process whose libraries have not asked before, and with nothing in their caches."""
    code = (
        "import sys\n"
        "names = ('socket.getaddrinfo', 'socket.connect')\n"
        "sys.addaudithook(lambda event, values: event in names and print(event, values))\n"
        "from napari_cosynth.model.clip_text import ClipTextEncoder\n"
        "try:\n    ClipTextEncoder('vinid/plip')\n"
        "except ValueError as error:\n    print('refused')\n"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n"


def test_clip_without_its_vocabulary_is_refused(clip_folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((clip_folder / name).read_bytes())
    with pytest.raises(ValueError, match="text encoder"):
        ClipTextEncoder(str(tmp_path))


def test_a_checkpoint_that_asks_for_a_download_is_not_obeyed(
    tiny_checkpoint, tmp_path, monkeypatch
):
    asked = []

    def nowhere(host, *arguments, **options):
        asked.append(host)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "mine")
    config = json.loads((folder / "config.json").read_text())
    config["text"] = {"kind": "clip", "name": "vinid/none", "local_only": False}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="'vinid/none' cannot be loaded"):
        load(folder)
    assert asked == []
