import CCurl
import EventLoop
import Formats

/// A mail server as a URL names it: `smtp://user:password@host:port?tls=required`.
///
/// `smtps` is TLS from the first byte. With `smtp`, `tls=offered` takes STARTTLS where the server offers it, `tls=required`
/// fails where it does not, `tls=off` never asks. Without the word it is `required` when a password would travel to another
/// machine, else `offered`.
public struct SMTPAddress: Sendable, CustomStringConvertible {
    public enum Security: Sendable { case implicitTLS, startTLSRequired, startTLSOffered, none }

    public let host: String
    public let port: Int
    public let user: String?
    public let security: Security
    let password: String?

    public init(parsing url: String) throws(SMTPError) {
        guard let scheme = url.firstRange(of: "://").map({ url[..<$0.lowerBound].lowercased() }), ["smtp", "smtps"].contains(scheme) else {
            throw .invalid("the mail server's URL begins with smtp:// or smtps://")
        }
        let rest = url.dropFirst(scheme.count + 3)
        let (place, query) = Self.split(rest, at: "?")
        let authority = Self.split(place, at: "/").0
        let at = authority.lastIndex(of: "@")
        let credentials = at.map { Self.split(authority[..<$0], at: ":") }
        let server = at.map { authority[authority.index(after: $0)...] } ?? authority

        let usualPort = scheme == "smtps" ? 465 : 587
        guard let address = SocketAddress(parsing: String(server)) ?? SocketAddress(parsing: "\(server):\(usualPort)"),
            (1...65535).contains(address.port), address.host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"@/?#\\[]".utf8.contains($0) })
        else { throw .invalid("the mail server's URL names no valid host and port") }
        host = address.host
        port = address.port

        guard let user = Self.decoded(credentials?.0), let password = Self.decoded(credentials?.1) else {
            throw .invalid("user or password in the mail server's URL are not percent-encoded properly")
        }
        self.user = user.isEmpty ? nil : user
        self.password = user.isEmpty ? nil : password
        security = try Self.security(scheme, String(query ?? ""), carriesPassword: !user.isEmpty, host: address.host)
    }

    private static func security(
        _ scheme: String, _ query: String, carriesPassword: Bool, host: String
    ) throws(SMTPError) -> Security {
        if scheme == "smtps" {
            guard ["", "tls=required"].contains(query) else { throw .invalid("smtps:// is always TLS and takes no other word") }
            return .implicitTLS
        }
        switch query {
        case "": return carriesPassword && !["localhost", "127.0.0.1", "::1"].contains(host) ? .startTLSRequired : .startTLSOffered
        case "tls=required": return .startTLSRequired
        case "tls=offered": return .startTLSOffered
        case "tls=off": return .none
        default: throw .invalid("after '?' the mail server's URL says tls=required, tls=offered or tls=off")
        }
    }

    private static func split(_ text: Substring, at separator: Character) -> (Substring, Substring?) {
        guard let place = text.firstIndex(of: separator) else { return (text, nil) }
        return (text[..<place], text[text.index(after: place)...])
    }

    /// Nil when it is not valid; an absent part is empty.
    private static func decoded(_ part: Substring?) -> String? {
        guard let text = PercentEncoding.decode(String(part ?? "")), !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return nil }
        return text
    }

    /// What curl connects to; user and password are given apart.
    var curlURL: String { "\(security == .implicitTLS ? "smtps" : "smtp")://\(SocketAddress(host, port))" }

    /// Without user and password.
    public var description: String { "mail server \(SocketAddress(host, port))" }
}

/// Hands messages to a mail server; connections are kept and used again. To be closed before its loop is stopped.
public final class SMTPClient: Sendable {
    /// Bytes of a message at most.
    public static let messageBytesMax = 40 << 20

    public let address: SMTPAddress
    private let multi: CurlMulti
    private let timeout: Duration
    private let trustedCertificates: String?

