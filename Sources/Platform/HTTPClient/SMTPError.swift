import CCurl

/// Why a message was not taken over by the mail server.
public struct SMTPError: Error, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        /// The server's word on sender, recipient or message; see ``SMTPError/code``.
        case refused
        /// The server did not accept who we are: a matter of the configuration, not of the message.
        case authentication
        /// No connection, or it broke.
        case connection
        case tls
        case timeout
        case cancelled
        /// The URL, an address or the message cannot be sent as it is.
        case invalid
    }
    public let kind: Kind
    /// The server's last reply code, where it gave one: 4xx is "later", 5xx is "never".
    public let code: Int?
    /// Names the server and its reply; never the user, the password or the message.
    public let message: String
    /// Whether the server may have taken the message all the same: it was sent whole, and the answer is missing.
    public let mayHaveBeenAccepted: Bool

    /// No retry helps: a 5xx reply, a certificate that does not hold, input that cannot be sent.
    public var isPermanent: Bool { !isTransient }
    /// The same message may be accepted later: a 4xx reply, a broken connection, a time-out.
    public let isTransient: Bool

    init(_ kind: Kind, code: Int? = nil, _ message: String, isTransient: Bool, mayHaveBeenAccepted: Bool = false) {
        self.kind = kind
        self.code = code
        self.message = message
        self.isTransient = isTransient
        self.mayHaveBeenAccepted = mayHaveBeenAccepted
    }

    public var description: String { message }

    static func invalid(_ message: String) -> SMTPError { SMTPError(.invalid, message, isTransient: false) }

    /// What an ended transfer means. The reply code decides where the server had the last word.
    static func of(_ transfer: CurlTransfer, _ result: CURLcode, server: String) -> SMTPError {
        let failure = CurlFailure.classify(result)
        let last = transfer.number(CURLINFO_RESPONSE_CODE)
        // 354 is "go on" before the message itself: whoever falls silent after it may have it.
        let mayHaveBeenAccepted = last == 354 && transfer.isWhollySent
        if result == CURLE_ABORTED_BY_CALLBACK {
            return SMTPError(.cancelled, "\(server): cancelled", isTransient: true, mayHaveBeenAccepted: mayHaveBeenAccepted)
        }
        let reply = (400..<600).contains(last) ? last : nil
        if let reply {
            let kind: Kind = result == CURLE_LOGIN_DENIED ? .authentication : .refused
            return SMTPError(kind, code: reply, "\(server) answered \(replyText(transfer, reply))", isTransient: reply < 500)
        }
        switch failure.code {
        case .timeout:
            let sentence = "\(server) gave no answer in time"
            return SMTPError(.timeout, sentence, isTransient: true, mayHaveBeenAccepted: mayHaveBeenAccepted)
        case .tls:
            return SMTPError(.tls, "\(server): \(transfer.failureText(result))", isTransient: failure.isTransient)
        default:
            if result == CURLE_LOGIN_DENIED {
                return SMTPError(.authentication, "\(server) offers no way to log in that we know", isTransient: false)
            }
            let sentence = "\(server): \(String(cString: curl_easy_strerror(result)))"
            return SMTPError(.connection, sentence, isTransient: true, mayHaveBeenAccepted: mayHaveBeenAccepted)
        }
    }

    /// The server's own words for a reply code, bounded and without control characters.
    private static func replyText(_ transfer: CurlTransfer, _ code: Int) -> String {
        let line = transfer.headerLines.last { $0.starts(with: "\(code)".utf8) } ?? []
        let text = String(decoding: line, as: UTF8.self).unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }
        return text.isEmpty ? "\(code)" : String(String.UnicodeScalarView(text).prefix(300))
    }
}
