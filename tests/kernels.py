"""A notebook in a real kernel."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager


class LiveNotebook:
    """A kernel and the cells that are executed in it."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.manager = KernelManager(transport="ipc", ip=str(folder / "k"), connection_file=str(folder / "k.json"))
        self.manager._kernel_spec = None
        self.manager.kernel_name = "python3"
        self.manager.start_kernel(cwd=str(folder), env=env, extra_arguments=[])
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)

    def start(self, source: str) -> str:
        """Begin a cell; its message id."""
        return str(self.client.execute(source))

    def run(self, source: str, timeout: float = 120) -> Cell:
        """Execute a cell to its end."""
        return self.collect(self.start(source), timeout)

    def collect(self, message: str, timeout: float = 120) -> Cell:
        cell = Cell()
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = self.client.get_iopub_msg(timeout=timeout)
            if found["parent_header"].get("msg_id") != message:
                continue
            kind, content = found["msg_type"], found["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return cell
            cell.add(kind, content)
        raise TimeoutError(f"the cell did not end in {timeout} s; it said: {cell.text}")

    def value(self, expression: str) -> Any:
        """The value of an expression in the kernel, through its repr."""
        import ast

        cell = self.run(f"print(repr({expression}))")
        return ast.literal_eval(cell.out.strip())

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


class Cell:
    """What a cell said."""

    def __init__(self) -> None:
        self.out = ""
        self.err = ""
        self.error: dict[str, Any] | None = None
        self.displays: list[dict[str, Any]] = []

    def add(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "stream":
            if content["name"] == "stdout":
                self.out += content["text"]
            else:
                self.err += content["text"]
        elif kind == "error":
            self.error = content
        elif kind in ("display_data", "execute_result"):
            self.displays.append(content["data"])

    @property
    def text(self) -> str:
        failed = "\n".join(self.error["traceback"]) if self.error else ""
        return self.out + self.err + failed + "\n".join(str(shown.get("text/plain", "")) for shown in self.displays)


PYTHON = sys.executable
