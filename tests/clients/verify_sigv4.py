"""Recomputes an AWS signature with botocore, which shares nothing with Envoy's signer, and compares.

Reads {"method", "host", "path", "headers", "body", "access_key", "secret_key"} from stdin; prints what was signed.
"""

import hashlib
import json
import re
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

seen = json.load(sys.stdin)
headers = {name.lower(): value for name, value in seen["headers"]}
found = re.fullmatch(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, *SignedHeaders=([^,]+), *Signature=([0-9a-f]{64})",
    headers["authorization"],
)
assert found, headers["authorization"]
access_key, _, region, service, signed, signature = found.groups()
signed = signed.split(";")
assert access_key == seen["access_key"], access_key
assert headers["x-amz-content-sha256"] == hashlib.sha256(seen["body"].encode()).hexdigest(), "the body's hash"
assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(signed), signed

request = AWSRequest(
    method=seen["method"],
    url=f"http://{seen['host']}{seen['path']}",
    headers={name: seen["host"] if name == "host" else headers[name] for name in signed},
    data=seen["body"].encode(),
)
request.context["timestamp"] = headers["x-amz-date"]
auth = SigV4Auth(Credentials(seen["access_key"], seen["secret_key"]), service, region)
canonical = auth.canonical_request(request)
expected = auth.signature(auth.string_to_sign(request, canonical), request)
assert expected == signature, f"{signature} is not {expected}; canonical request:\n{canonical}"
print(json.dumps({"service": service, "region": region, "path": canonical.split("\n")[1]}))
