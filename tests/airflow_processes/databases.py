"""The metadata databases that an Airflow can have: a file of SQLite, or a server of Postgres that a test starts."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

POSTGRES_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Database(Protocol):
    """What an Airflow keeps its runs and tasks in."""

    @property
    def url(self) -> str:
        """The address that Airflow is set to."""

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Read from it; ``?`` stands for each value."""


@dataclass(frozen=True)
class Sqlite:
    """A file."""

    file: Path

    @property
    def url(self) -> str:
        """The address, with patience: many processes share the file, and on a busy machine 5 s are not enough."""
        return f"sqlite:///{self.file}?timeout=60"

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Read from it."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=60)) as connection:
            return connection.execute(statement, values).fetchall()

    @classmethod
    def copied(cls, source: Path, target: Path) -> Sqlite:
        """Make a copy of a migrated file."""
        with closing(sqlite3.connect(source)) as reading, closing(sqlite3.connect(target)) as writing:
            reading.backup(writing)
            # Readers and the one writer do not wait for each other this way.
            writing.execute("PRAGMA journal_mode = WAL")
        return cls(target)


class Postgres:
    """
    A server of its own, reached through a socket in its folder.

    :param programs: the folder of ``initdb``, ``pg_ctl`` and ``psql``.
    """

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        # Not below pytest's folders, which only their owner may enter.
        self._folder = Path(tempfile.mkdtemp(prefix="bda-pg-", dir="/tmp"))
        # A server of Postgres refuses to run as root.
        self._as = {"user": "nobody"} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(self._folder, "nobody")

    @property
    def url(self) -> str:
        """The address."""
        return f"postgresql+psycopg2://test@/postgres?host={self._folder}"

    def start(self) -> None:
        """Make an empty database and serve it."""
        self._run("initdb", "-U", "test", "-A", "trust", "-E", "UTF8", "-D", f"{self._folder}/data", "--no-sync")
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off"
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-l", f"{self._folder}/log", "-o", options, "-w", "start")

    def stop(self) -> None:
        """End it, and remove what it kept."""
        self._run("pg_ctl", "-D", f"{self._folder}/data", "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def migrate(self) -> None:
        """Make Airflow's tables."""
        subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env={**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )

    def ask(self, sql: str) -> subprocess.CompletedProcess[str]:
        """Run statements as ``psql`` does, and return what it says."""
        return self._run(
            *("psql", "-h", str(self._folder), "-U", "test", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-q"),
            given=sql,
            check=False,
        )

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Read from it."""
        import psycopg2

        with closing(psycopg2.connect(host=str(self._folder), user="test", dbname="postgres")) as connection:
            cursor = connection.cursor()
            cursor.execute(statement.replace("?", "%s"), values)
            return list(cursor.fetchall())

    def _run(self, name: str, *arguments: str, given: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        with (self._folder / f"{name}.out").open("w+") as out:
            ended = subprocess.run(
                [str(self._programs / name), *arguments],
                input=given.encode(),
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=120,
                cwd="/",
                **self._as,
            )
            out.seek(0)
            said = out.read()
        assert ended.returncode == 0 or not check, said
        return subprocess.CompletedProcess(ended.args, ended.returncode, said)
