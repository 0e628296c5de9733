import Formats

/// A real SMTP server (aiosmtpd) of its own for one test, gone with the value. It says what it received as Python's email package
/// reads it.
public final class SMTPServer: Sendable {
    /// A reply other than 250 for one address, as sender or recipient, or for the message itself (`data`).
    public struct Refusal: Sendable {
        let text: String

        /// - Parameter times: how often, then it is accepted; nil for ever.
        public init(_ address: String, code: Int, times: Int? = nil) {
            text = "\(address)=\(code)\(times.map { "*\($0)" } ?? "")"
        }

        public static func message(code: Int, times: Int? = nil) -> Refusal { Refusal("data", code: code, times: times) }
    }

    public enum Security: String, Sendable { case none, offered, required, implicit }

    public struct Attachment: Sendable, Equatable {
        public let name: String
        public let type: String
        public let bytes: [UInt8]
    }

    public struct Received: Sendable {
        /// The envelope.
        public let from: String
        public let to: [String]
        public let isEncrypted: Bool
        public let user: String?
        /// The client's port: the same for messages on one connection.
        public let peerPort: Int64
        /// The message as it came.
        public let data: [UInt8]
        public let headers: [(name: String, value: String)]
        public let subject: String
        /// Pairs of display name and address.
        public let sender: [[String]]
        public let recipients: [[String]]
        /// Unix seconds.
        public let date: Int64?
        public let text: String?
        public let html: String?
        public let attachments: [Attachment]
        /// What Python's parser finds wrong with the message.
        public let defects: [String]
        /// Bytes of the longest line.
        public let longestLine: Int64

        public func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
    }

    public let process: ProcessFixture
    public let port: Int
    private let certificate: TestCertificate?

    /// Starts a server and returns when it listens.
    /// - Parameters:
    ///   - credentials: log in is then required.
    ///   - certificate: needed for every `security` but `none`.
    ///   - stall: how long it does not read once a message begins.
    ///   - isSilent: it takes a message and never answers.
    public static func start(
        refusing refusals: [Refusal] = [], credentials: (user: String, password: String)? = nil, security: Security = .none,
        certificate: TestCertificate? = nil, isSilent: Bool = false, stall: Duration? = nil
    ) async throws -> SMTPServer {
        var arguments = [fixture("smtp_server.py"), "--tls", security.rawValue]
        for refusal in refusals { arguments += ["--refuse", refusal.text] }
        if let credentials { arguments += ["--user", credentials.user, "--password", credentials.password] }
        if let certificate { arguments += ["--certificate", certificate.certificatePath, "--key", certificate.keyPath] }
        if let stall { arguments += ["--stall", "\(stall / .seconds(1))"] }
        if isSilent { arguments.append("--silent") }
        let python = repositoryRoot + "/.venv/bin/python"
        guard fileExists(python) else { throw FixtureError("\(python) is missing: the set-up of the tests makes it") }
        let process = try await ProcessFixture.start(python, arguments)
        let line = try await process.waitForLine(containing: "\"listening\"", within: .seconds(60))
        guard let port = try JSON(parsing: Array(line.utf8))["port"]?.int else { throw FixtureError("no port in \(line)") }
        return SMTPServer(process: process, port: Int(port), certificate: certificate)
    }

    private init(process: ProcessFixture, port: Int, certificate: TestCertificate?) {
        self.process = process
        self.port = port
        self.certificate = certificate
    }

    /// The address as an `SMTP_URL`.
    public var url: String { "smtp://127.0.0.1:\(port)" }

    /// All messages so far.
    public func received() throws -> [Received] {
        try process.output.filter { $0.contains("\"event\": \"message\"") }.map { try Received(JSON(parsing: Array($0.utf8), depthLimit: 16)) }
    }

    /// Waits until that many messages have come.
    @discardableResult
    public func waitForMessages(_ count: Int = 1, within limit: Duration = .seconds(60)) async throws -> [Received] {
        try await eventually(within: limit, "\(count) messages at the mail server") { try received().count >= count }
        return try received()
    }
}

extension SMTPServer.Received {
    init(_ json: JSON) throws {
        guard let from = json["from"]?.string, let data = json["data"]?.string.flatMap({ Base64.decode($0) }), let port = json["peer"]?.int else {
            throw FixtureError("not a received message: \(json.text)")
        }
        self.from = from
        self.data = data
        peerPort = port
        to = (json["to"]?.array ?? []).compactMap(\.string)
        isEncrypted = json["tls"]?.bool ?? false
        user = json["user"]?.string
        headers = (json["headers"]?.array ?? []).map { ($0[0]?.string ?? "", $0[1]?.string ?? "") }
        subject = json["subject"]?.string ?? ""
        sender = (json["sender"]?.array ?? []).map { ($0.array ?? []).compactMap(\.string) }
        recipients = (json["recipients"]?.array ?? []).map { ($0.array ?? []).compactMap(\.string) }
        date = json["date"]?.int
        text = json["text"]?.string
        html = json["html"]?.string
        attachments = (json["attachments"]?.array ?? []).map {
            SMTPServer.Attachment(
                name: $0["name"]?.string ?? "", type: $0["type"]?.string ?? "", bytes: $0["bytes"]?.string.flatMap { Base64.decode($0) } ?? [])
        }
        defects = (json["defects"]?.array ?? []).compactMap(\.string)
        longestLine = json["lines_max"]?.int ?? 0
    }
}

/// The root of this repository.
public let repositoryRoot = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")

/// The path of a file of `Tests/Fixtures`.
public func fixture(_ name: String) -> String { "\(repositoryRoot)/Tests/Fixtures/\(name)" }
