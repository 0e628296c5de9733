// OpenSSL's libcrypto: digests, HMAC, constant-time comparison, random bytes, scrypt.
#ifndef QUITTANCE_CCRYPTO_SHIM_H
#define QUITTANCE_CCRYPTO_SHIM_H
// The low-level SHA-256 calls are marked deprecated in favour of EVP, which allocates for every message; they stay in
// libcrypto 3 and are what makes a reusable HMAC key schedule a plain copy of 112 bytes.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/err.h>
#endif
