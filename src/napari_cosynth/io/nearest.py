"""Error text for unknown names, with the closest match."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """``" (did you mean 'NAME'?)"``, or an empty text if no known name is similar. Ignores case."""
    by_lower = {one.lower(): one for one in known}
    found = get_close_matches(name.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[found[0]]!r}?)" if found else ""


def one_of(name: object, known: Iterable[str]) -> str:
    """``"expected one of A, B, C, got 'X'"``, with the closest match if there is one."""
    names = list(known)
    return f"expected one of {', '.join(names) or 'none'}, got {name!r}{nearest(str(name), names)}"
