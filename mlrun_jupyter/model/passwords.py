"""Addresses without what is secret in them."""

from __future__ import annotations

import re

REFERENCE = re.compile(r"secret://[\w.-]+")
"""What stands for a secret: its name."""
_USER = re.compile(r"([\w+.-]+://[^:/?#@]*):[^/?#]*@")
# as SQLAlchemy reads it, whose passwords may have a slash in them
_DATABASE = re.compile(r"([\w+.-]+://[^:/]*):[^@]*@")


def bare(address: str, *, database: bool = False) -> str:
    """A path or URL without password; ``secret://name`` for all of it stays.

    :param database: it is a URL of SQLAlchemy.

    >>> bare("redis://ada:lovelace@host:6379/0")
    'redis://ada@host:6379/0'
    """
    if REFERENCE.fullmatch(address):
        return address
    return (_DATABASE if database else _USER).sub(r"\1@", REFERENCE.sub("", address))
