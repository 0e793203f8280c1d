"""``cosynth.json``, which describes a training stack: what its reader and its writer agree on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FORMAT = 1
DESCRIPTION = "cosynth.json"
_FIELDS: tuple[tuple[str, type | tuple[type, ...]], ...] = (
    ("classes", list),
    ("colors", list),
    ("mpp", (int, float)),
    ("samples", list),
)


def read_description(path: Path) -> dict[str, Any]:
    """The description of a stack. Raises ValueError naming file and field."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None
    for field, kind in _FIELDS:
        if not isinstance(content, dict) or not isinstance(content.get(field), kind):
            raise ValueError(f"{path}: {field}: missing or of the wrong type")
    if content.get("format", FORMAT) != FORMAT:
        raise ValueError(f"{path}: format: expected {FORMAT}, got {content['format']}")
    return dict(content)
