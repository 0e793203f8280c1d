"""Layout + tissue + stain -> the text prompt (paper section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from napari_cosynth.types import H_AND_E, Layout


def class_names(layout: Layout) -> list[str]:
    """The names of the classes that occur, in the class table's order."""
    present = {int(i) for i in layout.class_ids}
    return [name for i, name in enumerate(layout.classes.names) if i in present]


def build_prompt(names: Sequence[str], tissue: str = "", stain: str = H_AND_E) -> str:
    """The prompt for class names, in the given order (training shuffles them).

    ``"high-quality histopathology [stain-stained ][tissue] tissue image including nuclei types of
    [a, b and c]."`` Haematoxylin-eosin, the default stain, is not named. Without class names the prompt
    ends in "with no nuclei."
    """
    words = ["high-quality", "histopathology"]
    if stain != H_AND_E:
        words.append(f"{stain}-stained")
    if tissue:
        words.append(tissue)
    words += ["tissue", "image"]
    if not names:
        return " ".join(words) + " with no nuclei."
    listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    return " ".join(words) + f" including nuclei types of {listed}."


def prompt_for(layout: Layout, tissue: str = "", stain: str = H_AND_E) -> str:
    """The prompt of a layout, its classes in the table's order."""
    return build_prompt(class_names(layout), tissue, stain)
