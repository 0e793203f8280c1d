"""The mean of the weights of two checkpoints of one run: python tools/average_checkpoints.py A B OUT

What two moments of one training differ in beyond noise lies between them in their mean. Classes,
areas, looks, tiles and the training's description are those of B; the mean is said in the latter.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from napari_cosynth.model.checkpoint import CARD, load, save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=Path, metavar="A")
    parser.add_argument("second", type=Path, metavar="B")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--share", type=float, default=0.5, help="of B in the mean")
    options = parser.parse_args()
    first, second = load(options.first), load(options.second)
    if first.config.network != second.config.network:
        raise SystemExit("the two are not of one network")
    weights = second.model.state_dict()
    for key, before in first.model.state_dict().items():
        if before.is_floating_point():
            weights[key] = before.lerp(weights[key], options.share)
    second.model.load_state_dict(weights)
    steps = [c.config.training.get("steps") for c in (first, second)]
    said = (
        f"{1 - options.share:g} of the weights of step {steps[0]}, {options.share:g} of {steps[1]}"
    )
    config = dataclasses.replace(second.config, training={**second.config.training, "mean": said})
    card = (options.second / CARD).read_text(encoding="utf-8")
    print(save(second.model, config, options.out, card, bank=second.bank))


if __name__ == "__main__":
    main()
