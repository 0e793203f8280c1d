"""``cosynth info``: what a checkpoint knows and where it would run."""

from __future__ import annotations

from napari_cosynth.model.checkpoint import available, load, own
from napari_cosynth.model.precision import choose_device, faster_in_bf16


def print_info(name: str) -> None:
    """Prints a checkpoint's facts; raises ValueError where it cannot be used."""
    checkpoint = load(name)
    config = checkpoint.config
    parameters = sum(p.numel() for p in checkpoint.model.parameters()) / 1e6
    device = choose_device()
    facts = {
        "checkpoint": f"{checkpoint.name} ({checkpoint.path})",
        "sha256": checkpoint.sha256,
        "parameters": f"{parameters:.1f} million",
        "grid": f"{config.mpp:g} µm/px; canvases of any size, sampled in multiples of "
        f"{config.network.multiple} pixels and cropped",
        "classes": ", ".join(f"{i} {n}" for i, n in enumerate(config.class_names)),
        "tissues": ", ".join(config.tissues) or "none named",
        "stains": ", ".join(config.stains),
        "text": str(config.text.get("kind")),
        "training": ", ".join(
            f"{k} {v}" for k, v in config.training.items() if not isinstance(v, dict)
        ),
        "licence": config.licence or "not stated",
        "device": f"{device}, in {'bfloat16' if faster_in_bf16(device) else 'float32'}",
        "bundled": ", ".join(available()),
        "yours": ", ".join(own()) or "none (set COSYNTH_CHECKPOINTS to a folder of them)",
    }
    for key, value in facts.items():
        print(f"{key + ':':13}{value}")
