import Formats
import Telemetry

/// What becomes of one message at a played carrier.
enum MessageStep: Sendable, Equatable {
    /// Taken, and delivered soon.
    case ok
    /// Taken, delivered and read; told twice and in disorder.
    case read
    /// Delivered before it is answered.
    case early
    /// Taken, and told as failed.
    case failed(String?)
    /// Taken, and nothing told.
    case silent
    /// Taken, and answered with what cannot be read.
    case lost
    /// Refused with a code of the carrier's.
    case code(String)
    case http(Int)
    case slow(Int)
    /// The token is taken for one that has expired.
    case expired

    static let names = "ok, read, early, failed, failed:<code>, silent, lost, code:<code>, http:<status>, slow:<milliseconds>, expired"

    init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        let number = parts.count == 2 ? Int(parts[1]) : nil
        switch (parts.first ?? "", parts.count) {
        case ("ok", 1): self = .ok
        case ("read", 1): self = .read
        case ("early", 1): self = .early
        case ("failed", _): self = .failed(parts.count == 2 ? parts[1] : nil)
        case ("silent", 1): self = .silent
        case ("lost", 1): self = .lost
        case ("expired", 1): self = .expired
        case ("code", 2): self = .code(parts[1])
        case ("http", 2):
            guard let number, (400...599).contains(number) else { return nil }
            self = .http(number)
        case ("slow", 2):
            guard let number, (0...60_000).contains(number) else { return nil }
            self = .slow(number)
        default: return nil
        }
    }

    var name: String { "\(self)" }

    /// The receipts that follow, in the order in which they are posted.
    var receipts: [String] {
        switch self {
        case .read: ["read", "delivered", "delivered"]
        case .failed: ["failed"]
        case .silent, .code, .http: []
        default: ["delivered"]
        }
    }

    var failure: String? { if case .failed(let code) = self { code } else { nil } }
}

/// A message that a played carrier has taken.
struct PlayedMessage: Sendable {
    let carrier: String
    let id: String
    let to: String
    let text: String
    let template: String?
    /// The sender's own.
    let reference: String?
    let step: String

    /// As it is listed: no number stands there whole.
    var json: JSON {
        [
            "carrier": .string(carrier), "id": .string(id), "to": .string(Redaction.text(to)), "text": .string(text), "template": .optional(template),
            "step": .string(step),
        ]
    }
}

/// What the played carriers know, in memory.
actor MessageBook {
    static let messagesMax = 5000

    private var steps: [String: [MessageStep]] = [:]
    private var messages: [PlayedMessage] = []
    private var tokens: Set<String> = []

    func add(_ more: [MessageStep], for carrier: String) { steps[carrier, default: []] += more }
    func next(_ carrier: String) -> MessageStep {
        guard let step = steps[carrier]?.first else { return .ok }
        steps[carrier]?.removeFirst()
        return step
    }

    func keep(_ message: PlayedMessage) {
        if messages.count >= Self.messagesMax { messages.removeFirst(Self.messagesMax / 2) }
        messages.append(message)
    }
    func message(_ id: String) -> PlayedMessage? { messages.last { $0.id == id } }
    var all: [PlayedMessage] { messages }

    func makeToken() -> String {
        let token = "sandbox-\(ULID.make().lowercased())"
        tokens.insert(token)
        return token
    }
    func hasToken(_ token: String) -> Bool { tokens.contains(token) }
    func dropTokens() { tokens = [] }

    func reset() { (steps, messages, tokens) = ([:], [], []) }
}
