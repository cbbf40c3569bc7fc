"""What is secret in addresses and options: found, so that it is not stored, and taken out of what is shown.

``secret://name`` stands for a secret, and may be stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

REFERENCE = re.compile(r"secret://[\w.-]+")
_STANDS = re.compile(rf"((basic|bearer|token) )?{REFERENCE.pattern}", re.IGNORECASE)
"""What stands for a secret, also behind the word that a header of HTTP has before it."""
ENDS = (
    "password", "passwd", "passphrase", "secret", "token", "accesskey", "secretkey", "accountkey", "apikey", "privatekey", "keypem", "signature", "authorization",
)  # fmt: skip
"""How names of what is secret end, without what separates their words."""
WORDS = ("pass", "pwd", "sig", "sas", "auth")
"""Last words of such names, which other words end with, too."""
KINDS_OF_TOKEN = ("anon", "cache", "cloud", "browser", "google_default")
"""What gcsfs takes as a token and is none."""
_USER = re.compile(r"([\w+.-]+://[^:/?#@]*:)([^/?#]*)(?=@)")
# as SQLAlchemy reads it, whose passwords may have a slash in them
_DATABASE = re.compile(r"([\w+.-]+://[^:/]*:)([^@]*)(?=@)")
_QUERY = re.compile(r"([?&;])([^=&;#?]+)=([^&;#]*)")
_PAIR = re.compile(r"""([\w.-]+)\s*=\s*("[^"]*"|'[^']*'|[^&;#,\s]*)""")


def bare(address: str, *, database: bool = False) -> str:
    """A path or URL without what is secret in it; ``secret://name`` for all of it stays.

    :param database: it is a URL of SQLAlchemy.

    >>> bare("redis://ada:lovelace@host:6379/0")
    'redis://ada@host:6379/0'
    """
    if REFERENCE.fullmatch(address):
        return address
    address = (_DATABASE if database else _USER).sub(lambda found: found[1][:-1], REFERENCE.sub("", address))
    return _QUERY.sub(lambda found: f"{found[1]}{found[2]}=" if [*_named(found[2], unquote_plus(found[3]))] else found[0], address)


def in_address(address: str, *, database: bool = False) -> Iterator[tuple[str, str]]:
    """What is secret in a path or URL: its place and itself.

    :param database: it is a URL of SQLAlchemy.
    """
    plain = REFERENCE.sub("", address)
    for found in (_DATABASE if database else _USER).finditer(plain):
        if found[2]:
            yield "the password of its URL", found[2]
    for found in _QUERY.finditer(plain):
        yield from _named(found[2], unquote_plus(found[3]))


def in_options(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """What is secret in nested options: the names that lead to it, and itself."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from in_options(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from in_options(one, name)
    elif value is not None and not isinstance(value, bool):
        yield from _named(name, str(value))


def _named(name: str, value: str) -> Iterator[tuple[str, str]]:
    if not value or _STANDS.fullmatch(value) or (value in KINDS_OF_TOKEN and name.endswith("token")):
        return
    if _secret(name) or "PRIVATE KEY-----" in value:
        yield repr(name), value
        return
    # as in a string of ODBC, of Azure, or of JAAS
    for found in _PAIR.finditer(value):
        text = found[2].strip("\"'")
        if text and _secret(found[1]) and not REFERENCE.fullmatch(text):
            yield f"{found[1]!r} in {name!r}", text


def _secret(name: str) -> bool:
    words = re.findall(r"[a-z0-9]+", name.lower())
    return bool(words) and ("".join(words).endswith(ENDS) or words[-1] in WORDS)
