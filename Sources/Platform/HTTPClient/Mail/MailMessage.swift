import Formats

/// Why a message cannot be written. It is the caller's input that is wrong; no retry helps.
public struct MailMessageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The part of the message, such as `subject`.
    public let field: String
    public let rule: String
    public var description: String { "the message's \(field) \(rule)" }
}

/// An e-mail as its author thinks of it, and ``encoded()`` as it travels.
///
/// The same value gives the same bytes, so a retry sends the same message under the same Message-ID.
public struct MailMessage: Sendable {
    public struct Attachment: Sendable {
        public var name: String
        /// `type/subtype`, parameters allowed.
        public var contentType: String
        public var bytes: [UInt8]

        public init(name: String, contentType: String, bytes: [UInt8]) {
            self.name = name
            self.contentType = contentType
            self.bytes = bytes
        }
    }

    public var from: MailAddress
    public var to: [MailAddress]
    public var replyTo: MailAddress?
    public var subject: String
    public var textBody: String
    public var htmlBody: String?
    public var attachments: [Attachment]
    /// `local@domain`, with or without angle brackets.
    public var messageID: String
    /// Unix milliseconds.
    public var dateMs: Int64
    /// Further headers, such as `Auto-Submitted`; none of those that the message writes itself.
    public var headers: HTTPHeaders

    public init(
        from: MailAddress, to: [MailAddress], replyTo: MailAddress? = nil, subject: String, textBody: String, htmlBody: String? = nil,
        attachments: [Attachment] = [], messageID: String, dateMs: Int64, headers: HTTPHeaders = [:]
    ) {
        self.from = from
        self.to = to
        self.replyTo = replyTo
        self.subject = subject
        self.textBody = textBody
        self.htmlBody = htmlBody
        self.attachments = attachments
        self.messageID = messageID
        self.dateMs = dateMs
        self.headers = headers
    }

    /// The message by RFC 5322 and MIME: ASCII only, CRLF, no line beyond 78 characters unless a single word is longer.
    public func encoded() throws(MailMessageError) -> [UInt8] {
        try check()
        var output: [UInt8] = []
        MailHeaderText.append("Date", Self.date(dateMs).split(separator: " ").map(String.init), to: &output)
        MailHeaderText.append("From", MailHeaderText.mailbox(from), to: &output)
        appendRecipients(to: &output)
        if let replyTo { MailHeaderText.append("Reply-To", MailHeaderText.mailbox(replyTo), to: &output) }
        MailHeaderText.append("Message-ID", ["<\(bareMessageID)>"], to: &output)
        MailHeaderText.append("Subject", MailHeaderText.unstructured(subject), to: &output)
        headers.forEach { name, value in MailHeaderText.append(name, MailHeaderText.unstructured(value), to: &output) }
        MailHeaderText.append("MIME-Version", ["1.0"], to: &output)
        appendContent(to: &output)
        return output
    }

    // MARK: Headers

    private var bareMessageID: String {
        messageID.hasPrefix("<") && messageID.hasSuffix(">") ? String(messageID.dropFirst().dropLast()) : messageID
    }

    private func appendRecipients(to output: inout [UInt8]) {
        var words: [String] = []
        for (number, mailbox) in to.enumerated() {
            var own = MailHeaderText.mailbox(mailbox)
            if number < to.count - 1 { own[own.count - 1] += "," }
            words += own
        }
        MailHeaderText.append("To", words, to: &output)
    }

    /// `Sat, 21 Nov 2026 08:00:00 +0000`
    static func date(_ ms: Int64) -> String {
        let time = Timestamp.civil(ms)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let clock = "\(two(time.hour)):\(two(time.minute)):\(two(time.second))"
        return "\(days[time.weekday]), \(two(time.day)) \(months[time.month - 1]) \(time.year) \(clock) +0000"
    }

    // MARK: Content

