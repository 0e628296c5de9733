#!/usr/bin/env python3
"""Drives KKiaPay's own kit for servers against another host than KKiaPay's, otherwise unchanged.

    drive.py <base URL> <public key> <private key> <secret> verify|refund <transaction>

Prints what the kit returns, as JSON on one line.
"""

import json
import sys

import kkiapay
import kkiapay.base


def main(base, public_key, private_key, secret, verb, transaction):
    kkiapay.base.SANDBOX_BASE_URL = base
    kit = kkiapay.Kkiapay(public_key, private_key, secret, sandbox=True)
    call = {"verify": kit.verify_transaction, "refund": kit.refund_transaction}[verb]
    print(json.dumps(call(transaction)))


main(*sys.argv[1:])
