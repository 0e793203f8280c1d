"""Error messages for the user."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.notifications import ErrorNotification, notification_manager, show_warning


def tell(error: Exception) -> None:
    """Shows ValueError and OSError as a one-line warning, others with a button for the traceback."""
    if isinstance(error, (ValueError, OSError)):
        show_warning(str(error))
    else:
        notification_manager.dispatch(ErrorNotification(error))


def told(action: Callable[[], object]) -> Callable[..., None]:
    """Wraps a button's action so that its ValueError or OSError becomes a one-line warning."""

    def run(_: object = None) -> None:
        try:
            action()
        except (ValueError, OSError) as error:
            show_warning(str(error))

    return run
