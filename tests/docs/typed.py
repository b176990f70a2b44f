"""Code that the README, the pages and the notebooks show, as a type checker sees it: ``python -m tests.docs.typed``.

Each page's blocks are one program, each notebook's cells too. ``mypy --strict`` and ``pyright`` look at the README's;
``mypy`` at all others too, where readers' own functions and empty lists need no annotation.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def programs() -> dict[str, str]:
    """Name -> code, of each page and notebook that has any."""
    found = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        blocks = _FENCED.findall(page.read_text(encoding="utf-8"))
        if blocks:
            found[page.stem.lower().replace("-", "_")] = "\n".join(blocks)
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        found["notebook_" + notebook.stem.replace("-", "_")] = "\n".join(code) + "\n"
    return found


def write(folder: Path) -> list[str]:
    """Each program as a file: their names."""
    written = []
    for name, code in programs().items():
        (folder / f"{name}.py").write_text(re.sub(r"^%.*$", "", code, flags=re.MULTILINE), encoding="utf-8")
        written.append(str(folder / f"{name}.py"))
    return written


def mypy(files: list[str], cache: Path, lenient: bool = False) -> subprocess.CompletedProcess[str]:
    """What ``mypy --strict`` says; *lenient*: apart from annotations that are missing in the program itself."""
    settings = cache / "mypy.ini"
    allowed = "disable_error_code = no-untyped-def,no-untyped-call,var-annotated\n" if lenient else ""
    foreign = "[mypy-epics.*,epicscorelibs.*,matplotlib.*,pandas.*]\nignore_missing_imports = True\n"
    settings.write_text(f"[mypy]\n{allowed}{foreign}")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(settings), "--cache-dir", str(cache)]
    return subprocess.run(
        [*command, "--follow-imports=silent", *files], capture_output=True, text=True, timeout=300, cwd=ROOT
    )


def pyright(file: str) -> subprocess.CompletedProcess[str]:
    """What ``pyright`` says, with this interpreter's packages."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, file]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=os.environ)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder))
        readme = next(each for each in files if each.endswith("readme.py"))
        checks = [mypy([readme], Path(folder)), mypy(files, Path(folder), lenient=True), pyright(readme)]
    for done in checks:
        sys.stdout.write(done.stdout + done.stderr)
    return max(done.returncode for done in checks)


if __name__ == "__main__":
    sys.exit(main())
