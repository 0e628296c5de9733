// libcurl: its variadic setters, one plain function per type, since Swift cannot call variadics.
#ifndef QUITTANCE_CCURL_SHIM_H
#define QUITTANCE_CCURL_SHIM_H
#include <curl/curl.h>

typedef size_t (*quittance_curl_data)(char *bytes, size_t size, size_t count, void *context);
typedef int (*quittance_curl_socket)(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context);
typedef int (*quittance_curl_timer)(CURLM *multi, long timeout_ms, void *context);

static inline CURLcode quittance_curl_set_long(CURL *c, CURLoption o, long v) { return curl_easy_setopt(c, o, v); }
static inline CURLcode quittance_curl_set_offset(CURL *c, CURLoption o, long long v) { return curl_easy_setopt(c, o, (curl_off_t)v); }
static inline CURLcode quittance_curl_set_string(CURL *c, CURLoption o, const char *v) { return curl_easy_setopt(c, o, v); }
static inline CURLcode quittance_curl_set_pointer(CURL *c, CURLoption o, void *v) { return curl_easy_setopt(c, o, v); }
static inline CURLcode quittance_curl_set_list(CURL *c, CURLoption o, struct curl_slist *v) { return curl_easy_setopt(c, o, v); }
static inline CURLcode quittance_curl_set_data(CURL *c, CURLoption o, quittance_curl_data v) { return curl_easy_setopt(c, o, v); }
static inline CURLcode quittance_curl_get_long(CURL *c, CURLINFO i, long *v) { return curl_easy_getinfo(c, i, v); }
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
#endif
