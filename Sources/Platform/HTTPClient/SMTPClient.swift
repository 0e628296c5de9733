import CCurl
import EventLoop
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Hands messages to a mail server, a few at a time; connections are kept and used again.
///
/// It has threads of its own and no place on an event loop: curl waits for the server's last word on a message by blocking,
/// and a filtering server thinks for seconds. Worse, a transfer that is taken out of a multi handle half-way has its message
/// ended there, so that the server would accept a part for the whole. Here a cancelled transfer is told so from within,
/// and its connection closed; it takes up to a second to be noticed.
public final class SMTPClient: Sendable {
    /// Bytes of a message at most.
    public static let messageBytesMax = 40 << 20

    public let address: SMTPAddress
    private let timeout: Duration
    private let trustedCertificates: String?
    private let pool: BlockingPool

    /// A curl handle with its kept connection. `@unchecked Sendable`: whoever takes it out of the idle ones has it alone.
    private struct Handle: @unchecked Sendable {
        let easy: UnsafeMutableRawPointer

        /// Without leave of the server: curl would wait two minutes for one that is silent.
        func discard() {
            let descriptor = quittance_curl_active_socket(easy)
            if descriptor >= 0 { shutdown(descriptor, Int32(SHUT_RDWR)) }
            curl_easy_cleanup(easy)
        }
    }
    private struct State {
        var isClosed = false
        var idle: [Handle] = []
        var underWay: [ObjectIdentifier: AbortFlag] = [:]
    }
    private let state = Mutex(State())

    /// - Parameters:
    ///   - timeout: for one message, from the connection to the server's last word.
    ///   - trustedCertificates: a PEM file to trust in place of the system's certificates.
    ///   - connectionsMax: messages on their way at once; the next ones wait.
    public init(address: SMTPAddress, timeout: Duration = .seconds(30), trustedCertificates: String? = nil, connectionsMax: Int = 4) {
        self.address = address
        self.timeout = timeout
        self.trustedCertificates = trustedCertificates
        pool = BlockingPool(name: "smtp", threads: connectionsMax)
    }

    /// - Parameter url: see ``SMTPAddress``.
    public convenience init(url: String, timeout: Duration = .seconds(30)) throws(SMTPError) {
        self.init(address: try SMTPAddress(parsing: url), timeout: timeout)
    }

    deinit {
        endIdleConnections()
        // The pool's threads are joined, which may not happen on one of them.
        pthread_detach(ThreadLaunch.start(name: "smtp-close") { [pool] in pool.close() })
    }

