"""Checkpoints, layout models and recipes by name, found without importing what opens them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from napari_cosynth.io.errors import nearest
from napari_cosynth.io.paths import named

CONFIG, WEIGHTS = "config.json", "model.safetensors"
"""Files in the folder of a checkpoint or a segmenter."""
OWN_FOLDER = "COSYNTH_CHECKPOINTS"
"""Environment variable that names the user's folder of checkpoints."""
BUNDLED = Path(__file__).parent / "checkpoints"
LAYOUT_MODELS = Path(__file__).parent / "layout_models"
RECIPES = Path(__file__).parent / "recipes"
SAMPLES = Path(__file__).parent / "samples"
COMPRESSIONS = ("zlib", "lzw", "zstd", "none")
"""Compressions of a stack's TIFFs."""
DOWNSTREAM = "downstream-"
"""Prefix in the names of the packaged recipes of ``cosynth downstream``."""


def locate(name: str | Path) -> Path:
    """The checkpoint folder for a name or a path.

    A name is a bundled checkpoint's or one in the user's folder. Raises ValueError if there is no
    such folder.
    """
    bundled = {key: BUNDLED / key for key in available()}
    path = ({**own(), **bundled}).get(str(name), named(name))
    if not path.is_dir():
        known = (*bundled, *own())
        raise ValueError(
            f"{name}: no checkpoint folder there{nearest(str(name), known)}; "
            f"known by name: {', '.join(known) or 'none'}"
        )
    return path


def own() -> dict[str, Path]:
    """The checkpoints in the user's folder (:data:`OWN_FOLDER`), by name; empty if none is set."""
    folder = os.environ.get(OWN_FOLDER)
    return checkpoints_in(Path(folder).expanduser()) if folder else {}


def available() -> list[str]:
    """Names of the bundled checkpoints, ``default`` first."""
    return sorted(checkpoints_in(BUNDLED), key=lambda name: (name != "default", name))


def checkpoints_in(folder: Path) -> dict[str, Path]:
    """The checkpoint folders directly inside a folder, by name."""
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{CONFIG}"))}


def packaged_recipes() -> dict[str, Path]:
    """Recipe files of every kind that come with the package, by name."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.toml"))}


def bundled_recipes() -> dict[str, Path]:
    """Training recipes that come with the package, by name."""
    return {k: v for k, v in packaged_recipes().items() if not k.startswith(DOWNSTREAM)}


def downstream_recipes() -> dict[str, Path]:
    """Recipes of ``cosynth downstream`` that come with the package, by name."""
    return {k: v for k, v in packaged_recipes().items() if k.startswith(DOWNSTREAM)}


def find_layout_model(name: str | Path) -> Path:
    """The layout model file for a bundled name or a path. Raises ValueError if there is none."""
    known = layout_models()
    file = known.get(str(name), Path(name))
    if not file.exists():
        raise ValueError(
            f"{name}: no such layout model{nearest(str(name), known)}; bundled: {', '.join(known)}"
        )
    return file


def layout_models() -> dict[str, Path]:
    """The files of the layout models that come with the package, by name."""
    return {path.stem: path for path in sorted(LAYOUT_MODELS.glob("*.json"))}


def find_recipe(name: str | Path, bundled: Mapping[str, Path]) -> Path:
    """The recipe file for a bundled name or a path. Raises ValueError if there is none."""
    path = bundled.get(str(name), Path(name))
    if not path.exists():
        raise ValueError(
            f"{name}: no such recipe{nearest(str(name), bundled)}; bundled: {', '.join(bundled)}"
        )
    return path


def recipe_folders(name: str) -> list[str]:
    """The top folders of a training recipe's data sets, in its order; bundled name or path.

    Empty if there is no such recipe or it cannot be read; the recipe's real reader reports that.
    """
    file = bundled_recipes().get(name, Path(name))
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        return [str(data["root"]).split("/")[0] for data in table["data"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def no_dataset(name: str, kinds: Sequence[str], recipes: Iterable[str] = ()) -> str:
    """Error text for a name that is no data set, with the closest known name.

    A data set is a folder of ours, KIND:FOLDER with one of ``kinds``, or one of ``recipes``.
    """
    recipes = list(recipes)
    what = (
        "a stack folder, a recipe, or KIND:FOLDER" if recipes else "a stack folder, or KIND:FOLDER"
    )
    return f"{name}: expected {what} with a kind of {', '.join(kinds)}" + nearest(
        name.partition(":")[0], [*kinds, *recipes]
    )
