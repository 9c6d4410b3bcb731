"""Which scenarios play which cause: read from what they expect, so that the table cannot drift from the truth."""

from labkit import scenario

LISTS = {"findings", "problems", "host_problems"}


def by_cause():
    """Cause → the scenarios that demand it (an expectation that accepts several causes demands none)."""
    found = {}
    for name in scenario.all_names():
        for cause in sorted(set(_demanded(scenario.load(name)["expect"]))):
            found.setdefault(cause, []).append(name)
    return dict(sorted(found.items()))


def table():
    """The table in README.md."""
    lines = ["| cause | scenarios |", "|---|---|"]
    return "\n".join(lines + [f"| {cause} | {' '.join(names)} |" for cause, names in by_cause().items()]) + "\n"


def _demanded(expected):
    for key, value in expected.items():
        if isinstance(value, dict):
            yield from value if key == "finding" else _demanded(value)
        elif key in LISTS:
            yield from value
        elif key == "cause" and isinstance(value, str) and value != "none":
            yield value
