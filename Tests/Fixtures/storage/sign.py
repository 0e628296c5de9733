"""Signs requests as botocore does: a JSON array of requests as argument, one of signatures as answer. What ours are checked against."""
import datetime
import json
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def signed(question):
    moment = datetime.datetime.strptime(question["time"], "%Y%m%dT%H%M%SZ")
    botocore.auth.get_current_datetime = lambda *ignored, **more: moment
    request = AWSRequest(question["method"], question["url"], headers=dict(question["headers"]), data=question["body"])
    keys = Credentials(question["access_key"], question["secret_key"])
    if question["expires"]:
        signer = botocore.auth.S3SigV4QueryAuth(keys, "s3", question["region"], expires=question["expires"])
    else:
        signer = botocore.auth.S3SigV4Auth(keys, "s3", question["region"])
        request.context["payload_signing_enabled"] = True
    signer.add_auth(request)
    return request.url.rpartition("X-Amz-Signature=")[2] if question["expires"] else request.headers["Authorization"]


print(json.dumps([signed(question) for question in json.loads(sys.argv[1])]))
