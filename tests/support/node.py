"""The modules of the page, run by Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1] / "page"


def run_script(name: str, job: dict[str, Any], folder: Path) -> Any:
    """Give a script of tests/page a job, as JSON; return what it prints, from JSON."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("NO NODE: the page's modules are not tested. Install nodejs (20 or newer) for that.")
    path = folder / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    done = subprocess.run([node, str(SCRIPTS / name), str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
