"""Who may see a dashboard: a ticket is a part of its address, and stands for the user who asked for it.

The page of a dashboard has an origin of its own, so its requests bring neither a cookie nor a token. What lets them in is the ticket:
it cannot be guessed, is given only to a user who may look, says which dashboard it is for, and the authorizer is asked again each time.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

LASTS = 3600.0
"""Seconds without a request after which a ticket is void."""
MOST = 200


@dataclass
class Ticket:
    """:ivar target: of Dask, the address of the dashboard; of MLflow nothing."""

    name: str
    target: str
    user: Any
    text: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    used: float = field(default_factory=time.monotonic)

    def use(self) -> None:
        """It holds from now on."""
        self.used = time.monotonic()


class Tickets:
    """Those of one server. For the loop's thread."""

    def __init__(self) -> None:
        self._known: dict[str, Ticket] = {}

    def give(self, name: str, target: str, user: Any) -> Ticket:
        """The user's ticket; the same as before while that holds."""
        self._forget()
        for known in self._known.values():
            if (known.name, known.target, known.user) == (name, target, user):
                known.use()
                return known
        while len(self._known) >= MOST:
            del self._known[min(self._known.values(), key=lambda one: one.used).text]
        made = Ticket(name, target, user)
        self._known[made.text] = made
        return made

    def find(self, text: str) -> Ticket | None:
        """The ticket, if it holds; it is used with that."""
        self._forget()
        found = self._known.get(text)
        if found is not None:
            found.use()
        return found

    def _forget(self) -> None:
        oldest = time.monotonic() - LASTS
        for text in [ticket.text for ticket in self._known.values() if ticket.used < oldest]:
            del self._known[text]
