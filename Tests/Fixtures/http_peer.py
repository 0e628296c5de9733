"""An HTTP server for tests of the client, well-behaved or not by path. Standard library only.

First line on standard output: {"event": "listening", "port": n}; then one line per request and per connection lost meanwhile.
"""

import argparse
import asyncio
import base64
import itertools
import json
import ssl
import sys
import urllib.parse

numbers = itertools.count(1)


def say(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = [[name, value.strip()] for name, _, value in (line.partition(":") for line in lines if line)]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return method, target, headers, await reader.readexactly(length)


def answer(status, body=b"", headers=()):
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


async def serve(reader, writer):
    connection = next(numbers)
    try:
        while True:
            method, target, headers, body = await read_request(reader)
            say(event="request", method=method, target=target, connection=connection)
            path, _, query = target.partition("?")
            words = path.strip("/").split("/")
            if words[0] == "echo":
                seen = {"method": method, "target": target, "headers": headers, "connection": connection}
                seen["body"] = base64.b64encode(body).decode()
                text = json.dumps(seen).encode()
                writer.write(answer(200, b"" if method == "HEAD" else text, ["Content-Type: application/json", "X-Two: 1", "x-two: 2", "X-Empty:"]))
            elif words[0] == "status":
                writer.write(answer(int(words[1]), f"status {words[1]}".encode()))
            elif words[0] == "large":
                writer.write(answer(200, b"x" * int(words[1])))
            elif words[0] == "redirect":
                place = urllib.parse.parse_qs(query)["to"][0]
                writer.write(answer(int(words[1]), b"elsewhere", [f"Location: {place}"]))
            elif words[0] == "hint":
                writer.write(b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n" + answer(200, b"whole"))
            elif words[0] == "slow":
                await reader.read(1)
                say(event="gone", target=target)
                return
            elif words[0] == "drip":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)
            elif words[0] == "endless":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while True:
                    writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                    await writer.drain()
            elif words[0] == "headers":
                writer.write(answer(200, b"", [f"X-Filler-{n}: {'y' * 200}" for n in range(1000)]))
            elif words[0] == "cut":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")
                await writer.drain()
                return
            elif words[0] == "garbage":
                writer.write(b"this is not the protocol you are looking for\r\n\r\n")
                await writer.drain()
                return
            elif words[0] == "close":
                return
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unix")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    options = parser.parse_args()
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    if options.unix:
        server = await asyncio.start_unix_server(serve, options.unix)
        say(event="listening", port=0)
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        say(event="listening", port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
