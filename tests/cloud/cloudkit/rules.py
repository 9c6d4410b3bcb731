"""What PutMetricData refuses (CloudWatch API Reference: PutMetricData, MetricDatum, Dimension; service quotas)."""

import math
import re

MOST_DATUMS, MOST_VALUES, MOST_DIMENSIONS, MOST_BYTES = 1000, 150, 30, 1_048_576
OLDEST_SECONDS, NEWEST_SECONDS = 14 * 86_400, 2 * 3600
LARGEST = 2.0**360
UNITS = {"Seconds", "Microseconds", "Milliseconds", "Bytes", "Count", "Percent", "None", "Count/Second"} | {
    "Bytes/Second", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits", "Kilobits", "Megabits", "Gigabits"
}
NAMESPACE = re.compile(r"[0-9A-Za-z.\-_/# ]{1,255}")
PRINTABLE = re.compile(r"[\x20-\x7e]+")


class ApiError(Exception):
    """What AWS answers in place of a result: the status, the code of the query protocol, and the text."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def check(document, plain_bytes, now):
    """Raises what AWS answers to a request that breaks a rule. `now` is the service's clock, in seconds."""
    if plain_bytes > MOST_BYTES:
        raise ApiError(413, "RequestEntityTooLarge", f"Request size exceeded {MOST_BYTES} bytes")
    namespace, datums = document.get("Namespace"), document.get("MetricData")
    if not isinstance(namespace, str) or not NAMESPACE.fullmatch(namespace) or namespace.startswith("AWS/"):
        raise _invalid("Namespace", namespace)
    if not isinstance(datums, list) or not datums:
        raise ApiError(400, "MissingParameter", "The parameter MetricData is required.")
    if len(datums) > MOST_DATUMS:
        raise _invalid("MetricData", f"{len(datums)} members; at most {MOST_DATUMS}")
    for number, datum in enumerate(datums, 1):
        _check_datum(f"MetricData.member.{number}", datum, now)


def _check_datum(where, datum, now):
    if not _is_text(datum.get("MetricName"), 255):
        raise _invalid(f"{where}.MetricName", datum.get("MetricName"))
    if unknown := set(datum) - {"MetricName", "Dimensions", "Timestamp", "Value", "Values", "Counts", "Unit", "StatisticValues", "StorageResolution"}:
        raise _invalid(where, sorted(unknown))
    _check_dimensions(where, datum.get("Dimensions") or [])
    _check_values(where, datum)
    if datum.get("Unit", "None") not in UNITS:
        raise _invalid(f"{where}.Unit", datum["Unit"])
    if "Timestamp" in datum:
        age = now - datum["Timestamp"].timestamp()
        if not -NEWEST_SECONDS <= age <= OLDEST_SECONDS:
            raise _invalid(f"{where}.Timestamp", f"{datum['Timestamp']}, {age:.0f} s old")


def _check_dimensions(where, dimensions):
    if len(dimensions) > MOST_DIMENSIONS:
        raise _invalid(f"{where}.Dimensions", f"{len(dimensions)} members; at most {MOST_DIMENSIONS}")
    names = [dimension.get("Name") for dimension in dimensions]
    for dimension in dimensions:
        name, value = dimension.get("Name"), dimension.get("Value")
        if not _is_text(name, 255) or name.startswith(":") or not _is_text(value, 1024):
            raise _invalid(f"{where}.Dimensions", f"{name!r}={value!r}")
    if len(set(names)) < len(names):
        raise _invalid(f"{where}.Dimensions", f"a name twice in {names}")


def _check_values(where, datum):
    forms = [key for key in ("Value", "Values", "StatisticValues") if key in datum]
    if len(forms) != 1:
        text = f"The parameters {where}.Value, .Values and .StatisticValues are mutually exclusive; one is needed."
        raise ApiError(400, "InvalidParameterCombination", text)
    if forms == ["StatisticValues"]:
        return
    values = [datum["Value"]] if forms == ["Value"] else datum["Values"]
    counts = datum.get("Counts", [1.0] * len(values))
    if not values or len(values) > MOST_VALUES or len(values) != len(counts):
        raise _invalid(f"{where}.Values", f"{len(values)} values, {len(counts)} counts; at most {MOST_VALUES}")
    for number in [*values, *counts]:
        if not isinstance(number, (int, float)) or not math.isfinite(number) or abs(number) > LARGEST:
            raise _invalid(f"{where}.Value", number)
    if min(counts) <= 0:
        raise _invalid(f"{where}.Counts", counts)


def _is_text(text, longest):
    """ASCII without control characters, and not blank."""
    return isinstance(text, str) and len(text) <= longest and bool(PRINTABLE.fullmatch(text)) and bool(text.strip())


def _invalid(parameter, value):
    return ApiError(400, "InvalidParameterValue", f"The parameter {parameter} is not valid: {value}")
