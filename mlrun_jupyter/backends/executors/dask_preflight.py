"""Before the start: would the run find there what it finds here? And has anybody what it needs?"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from mlrun_jupyter.errors import EnvironmentMismatchError, NoResourcesError
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.resources import show_resources

Row = tuple[str, str, str, str]
FINE, DIFFERS, BREAKS = "ok", "differs", "breaks"
OURS = ("mlrun-jupyter", "dask", "distributed", "ipykernel", "papermill")


def wanted(function: Function) -> tuple[list[str], dict[str, str]]:
    """Distributions to compare, and modules that must be there (with the distribution that brings each, where known)."""
    bundled = {name.partition("/")[0].removesuffix(".py") for name in function.files}
    modules = {
        name: _distribution(name) for name in function.packages
        if name not in sys.stdlib_module_names and name not in bundled and name != "mlrun_jupyter"
    }  # fmt: skip
    distributions = [*OURS, *(found for found in modules.values() if found), *(_name(line) for line in function.requirements)]
    return list(dict.fromkeys(name for name in distributions if name)), modules


@cache
def _by_module() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _distribution(module: str) -> str:
    found = _by_module().get(module, [])
    # several may share a namespace; the one of that name is meant
    return next((name for name in found if name.lower() == module.lower()), found[0] if found else "")


def _name(requirement: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(requirement).name
    except InvalidRequirement:
        return ""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def compare(function: Function, answers: Mapping[str, Any]) -> list[Row]:
    """Rows ``what here there verdict``, one for each package and different finding.

    :param answers: what each worker said (``dask_probe.look``), or the exception that stands for it.
    """
    distributions, modules = wanted(function)
    rows: list[Row] = []
    told = {worker: answer for worker, answer in answers.items() if isinstance(answer, dict)}
    for worker, answer in answers.items():
        if worker not in told:
            rows.append(("worker", "", f"{worker}: {answer}"[:200], BREAKS))
    if not told:
        return rows
    mine = platform.python_version()
    for found, where in _groups((answer["python"], worker) for worker, answer in told.items()):
        same = found.split(".")[:2] == mine.split(".")[:2]
        rows.append(("Python", mine, _at(found, where, told), FINE if found == mine else DIFFERS if same else BREAKS))
    needed = {_name(line).lower(): line for line in function.requirements}
    brings = {found: module for module, found in modules.items() if found}
    for name in distributions:
        here = _version(name)
        for found, where in _groups((answer["distributions"].get(name, ""), worker) for worker, answer in told.items()):
            present = found or (name in brings and all(told[worker]["modules"].get(brings[name]) for worker in where))
            vital = name in brings or name.lower() in needed or name in ("mlrun-jupyter", "papermill", "ipykernel")
            verdict = FINE if found == here else DIFFERS
            if not present and (vital or here):
                verdict = BREAKS if vital else DIFFERS
            if found and not _suits(needed.get(name.lower(), ""), found):
                verdict = BREAKS
            what = needed.get(name.lower(), name)
            rows.append((what, here or "not installed", _at(found or "not installed", where, told), verdict))
    for module, found in modules.items():
        # nobody knows which distribution brings it: it must at least be there
        if not found:
            for there, where in _groups((str(answer["modules"].get(module, False)), worker) for worker, answer in told.items()):
                missing = there != "True"
                here = "present" if importlib.util.find_spec(module) else "not installed"
                rows.append((module, here, _at("not installed" if missing else "present", where, told), BREAKS if missing else FINE))
    return rows


def _groups(found: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    groups: dict[str, list[str]] = {}
    for value, worker in found:
        groups.setdefault(value, []).append(worker)
    return list(groups.items())


def _at(value: str, where: list[str], workers: Mapping[str, Any]) -> str:
    if len(where) == len(workers):
        return value
    return f"{value} on {len(where)} of {len(workers)} Dask workers"


def _suits(requirement: str, version: str) -> bool:
    if not requirement:
        return True
    from packaging.requirements import Requirement

    return Requirement(requirement).specifier.contains(version, prereleases=True)


def judge(rows: list[Row], *, address: str) -> tuple[str, ...]:
    """Notes on what differs.

    :raises EnvironmentMismatchError: when something would break.
    """
    broken = [row for row in rows if row[3] == BREAKS]
    if broken:
        table = text([row for row in rows if row[3] != FINE])
        raise EnvironmentMismatchError(
            f"the function would not run on the Dask workers of {address}",
            why=f"{len(broken)} thing{'s' * (len(broken) != 1)} there {'do' if len(broken) != 1 else 'does'} not suit:\n{table}",
            next_step="install there what is missing, or run it here: executor='process'",
            rows=[list(row) for row in rows if row[3] != FINE],
        )
    return tuple(
        f"{what} is {there if ' Dask workers' in there else f'{there} on the Dask workers'}, {here} here"
        for what, here, there, verdict in rows if verdict == DIFFERS
    )  # fmt: skip


def text(rows: list[Row]) -> str:
    """The rows as an indented table."""
    lines = [("", "here", "there", ""), *rows]
    widths = [max(len(row[at]) for row in lines) for at in range(4)]
    return "\n".join("    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines)


# -- resources --------------------------------------------------------------------------------------------------------


def place(needs: Mapping[str, float], workers: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, float], list[str], tuple[str, ...]]:
    """How Dask is told what a run needs: the resources to reserve, the workers to choose from (none: any), and notes.

    What workers declare as Dask resources is reserved. ``cpu`` and ``memory`` that nobody declares are compared with a worker's
    threads and memory limit instead, which excludes workers that are too small but reserves nothing.

    :param workers: by address, as ``Client.scheduler_info`` has them: ``nthreads memory_limit resources``.
    :raises NoResourcesError: when no worker has it all.
    """
    if not workers:
        # a cluster that grows on demand may have none yet, and then nobody knows what its workers will offer
        return {}, [], ("the Dask cluster has no worker yet; the run waits for one",)
    declared = {name.lower(): name for worker in workers.values() for name in (worker.get("resources") or {})}
    needs = dict(needs)
    if "cpu" in declared:
        # so that runs that compute on their cluster take turns like all others
        needs.setdefault("cpu", 1.0)
    reserved = {declared[name.lower()]: amount for name, amount in needs.items() if name.lower() in declared}
    compared = {name: amount for name, amount in needs.items() if name.lower() not in declared}
    fitting = [
        address for address, worker in workers.items()
        if all((worker.get("resources") or {}).get(name, 0) >= amount for name, amount in reserved.items())
        and all(_has(worker, name, amount) for name, amount in compared.items())
    ]  # fmt: skip
    if not fitting:
        offers = sorted({show_resources(_offer(worker)) for worker in workers.values()})
        raise NoResourcesError(
            f"no Dask worker has {show_resources(needs)}",
            why=f"the {len(workers)} worker{'s' * (len(workers) != 1)} of the cluster offer{'s' * (len(workers) == 1)} {'; or '.join(offers)} each",
            next_step="ask for less, or start workers with it: dask worker … --resources 'gpu=1'",
            offers=offers,
        )
    notes = (f"{show_resources(compared)}: compared with the workers' size, not reserved, since no worker declares it as a resource",) if compared else ()
    return reserved, fitting if compared else [], notes


def _has(worker: Mapping[str, Any], name: str, amount: float) -> bool:
    if name == "cpu":
        return bool(worker.get("nthreads", 0) >= amount)
    if name == "memory":
        # 0: unlimited
        return not worker.get("memory_limit") or bool(worker["memory_limit"] >= amount)
    return False


def _offer(worker: Mapping[str, Any]) -> dict[str, float]:
    sizes = {"cpu": float(worker.get("nthreads", 0)), "memory": float(worker.get("memory_limit") or 0)}
    found = {name.lower() if name.lower() in sizes else name: float(amount) for name, amount in (worker.get("resources") or {}).items()}
    return {name: amount for name, amount in {**sizes, **found}.items() if amount}
