"""Progress a person can follow: plain lines, at most one per 5 % or 10 seconds, and the same for the batch runner.

With ``XITT_PROGRESS`` set to a file, the latest line is also kept there for whoever watches the job.
"""

from __future__ import annotations

import contextlib
import os
import time


def clock(seconds: float) -> str:
    """``m:ss`` or ``h:mm:ss``."""
    minutes, s = divmod(int(seconds + 0.5), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


class Progress:
    """Lines for one piece of work: what, how far, how fast, how long still.

    Parameters
    ----------
    what : str
        Name shown, e.g. ``"mnli"``.
    total : int
        Number of steps.
    done : int
        Steps that were done before (a resumed run).
    """

    def __init__(self, what: str, total: int, done: int = 0):
        self.what, self.total, self.first = what, total, done
        self.begin = self.last = time.monotonic()
        self.amount, self.shown = 0, done / max(total, 1)
        tell(
            f"{what}: {'continues at step ' + format(done, ',') + ' of' if done else ''} {total:,} steps".replace(
                ":  ", ": "
            )
        )

    def step(self, done: int, amount: int = 0, note: str = "") -> None:
        """Say that ``done`` steps are done, with ``amount`` more tokens; prints when it is time."""
        self.amount += amount
        now, share = time.monotonic(), done / max(self.total, 1)
        if done < self.total and (now - self.last < 10 or share - self.shown < 0.01) and share - self.shown < 0.2:
            return
        self.last, self.shown = now, share
        spent = now - self.begin
        left = spent / max(done - self.first, 1) * (self.total - done)
        rate = f"  {self.amount / max(spent, 1e-9):,.0f} tokens/s" if self.amount else ""
        tell(
            f"{self.what}: {100 * share:3.0f} %  step {done:,}/{self.total:,}{rate}{'  ' + note if note else ''}"
            f"  {'took ' + clock(spent) if done >= self.total else clock(left) + ' left'}"
        )


def tell(line: str) -> None:
    """Print a line now, and leave it for the watcher of this job."""
    print(line, flush=True)
    if path := os.environ.get("XITT_PROGRESS"):
        with contextlib.suppress(OSError):  # a lost progress line must not cost a training
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.write(line)
            os.replace(path + ".new", path)
