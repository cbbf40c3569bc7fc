"""Executing a notebook with papermill and nbclient, watched by an observer."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any, Protocol

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellExecutionComplete
from papermill.clientwrap import PapermillNotebookClient

from mlrun_jupyter.notebooks.journal import Journal


class Observer(Protocol):
    """Who is told what happens."""

    journal: Journal

    def planned(self, notebook: Any) -> None:
        """The notebook as it will be executed, parameters injected."""

    def kernel_started(self, manager: Any) -> None: ...

    def cell_started(self, index: int, of: int) -> None: ...

    def cell_failed(self, index: int, error: dict[str, Any]) -> None:
        """A cell raised; ``error`` has ``ename``, ``evalue`` and ``traceback``."""

    def before_output(self) -> None:
        """Called ahead of each message, so that what the cell said elsewhere (a secret's name) is known."""


class JournalClient(PapermillNotebookClient):  # type: ignore[misc]
    """nbclient's client, which writes each message to the journal before it handles it.

    Its waiting loop notices within a second that the kernel died, and then raises ``DeadKernelError``.
    """

    observer: Observer

    @classmethod
    def run(cls, nb_man: Any, kernel_name: str, observer: Observer, **kwargs: Any) -> Any:
        for name in ("input_path", "timeout", "log_output", "stdout_file", "stderr_file", "start_timeout"):
            kwargs.setdefault(name, None)
        start_timeout = kwargs.pop("start_timeout") or 60
        for name in ("input_path", "timeout", "log_output", "stdout_file", "stderr_file"):
            kwargs.pop(name)
        client = cls(
            nb_man,
            startup_timeout=start_timeout,
            kernel_name=kernel_name,
            # a cell may have printed faster than we read; its output is waited for as long as it comes
            iopub_timeout=3600,
            raise_on_iopub_timeout=False,
            coalesce_streams=False,
            **kwargs,
        )
        client.observer = observer
        observer.planned(nb_man.nb)
        # the manager is ours, and still it is nbclient that ends the kernel
        return client.execute(cleanup_kc=True)

    async def async_start_new_kernel_client(self) -> Any:
        self.observer.kernel_started(self.km)
        try:
            self.kc = self.km.client()
            self.kc.start_channels()
            await _ready(self.kc, self.km, self.startup_timeout)
        except Exception:
            await self._async_cleanup_kernel()
            raise
        self.kc.allow_stdin = False
        return self.kc

    start_new_kernel_client = run_sync(async_start_new_kernel_client)

    def papermill_execute_cells(self) -> None:
        cells = [index for index, cell in enumerate(self.nb.cells) if cell.cell_type == "code"]
        self._positions = {index: position for position, index in enumerate(cells, 1)}
        super().papermill_execute_cells()

    async def async_execute_cell(self, cell: Any, cell_index: int, *args: Any, **kwargs: Any) -> Any:
        journal = self.observer.journal
        code = cell.cell_type == "code" and bool(cell.source.strip())
        if code:
            journal.write("start", cell=cell_index)
            self.observer.cell_started(self._positions.get(cell_index, 0), len(self._positions))
        ok = False
        try:
            result = await super().async_execute_cell(cell, cell_index, *args, **kwargs)
            ok = True
            return result
        finally:
            if code:
                journal.cell_done(cell_index, ok=ok, count=cell.get("execution_count"))

    execute_cell = run_sync(async_execute_cell)

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Write to the journal. Outputs are not kept in the notebook as well: the executed notebook is made from the
        journal, so a loud cell does not fill this process's memory."""
        kind, content = msg["msg_type"], msg["content"]
        if "execution_count" in content:
            cell["execution_count"] = content["execution_count"]
        if kind == "status":
            if content["execution_state"] == "idle":
                raise CellExecutionComplete
            return None
        if kind.startswith("comm"):
            self.handle_comm_msg(cell.outputs, msg, cell_index)
            return None
        if kind != "execute_input":
            record(self.observer, cell_index, kind, content)
        return None

    def set_widgets_metadata(self) -> None:
        super().set_widgets_metadata()
        if self.widget_state:
            self.observer.planned(self.nb)


async def _ready(client: Any, manager: Any, patience: float) -> None:
    """Wait until the kernel answers on both of its channels.

    jupyter_client's own way also waits until a fifth of a second has passed without a message.

    :raises RuntimeError: when it does not answer in time, or dies.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        asked = client.kernel_info()
        try:
            while (await client.shell_channel.get_msg(timeout=1))["parent_header"].get("msg_id") != asked:
                pass
            while True:
                said = await client.iopub_channel.get_msg(timeout=0.5)
                if said["parent_header"].get("msg_id") == asked and said["content"].get("execution_state") == "idle":
                    return
        except Empty:
            # not listening yet, or not subscribed to when it spoke: asked again
            pass
        if not await manager.is_alive():
            raise RuntimeError("Kernel died before replying to kernel_info")
    raise RuntimeError(f"Kernel didn't respond in {patience:.0f} seconds")


def record(observer: Observer, cell: int, kind: str, content: dict[str, Any]) -> None:
    """Write a message of a kernel or shell to the journal."""
    observer.before_output()
    journal = observer.journal
    if kind == "stream":
        journal.output(kind, cell=cell, size=len(content["text"]), name=content["name"], text=content["text"])
    elif kind == "clear_output":
        journal.write("clear", cell=cell, wait=bool(content.get("wait")))
    elif kind == "update_display_data":
        journal.output(
            "update", cell=cell, size=_size(content["data"]), display_id=(content.get("transient") or {}).get("display_id"),
            data=content["data"], metadata=content.get("metadata", {}),
        )  # fmt: skip
    elif kind in ("display_data", "execute_result", "error"):
        output = {"output_type": kind, **{k: v for k, v in content.items() if k != "transient"}}
        if kind == "error":
            # what failed is always worth keeping, however loud the cell was
            journal.write("output", cell=cell, output=output)
            observer.cell_failed(cell, content)
        else:
            journal.output(
                "output", cell=cell, size=_size(content["data"]), output=output,
                display_id=(content.get("transient") or {}).get("display_id"),
            )  # fmt: skip


def _size(data: dict[str, Any]) -> int:
    return sum(len(part) if isinstance(part, str) else len(str(part)) for part in data.values())


def kernel_manager(command: list[str], env: dict[str, str], scratch: Path) -> tuple[Any, dict[str, Any]]:
    """A kernel manager with sockets in a folder of its own, and the arguments to start the kernel with.

    Unix sockets instead of TCP: nothing listens on the network, and no two kernels fight for a port.

    :param command: how the kernel is started; ``{connection_file}`` is filled in.
    :param scratch: where the sockets are; short, since the path of a socket has hardly more than a hundred letters.
    """
    scratch.mkdir(mode=0o700, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="k", dir=scratch))
    manager = AsyncKernelManager(transport="ipc", ip=str(place / "k"), connection_file=str(place / "c.json"))
    manager._kernel_spec = KernelSpec(
        argv=command, display_name="Python 3", language="python", name="python3",
        metadata={"kernel_provisioner": {"provisioner_name": "mlrun-fork"}},
    )  # fmt: skip
    return manager, {"env": {**os.environ, **env}}


def execute_forked(notebook: Any, *, parameters: dict[str, Any], observer: Observer, shell: Any) -> None:
    """Execute a function notebook with papermill in a forked shell.

    :raises papermill.PapermillExecutionError: when a cell raises.
    :raises nbclient.exceptions.DeadKernelError: when the shell dies.
    """
    import papermill

    papermill.execute_notebook(
        notebook, None, parameters=parameters, engine_name="mlrun-shell", kernel_name="python3", language="python",
        progress_bar=False, observer=observer, shell=shell, autosave_cell_every=0,
    )  # fmt: skip


def execute(
    notebook: Any,
    *,
    parameters: dict[str, Any],
    observer: Observer,
    workdir: Path,
    command: list[str],
    env: dict[str, str],
    start_timeout: float,
    scratch: Path,
    on_manager: Callable[[Any], None] | None = None,
) -> None:
    """Execute a function notebook with papermill.

    :raises papermill.PapermillExecutionError: when a cell raises.
    :raises nbclient.exceptions.DeadKernelError: when the kernel dies.
    :raises RuntimeError: when the kernel does not start in time.
    """
    import papermill

    manager, start = kernel_manager(command, env, scratch)
    if on_manager is not None:
        on_manager(manager)
    start_kernel = manager.start_kernel

    async def start_in_folder(**kwargs: Any) -> None:
        kwargs.update(start, cwd=str(workdir))
        await start_kernel(**kwargs)

    manager.start_kernel = start_in_folder
    papermill.execute_notebook(
        notebook, None, parameters=parameters, engine_name="mlrun", kernel_name="python3", language="python",
        progress_bar=False, start_timeout=start_timeout, observer=observer, km=manager, autosave_cell_every=0,
    )  # fmt: skip
