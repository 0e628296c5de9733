// libcurl: its variadic setters, one plain function per type, since Swift cannot call variadics.
#ifndef QUITTANCE_CCURL_SHIM_H
#define QUITTANCE_CCURL_SHIM_H
#include <sys/types.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <string.h>
#include <curl/curl.h>

typedef size_t (*quittance_curl_data)(char *bytes, size_t size, size_t count, void *context);
typedef int (*quittance_curl_seek)(void *context, curl_off_t offset, int origin);
typedef int (*quittance_curl_progress)(void *context, curl_off_t, curl_off_t, curl_off_t, curl_off_t);
typedef int (*quittance_curl_socket)(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context);
typedef int (*quittance_curl_timer)(CURLM *multi, long timeout_ms, void *context);

static inline CURLcode quittance_curl_set_long(CURL *c, CURLoption o, long v) { return curl_easy_setopt(c, o, v); }
static inline CURLcode quittance_curl_set_offset(CURL *c, CURLoption o, long long v) { return curl_easy_setopt(c, o, (curl_off_t)v); }
static inline CURLcode quittance_curl_set_string(CURL *c, CURLoption o, const char *v) { return curl_easy_setopt(c, o, v); }
static inline CURLcode quittance_curl_set_pointer(CURL *c, CURLoption o, void *v) { return curl_easy_setopt(c, o, v); }
static inline CURLcode quittance_curl_set_list(CURL *c, CURLoption o, struct curl_slist *v) { return curl_easy_setopt(c, o, v); }
static inline CURLcode quittance_curl_set_data(CURL *c, CURLoption o, quittance_curl_data v) { return curl_easy_setopt(c, o, v); }
static inline CURLcode quittance_curl_set_seek(CURL *c, quittance_curl_seek v) { return curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, v); }
static inline CURLcode quittance_curl_set_progress(CURL *c, quittance_curl_progress f, void *context) {
    CURLcode code = curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, f);
    if (code == CURLE_OK) code = curl_easy_setopt(c, CURLOPT_XFERINFODATA, context);
    return code == CURLE_OK ? curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) : code;
}
static inline CURLcode quittance_curl_get_long(CURL *c, CURLINFO i, long *v) { return curl_easy_getinfo(c, i, v); }
// The socket of the handle's last connection, while that is open; else CURL_SOCKET_BAD, which is -1.
static inline curl_socket_t quittance_curl_active_socket(CURL *c) {
    curl_socket_t descriptor = CURL_SOCKET_BAD;
    return curl_easy_getinfo(c, CURLINFO_ACTIVESOCKET, &descriptor) == CURLE_OK ? descriptor : CURL_SOCKET_BAD;
}
static inline CURLcode quittance_curl_get_pointer(CURL *c, CURLINFO i, void **v) { return curl_easy_getinfo(c, i, v); }
static inline CURLMcode quittance_curl_multi_socket(CURLM *m, quittance_curl_socket f, void *context) {
    CURLMcode code = curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, f);
    return code == CURLM_OK ? curl_multi_setopt(m, CURLMOPT_SOCKETDATA, context) : code;
}
static inline CURLMcode quittance_curl_multi_timer(CURLM *m, quittance_curl_timer f, void *context) {
    CURLMcode code = curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, f);
    return code == CURLM_OK ? curl_multi_setopt(m, CURLMOPT_TIMERDATA, context) : code;
}
static inline CURLMcode quittance_curl_multi_long(CURLM *m, CURLMoption o, long v) { return curl_multi_setopt(m, o, v); }
static inline CURLcode quittance_curl_message_result(CURLMsg *m) { return m->data.result; }

// Protocols by name came with 7.85 and the bit mask was deprecated then; both mean the same.
static inline CURLcode quittance_curl_allow_http(CURL *c) {
#if LIBCURL_VERSION_NUM >= 0x075500
    CURLcode code = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    return code == CURLE_OK ? curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") : code;
#else
    CURLcode code = curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    return code == CURLE_OK ? curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS)) : code;
#endif
}
static inline CURLcode quittance_curl_allow_smtp(CURL *c) {
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
#else
    return curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_SMTP | CURLPROTO_SMTPS));
#endif
}

// curl opens its sockets without close-on-exec; a program we start must not inherit them.
static inline curl_socket_t quittance_curl_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)context;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}
static inline CURLcode quittance_curl_close_on_exec(CURL *c) {
    return curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, quittance_curl_open_socket);
}
#endif
