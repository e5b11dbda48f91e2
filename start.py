"""Set up once, then color a photo or run the tests. Needs nothing but Python.

    python3 start.py photo [PICTURE ...] [options]   color pictures; with none given, a demo picture
    python3 start.py test [--full] [pytest options]  every check and test; --full adds the slow tests

The first run makes a virtual environment, .venv, beside this file and installs the package there.
Later runs need no network.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
PROJECT, LOCK = ROOT / "pyproject.toml", ROOT / "requirements.lock"
VENV = ROOT / ".venv"
STAMP = VENV / "installed.json"  # written last, so that an interrupted set-up is done again
PROGRAMS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = PROGRAMS / ("python.exe" if os.name == "nt" else "python")
OLDEST = (3, 11)


def main(arguments: list[str]) -> int:
    """Run the command named first; return the exit code."""
    commands = {"photo": photo, "test": test}
    if not arguments or arguments[0] not in commands:
        print(__doc__)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    return commands[arguments[0]](arguments[1:])


def photo(arguments: list[str]) -> int:
    """Color the pictures given, or the demo picture."""
    set_up(extras=[], groups=[])
    options_only = all(argument.startswith("-") and argument != "-" for argument in arguments)
    return run(PROGRAMS / "vintage-colorizer", "photo", *(["--demo"] if options_only else []), *arguments)


def test(arguments: list[str]) -> int:
    """Run every check, even if an earlier one fails; return the first failure's exit code."""
    set_up(extras=["ray", "train", "web"], groups=["build", "docs", "test"])
    os.chdir(ROOT)
    if not shutil.which("chromedriver"):
        print("The tests of the page are skipped: install Chromium and its chromedriver for them.", file=sys.stderr)
    chosen = [argument for argument in arguments if argument != "--full"]
    checks = checks_of("" if "--full" in arguments else "not slow", chosen)
    codes = {name: run(PROGRAMS / check[0], *check[1:]) for name, check in checks.items()}
    failed = [name for name, code in codes.items() if code]
    if failed:
        print(f"Failed: {', '.join(failed)}.", file=sys.stderr)
    return codes[failed[0]] if failed else 0


def checks_of(marks: str, chosen: list[str]) -> dict[str, list[str]]:
    """Every check by its name, in order; with no test chosen, what all tests reach is measured too."""
    static = {
        "ruff check": ["ruff", "check"],
        "ruff format": ["ruff", "format", "--check"],
        "mypy": ["mypy"],
        "import-linter": ["lint-imports"],
    }
    tests = ["pytest", "-m", marks, *chosen]
    if chosen:
        return {**static, "pytest": tests}
    return {
        **static,
        "coverage erase": ["coverage", "erase"],  # of processes that were killed in an earlier run
        "pytest": ["coverage", "run", "-m", *tests],
        "coverage combine": ["coverage", "combine", "--quiet"],
        "coverage": ["coverage", "report"],
        **page_checks(),
        "mkdocs": ["mkdocs", "build", "--strict", "--quiet", "--site-dir", str(VENV / "site")],
    }


def page_checks() -> dict[str, list[str]]:
    """Type check and lint of the page's JavaScript, where npm is installed."""
    npm = shutil.which("npm")
    if npm is None:
        print("The page's JavaScript is not checked: install Node.js and npm for that.", file=sys.stderr)
        return {}
    return {
        "npm": [npm, "ci", "--silent", "--prefix", "tests/page"],
        "page": [npm, "run", "--silent", "--prefix", "tests/page", "check"],
    }


def set_up(extras: list[str], groups: list[str]) -> None:
    """Make the virtual environment and install the package, unless that is done."""
    wanted: dict[str, Any] = {
        "folder": str(ROOT),  # a virtual environment does not survive being moved
        "packages": [hashlib.sha256(file.read_bytes()).hexdigest() for file in (PROJECT, LOCK)],
        "extras": sorted(extras),
        "groups": sorted(groups),
    }
    installed = read_stamp()
    if installed.get("folder") == wanted["folder"]:
        for kind in ("extras", "groups"):
            wanted[kind] = sorted({*wanted[kind], *installed.get(kind, [])})
        if installed == wanted:
            return
    else:
        make_venv()
    size = "several GB, PyTorch among them" if "train" in wanted["extras"] else "about 150 MB"
    print(f"Setting up .venv, once (it downloads {size}) ...", file=sys.stderr, flush=True)
    target = f"{ROOT}[{','.join(wanted['extras'])}]" if wanted["extras"] else str(ROOT)
    asked = [word for group in wanted["groups"] for word in ("--group", f"{PROJECT}:{group}")]
    install = (PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    newest = run(*install, "pip>=25.1") if asked else 0  # the pip that Python brings may not know groups yet
    versions: list[str | Path] = ["--constraint", LOCK] if asked else []  # tests run with what they were tried with
    if newest != 0 or run(*install, *asked, *versions, "--editable", target) != 0:
        sys.exit("The packages could not be installed; see above, check the network and run this again.")
    STAMP.write_text(json.dumps(wanted), encoding="utf-8")


def read_stamp() -> dict[str, Any]:
    """What was installed, or nothing."""
    try:
        return json.loads(STAMP.read_text(encoding="utf-8")) if PYTHON.exists() else {}
    except (OSError, ValueError):
        return {}


def make_venv() -> None:
    """Make an empty virtual environment, or say in one sentence what is in the way."""
    if sys.version_info < OLDEST:
        sys.exit(f"Python {sys.version.split()[0]} is too old; run this with Python 3.11 or newer.")
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            sys.exit(
                f"This Python lacks the module {module}; install it and run this again "
                "(on Debian and Ubuntu: sudo apt install python3-venv)."
            )
    if run(sys.executable, "-m", "venv", "--clear", VENV) != 0:
        sys.exit(f"The virtual environment {VENV} could not be made; see the lines above.")


def run(*command: str | Path) -> int:
    """Run a command in the foreground; return its exit code."""
    with subprocess.Popen([str(part) for part in command]) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the command was interrupted too, and ends in its own way


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
