// The driver of LLVM's libFuzzer, where it is linked in (deploy/fuzz does), and the news that it is not where it is not.
#ifndef QUITTANCE_FUZZER_H
#define QUITTANCE_FUZZER_H
#include <stddef.h>
#include <stdint.h>

typedef int (*quittance_fuzz_input)(const uint8_t *data, size_t size);

extern int LLVMFuzzerRunDriver(int *argc, char ***argv, quittance_fuzz_input input) __attribute__((weak));

static inline int quittance_fuzzer_is_linked(void) { return LLVMFuzzerRunDriver != 0; }

static inline int quittance_fuzzer_run(int argc, char **argv, quittance_fuzz_input input) {
    return LLVMFuzzerRunDriver ? LLVMFuzzerRunDriver(&argc, &argv, input) : 64;
}
#endif
