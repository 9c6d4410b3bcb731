"""The books: what the daemon owed by the clock, what CloudWatch took, what is left in between."""

import collections
import json
import pathlib
import typing

# A round with a silent endpoint takes four seconds; one that is cut by the end is none.
EDGE_SECONDS = 5.0


class Account(typing.NamedTuple):
    """What became of the rounds of one scene."""

    due: int
    delivered: int
    missing: list
    doubled: int
    most: int
    datums: int


class Books:
    """What CloudWatch's ledger says."""

    def __init__(self, path, namespace="VpceProbe"):
        self.entries = entries(path)
        self.puts = collections.Counter()
        for entry in self.entries:
            if entry["outcome"] == "accepted" and entry["namespace"] == namespace:
                self.puts.update(_identity(datum) for datum in entry["datums"])

    def ticks(self, metric="Healthy"):
        """The moments for which a metric arrived, in Unix seconds."""
        return sorted({identity[2] for identity in self.puts if identity[0] == metric})

    def account(self, lives, interval):
        """Holds what arrived against the grid of ticks; `lives` are the daemon's, as (start, end) by AWS's clock.

        A tick at the very edge of a life may have been begun or not: it is due only if it arrived.
        """
        arrived = set(self.ticks())
        due = set()
        for start, end in lives:
            phase = _phase(arrived, interval)
            first = start - (start - phase) % interval + interval
            ticks = {round(first + n * interval, 3) for n in range(int((end - first) // interval) + 1)}
            due |= {t for t in ticks if start + EDGE_SECONDS <= t <= end - EDGE_SECONDS or t in arrived}
        if stray := arrived - due:
            raise AssertionError(f"ticks that no life explains: {sorted(stray)} beside {sorted(due)}")
        doubles = [count for count in self.puts.values() if count > 1]
        return Account(
            due=len(due),
            delivered=len(arrived),
            missing=sorted(due - arrived),
            doubled=len(doubles),
            most=max(self.puts.values(), default=0),
            datums=sum(self.puts.values()),
        )

    def series(self):
        """Metric → the sets of dimensions that it arrived with."""
        found = collections.defaultdict(set)
        for metric, dimensions, _ in self.puts:
            found[metric].add(dimensions)
        return found

    def outcomes(self):
        """How often each came: `accepted`, `lost`, or the code of the refusal."""
        return collections.Counter(e["code"] if e["outcome"] == "refused" else e["outcome"] for e in self.entries)


def entries(path):
    """The ledger's lines, but for one that is just being written."""
    whole = pathlib.Path(path).read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def _identity(datum):
    return datum["metric"], tuple(sorted(datum["dimensions"].items())), round(datum["timestamp"], 3)


def _phase(ticks, interval):
    phases = {round(tick % interval, 3) for tick in ticks}
    if len(phases) > 1:
        raise AssertionError(f"ticks on several grids: {sorted(phases)}")
    return phases.pop() if phases else 0.0
