// libevent: the loop, bufferevents and evbuffers.
#ifndef QUITTANCE_CEVENT_SHIM_H
#define QUITTANCE_CEVENT_SHIM_H
// The system's headers first: libevent's own define _GNU_SOURCE, which would give Swift two shapes of fd_set.
#include <sys/types.h>
#include <sys/select.h>
#include <sys/time.h>
#include <pthread.h>
#include <event2/event.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

// Declared here because Swift's view of glibc leaves out its extensions.
extern int pthread_setname_np(pthread_t thread, const char *name);
static inline void quittance_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
extern int accept4(int listener, struct sockaddr *peer, socklen_t *length, int flags);
// The next waiting connection, non-blocking and not inherited by child processes; -1 and errno when there is none.
static inline int quittance_accept(int listener, struct sockaddr_storage *peer) {
    socklen_t length = sizeof *peer;
    return accept4(listener, (struct sockaddr *)peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
#endif
