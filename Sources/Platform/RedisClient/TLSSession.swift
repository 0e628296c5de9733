import CHiredis
import Cryptography
import Formats

/// One TLS connection, without a socket: what came goes in, what is to be sent comes out. Confined to its link's loop.
final class TLSSession {
    private let session: OpaquePointer
    /// From the network, and to it. The session owns both.
    private let arriving: OpaquePointer
    private let leaving: OpaquePointer
    private(set) var isEstablished = false

    /// OpenSSL takes lengths as C ints.
    private static let pieceMax = 1 << 20

    /// Reads the files anew, so that a renewed certificate needs no restart.
    /// - Parameter host: whom the server's certificate must name, unless `tls` says another.
    /// - Throws: what is wrong with a file.
    init(_ tls: RedisTLS, host: String) throws(RedisError) {
        let context = try Self.context(tls)
        // The session keeps what it needs of it.
        defer { SSL_CTX_free(context) }
        guard let made = SSL_new(context), let input = BIO_new(BIO_s_mem()), let output = BIO_new(BIO_s_mem()) else {
            preconditionFailure("out of memory for a TLS session")
        }
        session = made
        arriving = input
        leaving = output
        SSL_set_bio(made, input, output)
        SSL_set_connect_state(made)
        let name = tls.serverName ?? host
        // An address is compared with the certificate's addresses, and is no name to ask for.
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(made), name) != 1 {
            SSL_set1_host(made, name)
            _ = quittance_tls_set_name(made, name)
        }
    }

    deinit { SSL_free(session) }

    private static func context(_ tls: RedisTLS) throws(RedisError) -> OpaquePointer {
        ERR_clear_error()
        guard OpenSSLLibrary.isReady, let context = SSL_CTX_new(TLS_client_method()) else { preconditionFailure("out of memory for TLS") }
        do throws(RedisError) {
            _ = quittance_tls_set_minimum(context)
            quittance_tls_refuse_passphrase(context)
            if let file = tls.authoritiesFile {
                guard SSL_CTX_load_verify_locations(context, file, nil) == 1 else { throw unusable(file, "certificates of authorities") }
            } else {
                SSL_CTX_set_default_verify_paths(context)
            }
            if let file = tls.certificateFile {
                guard SSL_CTX_use_certificate_chain_file(context, file) == 1 else { throw unusable(file, "a certificate") }
            }
            if let file = tls.keyFile {
                guard SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM) == 1 else { throw unusable(file, "the key of our certificate") }
            }
            SSL_CTX_set_verify(context, tls.verifiesServer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
            return context
        } catch {
            SSL_CTX_free(context)
            throw error
        }
    }

    private static func unusable(_ file: String, _ what: String) -> RedisError {
        RedisError(.tls, "\(file) cannot be used as \(what) in PEM form: \(queuedError() ?? "no reason given")", mayHaveBeenExecuted: false)
    }

    // MARK: The network's side

    /// Takes what has come from the network.
    func take(_ bytes: UnsafeRawBufferPointer) {
        var start = 0
        while start < bytes.count {
            let count = BIO_write(arriving, bytes.baseAddress?.advanced(by: start), Int32(min(bytes.count - start, Self.pieceMax)))
            precondition(count > 0, "out of memory for what has come")
            start += Int(count)
        }
    }

    /// Appends what is to be sent.
    func drain(into bytes: inout [UInt8]) {
        while true {
            let count = BIO_ctrl_pending(leaving)
            guard count > 0 else { return }
            let old = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: min(count, Self.pieceMax)))
            let read = bytes.withUnsafeMutableBytes { BIO_read(leaving, $0.baseAddress?.advanced(by: old), Int32($0.count - old)) }
            bytes.removeLast(bytes.count - old - Int(max(read, 0)))
        }
    }

    // MARK: Our side

    /// Goes on with the handshake.
    /// - Throws: why there will be no connection.
    func shakeHands() throws(RedisError) {
        guard !isEstablished else { return }
        ERR_clear_error()
        let result = SSL_do_handshake(session)
        if result == 1 { isEstablished = true } else { _ = try outcome(result) }
    }

    /// Seals bytes for the network; see ``drain(into:)``.
    func write(_ bytes: [UInt8]) throws(RedisError) {
        var start = 0
        while start < bytes.count {
            ERR_clear_error()
            let count = bytes.withUnsafeBytes { SSL_write(session, $0.baseAddress?.advanced(by: start), Int32(min($0.count - start, Self.pieceMax))) }
            guard count > 0 else {
                _ = try outcome(count)
                throw RedisError(.tls, "TLS takes nothing more", mayHaveBeenExecuted: false)
            }
            start += Int(count)
        }
    }

    /// Opens what has come.
    /// - Returns: how many bytes there are; 0 when more must come first, nil when the server has ended the connection.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(RedisError) -> Int? {
        ERR_clear_error()
        let count = SSL_read(session, buffer.baseAddress, Int32(buffer.count))
        return count > 0 ? Int(count) : try outcome(count)
    }

    /// What it means that a call had no result: 0 to wait for the network, nil for an orderly end.
    private func outcome(_ result: Int32) throws(RedisError) -> Int? {
        switch SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return 0
        case SSL_ERROR_ZERO_RETURN: return nil
        default:
            let verdict = SSL_get_verify_result(session)
            if verdict != Int(X509_V_OK), SSL_get_verify_mode(session) != SSL_VERIFY_NONE {
                let text = X509_verify_cert_error_string(verdict).map { String(cString: $0) } ?? "error \(verdict)"
                throw RedisError(.tls, "the server's certificate is not accepted: \(text)", mayHaveBeenExecuted: false)
            }
            throw RedisError(.tls, "TLS failed: \(Self.queuedError() ?? "no reason given")", mayHaveBeenExecuted: false)
        }
    }

    private static func queuedError() -> String? {
        // The first is the cause, the others say where it was met.
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return nil }
        guard let reason = ERR_reason_error_string(code) else { return "error \(code)" }
        return String(cString: reason)
    }
}
