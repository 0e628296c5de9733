// Tells ThreadSanitizer of the contended path of Swift's Mutex. Its uncontended path is compiled into each module and watched there, the
// contended one lies in libswiftSynchronization, which is not: every access that follows a wait would be reported as a race. Preloaded by
// deploy/sanitize; in a process without the sanitizer it does nothing.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef void (*lock_function)(uint32_t thread, __attribute__((swift_context)) void *handle) __attribute__((swiftcall));
typedef void (*unlock_function)(__attribute__((swift_context)) void *handle) __attribute__((swiftcall));

__attribute__((swiftcall)) void lock_slowly(uint32_t thread, __attribute__((swift_context)) void *handle) __asm__(LOCK);
__attribute__((swiftcall)) void unlock_slowly(__attribute__((swift_context)) void *handle) __asm__(UNLOCK);

__attribute__((swiftcall)) void lock_slowly(uint32_t thread, __attribute__((swift_context)) void *handle) {
    ((lock_function)dlsym(RTLD_NEXT, LOCK))(thread, handle);
    if (__tsan_acquire != NULL) __tsan_acquire(handle);
}

__attribute__((swiftcall)) void unlock_slowly(__attribute__((swift_context)) void *handle) {
    if (__tsan_release != NULL) __tsan_release(handle);
    ((unlock_function)dlsym(RTLD_NEXT, UNLOCK))(handle);
}
