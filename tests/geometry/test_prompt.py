"""The prompt's wording, which the text encoder was trained on."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cosynth.geometry.prompt import build_prompt, prompt_for
from napari_cosynth.types import Layout


@pytest.mark.parametrize(
    "names,tissue,stain,expected",
    [
        (["a"], "colon", "H&E", "colon tissue image including nuclei types of a."),
        (["a", "b"], "", "H&E", "tissue image including nuclei types of a and b."),
        (
            ["a", "b", "c"],
            "endometrial",
            "IHC",
            "IHC-stained endometrial tissue image including nuclei types of a, b and c.",
        ),
        ([], "colon", "H&E", "colon tissue image with no nuclei."),
    ],
)
def test_wording(names, tissue, stain, expected):
    assert build_prompt(names, tissue, stain) == f"high-quality histopathology {expected}"


def test_a_layout_names_its_classes_in_the_table_order(layout, classes):
    assert prompt_for(layout, "colon").endswith(
        "colon tissue image including nuclei types of inflammatory, epithelial and spindle-shaped."
    )
    empty = Layout(np.zeros((0, 2)), np.zeros(0), (8, 8), 0.5, classes)
    assert prompt_for(empty).endswith("with no nuclei.")
