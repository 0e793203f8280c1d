"""Recognition of a data set's format by its content, and opening of data sets."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from napari_cosynth import registry
from napari_cosynth.io.paths import named
from napari_cosynth.io.stack_format import DESCRIPTION, read_description
from napari_cosynth.records.base import NamedRecords

logger = logging.getLogger(__name__)


def formats_of(path: Path) -> tuple[str, ...]:
    """The formats that a path may be in, sorted. Our own exports state theirs."""
    if (path / DESCRIPTION).is_file():
        exporter = str(read_description(path / DESCRIPTION).get("exporter", "stack"))
        if exporter in registry.names("dataset"):
            return (exporter,)
    return tuple(name for name in registry.names("dataset") if _recognises(name, path))


def _recognises(name: str, path: Path) -> bool:
    try:
        reader = registry.resolve("dataset", name)
    except ValueError as error:  # a broken reader of another package; ours still work
        logger.warning("%s", error)
        return False
    return bool(reader.recognises(path))


def open_records(
    path: Path, kind: str | None = None, unclassified: str | None = None, **options: Any
) -> tuple[str, NamedRecords]:
    """The name of a data set's format, and the opened data set; options that are None are left out.

    ``kind`` names the format; None recognises it. ``unclassified``: the class for nuclei without one, or
    ``drop``; None refuses records with such nuclei. Raises ValueError if no format or several fit, or the
    format lacks an option.
    """
    path = named(path)
    if path.name == DESCRIPTION:
        path = named(path.parent)
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    if kind is None:
        found = formats_of(path)
        if not found:
            raise ValueError(
                f"{path}: in none of the known formats; --from names one of "
                f"{', '.join(registry.names('dataset'))}"
            )
        if len(found) > 1:
            raise ValueError(f"{path}: could be {' or '.join(found)}; --from names which")
        kind = found[0]
    reader = registry.resolve("dataset", kind)
    given = {key: value for key, value in options.items() if value is not None}
    try:
        dataset: NamedRecords = reader(path, **given)
    except TypeError as error:
        unknown = [name for name in given if f"'{name}'" in str(error)]
        if not unknown:
            raise
        raise ValueError(f"{path}: the format {kind} takes no {unknown[0]}") from None
    if unclassified is not None:
        dataset.classify_rest(unclassified)
    return kind, dataset
