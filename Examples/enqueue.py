#!/usr/bin/env python3
"""Puts jobs on a queue of JobQueue from Python: to enqueue is to LPUSH one JSON object (docs/wire-format.md).

    pip install redis
    python enqueue.py redis://127.0.0.1:6379/0 email email.send '{"to": "ada@example.com", "subject": "Hello", "text": "Hi"}'
"""
import json
import secrets
import sys
import time

import redis

ARGS_BYTES_MAX = 64 * 1024
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(now_ms: int) -> str:
    """48 bits of time, 80 of chance: ids sort by when they were made."""
    number = (now_ms << 80) | secrets.randbits(80)
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def job(queue: str, kind: str, args: dict, payment: str | None = None, version: int = 1, sensitive: tuple = ()) -> str:
    """One job as it stands on the list. Fields named in `sensitive` are shown by no listing."""
    args = {name: {"$sensitive": value} if name in sensitive else value for name, value in args.items()}
    if version > 1:
        args["$v"] = version
    if len(json.dumps(args).encode()) > ARGS_BYTES_MAX:
        raise ValueError(f"args over {ARGS_BYTES_MAX} bytes: store the data, and pass its id")
    now_ms = time.time_ns() // 1_000_000
    return json.dumps({
        "v": 1, "id": "job_" + ulid(now_ms), "kind": kind, "queue": queue, "args": args, "payment": payment, "attempt": 0,
        "enqueued_at": now_ms,
    })


def enqueue(server: redis.Redis, queue: str, *jobs: str, prefix: str = "quittance:") -> None:
    """All or none, in order. After a lost connection the jobs may be there: handlers are told the same id twice, and do it once."""
    server.lpush(f"{prefix}{{{queue}}}:ready", *jobs)


if __name__ == "__main__":
    url, queue, kind, args = sys.argv[1:5]
    prefix = sys.argv[5] if len(sys.argv) > 5 else "quittance:"
    body = job(queue, kind, json.loads(args), sensitive=("text",))
    enqueue(redis.Redis.from_url(url), queue, body, prefix=prefix)
    print(json.loads(body)["id"])
