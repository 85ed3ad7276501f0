"""What the demo says while it works: a bar on a terminal, lines elsewhere. On standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from airflow_bda.demo.report import console

if TYPE_CHECKING:
    from typing_extensions import Self


class DemoProgress:
    """
    A bar that counts tasks; ``with`` shows it.

    :param total: how many tasks there are, over all documents.
    """

    def __init__(self, total: int) -> None:
        self._console = console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("tasks"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total)
        self._words = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, words: str) -> None:
        """Say something that stays."""
        self._bar.console.print(Text(words))

    def now(self, words: str) -> None:
        """Say what is being done, once; a terminal forgets it with the next."""
        if words == self._words:
            return
        self._words = words
        if self._bar.disable:
            self.say(words)
        else:
            self._bar.update(self._task, description=words)

    def count_one(self) -> None:
        """Move the bar by one task."""
        self._bar.advance(self._task)

    def count(self, done: int) -> None:
        """Move the bar to so many tasks."""
        self._bar.update(self._task, completed=done)
