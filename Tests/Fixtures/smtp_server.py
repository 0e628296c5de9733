"""A real SMTP server for tests, by aiosmtpd. Each message is one JSON line on standard output, parsed by Python's email package,
so that what another implementation reads is what the tests compare.

First line: {"event": "listening", "port": n}.
"""

import argparse
import asyncio
import base64
import email
import email.policy
import email.utils
import json
import signal
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


class Refusals:
    """address=code or address=code*times; "data=code" refuses the message itself."""

    def __init__(self, texts):
        self.left = {}
        for text in texts:
            address, _, word = text.rpartition("=")
            code, _, times = word.partition("*")
            self.left[address.lower()] = [code, int(times) if times else -1]

    def answer(self, address):
        entry = self.left.get(address.lower())
        if entry is None or entry[1] == 0:
            return None
        entry[1] -= 1
        return f"{entry[0]} refused by the test"


class Handler:
    def __init__(self, refusals, silent, implicit_tls):
        self.refusals = refusals
        self.silent = silent
        self.implicit_tls = implicit_tls

    async def handle_MAIL(self, server, session, envelope, address, options):
        refusal = self.refusals.answer(address)
        if refusal:
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        refusal = self.refusals.answer(address)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.silent:
            say(event="swallowed")
            await asyncio.sleep(3600)
        refusal = self.refusals.answer("data")
        if refusal:
            return refusal
        user = session.auth_data.login.decode() if getattr(session, "auth_data", None) else None
        say(
            event="message",
            **{"from": envelope.mail_from},
            to=envelope.rcpt_tos,
            data=base64.b64encode(envelope.content).decode(),
            tls=self.implicit_tls or session.ssl is not None,
            user=user,
            peer=session.peer[1],
            **parsed(envelope.content),
        )
        return "250 OK"


class Connection(SMTP):
    """With `stall`, the server stops reading for that long once a message begins."""

    stall = 0.0

    async def smtp_DATA(self, arg):
        if self.stall:
            say(event="stalled")
            self.transport.pause_reading()
            self.loop.call_later(self.stall, self.transport.resume_reading)
        await super().smtp_DATA(arg)

    def connection_lost(self, error):
        say(event="lost")
        super().connection_lost(error)


def parsed(content):
    message = email.message_from_bytes(content, policy=email.policy.default)
    text = message.get_body(("plain",))
    html = message.get_body(("html",))
    date = email.utils.parsedate_to_datetime(message["Date"]) if message["Date"] else None
    return {
        "headers": [[name, str(value)] for name, value in message.items()],
        "subject": message["Subject"],
        "sender": [[a.display_name, a.addr_spec] for a in message["From"].addresses] if message["From"] else [],
        "recipients": [[a.display_name, a.addr_spec] for a in message["To"].addresses] if message["To"] else [],
        "date": int(date.timestamp()) if date else None,
        "text": text.get_content() if text else None,
        "html": html.get_content() if html else None,
        "attachments": [
            {
                "name": part.get_filename(),
                "type": part.get_content_type(),
                "bytes": base64.b64encode(part.get_payload(decode=True) or b"").decode(),
            }
            for part in message.iter_attachments()
        ]
        if message.get_content_type() == "multipart/mixed"
        else [],
        "defects": [repr(defect) for part in message.walk() for defect in part.defects],
        "lines_max": max((len(line) for line in content.split(b"\r\n")), default=0),
    }


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--refuse", action="append", default=[])
    parser.add_argument("--silent", action="store_true", help="never answer a message")
    parser.add_argument("--stall", type=float, default=0.0)
    parser.add_argument("--tls", choices=["none", "offered", "required", "implicit"], default="none")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()

    Connection.stall = options.stall
    context = None
    if options.tls != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    implicit = options.tls == "implicit"
    handler = Handler(Refusals(options.refuse), options.silent, implicit)

    def authenticate(server, session, envelope, mechanism, data):
        expected = (options.user.encode(), options.password.encode())
        return AuthResult(success=(data.login, data.password) == expected, auth_data=data, handled=False)

    def connection():
        return Connection(
            handler,
            hostname="localhost",
            decode_data=False,
            data_size_limit=64 << 20,
            enable_SMTPUTF8=True,
            tls_context=None if implicit else context,
            require_starttls=options.tls == "required",
            authenticator=authenticate if options.user else None,
            auth_required=options.user is not None,
            auth_require_tls=False,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", options.port, ssl=context if implicit else None)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    say(event="listening", port=server.sockets[0].getsockname()[1])
    await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main())
