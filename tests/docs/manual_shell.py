"""
A real bash for the manual's shell blocks, in which some programs are answered by the test that runs it.

They are small scripts, first on the search path, that hand their arguments over a socket. So bash itself reads the
block: its quotes, pipes, variables and loops are what a reader would run.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Thread

from manual_programs import CHECKS, answer

SHIM = """#!{python} -SE
import json, os, socket, sys
caller = socket.socket(socket.AF_UNIX)
caller.connect({address!r})
name = os.path.basename(sys.argv[0])
with caller.makefile("rw") as wire:
    wire.write(json.dumps([name, sys.argv[1:], os.getcwd(), dict(os.environ)]) + "\\n")
    wire.flush()
    status, printed = json.loads(wire.readline())
sys.stdout.write(printed)
sys.exit(status)
"""


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(json.dumps(answer(*json.loads(self.rfile.readline()))).encode() + b"\n")


class Shell:
    """
    A shell in a folder of its own, that keeps what is exported from block to block.

    :param folder: where the blocks run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A socket's path may have a hundred characters or so; pytest's folders are longer.
        self._state = Path(tempfile.mkdtemp(prefix="manual-"))
        self._server = socketserver.UnixStreamServer(str(self._state / "socket"), _Handler)
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        programs = self._state / "bin"
        programs.mkdir()
        shim = SHIM.format(python=sys.executable, address=self._server.server_address)
        for program in ("airflow-bda", *CHECKS):
            _write(programs / program, shim)
        # What a checkout has.
        _write(folder / ".ci" / "run", shim)
        _write(folder / ".venv" / "bin" / "activate", "")
        path = shlex.quote(f"{programs}{os.pathsep}{os.environ['PATH']}")
        (self._state / "exports").write_text(f"export PATH={path}\n")

    def run(self, script: str) -> tuple[int, str]:
        """Run a block, and give its exit status and all that it printed."""
        exports = shlex.quote(str(self._state / "exports"))
        done = subprocess.run(
            ["bash", "-c", f"source {exports}\nset -euo pipefail\n{script}\nexport -p > {exports}\n"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._state)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


assert hasattr(socket, "AF_UNIX"), "the tests of the manual need sockets of Unix"
