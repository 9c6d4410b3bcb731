"""The bench on itself: what its CloudWatch takes and refuses, asked by botocore's own CBOR client; what its books notice."""

import contextlib
import datetime
import pathlib
import socket
import tempfile

import boto3
import botocore.config
import botocore.exceptions
import botocore.model

from cloudkit import books, cloudwatch, control, signing

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)

# Forty labs are raised beside this; what hangs is played once.
PATIENCE_SECONDS = 10


def run():
    """Prints one line a check; 1 if any failed."""
    checks = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
    failed = 0
    for check in checks:
        title = check.__name__.removeprefix("check_").replace("_", " ")
        try:
            with tempfile.TemporaryDirectory() as folder:
                check(_Service(pathlib.Path(folder)))
            print(f"ok      {title}", flush=True)
        except Exception as problem:
            failed += 1
            print(f"FAILED  {title}: {repr(problem)[:2000]}", flush=True)
    return int(failed > 0)


def check_a_datum_is_read_back(service):
    put(service, datum("Healthy", Values=[0.0, 1.0], Counts=[1.0, 3.0]))
    found = service.reader().list_metrics(Namespace="Test", MetricName="Healthy")["Metrics"]
    _same([metric["Dimensions"] for metric in found], [[{"Name": "VpcId", "Value": "vpc-1"}]])
    entry = service.ledger()[0]
    _same((entry["outcome"], entry["key"], entry["scheme"], entry["token"]), ("accepted", "AKIDTEST", signing.SCHEME, False))
    _same(entry["datums"][0]["values"], [0.0, 1.0])
    _same(entry["datums"][0]["timestamp"], NOW.timestamp())


def check_a_large_request_comes_compressed(service):
    put(service, *[datum(f"M{number}") for number in range(1000)])
    entry = service.ledger()[0]
    _same((entry["encoding"], len(entry["datums"])), ("gzip", 1000))


def check_a_wrong_secret_is_refused(service):
    _same(refusal(service, datum("M"), secret="wrong"), "SignatureDoesNotMatch")


def check_an_unknown_key_is_refused(service):
    _same(refusal(service, datum("M"), key="AKIDOTHER"), "InvalidClientTokenId")


def check_a_session_without_its_token_is_refused(service):
    signing.add_key(service.keys, "ASIATEST", "secret", "token", NOW.timestamp() + 60)
    put(service, datum("M"), key="ASIATEST", token="token")
    _same(service.ledger()[0]["token"], True)
    _same(refusal(service, datum("M"), key="ASIATEST"), "InvalidClientTokenId")


def check_an_ended_session_is_refused(service):
    signing.add_key(service.keys, "ASIATEST", "secret", "token", NOW.timestamp() - 1)
    _same(refusal(service, datum("M"), key="ASIATEST", token="token"), "ExpiredToken")


def check_a_wrong_clock_is_refused(service):
    for offset in (301.5, -301.5, 86_400):
        service.switch(clock_offset=offset)
        _same(refusal(service, datum("M")), "SignatureDoesNotMatch")
    service.switch(clock_offset=290)
    put(service, datum("M"))


def check_the_rules_of_the_api_hold(service):
    wrong = {
        "too many values": datum("M", Values=[float(n) for n in range(151)]),
        "NaN": datum("M", Value=float("nan")),
        "infinity": datum("M", Value=float("inf")),
        "too large": datum("M", Value=2.0**361),
        "older than two weeks": datum("M", Timestamp=NOW - datetime.timedelta(days=14, minutes=1)),
        "in the future": datum("M", Timestamp=NOW + datetime.timedelta(hours=2, minutes=1)),
        "31 dimensions": datum("M", Dimensions=[{"Name": f"d{n}", "Value": "v"} for n in range(31)]),
        "no ASCII": datum("M", Dimensions=[{"Name": "d", "Value": "ü"}]),
        "a blank dimension": datum("M", Dimensions=[{"Name": "d", "Value": " "}]),
        "a control character": datum("M", Dimensions=[{"Name": "d", "Value": "a\tb"}]),
        "a colon first": datum("M", Dimensions=[{"Name": ":d", "Value": "v"}]),
        "a dimension twice": datum("M", Dimensions=[{"Name": "d", "Value": "v"}] * 2),
        "counts of another length": datum("M", Values=[1.0, 2.0], Counts=[1.0]),
        "an unknown unit": datum("M", Unit="Parsecs"),
    }
    for what, one in wrong.items():
        code = refusal(service, datum("Good"), one)
        if code != "InvalidParameterValue":
            raise AssertionError(f"{what}: {code}")
    _same(refusal(service, *[datum("M")] * 1001), "InvalidParameterValue")
    heavy = [datum("M" * 255, Dimensions=[{"Name": f"d{n}", "Value": "v" * 1024} for n in range(3)])] * 400
    _same(refusal(service, *heavy), "RequestEntityTooLarge")
    _same({entry["outcome"] for entry in service.ledger()}, {"refused"})


