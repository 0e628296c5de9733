import Formats
import Money
import ProviderPort

/// The calls of V2.
struct FeexPayAPI: Sendable {
    private let base: String
    private let apiKey: String
    let shop: String

    /// - Parameter apiURL: with or without `/api` at its end.
    init(apiURL: String, apiKey: String, shop: String) {
        var base = apiURL
        while base.hasSuffix("/") { base.removeLast() }
        if base.hasSuffix("/api") { base.removeLast(4) }
        self.base = base
        self.apiKey = apiKey
        self.shop = shop
    }

    /// What a start came to.
    struct Started: Sendable {
        let record: FeexPayRecord
        /// The page of a hosted network or of a card.
        let pageURL: String?
    }

    /// Starts a payment. There is no idempotency key: when no answer comes, the payment may exist.
    func start(_ path: String, _ body: JSON, label: String, over transport: any ProviderTransport) async throws(ProviderError) -> Started {
        let answer = try await transport.send(.postJSON(base + path, body, headers: authorised, mustArriveOnce: true))
        let call = FeexPayFault.Call.start(label)
        let json = try? answer.json()
        guard let json, let record = FeexPayRecord(Self.inner(json)) else {
            // A refusal without words is one; a success without words is none.
            guard !(200..<300).contains(answer.status) else { throw ProviderError(.unavailable, "the answer to \(call.words) is no JSON object") }
            throw FeexPayFault.error(answer, nil, asking: call)
        }
        let page = FeexPayShape.pageFields.lazy.compactMap { Self.inner(json)[$0]?.string }.first {
            $0.hasPrefix("https://") || $0.hasPrefix("http://")
        }
        let ended = [.failed, .cancelled].contains(record.claim)
        // Moov answers the end of the payment at once, as a refusal too; what a broken gateway says is no end.
        if ended && record.reference != nil && answer.status < 500 { return Started(record: record, pageURL: nil) }
        guard (200..<300).contains(answer.status), json["success"]?.bool != false else { throw FeexPayFault.error(answer, json, asking: call) }
        if ended { return Started(record: record, pageURL: nil) }
        guard record.reference != nil else { throw ProviderError(.unavailable, "the answer to \(call.words) has no reference") }
        return Started(record: record, pageURL: page)
    }

    /// A transaction by FeexPay's own reference.
    func transaction(_ reference: String, over transport: any ProviderTransport) async throws(ProviderError) -> FeexPayRecord {
        // Dots alone would name another path.
        guard (1...FeexPayRecord.textLengthMax).contains(reference.utf8.count), !reference.allSatisfy({ $0 == "." }) else {
            throw ProviderError(.notFound, "no such reference")
        }
        let url = base + FeexPayShape.statusPath(PercentEncoding.encodePathSegment(reference))
        let answer = try await transport.send(ProviderCall(method: "GET", url: url, headers: authorised, body: []))
        let json = try Self.good(answer, .status)
        guard let record = FeexPayRecord(Self.inner(json)), record.status != nil else {
            throw ProviderError(.unavailable, "the answer to the status call has no status")
        }
        // V1's shape names no reference.
        if let named = record.reference, named.lowercased() != reference.lowercased() {
            throw ProviderError(.unreadable, "the answer is about another reference than asked for")
        }
        return record
    }

    /// The transactions of whole days, as FeexPay counts them.
    func history(from: HistoryDay, to: HistoryDay, over transport: any ProviderTransport) async throws(ProviderError) -> [FeexPayRecord] {
        let body: JSON = [
            "start_date": .string(from.text), "end_date": .string(to.text), "shop": .string(shop), "type": "PAYIN", "status": "ALL", "reseau": "ALL",
        ]
        let answer = try await transport.send(.postJSON(base + FeexPayShape.historyPath, body, headers: authorised))
        let json = try Self.good(answer, .history)
        guard let rows = json["data"]?.array else { throw ProviderError(.unavailable, "the answer to the history call has no data") }
        return rows.compactMap(FeexPayRecord.init)
    }

    private var authorised: HTTPHeaders { ["authorization": "Bearer \(apiKey)", "accept": "application/json"] }

    private static func good(_ answer: ProviderAnswer, _ call: FeexPayFault.Call) throws(ProviderError) -> JSON {
        guard answer.status == 200 else { throw FeexPayFault.error(answer, try? answer.json(), asking: call) }
        let json = try answer.json()
        guard json["success"]?.bool != false else { throw FeexPayFault.error(answer, json, asking: call) }
        return json
    }

    /// The transaction itself, which some answers wrap in `data`.
    private static func inner(_ json: JSON) -> JSON {
        guard let data = json["data"], data.object != nil, json["reference"] == nil, json["status"]?.string == nil else { return json }
        return data
    }
}

/// A day of FeexPay's history, in UTC.
struct HistoryDay: Sendable, Hashable, Comparable {
    private static let dayMs: Int64 = 86_400_000
    /// Days since 1970.
    let number: Int64

    init(number: Int64) { self.number = number }
    init(ofMs ms: Int64) { number = max(0, ms) / Self.dayMs }

    /// Reads `2026-07-01`.
    init?(_ text: String) {
        guard text.utf8.count == 10, let ms = Timestamp.parse(text + "T00:00:00Z") else { return nil }
        self.init(ofMs: ms)
    }

    var text: String { Timestamp.date(number * Self.dayMs) }
    func adding(_ days: Int64) -> HistoryDay { HistoryDay(number: number + days) }
    static func < (left: HistoryDay, right: HistoryDay) -> Bool { left.number < right.number }
}
