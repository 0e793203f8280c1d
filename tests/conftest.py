"""Fixtures: the real data where it is, a tiny checkpoint, small layouts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_cosynth.types import ClassTable, Layout

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes share the cores. Read when torch is imported, here and in what tests start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

CLASSES = ClassTable.of("inflammatory", "epithelial", "spindle-shaped")

DATA = os.environ.get("COSYNTH_DATA")
"""Where the real data sets are."""


@pytest.fixture(scope="session", autouse=True)
def commands_know_no_data() -> Iterator[None]:
    """The commands under test find the data only where a test names it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COSYNTH_DATA", raising=False)
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The real tiles; tests that need them are skipped where they are absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    root = Path(DATA or default)
    if not (root / "consep" / "train").is_dir():
        pytest.skip(f"the real data sets are not in {root} (set COSYNTH_DATA)")
    return root


@pytest.fixture
def classes() -> ClassTable:
    return CLASSES


@pytest.fixture
def layout(classes: ClassTable) -> Layout:
    centroids = np.array([[10, 12], [30.4, 8], [40, 50.2], [20, 44]], np.float32)
    return Layout(centroids, np.array([1, 2, 3, 2], np.uint8), (64, 64), 0.5, classes)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained checkpoint of a few thousand weights, whose head is not zero."""
    return untrained(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def few_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another, for three passes of the sampler few, that follows looks and has a bank of four."""
    from napari_cosynth.model.looks import LookScale, TileLook

    rng = np.random.default_rng(0)
    looks = [tuple(float(v) for v in rng.uniform(0, 0.5, 16).round(3)) for _ in range(4)]
    bank = [
        TileLook(f"tile-{i}", "colon" if i < 3 else "lung", {"epithelial": 1.0}, look)
        for i, look in enumerate(looks)
    ]
    folder = tmp_path_factory.mktemp("few") / "few"
    return untrained(folder, LookScale.over(looks), (0.999, 0.7, 0.35), bank)


def untrained(
    folder: Path, look: Any = None, nodes: tuple[float, ...] = (), bank: Sequence[Any] = ()
) -> Path:
    import torch

    from napari_cosynth.model.checkpoint import CheckpointConfig, build, save
    from napari_cosynth.model.text import vocabulary
    from napari_cosynth.model.unet import preset

    network = preset(
        "compact",
        classes=len(CLASSES),
        widths=(8, 16),
        blocks=(1, 1),
        cross_attention=(1,),
        text_width=16,
        point_channels=8,
        point_wide=1,
        point_growth=4,
        look=16 if look else 0,
    )
    words = list(vocabulary(CLASSES.names[1:], ["colon"]))
    config = CheckpointConfig(
        network=network,
        text={"kind": "compact", "vocabulary": words, "width": 16, "heads": 2},
        class_names=CLASSES.names,
        class_colors=tuple(tuple(int(v) for v in c) for c in CLASSES.colors),
        mpp=0.5,
        tissues=("colon",),
        look=look,
        nodes=nodes,
    )
    torch.manual_seed(0)
    model = build(config)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return save(model, config, folder, "# tiny\n", bank=bank)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP text model of a few thousand weights with a vocabulary of single letters."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer"}')
    config = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=20,
        bos_token_id=len(tokens) - 2,
        eos_token_id=len(tokens) - 1,
    )
    torch.manual_seed(0)
    CLIPTextModel(config).save_pretrained(folder)
    return folder
