"""Makes tokens with PyJWT: make.py SECRET NOW prints one line for each, its name, whether it is good, and its text."""

import sys

import jwt

secret, now = sys.argv[1], int(sys.argv[2])
other = "another-secret-of-forty-characters-0000000"
good = {"sub": "shop-17", "exp": now + 300}


def show(name, is_good, claims, key=secret, algorithm="HS256", headers=None):
    print(name, "good" if is_good else "bad", jwt.encode(claims, key, algorithm=algorithm, headers=headers))


show("plain", True, good)
show("whole", True, {**good, "iat": now, "nbf": now - 5, "jti": "1", "scope": "payments usage", "name": "Aïcha"})
show("named", True, good, headers={"kid": "new"})
show("fraction", True, {"sub": "shop-17", "exp": now + 300.75})
show("skewed", True, {"sub": "shop-17", "exp": now - 30, "nbf": now + 30, "iat": now + 30})
show("issuer", True, {**good, "iss": "anybody"})
show("other-secret", False, good, key=other)
show("none", False, good, key=None, algorithm="none")
show("hs384", False, good, algorithm="HS384")
show("hs512", False, good, algorithm="HS512")
show("no-exp", False, {"sub": "shop-17"})
show("no-sub", False, {"exp": now + 300})
show("expired", False, {"sub": "shop-17", "exp": now - 61})
show("early", False, {**good, "nbf": now + 120})
show("made-tomorrow", False, {**good, "iat": now + 86400})
show("audience", False, {**good, "aud": "somebody"})
show("other-name", False, good, headers={"kid": "gone"})
show("crit", False, good, headers={"crit": ["b64"], "b64": True})
