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
#include <errno.h>
#include <string.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

// Declared here because Swift's view of glibc leaves out its extensions.
extern int pthread_setname_np(pthread_t thread, const char *name);
static inline void quittance_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
extern int ppoll(struct pollfd *descriptors, nfds_t count, const struct timespec *time, const sigset_t *mask);
// Waits until one of them can be read, for so many nanoseconds at most.
static inline int quittance_poll(struct pollfd *descriptors, unsigned count, long long nanoseconds) {
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    return ppoll(descriptors, count, &time, 0);
}
extern int accept4(int listener, struct sockaddr *peer, socklen_t *length, int flags);
// The next waiting connection, non-blocking and not inherited by child processes; -1 and errno when there is none.
static inline int quittance_accept(int listener, struct sockaddr_storage *peer) {
    socklen_t length = sizeof *peer;
    return accept4(listener, (struct sockaddr *)peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

// One message over a unix socket, with descriptors (SCM_RIGHTS): the macros that lay them out are beyond Swift.
enum { QUITTANCE_DESCRIPTORS_MAX = 64 };
static inline ssize_t quittance_send_message(int socket, const void *bytes, size_t count, const int *descriptors, int number) {
    union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int) * QUITTANCE_DESCRIPTORS_MAX)]; } control;
    struct iovec piece = { .iov_base = (void *)bytes, .iov_len = count };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    if (number > QUITTANCE_DESCRIPTORS_MAX) { errno = EMSGSIZE; return -1; }
    if (number > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)number);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)number);
        memcpy(CMSG_DATA(head), descriptors, sizeof(int) * (size_t)number);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}
// The next message; `number` becomes that of the descriptors taken, at most QUITTANCE_DESCRIPTORS_MAX. None is inherited by child processes.
static inline ssize_t quittance_receive_message(int socket, void *bytes, size_t count, int *descriptors, int *number) {
    union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int) * QUITTANCE_DESCRIPTORS_MAX)]; } control;
    struct iovec piece = { .iov_base = bytes, .iov_len = count };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    *number = 0;
    ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (received < 0) return received;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
        int found = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int place = 0; place < found; place++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(head) + sizeof(int) * (size_t)place, sizeof descriptor);
            if (*number < QUITTANCE_DESCRIPTORS_MAX) descriptors[(*number)++] = descriptor; else close(descriptor);
        }
    }
    return received;
}
// Who is at the other end of a unix socket; struct ucred is one of the extensions.
static inline int quittance_peer(int socket, int *process, unsigned *user) {
    struct { int process; unsigned user, group; } peer;
    socklen_t length = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
    *process = peer.process;
    *user = peer.user;
    return 0;
}
#endif
