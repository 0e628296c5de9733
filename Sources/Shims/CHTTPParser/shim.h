// Node's http-parser: the HTTP/1.x grammar. Bit fields of its parser struct are read here, where C can see them.
#ifndef QUITTANCE_CHTTPPARSER_SHIM_H
#define QUITTANCE_CHTTPPARSER_SHIM_H
#include <http_parser.h>

static inline unsigned int quittance_http_status(const http_parser *parser) { return parser->status_code; }
static inline unsigned int quittance_http_method(const http_parser *parser) { return parser->method; }
static inline unsigned int quittance_http_errno(const http_parser *parser) { return parser->http_errno; }
static inline unsigned int quittance_http_upgrade(const http_parser *parser) { return parser->upgrade; }
static inline unsigned int quittance_http_flags(const http_parser *parser) { return parser->flags; }
#endif