def check_a_poison_refuses_its_whole_request(service):
    service.switch(poison="Bad")
    _same(refusal(service, datum("Good"), datum("Bad")), "InvalidParameterValue")
    put(service, datum("Good"))


def check_the_faults_that_answer(service):
    expected = {
        "throttle": "Throttling", "500": "InternalFailure", "denied-by-iam": "AccessDenied",
        "denied-by-endpoint-policy": "AccessDenied", "expired-token": "ExpiredToken",
    }
    for mode, code in expected.items():
        service.switch(mode=mode)
        _same((mode, refusal(service, datum("M"))), (mode, code))
    service.switch(heal=True)
    put(service, datum("M"))


def check_the_faults_that_do_not_answer(service):
    expected = {"hang": "ReadTimeoutError", "close-early": "ConnectionClosedError", "refuse": "EndpointConnectionError"}
    for mode, kind in (expected | {"lost-reply": "ConnectionClosedError", "slow:20": "ReadTimeoutError"}).items():
        service.switch(mode=mode)
        try:
            put(service, datum("M"))
        except botocore.exceptions.BotoCoreError as problem:
            _same((mode, type(problem).__name__), (mode, kind))
        else:
            raise AssertionError(f"{mode}: answered")
    service.switch(mode="lost-reply:1")
    with contextlib.suppress(botocore.exceptions.BotoCoreError):
        put(service, datum("Last"))
    put(service, datum("Last"))
    accepted = [e for e in service.ledger() if e["outcome"] == "accepted" and e["datums"][0]["metric"] == "Last"]
    _same([entry["answered"] for entry in accepted], [False, True])


def check_the_books_notice_a_gap_and_a_double(service):
    for age in (50, 40, 20, 20, 10):
        put(service, datum("Healthy", Timestamp=NOW - datetime.timedelta(seconds=age)))
    seen = books.Books(service.folder / "ledger.jsonl", "Test")
    start = NOW.timestamp()
    account = seen.account([(start - 55, start - 5)], 10)
    _same([start - tick for tick in account.missing], [30])
    _same((account.due, account.delivered, account.doubled), (5, 4, 1))


def datum(name, **fields):
    """One datum of now."""
    base = {"MetricName": name, "Timestamp": NOW, "Dimensions": [{"Name": "VpcId", "Value": "vpc-1"}]}
    return base | (fields if {"Value", "Values"} & set(fields) else {"Value": 1.0} | fields)


def put(service, *datums, key="AKIDTEST", secret="secret", token=None):
    """PutMetricData over CBOR, as the daemon's SDK speaks it."""
    with _protocol("smithy-rpc-v2-cbor"):
        client = service.client(key, secret, token)
    if client.meta.service_model.resolved_protocol != "smithy-rpc-v2-cbor":
        raise AssertionError("botocore does not speak CBOR")
    client.put_metric_data(Namespace="Test", MetricData=list(datums))


def refusal(service, *datums, **keys):
    """The error code that PutMetricData ends with."""
    try:
        put(service, *datums, **keys)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return "accepted"


class _Service:
    def __init__(self, folder):
        self.folder, self.keys = folder, folder / "keys.jsonl"
        signing.add_key(self.keys, "AKIDTEST", "secret")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._service = cloudwatch.CloudWatch(folder, "eu-west-1", self.keys)
        self._service.listen("127.0.0.1", self.port)
        control.serve(folder / "cloudwatch.sock", self._service.switch)

    def switch(self, **words):
        control.ask(self.folder / "cloudwatch.sock", **words)

    def ledger(self):
        return books.entries(self.folder / "ledger.jsonl")

    def reader(self):
        return self.client("AKIDTEST", "secret", None)

    def client(self, key, secret, token):
        config = botocore.config.Config(
            retries={"total_max_attempts": 1}, read_timeout=PATIENCE_SECONDS, connect_timeout=PATIENCE_SECONDS, parameter_validation=False
        )
        return boto3.client(
            "cloudwatch",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="eu-west-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=config,
        )


@contextlib.contextmanager
def _protocol(name):
    was = botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS
    botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = (name,)
    try:
        yield
    finally:
        botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = was


def _same(found, expected):
    if found != expected:
        raise AssertionError(f"{found!r}, not {expected!r}")
