"""One run of `bench.streaming`: a load on a target, and what came of it."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from bench.streaming_targets import Target

_SLICE_SECONDS: Final = 0.5
_SAMPLE_SECONDS: Final = 0.05
_MS: Final = 1e6


@dataclass(frozen=True)
class Load:
    """So many streams of so many chunks each, at a rate; 0 is as fast as it goes."""

    streams: int
    chunks: int
    rate: float
    readers: int = 0

    @property
    def prompt(self) -> str:
        """What the provider is asked."""
        return f"chunks={self.chunks} rate={self.rate:g}"


class Samples:
    """Processor time and memory of a process, looked at again and again."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._rows: list[tuple[float, float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def cpu_between(self, start: float, end: float) -> float:
        """Seconds of the processor that it used between two nanoseconds of the monotonic clock."""
        times, cpu, _ = np.array(self._rows).T
        used: float = np.interp(end, times, cpu) - np.interp(start, times, cpu)
        return used

    @property
    def memory(self) -> NDArray[np.float64]:
        """Its resident bytes, one after the other."""
        found: NDArray[np.float64] = np.array(self._rows).T[2]
        return found

    def _look(self) -> None:
        while True:
            row = (time.monotonic_ns(), self._target.cpu_seconds(), self._target.resident_bytes())
            self._rows.append(row)
            if self._over.wait(_SAMPLE_SECONDS):
                self._rows.append(
                    (time.monotonic_ns(), self._target.cpu_seconds(), self._target.resident_bytes())
                )
                return


@dataclass(frozen=True)
class Came:
    """What came of one load: times in nanoseconds of the monotonic clock, one for each chunk.

    Figures of chunks are of those between `start` and `end`: while all streams flowed, if they are paced.
    """

    arrivals: NDArray[np.int64]
    ages: NDArray[np.int64]
    first_chunks: NDArray[np.int64]
    faults: NDArray[np.int64]
    began: int
    flowing: int
    start: int
    end: int
    samples: Samples

    def measured(self) -> dict[str, float]:
        """The figures of this run."""
        steady = (self.arrivals >= self.start) & (self.arrivals <= self.end)
        # Without a time when all flowed there is nothing to tell of it.
        chunks = int(steady.sum()) or float("nan")
        seconds = (self.end - self.start) / 1e9 or float("nan")
        ages = self.ages[steady]
        dropped, repeated, failed = self.faults.tolist()
        started = len(self.first_chunks) or 1
        return {
            "first chunk p50, ms": _percentile(self.first_chunks, 50),
            "first chunk p99, ms": _percentile(self.first_chunks, 99),
            "age p50, ms": _percentile(ages, 50),
            "age p99, ms": _percentile(ages, 99),
            "best slice p99, ms": self._best_slice(steady),
            "chunks/s": chunks / seconds,
            "CPU/chunk, us": self.samples.cpu_between(self.start, self.end) / chunks * 1e6,
            "CPU/start, ms": self.samples.cpu_between(self.began, self.flowing) / started * 1e3,
            "memory/stream, KB": float(np.ptp(self.samples.memory)) / started / 1024,
            "dropped": dropped,
            "repeated": repeated,
            "failed": failed,
        }

    def _best_slice(self, steady: NDArray[np.bool_]) -> float:
        """The lowest 99th percentile of the ages in half a second."""
        slices = ((self.arrivals - self.start) // int(_SLICE_SECONDS * 1e9))[steady]
        ages = self.ages[steady]
        whole = [number for number in np.unique(slices) if (slices == number).sum() >= 100]  # noqa: PLR2004
        return min((_percentile(ages[slices == number], 99) for number in whole), default=float("nan"))


def run(target: Target, load: Load, directory: Path) -> Came:
    """Load the target, from another process, and wait for the end."""
    host, port = target.host
    plan, out = directory / "plan.json", directory / "came.npz"
    requests = target.requests(load.streams, load.prompt)
    content: dict[str, Any] = {"host": host, "port": port, "requests": requests}
    if load.readers:
        content |= {"readers": load.readers, "reader_headers": target.reader_headers()}
    if target.reader_port is not None:
        content |= {"readers": load.readers or 1, "reader_headers": target.reader_headers()}
        content["reader_port"] = target.reader_port
    plan.write_text(json.dumps(content), encoding="utf-8")
    marks = {"began": time.monotonic_ns()}
    client = subprocess.Popen(  # noqa: S603 - a module of ours
        [sys.executable, "-m", "bench.streaming_client", str(plan), str(out)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with Samples(target) as samples, client:
        for line in client.stdout or ():
            marks.setdefault(line.strip(), time.monotonic_ns())
    if client.returncode:
        raise SystemExit("the load of the bench failed")
    with np.load(out) as archive:
        found = dict(archive)
    flowing = marks.get("flowing", marks["ending"])
    start, end = flowing, max(marks["ending"], flowing)
    if not load.rate and len(found["arrivals"]):
        # As fast as it goes, some end before others begin: then all of it counts, the starts included.
        start, end = marks["began"], int(found["arrivals"][-1])
    return Came(
        found["arrivals"],
        found["ages"],
        found["first_chunks"],
        found["faults"],
        began=marks["began"],
        flowing=flowing,
        start=start,
        end=end,
        samples=samples,
    )


def _percentile(values: NDArray[Any], which: float) -> float:
    return float(np.percentile(values, which)) / _MS if len(values) else float("nan")
