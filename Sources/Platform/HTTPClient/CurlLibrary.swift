import CCurl
import Cryptography

#if canImport(Glibc)
    import Glibc
#endif

/// What holds for curl in the whole process, or for each thread that calls it.
enum CurlLibrary {
    /// Whether the library could be initialised; asked before the first handle is made.
    static let isReady: Bool = OpenSSLLibrary.isReady && curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

    /// OpenSSL writes to sockets without asking for no signal, and curl leaves signals alone as it is told to: on the calling
    /// thread a connection that is gone is an error code and not the end of the process.
    static func blockBrokenPipeSignal() {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }
}