    private func appendContent(to output: inout [UInt8]) {
        guard !attachments.isEmpty else { return appendWords(to: &output) }
        appendMultipart("mixed", to: &output) { output, separate in
            separate(&output)
            appendWords(to: &output)
            for attachment in attachments {
                separate(&output)
                MailBody.appendAttachment(attachment, to: &output)
            }
        }
    }

    private func appendWords(to output: inout [UInt8]) {
        guard let htmlBody else { return MailBody.appendText(textBody, subtype: "plain", to: &output) }
        // The plain form first: a reader shows the last one that it understands.
        appendMultipart("alternative", to: &output) { output, separate in
            separate(&output)
            MailBody.appendText(textBody, subtype: "plain", to: &output)
            separate(&output)
            MailBody.appendText(htmlBody, subtype: "html", to: &output)
        }
    }

    private func appendMultipart(
        _ subtype: String, to output: inout [UInt8], _ parts: (inout [UInt8], _ separate: (inout [UInt8]) -> Void) -> Void
    ) {
        // "=_" occurs in neither quoted-printable nor base64, so no part can contain a boundary.
        let boundary = "=_\(subtype)_\(String(Self.fingerprint(bareMessageID), radix: 16))"
        MailHeaderText.append("Content-Type", ["multipart/\(subtype);", "boundary=\"\(boundary)\""], to: &output)
        output += "\r\n".utf8
        parts(&output) { $0 += "--\(boundary)\r\n".utf8 }
        output += "--\(boundary)--\r\n".utf8
    }

    /// FNV-1a: only to make the boundaries of different messages differ.
    private static func fingerprint(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }

    // MARK: Rules

    private static let ownHeaders: Set<String> = [
        "date", "from", "to", "cc", "bcc", "sender", "reply-to", "message-id", "subject", "mime-version", "return-path", "received",
    ]

    private func check() throws(MailMessageError) {
        try check("from", from)
        guard (1...100).contains(to.count) else { throw MailMessageError(field: "to", rule: "has 1 to 100 addresses") }
        for mailbox in to { try check("to", mailbox) }
        if let replyTo { try check("replyTo", replyTo) }
        try checkLine("subject", subject)
        guard MailAddress.isValid(bareMessageID), bareMessageID.utf8.count <= 200 else {
            throw MailMessageError(field: "messageID", rule: "must be local@domain in ASCII")
        }
        for attachment in attachments {
            try checkLine("attachment's name", attachment.name)
            guard Self.isContentType(attachment.contentType) else {
                throw MailMessageError(field: "attachment's type", rule: "must be type/subtype in ASCII")
            }
        }
        var fault: MailMessageError?
        headers.forEach { name, value in
            let isName = !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") } && name.utf8.count <= 60
            if !isName || Self.ownHeaders.contains(name.lowercased()) || name.lowercased().hasPrefix("content-") {
                fault = MailMessageError(field: "headers", rule: "name one that is not valid or is written by the message itself")
            }
            if Self.hasControls(value) {
                fault = MailMessageError(field: "header \(name)", rule: "must not contain line breaks or control characters")
            }
        }
        if let fault { throw fault }
    }

    private func check(_ field: String, _ mailbox: MailAddress) throws(MailMessageError) {
        guard MailAddress.isValid(mailbox.address) else { throw MailMessageError(field: field, rule: "is no valid address") }
        try checkLine("\(field) name", mailbox.name ?? "")
    }

    private func checkLine(_ field: String, _ text: String) throws(MailMessageError) {
        guard !Self.hasControls(text), text.utf8.count <= 2000 else {
            throw MailMessageError(field: field, rule: "must be one line of at most 2000 bytes without control characters")
        }
    }

    private static func hasControls(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
    }

    private static func isContentType(_ text: String) -> Bool {
        let type = text.prefix { $0 != ";" }.split(separator: "/", omittingEmptySubsequences: false)
        return text.utf8.count <= 120 && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } && type.count == 2
            && type.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { MailAddress.isAlphanumeric($0) || "+-._".utf8.contains($0) } }
    }
}
