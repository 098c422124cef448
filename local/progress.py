"""What the user sees while the platform starts: one line per step, with its time."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

Detail = Callable[[str], None]
"""Says how far the present step is."""

console = Console(highlight=False, soft_wrap=True)


@contextmanager
def step(title: str) -> Iterator[Detail]:
    """Shows a step: on a terminal live with its details, elsewhere as a line when it ends."""
    started = time.monotonic()
    if console.is_terminal:
        with console.status(f"{title} …") as status:
            yield lambda text: status.update(f"{title}: {text}")
    else:
        yield lambda text: None
    console.print(f"[green]✓[/] {title} [dim]({time.monotonic() - started:.1f} s)[/]")
    sys.stdout.flush()


def warn(text: str) -> None:
    console.print(f"[yellow]![/] {text}")
