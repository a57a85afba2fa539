"""Every Python block of the README runs, in order, in one session."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.M | re.S)


def test_python_blocks_run(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert len(BLOCKS) >= 6
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    assert "-1130.264" in capsys.readouterr().out


def test_there_are_two_set_up_commands():
    commands = re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.M | re.S)
    assert len(commands) == 2
    assert all(command.startswith("python3 -m venv") for command in commands)
    assert "mixtura fit" in commands[0]
    assert commands[1].rstrip().endswith(".venv/bin/pytest -n 2 --dist worksteal")


def test_the_summary_shown_is_the_one_printed():
    data = str(ROOT / "examples/faithful.csv")
    command = [sys.executable, "-m", "mixtura.cli", "fit", data, "-k", "2", "--seed", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    shown = re.search(r"^```text\n\$ .*?\n(.*?)^```", TEXT, flags=re.M | re.S).group(1)
    for line in shown.splitlines():
        assert line in done.stdout + done.stderr