    /// - Parameters:
    ///   - timeout: for one message, from the connection to the server's last word.
    ///   - trustedCertificates: a PEM file to trust in place of the system's certificates.
    public init(
        loop: EventLoop, address: SMTPAddress, timeout: Duration = .seconds(30), trustedCertificates: String? = nil, connectionsMax: Int = 4
    ) {
        multi = CurlMulti(loop: loop, connectionsPerHostMax: connectionsMax)
        self.address = address
        self.timeout = timeout
        self.trustedCertificates = trustedCertificates
    }

    /// - Parameter url: see ``SMTPAddress``.
    public convenience init(loop: EventLoop, url: String, timeout: Duration = .seconds(30)) throws(SMTPError) {
        self.init(loop: loop, address: try SMTPAddress(parsing: url), timeout: timeout)
    }

    deinit { multi.loop.execute { [multi] in multi.close() } }

    /// Sends one message to all of `recipients` or, when the server refuses one of them, to none.
    /// - Parameter message: as ``MailMessage`` makes it: lines end in CRLF. Lines that begin with a dot are taken care of.
    public func send(from sender: String, to recipients: [String], message: [UInt8]) async throws(SMTPError) {
        guard (1...100).contains(recipients.count) else { throw .invalid("a message has 1 to 100 recipients") }
        guard MailAddress.isValid(sender) else { throw .invalid("the sender's address is not valid") }
        guard recipients.allSatisfy(MailAddress.isValid) else { throw .invalid("a recipient's address is not valid") }
        guard message.count <= Self.messageBytesMax else { throw .invalid("the message is larger than \(Self.messageBytesMax) bytes") }
        let result: Result<Void, SMTPError> = await Cancellable.run(on: multi) { [self] done in
            transfer(sender, recipients, message, done)
        }
        return try result.get()
    }

    /// Aborts what is under way and closes all connections.
    public func close() async {
        await multi.loop.run { [multi] in multi.close() }
    }

    // MARK: On the loop

    private func transfer(
        _ sender: String, _ recipients: [String], _ message: [UInt8], _ done: @escaping (Result<Void, SMTPError>) -> Void
    ) -> CurlTransfer? {
        let server = address.description
        let made = CurlTransfer(upload: message, responseLimit: 64 << 10) { transfer, ending in
            switch ending {
            case .finished(CURLE_OK): done(.success(()))
            case .finished(let code): done(.failure(.of(transfer, code, server: server)))
            case .aborted:
                let sent = transfer.isWhollySent
                done(.failure(SMTPError(.cancelled, "\(server): cancelled", isTransient: true, mayHaveBeenAccepted: sent)))
            }
        }
        guard let transfer = made else {
            done(.failure(SMTPError(.connection, "no memory for a transfer", isTransient: true)))
            return nil
        }
        transfer.set(CURLOPT_URL, address.curlURL)
        transfer.note(quittance_curl_allow_smtp(transfer.easy))
        transfer.set(CURLOPT_PROXY, "")
        transfer.set(CURLOPT_TIMEOUT_MS, milliseconds: timeout)
        transfer.set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds: min(timeout, .seconds(10)))
        transfer.set(CURLOPT_USE_SSL, Int(useSSL.rawValue))
        if let trustedCertificates { transfer.set(CURLOPT_CAINFO, trustedCertificates) }
        if let user = address.user {
            transfer.set(CURLOPT_USERNAME, user)
            transfer.set(CURLOPT_PASSWORD, address.password ?? "")
        }
        transfer.set(CURLOPT_MAIL_FROM, "<\(sender)>")
        transfer.set(CURLOPT_MAIL_RCPT, list: recipients.map { "<\($0)>" })
        transfer.set(CURLOPT_UPLOAD, 1)
        transfer.setUploadSize(CURLOPT_INFILESIZE_LARGE)
        return transfer
    }

    private var useSSL: curl_usessl {
        switch address.security {
        case .implicitTLS, .startTLSRequired: CURLUSESSL_ALL
        case .startTLSOffered: CURLUSESSL_TRY
        case .none: CURLUSESSL_NONE
        }
    }
}
