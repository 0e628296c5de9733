#!/usr/bin/env python3
"""A shop's own server, with nothing but Python: it creates payments with its API key, and gives browsers their links.

    QUITTANCE_URL=http://127.0.0.1:8081 QUITTANCE_KEY=qk_… python3 Examples/checkout-form/shop.py 8090
"""
import json
import os
import pathlib
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

QUITTANCE = os.environ.get("QUITTANCE_URL", "http://127.0.0.1:8081").rstrip("/")
KEY = os.environ["QUITTANCE_KEY"]
FOLDER = pathlib.Path(__file__).resolve().parent
FILES = {"/": ("index.html", "text/html"), "/shop.js": ("shop.js", "text/javascript"), "/shop.css": ("shop.css", "text/css")}


def call(path, body):
    """One call of the API."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    request = urllib.request.Request(QUITTANCE + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def order(fields):
    """Creates the payment of a new order. The price is the shop's to say, never the browser's."""
    payment = call("/api/v1/payments/", {
        "order_id": f"chair-{uuid.uuid4()}", "description": "A chair", "amount": "12500", "currency": "XOF",
        "customer": {"name": fields.get("name", ""), "phone": re.sub(r"[ .()-]", "", fields.get("phone", "")) or None, "language": "en"},
    })
    return call(f"/api/v1/payments/{payment['id']}/link/", {"expires_in": 3600})["url"]


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        known = FILES.get(urllib.parse.urlsplit(self.path).path)
        if not known:
            return self.answer(404, "text/plain", b"nothing is here\n")
        text = (FOLDER / known[0]).read_text(encoding="utf-8").replace("{QUITTANCE}", QUITTANCE)
        self.answer(200, known[1] + "; charset=utf-8", text.encode())

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        if self.path != "/orders" or size > 10_000:
            return self.answer(404, "text/plain", b"nothing is here\n")
        fields = dict(urllib.parse.parse_qsl(self.rfile.read(size).decode("utf-8", "replace")))
        try:
            link, error = order(fields), None
        except urllib.error.HTTPError as refused:
            link, error = None, json.load(refused).get("detail", "that did not work")
        except OSError:
            link, error = None, "payments are not possible at the moment"
        if "application/json" in self.headers.get("Accept", ""):
            return self.answer(201 if link else 422, "application/json", json.dumps({"link": link, "error": error}).encode())
        if error:
            return self.answer(422, "text/plain; charset=utf-8", error.encode())
        self.send_response(303)
        self.send_header("Location", link)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *values):
        """Says nothing of each request."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8090
    with ThreadingHTTPServer(("127.0.0.1", port), Shop) as server:
        print(f"the shop is at http://127.0.0.1:{port}/", flush=True)
        server.serve_forever()