    /// Sends one message to all of `recipients` or, when the server refuses one of them, to none.
    /// - Parameter message: as ``MailMessage`` makes it: lines end in CRLF. Lines that begin with a dot are taken care of.
    public func send(from sender: String, to recipients: [String], message: [UInt8]) async throws(SMTPError) {
        guard (1...100).contains(recipients.count) else { throw .invalid("a message has 1 to 100 recipients") }
        guard MailAddress.isValid(sender) else { throw .invalid("the sender's address is not valid") }
        guard recipients.allSatisfy(MailAddress.isValid) else { throw .invalid("a recipient's address is not valid") }
        guard message.count <= Self.messageBytesMax else { throw .invalid("the message is larger than \(Self.messageBytesMax) bytes") }
        let flag = AbortFlag()
        let result: Result<Void, SMTPError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                pool.submit { [self] in continuation.resume(returning: deliver(sender, recipients, message, flag)) }
            }
        } onCancel: {
            flag.raise()
        }
        ClientMetrics.countMail(result)
        return try result.get()
    }

    /// Aborts what is under way, and ends the kept connections; messages from now on fail as cancelled.
    public func close() {
        let flags = state.withLock { state in
            state.isClosed = true
            return Array(state.underWay.values)
        }
        for flag in flags { flag.raise() }
        endIdleConnections()
    }

    /// Takes leave of the server, which may be long in answering: nobody waits for it.
    private func endIdleConnections() {
        let idle = state.withLock { state in
            defer { state.idle = [] }
            return state.idle
        }
        for handle in idle { pool.submit { curl_easy_cleanup(handle.easy) } }
    }

    // MARK: On the pool's threads

    private func deliver(_ sender: String, _ recipients: [String], _ message: [UInt8], _ flag: AbortFlag) -> Result<Void, SMTPError> {
        CurlLibrary.blockBrokenPipeSignal()
        let kept: Handle?? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.underWay[ObjectIdentifier(flag)] = flag
            // The last one used is the one whose connection is most likely still good.
            return .some(state.idle.popLast())
        }
        guard let kept, !flag.isRaised else {
            settle(flag, reusing: kept ?? nil)
            return .failure(SMTPError(.cancelled, "\(address): cancelled", isTransient: true))
        }
        guard CurlLibrary.isReady, let handle = kept ?? curl_easy_init().map(Handle.init(easy:)) else {
            settle(flag, reusing: nil)
            return .failure(SMTPError(.connection, "no memory for a transfer", isTransient: true))
        }
        let result = perform(handle, sender, recipients, message, flag)
        switch result {
        case .success: settle(flag, reusing: handle)
        case .failure:
            // On a connection that failed the server's answers may be one behind: curl keeps some of those.
            settle(flag, reusing: nil)
            handle.discard()
        }
        return result
    }

    /// Its transfer has given the handle back when this returns.
    private func perform(
        _ handle: Handle, _ sender: String, _ recipients: [String], _ message: [UInt8], _ flag: AbortFlag
    ) -> Result<Void, SMTPError> {
        guard let transfer = CurlTransfer(upload: message, responseLimit: 64 << 10, borrowed: handle.easy) else {
            return .failure(SMTPError(.connection, "no memory for a transfer", isTransient: true))
        }
        configure(transfer, sender, recipients)
        transfer.note(quittance_curl_set_progress(transfer.easy, progressCallback, Unmanaged.passUnretained(flag).toOpaque()))
        let code = transfer.refusedOption ?? curl_easy_perform(transfer.easy)
        return code == CURLE_OK ? .success(()) : .failure(.of(transfer, code, server: address.description))
    }

    private func configure(_ transfer: CurlTransfer, _ sender: String, _ recipients: [String]) {
        transfer.set(CURLOPT_URL, address.curlURL)
        transfer.note(quittance_curl_allow_smtp(transfer.easy))
        transfer.set(CURLOPT_PROXY, "")
        transfer.set(CURLOPT_TIMEOUT_MS, milliseconds: timeout)
        transfer.set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds: min(timeout, .seconds(10)))
        transfer.set(CURLOPT_USE_SSL, Int(address.useSSL.rawValue))
        if let trustedCertificates { transfer.set(CURLOPT_CAINFO, trustedCertificates) }
        if let user = address.user {
            transfer.set(CURLOPT_USERNAME, user)
            transfer.set(CURLOPT_PASSWORD, address.password ?? "")
        }
        transfer.set(CURLOPT_MAIL_FROM, "<\(sender)>")
        transfer.set(CURLOPT_MAIL_RCPT, list: recipients.map { "<\($0)>" })
        transfer.set(CURLOPT_UPLOAD, 1)
        transfer.setUploadSize(CURLOPT_INFILESIZE_LARGE)
    }

    /// Puts a handle back, or away when the client has been closed meanwhile.
    private func settle(_ flag: AbortFlag, reusing handle: Handle?) {
        let surplus: Handle? = state.withLock { state in
            state.underWay[ObjectIdentifier(flag)] = nil
            guard let handle else { return nil }
            if state.isClosed { return handle }
            state.idle.append(handle)
            return nil
        }
        surplus?.discard()
    }
}

/// Tells a transfer on another thread to end.
private final class AbortFlag: Sendable {
    private let raised = Atomic<Bool>(false)
    var isRaised: Bool { raised.load(ordering: .acquiring) }
    func raise() { raised.store(true, ordering: .releasing) }
}

extension SMTPAddress {
    fileprivate var useSSL: curl_usessl {
        switch security {
        case .implicitTLS, .startTLSRequired: CURLUSESSL_ALL
        case .startTLSOffered: CURLUSESSL_TRY
        case .none: CURLUSESSL_NONE
        }
    }
}

/// curl asks at least once a second, also while it waits, whether to go on.
private func progressCallback(
    _ context: UnsafeMutableRawPointer?, _ downloadTotal: curl_off_t, _ downloaded: curl_off_t, _ uploadTotal: curl_off_t, _ uploaded: curl_off_t
) -> Int32 {
    guard let context else { return 0 }
    return Unmanaged<AbortFlag>.fromOpaque(context).takeUnretainedValue().isRaised ? 1 : 0
}
