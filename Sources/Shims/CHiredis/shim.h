// hiredis: only its protocol reader and formatter; sockets are ours. Debian's has no TLS of its own: that is OpenSSL's, over memory, so
// that the same sockets and the same loop carry it.
#ifndef QUITTANCE_CHIREDIS_SHIM_H
#define QUITTANCE_CHIREDIS_SHIM_H
#include <hiredis/hiredis.h>
#include <hiredis/read.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// What OpenSSL has as macros.
static inline int quittance_tls_set_minimum(SSL_CTX *context) { return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION); }
static inline int quittance_tls_set_name(SSL *session, const char *name) { return (int)SSL_set_tlsext_host_name(session, name); }

// A key that is locked with a passphrase is refused instead of being asked for at a terminal.
static inline int quittance_tls_no_passphrase(char *buffer, int size, int isWriting, void *context) {
    (void)buffer, (void)size, (void)isWriting, (void)context;
    return 0;
}
static inline void quittance_tls_refuse_passphrase(SSL_CTX *context) {
    SSL_CTX_set_default_passwd_cb(context, quittance_tls_no_passphrase);
}
#endif
