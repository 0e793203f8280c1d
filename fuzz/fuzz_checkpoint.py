"""Checkpoints: tensors of other shapes, NaN, more of them, a configuration that names code."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import load as parse
from safetensors.torch import save as serialise

from harness import Reader, damaged, json_text, main
from napari_cosynth.io.settings import plain
from napari_cosynth.model.checkpoint import CheckpointConfig, build, load
from napari_cosynth.model.text import vocabulary
from napari_cosynth.model.unet import preset

_TEXTS: tuple[Any, ...] = (
    {"kind": "os.system"}, {"kind": "napari_cosynth.cli:main"}, {"kind": "../../x"}, {"kind": None}, {},
    {"kind": "clip"}, {"kind": "clip", "folder": "/etc"}, {"kind": "clip", "name": "http://x/y"},
    {"kind": "clip", "path": "openai/clip-vit-base-patch32"},
    {"kind": "compact", "vocabulary": ["a"], "width": 10**9, "heads": 1},
    {"kind": "compact", "vocabulary": ["a"] * 3, "width": 16, "heads": 0},
    {"kind": "compact", "vocabulary": [["a"], 1, None], "width": 16, "heads": 2},
    {"kind": "compact", "vocabulary": {}, "width": -16, "heads": 2},
    {"kind": "compact", "vocabulary": ["a"], "width": "16", "heads": 2, "x": 1},
    {"kind": "compact", "vocabulary": ["a"], "width": 16, "heads": 2, "length": 10**9},
)  # fmt: skip


@cache
def valid() -> tuple[bytes, str]:
    """The weights and the configuration of a small checkpoint."""
    names = ("background", "a", "b")
    network = preset(
        "compact", classes=3, widths=(8, 16), blocks=(1, 1), cross_attention=(1,), text_width=16,
        point_channels=8, point_wide=1, point_growth=4,
    )  # fmt: skip
    config = CheckpointConfig(
        network=network,
        text={"kind": "compact", "vocabulary": list(vocabulary(names[1:], ["colon"])), "width": 16,
              "heads": 2},
        class_names=names,
        class_colors=((0, 0, 0), (255, 0, 0), (0, 255, 0)),
        mpp=0.5,
    )  # fmt: skip
    torch.manual_seed(0)
    model = build(config)
    made = serialise(dict(model.state_dict()), {"format": "pt"}), json.dumps(plain(config))
    with tempfile.TemporaryDirectory() as folder:  # what torch sets up when it is first used
        (Path(folder) / "model.safetensors").write_bytes(made[0])
        (Path(folder) / "config.json").write_text(made[1])
        load(folder)
    return made


def weights(data: st.DataObject, content: bytes) -> bytes:
    kind = data.draw(
        st.sampled_from(["as it is"] * 3 + ["bytes"] * 3 + ["tensors"] * 3 + ["header"])
    )
    if kind == "bytes":
        return damaged(data, content)
    if kind == "header":
        size = data.draw(st.sampled_from([0, 1, 8, 2**31, 2**40, 2**63 - 1]))
        return size.to_bytes(8, "little") + data.draw(st.sampled_from([b"", b"{}", b"[" * 9000]))
    if kind == "as it is":
        return content
    tensors = parse(content)
    name = data.draw(st.sampled_from(sorted(tensors)))
    what = data.draw(
        st.sampled_from(["nan", "inf", "shape", "type", "gone", "more", "renamed", "whole"])
    )
    old = tensors[name]
    if what in ("nan", "inf"):
        tensors[name] = torch.full_like(old, float(what)) if old.is_floating_point() else old
    elif what == "shape":
        tensors[name] = torch.zeros(data.draw(st.lists(st.integers(0, 5), max_size=4)))
    elif what == "type":
        tensors[name] = old.to(data.draw(st.sampled_from([torch.int8, torch.bool, torch.bfloat16])))
    elif what == "more":
        tensors[data.draw(st.sampled_from(["x", "network", "../x", "a\nb", "text.code"]))] = (
            old.clone()
        )
    elif what == "whole":
        tensors = {}
    else:
        del tensors[name]
        if what == "renamed":
            tensors[name + "x"] = old
    return bytes(serialise(tensors, {"format": "pt"}))


def write(folder: Path, data: st.DataObject) -> None:
    tensors, text = valid()
    config = json.loads(text)
    changed = data.draw(st.sampled_from(["no", "no", "text", "json", "numbers"]))
    content = text.encode()
    if changed == "text":
        content = json.dumps({**config, "text": data.draw(st.sampled_from(_TEXTS))}).encode()
    elif changed == "json":
        content = json_text(data, config)
    elif changed == "numbers":
        key = data.draw(st.sampled_from(sorted(config["network"])))
        value = data.draw(
            st.sampled_from([0, -1, 1, 3, 10**6, 10**9, 2**63, [0], [10**9], [1] * 70, "x"])
        )
        content = json.dumps({**config, "network": {**config["network"], key: value}}).encode()
    (folder / "config.json").write_bytes(content)
    (folder / "model.safetensors").write_bytes(weights(data, tensors))
    if data.draw(st.integers(0, 4)) == 0:
        bank = [{"tile": "t", "tissue": "colon", "classes": {"a": 1.0}, "look": [0.1] * 16}]
        (folder / "looks.json").write_bytes(json_text(data, bank))


def read(folder: Path) -> None:
    checkpoint = load(folder)
    assert all(bool(np.isfinite(p.numpy()).all()) for p in checkpoint.model.parameters())
    assert isinstance(checkpoint.bank, tuple)


CHECKPOINT = Reader("checkpoints, safetensors", write, read)
READERS = (CHECKPOINT,)

if __name__ == "__main__":
    main(*READERS)
