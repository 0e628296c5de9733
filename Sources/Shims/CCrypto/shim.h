// OpenSSL's libcrypto: digests, HMAC, constant-time comparison, random bytes, scrypt.
#ifndef QUITTANCE_CCRYPTO_SHIM_H
#define QUITTANCE_CCRYPTO_SHIM_H
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/err.h>
#endif
