"""Checks AWS Signature Version 4 as a service does: with botocore's own arithmetic, for keys that it knows.

The keys stand in a file of JSON lines, {"access_key_id", "secret", "token", "expires"}, which the fake IMDS appends to.
"""

import datetime
import hmac
import json
import pathlib
import re
from http.client import HTTPMessage

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cloudkit.rules import ApiError

SCHEME = "AWS4-HMAC-SHA256"
AUTHORIZATION = re.compile(SCHEME + r" Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)")
TOLERANCE = datetime.timedelta(minutes=5)
STAMP = "%Y%m%dT%H%M%SZ"
ALWAYS_SIGNED = {"host", "x-amz-date"}


def verify(method, path, headers, body, keys_file, region, service, now):
    """Returns the access key id of a request that is signed well; else raises what AWS would answer.

    `headers` are by lower-case name; `now` is the service's clock.
    """
    match = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if not match:
        raise ApiError(403, "MissingAuthenticationToken", "Missing Authentication Token")
    key_id, day, for_region, for_service, signed, signature = match.groups()
    key = known_keys(keys_file).get(key_id)
    if key is None or headers.get("x-amz-security-token") != key["token"]:
        raise ApiError(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
    if (for_region, for_service) != (region, service):
        text = f"Credential should be scoped to a valid region and correct service: {region}, {service}"
        raise ApiError(403, "SignatureDoesNotMatch", text)
    stamp = headers.get("x-amz-date", "")
    _refuse_wrong_clock(stamp, day, now)
    names = signed.split(";")
    unsigned = ALWAYS_SIGNED - set(names) | {n for n in headers if n.startswith("x-amz-")} - set(names)
    expected = _signature(method, path, {n: headers.get(n, "") for n in names}, body, key, region, service, stamp)
    if unsigned or not hmac.compare_digest(signature, expected):
        text = "The request signature we calculated does not match the signature you provided."
        raise ApiError(403, "SignatureDoesNotMatch", text)
    # Only who signed well learns that the session is over.
    if key["expires"] and now.timestamp() > key["expires"]:
        raise ApiError(403, "ExpiredToken", "The security token included in the request is expired")
    return key_id


def known_keys(path):
    """Access key id → key, as the file says now."""
    lines = pathlib.Path(path).read_text().splitlines() if pathlib.Path(path).exists() else []
    return {key["access_key_id"]: key for key in map(json.loads, lines)}


def add_key(path, access_key_id, secret, token=None, expires=None):
    """Makes a key known; one write, so that no reader sees half a line."""
    line = json.dumps({"access_key_id": access_key_id, "secret": secret, "token": token, "expires": expires})
    with open(path, "a") as out:
        out.write(line + "\n")


def _refuse_wrong_clock(stamp, day, now):
    try:
        signed_at = datetime.datetime.strptime(stamp, STAMP).replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise ApiError(403, "IncompleteSignature", f"Date must be in ISO-8601 'basic format'. Got '{stamp}'.") from None
    if not stamp.startswith(day):
        raise ApiError(403, "SignatureDoesNotMatch", "Date in Credential scope does not match YYYYMMDD from ISO-8601")
    if signed_at < now - TOLERANCE:
        text = f"Signature expired: {stamp} is now earlier than {now - TOLERANCE:{STAMP}} ({now:{STAMP}} - 5 min.)"
        raise ApiError(403, "SignatureDoesNotMatch", text)
    if signed_at > now + TOLERANCE:
        text = f"Signature not yet current: {stamp} is still later than {now + TOLERANCE:{STAMP}} ({now:{STAMP}} + 5 min.)"
        raise ApiError(403, "SignatureDoesNotMatch", text)


def _signature(method, path, signed_headers, body, key, region, service, stamp):
    signer = SigV4Auth(Credentials(key["access_key_id"], key["secret"], key["token"]), service, region)
    request = AWSRequest(method, f"https://{signed_headers.get('host', '')}{path}", signed_headers, body)
    request.context["timestamp"] = stamp
    request.context["payload_signing_enabled"] = True
    # What AWS signs is what the client says it signed; botocore would leave some headers out on its own account.
    signer.headers_to_sign = lambda _: _as_message(signed_headers)
    return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)


def _as_message(headers):
    message = HTTPMessage()
    for name, value in headers.items():
        message[name] = value
    return message
