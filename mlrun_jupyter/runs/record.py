"""What a run stands on, put into its record: digests of its inputs, versions of what it imported, the state of the sources."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mlrun_jupyter.digests import Digests, Signature, signature
from mlrun_jupyter.model.canonical import content_hash, encode
from mlrun_jupyter.model.order import BoundInput
from mlrun_jupyter.model.run import Record
from mlrun_jupyter.runs import audit
from mlrun_jupyter.runs.installed import Installed, lock

DIFF = "dirty.diff"
LARGEST_DIFF = 1_000_000
OWN = "mlrun-jupyter"


def local_path(given: BoundInput) -> Path | None:
    """The input's path on this machine; ``None`` when it lies elsewhere."""
    if given.url.startswith("file://"):
        return Path(given.url.removeprefix("file://"))
    return None if "://" in given.url else Path(given.url)


def digest_inputs(inputs: Iterable[BoundInput], known: Digests, *, workdir: Path) -> dict[str, str]:
    """Digests of the inputs' contents by name, empty for one whose content nobody can tell.

    Beside the content it is the name of the file and how the artifact was packed that decide what the code gets.
    """
    found: dict[str, str] = {}
    for given in inputs:
        path = local_path(given)
        try:
            content = known.of_path(workdir / path) if path is not None else known.of_url(given.url)
        except OSError:
            content = ""
        packing = encode(given.artifact.packing) if given.artifact is not None else ""
        found[given.name] = content_hash([content, given.url.rstrip("/").rpartition("/")[2], packing]) if content else ""
    return found


def sign_inputs(inputs: Iterable[BoundInput], *, workdir: Path) -> dict[str, Any]:
    """What tells cheaply whether a local input was written to."""
    found: dict[str, Any] = {}
    for given in inputs:
        path = local_path(given)
        if path is not None:
            found[given.name] = _sign(workdir / path)
    return found


def _sign(path: Path) -> list[tuple[str, Signature]]:
    try:
        if not path.is_dir():
            return [("", signature(path))]
        return sorted((file.relative_to(path).as_posix(), signature(file)) for file in path.rglob("*") if file.is_file())
    except OSError:
        return []


def key_of(function_hash: str, parameters: Mapping[str, Any], inputs: Mapping[str, str], types: Mapping[str, str], env: Mapping[str, str]) -> str:
    """The key by which runs of the same code, parameters and data find each other; empty when an input has no digest.

    :param types: how each input arrives, by name.
    :param env: variables that the run was given.
    """
    if any(not digest for digest in inputs.values()):
        return ""
    return content_hash(["1", function_hash, dict(parameters), dict(inputs), {name: types.get(name, "") for name in inputs}, dict(env)])


def make(
    report: Mapping[str, Any] | None,
    *,
    inputs: Mapping[str, str],
    changed: Iterable[str],
    known: Installed,
    digest: Callable[[Path], str],
    redact: Callable[[str], str] = str,
    undigested: Mapping[str, str] | None = None,
) -> Record:
    """The record of a run that came to its end.

    :param report: what its process told (:meth:`mlrun_jupyter.runs.audit.Recorder.report`); ``None`` when it told nothing.
    :param changed: inputs that were written to while it ran.
    :param digest: of a module's file.
    :param undigested: locations of the inputs, for those without a digest.
    """
    unseen = [redact(text) for text in (report or {}).get("unseen", ())]
    unseen += [f"input {name} was changed while it ran" for name in changed]
    unseen += [f"input {name} has no digest: {(undigested or {}).get(name, '')} says neither ETag nor time of change" for name, found in inputs.items() if not found]
    if report is None:
        return Record(inputs=dict(inputs), unseen=tuple(unseen))
    modules: dict[str, str] = {}
    for path in report["modules"]:
        try:
            modules[path] = digest(Path(path))
        except OSError:
            unseen.append(f"{audit.FILE}: {path}")
    packages = lock([root for root in report["roots"] if not root.startswith("mlrun_jupyter")], report["loaded"], known)
    if OWN in known.versions:
        # ourselves alone: what we stand on counts when the run's code uses it as well
        packages[OWN] = known.versions[OWN]
    return Record(
        known=True, packages=dict(sorted(packages.items())), modules=modules, inputs=dict(inputs), variables=dict(report["variables"]),
        unseen=tuple(unseen), seeds={key: int(value) for key, value in report["seeds"].items()},
    )  # fmt: skip


def sources(folder: Path) -> tuple[str, str]:
    """The Git commit of a folder, with ``+`` when there are uncommitted changes, and these as a diff; empty outside Git."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, timeout=10, check=False)
        return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "HEAD").strip()
        if not commit or not git("status", "--porcelain", "--untracked-files=no").strip():
            return commit, ""
        diff = git("diff", "--no-color", "--no-ext-diff", "HEAD")
    except (OSError, subprocess.TimeoutExpired):
        return "", ""
    if len(diff) > LARGEST_DIFF:
        diff = diff[:LARGEST_DIFF] + f"\n… cut off at {LARGEST_DIFF:,} characters\n"
    return f"{commit}+", diff
