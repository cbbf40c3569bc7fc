"""A real JupyterLab and a real Chromium, for tests and for whoever wants to look.

``python -m tests.browser FOLDER`` starts JupyterLab on a folder, with the lab extension as it was built last, prints its address and waits.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
DIST = ROOT / "labextension" / "dist"
TOKEN = "a-token-for-tests"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
# news asks the network; the scheduler's lab half covers the page with a dialog where its server half is not installed
PAGE_CONFIG = {"disabledExtensions": {"@jupyterlab/scheduler": True, "@jupyterlab/apputils-extension:announcements": True}}


def chromium() -> str | None:
    """Where Chromium is, if it is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def missing() -> str:
    """What the browser tests lack here; nothing when they can run."""
    if not (DIST / "package.json").exists():
        return "the lab extension is not built: make lab-build"
    if chromium() is None:
        return "there is no Chromium: apt-get install chromium"
    return ""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Lab:
    """One JupyterLab with a home, configuration and working folder of its own.

    :param folder: everything of it is kept below; ``folder / "work"`` is where its notebooks are.
    """

    def __init__(self, folder: Path, *, base_url: str = "/", environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.home = folder / "home"
        self.port = free_port()
        self.base_url = base_url
        self.url = f"http://127.0.0.1:{self.port}{base_url}"
        self.process: subprocess.Popen[bytes] | None = None
        config = folder / "config"
        for each in (self.work, config / "labconfig", folder / "data" / "labextensions"):
            each.mkdir(parents=True, exist_ok=True)
        (config / "labconfig" / "page_config.json").write_text(json.dumps(PAGE_CONFIG), encoding="utf-8")
        link = folder / "data" / "labextensions" / "mlrun-jupyter"
        if not link.is_symlink():
            link.symlink_to(DIST)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLRUN_", "MLFLOW_", "JUPYTER"))}
        self.environment = {
            **kept, "HOME": str(folder), "JUPYTER_CONFIG_DIR": str(config), "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_PATH": str(folder / "data"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "IPYTHONDIR": str(folder / "ipython"),
            "MLRUN_JUPYTER_HOME": str(self.home), "MLRUN_JUPYTER_WARM_IDLE": "60", "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", "")])),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **(environment or {}),
        }  # fmt: skip

    def start(self, timeout: float = 60) -> Lab:
        """Returns when it answers."""
        with (self.folder / "lab.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={self.port}", "--ServerApp.port_retries=0",
                 f"--ServerApp.base_url={self.base_url}", f"--IdentityProvider.token={TOKEN}", "--LabApp.expose_app_in_browser=True",
                 "--LabApp.extension_manager=readonly", f"--ServerApp.root_dir={self.work}"],
                cwd=self.work, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.url}api/status?token={TOKEN}", timeout=5).close()
                return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"JupyterLab did not start: {(self.folder / 'lab.log').read_text(encoding='utf-8')[-3000:]}")

    def stop(self, *, kill: bool = False) -> None:
        """Ends it; with ``kill``, as if the machine had lost its current."""
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def ask(self, path: str, body: Any = None) -> Any:
        """What a route of ours answers, as a script would ask it."""
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}mlrun/v1/{path}", data, headers), timeout=60) as answer:
            return json.load(answer)

    def python(self, code: str) -> str:
        """Executes code in a process with the same home and working folder."""
        done = subprocess.run([sys.executable, "-c", code], cwd=self.work, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    def address(self, path: str = "lab") -> str:
        return f"{self.url}{path}?token={TOKEN}"


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        try:
            yield found
        finally:
            found.close()


def open_lab(browser: Browser, lab: Lab, *, path: str = "lab", dark: bool = False, size: tuple[int, int] = (1440, 900), keep: bool = False) -> Page:
    """A page with JupyterLab that is ready. Requests to other hosts fail and are kept in ``page.strangers``.

    :param keep: with the layout as it was last; else a fresh one.
    """
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(30_000)
    strangers: list[str] = []

    def only_ours(route: Any) -> None:
        if route.request.url.startswith((lab.url, "data:", "blob:")):
            route.continue_()
        else:
            strangers.append(route.request.url)
            route.abort()

    context.route("**/*", only_ours)
    page.strangers = strangers  # type: ignore[attr-defined]
    page.goto(lab.address(path) + ("" if keep else "&reset"))
    ready(page)
    if dark:
        page.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
        page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    return page


def ready(page: Page) -> None:
    """Waits until JupyterLab has drawn itself."""
    page.wait_for_function("typeof jupyterapp !== 'undefined' && !document.querySelector('#jupyterlab-splash')")
    page.evaluate("jupyterapp.restored")


def settled(page: Page) -> None:
    """Waits until the launcher of a fresh page has taken the focus, which it does a second after the page is drawn: keys that are pressed before may be lost."""
    page.wait_for_function("document.activeElement?.classList.contains('jp-Launcher')")


def execute(page: Page, command: str, **arguments: Any) -> None:
    """Executes a command of JupyterLab and waits for it."""
    page.evaluate("async ([command, arguments]) => { await jupyterapp.commands.execute(command, arguments) }", [command, arguments])


def idle(page: Page) -> None:
    """Waits until the kernel of the notebook in front has nothing to do."""
    page.wait_for_function("jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")


if __name__ == "__main__":
    lab = Lab(Path(sys.argv[1]).absolute()).start()
    print(lab.address(), flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        lab.stop()
