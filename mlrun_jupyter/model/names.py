"""Names, tags, keys and URIs: their forms, and the one place that checks them.

Formats are MLRun's: names are DNS-1123 labels of at most 63 characters, in which ``_`` and blanks become ``-``;
artifact keys start and end alphanumeric; URIs are ``<project>/<name>[:tag][@hash]`` for functions,
``<project>@<uid>#<iteration>`` for runs and ``store://<category>/<project>/<key>[#iter][:tag][@tree]`` for artifacts.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from mlrun_jupyter.errors import NameInvalidError

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_TAG = re.compile(r"[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9_])?")
_HASH = re.compile(r"[0-9a-f]{6,64}")
MAX_LABEL = 63
CATEGORIES = ("artifacts", "datasets", "models", "feature-sets", "feature-vectors")


def normal(name: str) -> str:
    """The form in which names are stored: lower case, with ``_`` and blanks as ``-``."""
    return re.sub(r"[_\s]+", "-", name.strip().lower())


def check_label(name: str, what: str) -> str:
    """Normalise and check the name of a project, function or run (``what`` says which, for the message).

    :raises NameInvalidError: when it is no DNS-1123 label of at most 63 characters.
    """
    label = normal(name) if isinstance(name, str) else ""
    if not _LABEL.fullmatch(label) or len(label) > MAX_LABEL:
        raise NameInvalidError(
            f"{name!r} cannot be the name of a {what}",
            why="names hold a-z, 0-9 and '-', start and end with a letter or digit, and have at most 63 characters",
            next_step=f"choose a name such as {_suggest(label)!r}",
        )
    return label


def _suggest(label: str) -> str:
    import unicodedata

    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9-]+", "-", plain).strip("-")[:MAX_LABEL].strip("-")
    return plain or "my-name"


def check_key(key: str, what: str = "artifact") -> str:
    """Check the key of an artifact, result or label."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise NameInvalidError(
            f"{key!r} cannot be the key of an {what}",
            why="keys start and end with a letter or digit and hold letters, digits, '-', '_' and '.'",
            next_step="choose another key, such as 'model' or 'train.auc'",
        )
    return key


def check_tag(tag: str) -> str:
    """Check a tag."""
    if not isinstance(tag, str) or not _TAG.fullmatch(tag) or len(tag) > 128:
        raise NameInvalidError(
            f"{tag!r} cannot be a tag",
            why="tags hold letters, digits, '-', '_' and '.', at most 128 of them",
            next_step="choose a tag such as 'v2'",
        )
    return tag


def check_identifier(name: str, what: str = "parameter") -> str:
    """Check that ``name`` can be a Python variable and is no keyword."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise NameInvalidError(
            f"{name!r} cannot be the name of a {what}",
            why="it becomes a Python variable, and this is no identifier"
            if not (isinstance(name, str) and keyword.iskeyword(name))
            else "it is a keyword of Python",
            next_step="use letters, digits and '_', not starting with a digit",
        )
    return name


@dataclass(frozen=True)
class FunctionRef:
    """A function as users name it: ``[project/]name[:tag][@hash]``; the hash wins over the tag."""

    name: str
    project: str = ""
    tag: str = ""
    hash: str = ""

    def __str__(self) -> str:
        text = f"{self.project}/{self.name}" if self.project else self.name
        if self.hash:
            return f"{text}@{self.hash}"
        return f"{text}:{self.tag}" if self.tag else text


def parse_function(text: str) -> FunctionRef:
    """Read ``[db://][project/]name[:tag][@hash]``.

    :raises NameInvalidError: when it has another form.
    """
    rest = text.removeprefix("db://").strip()
    project, _, rest = rest.rpartition("/")
    rest, _, digest = rest.partition("@")
    name, _, tag = rest.partition(":")
    if digest and not _HASH.fullmatch(digest):
        raise NameInvalidError(
            f"{text!r} does not name a function version",
            why=f"{digest!r} is no hash: at least six of the digits 0-9a-f",
            next_step="write name@hash with the hash that `mlrun-jupyter functions list` shows, or name:tag",
        )
    return FunctionRef(
        name=check_label(name, "function"),
        project=check_label(project, "project") if project else "",
        tag=check_tag(tag) if tag else "",
        hash=digest,
    )


@dataclass(frozen=True)
class ArtifactRef:
    """An artifact's address, ``store://<category>/<project>/<key>[#iter][:tag][@tree]``.

    ``tree`` is the uid of the run (or workflow) that made it. Category and project may be empty on reading; then
    the category is ``artifacts`` (which matches every category) and the project is the current one.
    """

    key: str
    project: str = ""
    category: str = "artifacts"
    iteration: int = 0
    tag: str = ""
    tree: str = ""

    def __str__(self) -> str:
        text = f"store://{self.category}/{self.project}/{self.key}"
        if self.iteration:
            text += f"#{self.iteration}"
        if self.tag:
            text += f":{self.tag}"
        return f"{text}@{self.tree}" if self.tree else text


_ARTIFACT = re.compile(
    r"^((?P<project>.*)/)?(?P<key>.*?)(\#(?P<iteration>.*?))?(:(?P<tag>.*?))?(@(?P<tree>.*))?$", re.DOTALL
)


def parse_artifact(uri: str) -> ArtifactRef:
    """Read an artifact URI.

    :raises NameInvalidError: when it is not one.
    """
    if not uri.startswith("store://"):
        raise NameInvalidError(
            f"{uri!r} is no artifact URI",
            why="it does not start with store://",
            next_step="write store://<category>/<project>/<key>[:tag][@run uid]",
        )
    rest = uri.removeprefix("store://")
    category = "artifacts"
    head, _, tail = rest.partition("/")
    if tail and head in CATEGORIES:
        category, rest = head, tail
    match = _ARTIFACT.match(rest)
    found = match.groupdict() if match else {}
    iteration = found.get("iteration") or "0"
    if not found.get("key") or not iteration.isdigit():
        raise NameInvalidError(
            f"{uri!r} is no artifact URI",
            why="the iteration must be a whole number" if found.get("key") else "it names no key",
            next_step="write store://<category>/<project>/<key>[#iteration][:tag][@run uid]",
        )
    return ArtifactRef(
        key=check_key(found["key"]),
        project=found.get("project") or "",
        category=category,
        iteration=int(iteration),
        tag=found.get("tag") or "",
        tree=found.get("tree") or "",
    )


def run_uri(project: str, uid: str, iteration: int = 0) -> str:
    """``<project>@<uid>#<iteration>``."""
    return f"{project}@{uid}#{iteration}"
