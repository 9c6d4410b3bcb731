"""CloudWatch's alarms over recorded data: periods that slide by the minute, M of N, and the rules for missing data.

By the CloudWatch User Guide, "Evaluating an alarm" and "Configuring how CloudWatch alarms treat missing data"; rules.py
holds `decide` against the guide's own table. How many periods beyond N CloudWatch looks back is not documented (the guide's
example: 5 for N = 3), so whoever asks should ask for several.
"""

import ast
import collections
import math
import re

OK, ALARM, UNKNOWN = "OK", "ALARM", "INSUFFICIENT_DATA"


class Store:
    """What CloudWatch knows, by the minute: standard resolution."""

    def __init__(self):
        self.series = collections.defaultdict(dict)

    def put(self, namespace, datum):
        """Takes one datum, of the form that the bench's ledger has."""
        key = (namespace, datum["metric"], frozenset(datum["dimensions"].items()))
        minute = int(datum["timestamp"] // 60)
        counts = datum.get("counts") or [1] * len(datum["values"])
        cell = self.series[key].setdefault(minute, [0, 0.0, math.inf, -math.inf])
        for value, count in zip(datum["values"], counts, strict=True):
            cell[0] += count
            cell[1] += value * count
            cell[2] = min(cell[2], value)
            cell[3] = max(cell[3], value)

    def point(self, key, stat, start, period):
        """The statistic of one period; None where there is no data."""
        minutes = self.series.get(key, {})
        cells = [minutes[m] for m in range(start // 60, (start + period) // 60) if m in minutes]
        if not cells:
            return None
        count = sum(cell[0] for cell in cells)
        if stat == "SampleCount":
            return count
        if stat == "Average":
            # As of whole numbers, so that 9 of 10 is 0.9 and not a hair beside it.
            return math.fsum(cell[1] for cell in cells) / count
        if stat == "Minimum":
            return min(cell[2] for cell in cells)
        if stat == "Maximum":
            return max(cell[3] for cell in cells)
        raise AssertionError(f"no alarm of ours asks for {stat}")


class Evaluator:
    """One deployed alarm, with a state for each guess of how many periods beyond N are looked at."""

    def __init__(self, alarm, beyond=(2,)):
        self.alarm = alarm
        self.name = alarm["AlarmName"]
        self.of = alarm["EvaluationPeriods"]
        self.needed = alarm.get("DatapointsToAlarm", self.of)
        self.beyond = beyond
        self.states = {guess: {} for guess in beyond}

    def evaluate(self, store, now):
        """The states at a moment, a multiple of a minute, by guess. With contributors: ALARM while one of them is."""
        for contributor, points in self._points(store, now).items():
            breaching = [None if point is None else self._is_bad(point) for point in points]
            for guess, states in self.states.items():
                seen = breaching[-self.of - guess :]
                before = states.get(contributor, UNKNOWN)
                states[contributor] = decide(seen, self.needed, self.of, self.alarm["TreatMissingData"], before)
        return {guess: _over_all(states.values()) for guess, states in self.states.items()}

    def contributors(self, guess):
        """Who is in ALARM."""
        return sorted(name for name, state in self.states[guess].items() if state == ALARM)

    def _is_bad(self, point):
        threshold = self.alarm["Threshold"]
        comparison = self.alarm["ComparisonOperator"]
        return {"LessThanThreshold": point < threshold, "GreaterThanThreshold": point > threshold}[comparison]

    def _points(self, store, now):
        alarm = self.alarm
        if not alarm.get("Metrics"):
            key = series_key(alarm)
            return {"": self._slide(now, alarm["Period"], lambda at: store.point(key, alarm["Statistic"], at, alarm["Period"]))}
        queries = {query["Id"]: query for query in alarm["Metrics"]}
        (result,) = [query for query in alarm["Metrics"] if query.get("ReturnData", True)]
        if result["Expression"].startswith("SELECT"):
            return self._select(store, now, result)
        stats = {name: query["MetricStat"] for name, query in queries.items() if query.get("MetricStat")}
        (period,) = {stat["Period"] for stat in stats.values()}

        def point(at):
            known = {name: store.point(series_key(s["Metric"]), s["Stat"], at, period) for name, s in stats.items()}
            return calculate(result["Expression"], known)

        return {"": self._slide(now, period, point)}

    def _select(self, store, now, query):
        found = select(query["Expression"], store)
        period = query["Period"]
        return {
            name: self._slide(now, period, lambda at, key=key: store.point(key, "Minimum", at, period))
            for name, key in found.items()
        }

    def _slide(self, now, period, point):
        """Oldest first."""
        return [point(now - (back + 1) * period) for back in reversed(range(self.of + max(self.beyond)))]


def _over_all(states):
    return ALARM if ALARM in states else next(iter(states), OK)


def decide(breaching, needed, of, missing, before):
    """The new state, from data points that are bad, good or missing (None), oldest first."""
    real = [bad for bad in breaching if bad is not None]
    if len(real) >= of:
        return ALARM if sum(real[-of:]) >= needed else OK
    bad = sum(real)
    if missing == "breaching":
        return ALARM if bad + of - len(real) >= needed else OK
    if missing == "notBreaching":
        return ALARM if bad >= needed else OK
    nothing = before if missing == "ignore" else UNKNOWN
    if bad >= needed:
        return ALARM
    if not real:
        return nothing
    if bad < len(real):
        return OK
    # All there is, is bad, and it is too little. Unless the oldest is old enough: "premature transitions".
    age = len(breaching) - next(n for n, point in enumerate(breaching) if point is not None)
    return ALARM if age >= needed and missing == "missing" else nothing


def series_key(metric):
    """The series that an alarm, or an element of metric math, names."""
    return metric["Namespace"], metric["MetricName"], frozenset((d["Name"], d["Value"]) for d in metric["Dimensions"])


def calculate(expression, known):
    """Metric math, as much of it as our alarms have: numbers, names, + - * /, FILL(name, number)."""

    def value(node):
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return known[node.id]
        if isinstance(node, ast.Call) and node.func.id == "FILL":
            filled = value(node.args[0])
            return node.args[1].value if filled is None else filled
        if isinstance(node, ast.BinOp):
            left, right = value(node.left), value(node.right)
            if left is None or right is None:
                return None
            return OPERATIONS[type(node.op)](left, right)
        raise AssertionError(f"{expression}: {ast.dump(node)}")

    return value(ast.parse(expression, mode="eval").body)


def select(query, store):
    """The series that a Metrics Insights query groups, by their group. SCHEMA matches the exact set of dimensions."""
    parts = SELECT.fullmatch(query)
    if not parts:
        raise AssertionError(f"not a query that is known here: {query}")
    metric, namespace, schema, where, group = parts.groups()
    names = {name.strip().strip('"') for name in schema.split(",")}
    wanted = dict(CONDITION.findall(where or ""))
    found = {}
    for key in store.series:
        dimensions = dict(key[2])
        matches = key[:2] == (namespace, metric) and set(dimensions) == names
        if matches and all(dimensions[name] == value for name, value in wanted.items()):
            if dimensions[group] in found:
                raise AssertionError(f"{query}: two series of {dimensions[group]}")
            found[dimensions[group]] = key
    return found


OPERATIONS = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}
SELECT = re.compile(r'SELECT MIN\((\w+)\) FROM SCHEMA\("([^"]+)", ([^)]+)\)(?: WHERE (.+?))? GROUP BY (\w+)')
CONDITION = re.compile(r'"([^"]+)" = \'([^\']*)\'')
