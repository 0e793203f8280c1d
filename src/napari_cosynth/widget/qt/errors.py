"""What goes wrong, said to the user."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.notifications import ErrorNotification, notification_manager, show_warning


def tell(error: Exception) -> None:
    """What the user can put right is a line; anything else has its traceback behind a button."""
    if isinstance(error, (ValueError, OSError)):
        show_warning(str(error))
    else:
        notification_manager.dispatch(ErrorNotification(error))


def told(action: Callable[[], object]) -> Callable[..., None]:
    """A button's action whose refusal becomes a one-line warning."""

    def run(_: object = None) -> None:
        try:
            action()
        except (ValueError, OSError) as error:
            show_warning(str(error))

    return run
