"""An S3 of the loopback: moto's, with a bucket. Prints its port once it listens. It checks no signature.

    s3_server.py <bucket>

`GET /played/fail?count=n` has the next calls answered 503, as a service that is too busy.
"""
import sys
import threading

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

moto = DomainDispatcherApplication(create_backend_app)
left = 0
lock = threading.Lock()


def played(environ, start_response):
    global left
    if environ["PATH_INFO"] == "/played/fail":
        with lock:
            left = int(environ["QUERY_STRING"].partition("=")[2])
        start_response("204 No Content", [])
        return [b""]
    with lock:
        busy = left > 0
        left -= busy
    if busy:
        # The body has to be taken, else the connection breaks.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
        start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]
    return moto(environ, start_response)


server = make_server("127.0.0.1", 0, played, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.port}"
keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket=sys.argv[1])
print(f"listening {server.port}", flush=True)
threading.Event().wait()
