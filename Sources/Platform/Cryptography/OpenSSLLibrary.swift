import CCrypto

/// What holds for OpenSSL in the whole process.
public enum OpenSSLLibrary {
    /// Whether the library could be initialised; asked before anything else of it, also by libraries that use it.
    ///
    /// At the end of a process it leaves its memory to the system: threads may still be drawing random bytes or talking TLS then, and it
    /// would take their generators from under them.
    public static let isReady: Bool = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) == 1
}
