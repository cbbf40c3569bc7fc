"""The wheel, in an environment that has no Node and no checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.browser import DIST, ROOT


def call(*words: str | Path, **environment: str) -> str:
    done = subprocess.run(list(map(str, words)), cwd="/", env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (DIST / "package.json").exists():
        if os.environ.get("MLRUN_JUPYTER_REQUIRE_LAB") == "1":
            pytest.fail("the lab extension is not built")
        pytest.skip("the lab extension is not built: make lab-build")
    folder = tmp_path_factory.mktemp("wheel")
    if shutil.which("uv"):
        call("uv", "build", "--quiet", "--wheel", "--out-dir", folder, ROOT, MLRUN_JUPYTER_REQUIRE_LAB="1")
    else:
        call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, MLRUN_JUPYTER_REQUIRE_LAB="1")
    (found,) = folder.glob("*.whl")
    return found


def test_an_install_of_the_wheel_has_both_extensions_enabled_without_node(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", place)
    python = place / "bin" / "python"
    site = next((place / "lib").glob("python*/site-packages"))
    # the dependencies of the tests' environment; its own copy of us is an editable one, whose path files are not read from here
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    installer = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", python] if shutil.which("uv") else None
    if installer is None:
        installer = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    call(*installer, wheel)
    environment = {
        "PATH": str(place / "bin"), "HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_PLATFORM_DIRS": "0",
    }  # fmt: skip
    where = call(python, "-c", "import mlrun_jupyter; print(mlrun_jupyter.__file__)", **environment)
    assert str(place) in where
    labs = call(python, "-m", "jupyterlab.labextensions", "list", **environment)
    (line,) = [line for line in labs.splitlines() if "mlrun-jupyter" in line]
    assert "enabled" in line and "OK" in line, labs
    servers = call(python, "-m", "jupyter_server.extension.serverextension", "list", **environment)
    (line,) = [line for line in servers.splitlines() if "mlrun_jupyter_server" in line and "enabled" in line]
    assert str(place) in servers and "OK" in servers[servers.index("mlrun_jupyter_server") :], servers


def test_the_wheel_holds_no_source_of_the_panel_and_nothing_of_the_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("labextensions/mlrun-jupyter/package.json") for name in names)
    assert any(name.endswith("jupyter_server_config.d/mlrun_jupyter_server.json") for name in names), names
    assert not [name for name in names if name.startswith(("tests/", "labextension/", "node_modules/")) or name.endswith((".ts", ".tsx", ".map"))]
