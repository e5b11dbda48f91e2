"""start.py must run on a bare machine; what it installs is tried by running it (.ci/run does)."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

START = Path(__file__).parent.parent / "start.py"


def test_it_needs_only_the_standard_library() -> None:
    tree = ast.parse(START.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {one.name for node in imports if isinstance(node, ast.Import) for one in node.names}
    names |= {node.module or "" for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_an_old_python_gets_as_far_as_the_sentence_that_says_so() -> None:
    ast.parse(START.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_without_a_command_it_says_how_it_is_used() -> None:
    done = subprocess.run([sys.executable, START], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "start.py photo" in done.stdout and "start.py test" in done.stdout


def test_coverage_is_erased_before_the_tests_and_combined_after_them() -> None:
    spec = importlib.util.spec_from_file_location("start", START)
    assert spec is not None and spec.loader is not None
    start = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(start)
    names = list(start.checks_of("not slow", []))
    steps = ["coverage erase", "pytest", "coverage combine", "coverage"]
    assert [name for name in names if name in steps] == steps
    assert "coverage" not in start.checks_of("", ["tests/test_color.py"])
