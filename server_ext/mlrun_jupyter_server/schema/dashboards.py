"""Messages about dashboards."""

from __future__ import annotations

import msgspec


class ToOpen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    run: str = ""
    """The uid of a run: the page of MLflow that shows it, or the dashboard of the cluster that it was on."""


class Opened(msgspec.Struct, frozen=True):
    name: str
    path: str = ""
    """Where its page is, below ``mlrun/v1/``. It holds for the user who asked, for an hour after the last look."""
    external: str = ""
    """Instead of that, the address of a tracking server, which has a login of its own."""
