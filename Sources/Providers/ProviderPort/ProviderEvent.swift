import Formats

/// What a provider posted, as it travels from ingest to worker-payments: one CloudEvents 1.0 object on the list
/// `quittance:{events}:ready`. The members' names are contract.
public struct ProviderEvent: Sendable, Equatable {
    /// The same delivery has the same id.
    public let id: String
    public let provider: String
    /// `sandbox` or `live`: the mode its source ran in.
    public let mode: String
    public let trust: Trust
    public let type: String
    /// When ingest accepted it.
    public let timeMs: Int64
    public let contentType: String
    /// The exact bytes received.
    public let body: [UInt8]
    /// Selected headers as lines `name: value`, secrets masked.
    public let headers: String
    public let matchedKey: Int?
    /// From the capability path, where the provider's body carries no proof.
    public let payment: String?
    /// Which attempt at the payment, from the same path.
    public let attemptNumber: Int64?
    /// The path it was posted to.
    public let target: String
    public let traceparent: String?

    public init(
        id: String, provider: String, mode: String, trust: Trust, type: String, timeMs: Int64, contentType: String, body: [UInt8],
        headers: String, matchedKey: Int?, payment: String?, attemptNumber: Int64? = nil, target: String, traceparent: String?
    ) {
        self.id = id
        self.provider = provider
        self.mode = mode
        self.trust = trust
        self.type = type
        self.timeMs = timeMs
        self.contentType = contentType
        self.body = body
        self.headers = headers
        self.matchedKey = matchedKey
        self.payment = payment
        self.attemptNumber = attemptNumber
        self.target = target
        self.traceparent = traceparent
    }

    /// The content type of a body that came without one.
    static let untyped = "application/octet-stream"

    /// The CloudEvents object.
    public func encoded() -> [UInt8] {
        var writer = JSONWriter(reserving: 640 + body.count * 4 / 3)
        writer.beginObject()
        writer.member("specversion", "1.0")
        writer.member("id", id)
        writer.member("source", "/webhooks/" + provider)
        writer.member("type", type)
        writer.key(literal: "time")
        writer.timestamp(timeMs)
        writer.member("datacontenttype", contentType.isEmpty ? Self.untyped : contentType)
        writer.key(literal: "data_base64")
        writer.base64(body)
        writer.member("provider", provider)
        writer.member("mode", mode)
        writer.member("trust", trust.rawValue)
        if let payment { writer.member("payment", payment) }
        if let attemptNumber { writer.member("attemptnumber", attemptNumber) }
        writer.member("target", target)
        writer.member("headers", headers)
        if let matchedKey { writer.member("matchedkey", Int64(matchedKey)) }
        if let traceparent { writer.member("traceparent", traceparent) }
        writer.endObject()
        return writer.bytes
    }

    /// Reads an event back.
    /// - Throws: ``EventFormatError`` naming the member that is missing or wrong.
    public init(decoding bytes: [UInt8]) throws(EventFormatError) {
        let json: JSON
        do { json = try JSON(parsing: bytes) } catch { throw EventFormatError("the event is no JSON object: \(error)") }
        guard json.object != nil else { throw EventFormatError("the event is no JSON object") }
        guard json["specversion"]?.string == "1.0" else { throw EventFormatError("specversion must be 1.0") }
        func text(_ member: String, limit: Int) throws(EventFormatError) -> String {
            guard let value = json[member]?.string, !value.isEmpty, value.utf8.count <= limit else {
                throw EventFormatError("\(member) must be a text of 1 to \(limit) bytes")
            }
            return value
        }
        id = try text("id", limit: DeliveryIdentity.lengthMax)
        type = try text("type", limit: 200)
        provider = try text("provider", limit: 50)
        mode = try text("mode", limit: 20)
        guard let trust = Trust(rawValue: try text("trust", limit: 20)) else { throw EventFormatError("trust is not a known word") }
        self.trust = trust
        guard let time = Timestamp.parse(try text("time", limit: 40)) else { throw EventFormatError("time must be RFC 3339") }
        timeMs = time
        guard let body = Base64.decode(json["data_base64"]?.string ?? "", lenientPadding: false) else {
            throw EventFormatError("data_base64 must be base64")
        }
        self.body = body
        contentType = json["datacontenttype"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? Self.untyped
        headers = json["headers"]?.string ?? ""
        matchedKey = json["matchedkey"]?.int.map(Int.init)
        payment = json["payment"]?.string
        attemptNumber = json["attemptnumber"]?.int
        target = json["target"]?.string ?? ""
        traceparent = json["traceparent"]?.string
    }
}

/// An object on the events list that is no event. No retry helps.
public struct EventFormatError: Error, Equatable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}
