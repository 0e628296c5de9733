"""Answers on a unix socket as it was told to, for tests of what asks a Docker engine. Standard library only.

The script is a JSON file: {"GET /v1.44/volumes": [{"status": 200, "headers": {…}, "body": "…", "delay": 0.5}, …], …}. A path
without its query finds its answers, used one after the other, the last one for ever. First line on standard output:
{"event": "listening"}; then one line per request.
"""

import asyncio
import json
import sys


def say(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def main(socket, script):
    with open(script, encoding="utf-8") as file:
        answers = json.load(file)

    async def serve(reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target, _ = head.split("\r\n")[0].split(" ")
                say(event="request", line=f"{method} {target}")
                known = answers.get(f"{method} {target.partition('?')[0]}", [{"status": 404, "body": '{"message":"page not found"}'}])
                answer = known.pop(0) if len(known) > 1 else known[0]
                await asyncio.sleep(answer.get("delay", 0))
                body = answer.get("body", "").encode()
                lines = [f"HTTP/1.1 {answer.get('status', 200)} Reason", f"Content-Length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in answer.get("headers", {}).items()]
                writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + (b"" if method == "HEAD" else body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, socket)
    say(event="listening")
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
