"""`make setup` on a machine where something was missing the first time."""

import os
import subprocess
import sys
from pathlib import Path

SETUP = Path(__file__).parents[2] / "infra" / "setup.sh"


def test_an_environment_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    """As Debian leaves one behind where python3-venv is not installed: with a Python, without pip."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (tmp_path / "uv").symlink_to("/bin/true")  # it would install what the tests run in
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": sys.executable}
    subprocess.run(["sh", str(SETUP), str(folder), "none.lock"], env=environment, check=True)
    assert (folder / "bin" / "pip").exists()
