"""Runs on a Dask cluster: one of this machine on demand, any scheduler, or dask-gateway. A run is one Dask task, whose key is its uid.

What is where: :mod:`.dask_connect` reaches schedulers, :mod:`.dask_cluster` is the cluster on demand, :mod:`.dask_preflight` compares,
:mod:`.dask_worker` is the task itself, :mod:`.dask_probe` what schedulers and workers are asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.backends.executors import dask_cluster, dask_connect, dask_preflight
from mlrun_jupyter.backends.executors.dask_connect import LOCAL
from mlrun_jupyter.errors import (
    InputNotFoundError,
    MLRunInvalidArgumentError,
    MLRunMissingDependencyError,
    MLRunRuntimeError,
    MLRunTimeoutError,
)
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.model.canonical import decode
from mlrun_jupyter.model.clock import amount, new_uid
from mlrun_jupyter.model.order import Order, blob_place
from mlrun_jupyter.model.run import Lease, Run
from mlrun_jupyter.processes import end_all, holds
from mlrun_jupyter.protocols.executor import Checked, Portion
from mlrun_jupyter.registry import SECRET_STORES
from mlrun_jupyter.settings import Settings, load

SHARED, MIRRORED = "shared", "mirrored"
# so that a scheduler needs nothing of ours: it takes the task as a call of a builtin with texts and numbers
_TASK = "__import__('importlib').import_module('mlrun_jupyter.backends.executors.dask_worker').guard(*arguments)"


class DaskExecutor:
    """See :class:`mlrun_jupyter.protocols.executor.Executor`; also ``Checks``, ``Explains`` and ``Mirrors``."""

    name = "dask"

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load()

    def dashboard(self) -> str:
        """The dashboard of the cluster of this machine; nothing while it does not run, or another one is set."""
        found = dask_cluster.running(self.settings) if dask_connect.name_of(self.settings) == LOCAL else None
        return str(found["dashboard"]) if found else ""

    # -- before the start -----------------------------------------------------------------------------------------

    def check(self, order: Order) -> Checked:
        """Compare packages and resources, and find out whether the workers see the home folder."""
        scheduler = dask_connect.name_of(self.settings)
        client = dask_connect.connect(self.settings, scheduler, start=True)
        info = _info(client, self.settings.dask_timeout)
        workers = {address: worker for address, worker in info["workers"].items() if worker.get("status", "running") == "running"}
        _, _, notes = dask_preflight.place(order.resources, workers)
        rows: list[dask_preflight.Row] = [("environment", sys.executable, "the same", dask_preflight.FINE)]
        shared = True
        if scheduler != LOCAL:
            # the cluster on demand runs with this interpreter, and on this disk
            answers = self._look(client, order)
            rows = dask_preflight.compare(order.function, answers)
            notes = (*notes, *dask_preflight.judge(rows, address=scheduler))
            shared = bool(answers) and all(answer["sees"] for answer in answers.values())
        mode = SHARED if shared and self.settings.dask_mirror == "auto" else MIRRORED
        if mode == MIRRORED:
            order = self._portable(order)
        place = {"scheduler": scheduler, "dashboard": dask_connect.dashboard(client), "mode": mode}
        return Checked(order=order, place=place, notes=notes, rows=tuple(rows))

    def _look(self, client: Any, order: Order) -> dict[str, Any]:
        nonce, place = new_uid(), self.settings.home_path / f".probe-{new_uid()}"
        distributions, modules = dask_preflight.wanted(order.function)
        try:
            place.write_text(nonce, encoding="utf-8")
            return dask_connect.ask_workers(client, "look", distributions, list(modules), str(place), nonce, deadline=self.settings.dask_timeout + 20)
        finally:
            place.unlink(missing_ok=True)

    def _portable(self, order: Order) -> Order:
        """The order for workers that see nothing of this machine's disk: small local inputs travel, large ones are refused.

        :raises InputNotFoundError: for a local input beyond ``dask_ship`` bytes.
        :raises MLRunInvalidArgumentError: for artifacts that were to go to a folder of this machine.
        """
        room = self.settings.dask_ship
        inputs = []
        for given in order.inputs:
            if "://" in given.url and not given.url.startswith("file://"):
                inputs.append(given)
                continue
            path = Path(given.url.removeprefix("file://"))
            size = sum(file.stat().st_size for file in _files(path))
            room -= size
            if room < 0:
                raise InputNotFoundError(
                    f"input {given.name!r} lies on this machine, which the Dask workers do not see: {given.uri}",
                    why=f"it has {amount(size)}, and at most {amount(self.settings.dask_ship)} of inputs travel with a run (setting dask_ship)",
                    next_step="put it where both see it (s3://, a shared disk), or raise dask_ship",
                )
            inputs.append(msgspec.structs.replace(given, url=f"shipped:inputs/{given.name}/{path.name}"))
        own = str(self.settings.home_path / "artifacts")
        if "://" not in order.artifact_path and not order.artifact_path.startswith(own):
            raise MLRunInvalidArgumentError(
                f"artifacts cannot go to {order.artifact_path}", why="it is a folder of this machine, which the Dask workers do not see",
                next_step="leave artifact_path out (they come into the home folder), or use a URL such as s3://…",
            )  # fmt: skip
        return msgspec.structs.replace(order, inputs=tuple(inputs), mirrored=True)

    # -- start ----------------------------------------------------------------------------------------------------

    def start(self, order: Path, env: dict[str, str]) -> Lease:
        from mlrun_jupyter.backends.executors import dask_worker

        document = decode(order.read_bytes(), Order)
        scheduler = dask_connect.name_of(self.settings)
        client = dask_connect.connect(self.settings, scheduler, start=True)
        workers = _info(client, self.settings.dask_timeout)["workers"]
        reserved, among, _ = dask_preflight.place(document.resources, workers)
        options = {
            "mirrored": document.mirrored, "secede": document.function.kind == "dask", "keep": self.settings.dask_keep,
            "grace": self.settings.abort_grace + 5.0, "env": {**env, **document.env}, "base": None, "files": {},
            "settings": dask_worker.settings_for_runs(self.settings),
        }  # fmt: skip
        if document.mirrored:
            try:
                options["files"] = self._files(document)
            except OSError as error:
                raise MLRunRuntimeError(
                    f"what run {document.name} takes along cannot be read", why=str(error), next_step="check the inputs and the home folder"
                ) from error
        elif scheduler == LOCAL:
            # the same variables, hence the same warm process, as without Dask
            options["base"] = dict(os.environ)
        given = order.read_text(encoding="utf-8") if document.mirrored else str(order)
        self._submit(client, document, (document.uid, given, options), reserved, among)
        if document.mirrored:
            self._start_collector()
        return Lease(token=document.uid)

    def _submit(self, client: Any, order: Order, arguments: tuple[Any, ...], reserved: dict[str, float], among: list[str]) -> None:
        from distributed import fire_and_forget

        try:
            future = client.submit(
                eval, _TASK, {"arguments": arguments}, key=order.uid, pure=False, resources=reserved or None, workers=among or None,
                priority=order.priority,
            )  # fmt: skip
            fire_and_forget(future)
        except Exception as error:
            raise MLRunRuntimeError(
                f"run {order.name} cannot be handed to the Dask scheduler", why=f"{type(error).__name__}: {error}",
                next_step="check the scheduler's log",
            ) from error  # fmt: skip
        # nobody may hear that it was submitted before the scheduler has it and keeps it: this process could end right now
        deadline = time.monotonic() + self.settings.dask_timeout
        while not dask_connect.ask_scheduler(client, "tasks", [order.uid], deadline=self.settings.dask_timeout).get(order.uid, {}).get("kept"):
            if future.done():
                return
            if time.monotonic() > deadline:
                raise MLRunTimeoutError(
                    f"the Dask scheduler did not take run {order.name}", why=f"waited {self.settings.dask_timeout:.0f} s",
                    next_step="check the scheduler's log",
                )  # fmt: skip
            time.sleep(0.005)

    def _files(self, order: Order) -> dict[str, bytes]:
        """What of the home folder and of local inputs goes along, by path in the temporary home."""
        home = self.settings.home_path
        found = {blob_place(digest): (home / blob_place(digest)).read_bytes() for digest in order.function.files.values()}
        if (home / "trusted.json").is_file():
            found["trusted.json"] = (home / "trusted.json").read_bytes()
        secrets = self._secrets(order, found.values())
        if secrets:
            found[f"secrets/{order.project}.json"] = msgspec.json.encode(secrets)
        for given in order.inputs:
            if given.url.startswith("shipped:"):
                target = given.url.removeprefix("shipped:")
                source = self._source(given, order)
                for file in _files(source):
                    below = "" if file == source else f"/{file.relative_to(source).as_posix()}"
                    found[target + below] = file.read_bytes()
        return found

    def _source(self, given: Any, order: Order) -> Path:
        if given.artifact is not None:
            place = Path(given.artifact.path.removeprefix("file://"))
            return place if place.is_absolute() else self.settings.home_path / place
        path = Path(given.uri.removeprefix("file://")).expanduser()
        return path if path.is_absolute() else Path(order.workdir) / path

    def _secrets(self, order: Order, modules: Any) -> dict[str, str]:
        """Those secrets of the project that the function names: the others have no business on another machine."""
        texts = [cell.source for cell in order.function.code.cells]
        texts += [content.decode("utf-8", "replace") for content in modules]
        texts += [str(value) for value in (*order.parameters.values(), *order.env.values())]
        known: dict[str, str] = SECRET_STORES.load("file")(self.settings.home_path).values(order.project)
        return {name: value for name, value in known.items() if any(name in text for text in texts)}

    def _start_collector(self) -> None:
        """Have the process run that fetches what becomes of runs elsewhere; it is one for a home folder."""
        home = self.settings.home_path
        with file_lock(home / "collector.lock") as free:
            if not free:
                return
        with (home / "collector.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mlrun_jupyter.worker.collector", str(home)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
            )  # fmt: skip
        threading.Thread(target=process.wait, name="mlrun-reaper", daemon=True).start()

    # -- watching -------------------------------------------------------------------------------------------------

    def alive(self, run: Run) -> bool | None:
        if self.mirrored(run):
            known = self._known(run)
            if known is not False:
                # whoever looks sees to it that somebody fetches
                self._start_collector()
            return known
        if holds(run.lease):
            return True
        return self._known(run)

    def _known(self, run: Run) -> bool | None:
        """Whether the scheduler has the run's task."""
        try:
            return run.uid in self._ask(run, "tasks", [run.uid])
        except (MLRunTimeoutError, MLRunMissingDependencyError):
            # when the cluster of this machine is gone, so are its workers; any other may just be out of reach
            return False if run.place.get("scheduler") == LOCAL and self._cluster_is_gone(run) else None

    def _cluster_is_gone(self, run: Run) -> bool:
        from mlrun_jupyter.backends.executors import dask_cluster

        return dask_cluster.running(self.settings) is None

    def _ask(self, run: Run, name: str, *arguments: Any) -> Any:
        client = dask_connect.connect(self.settings, run.place.get("scheduler") or dask_connect.name_of(self.settings))
        return dask_connect.ask_scheduler(client, name, *arguments, deadline=self.settings.dask_timeout)

    def explain(self, run: Run) -> str:
        scheduler = run.place.get("scheduler", "")
        if scheduler == LOCAL and self._cluster_is_gone(run):
            return "the Dask cluster of this machine ended"
        try:
            reason = str(self._ask(run, "failure", run.uid))
        except (MLRunTimeoutError, MLRunMissingDependencyError) as error:
            return error.what
        if "KilledWorker" in reason:
            return "the Dask workers that carried it were lost, more often than it may be started again"
        return f"its Dask task failed: {reason}" if reason else "the Dask scheduler no longer has it"

    def stop(self, run: Run, *, grace: float) -> None:
        from mlrun_jupyter.backends.executors import dask_worker

        deadline = time.monotonic() + grace
        try:
            client = dask_connect.connect(self.settings, run.place.get("scheduler") or dask_connect.name_of(self.settings))
            while time.monotonic() < deadline:
                found = dask_connect.ask_scheduler(client, "tasks", [run.uid], deadline=self.settings.dask_timeout).get(run.uid)
                if found is None:
                    break
                among = [found["worker"]] if found["worker"] else []
                told = dask_connect.tell_workers(client, dask_worker.stop, run.uid, workers=among, deadline=self.settings.dask_timeout) if among else {}
                if True not in told.values():
                    # it waits, in the scheduler or at a worker that has others to do first
                    client.cancel([_key(run, client)], force=True)
                    break
                if self.mirrored(run):
                    # its end comes back by way of the collector
                    return
                time.sleep(0.1)
        except MLRunTimeoutError:
            # out of reach: what is of this machine can be ended here
            end_all(run.uid)

    def clean(self, run: Run) -> list[int]:
        return end_all(run.uid)

    # -- fetching -------------------------------------------------------------------------------------------------

    def mirrored(self, run: Run) -> bool:
        return run.place.get("mode") == MIRRORED

    def fetch(self, run: Run, have: Mapping[str, Any]) -> Portion | None:
        from mlrun_jupyter.backends.executors import dask_worker

        for answer in self._tell(run, dask_worker.fetch, run.uid, dict(have)):
            if isinstance(answer, dict):
                return Portion(**{**answer, "run": decode(answer["run"].encode(), Run)})
            if isinstance(answer, Exception):
                raise MLRunRuntimeError(f"run {run.uid[:12]} cannot be fetched", why=f"{type(answer).__name__}: {answer}")
        return None

    def release(self, run: Run) -> None:
        from mlrun_jupyter.backends.executors import dask_worker

        self._tell(run, dask_worker.release, run.uid)

    def _tell(self, run: Run, function: Any, *arguments: Any) -> list[Any]:
        found = self._ask(run, "tasks", [run.uid]).get(run.uid, {})
        if not found.get("worker"):
            return []
        client = dask_connect.connect(self.settings, run.place["scheduler"])
        answers = dask_connect.tell_workers(client, function, *arguments, workers=[found["worker"]], deadline=self.settings.dask_timeout)
        return list(answers.values())


def _key(run: Run, client: Any) -> Any:
    from distributed import Future

    return Future(run.uid, client)


def _info(client: Any, deadline: float) -> dict[str, Any]:
    found: dict[str, Any] = dask_connect.ask_scheduler(client, "identity", deadline=deadline)
    return found


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
