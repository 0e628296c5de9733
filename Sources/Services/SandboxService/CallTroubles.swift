import Formats
import HTTPServer

/// What a call of a provider's API is for.
enum CallPurpose: Sendable {
    /// Starts a payment.
    case start
    case other
}

/// What becomes of one call that goes wrong.
enum Mishap: Sendable, Equatable {
    /// Answered 500, and not carried out.
    case failure
    /// Carried out; the answer never comes, and the connection is closed in the end.
    case unanswered
    /// Carried out and answered as ever, so much later.
    case late(Int64)

    /// Longer than clients wait: the product gives a provider 20 seconds.
    static let heldFor: Duration = .seconds(30)

    static let answer = HTTPResponse.html(500, "<html><body>Internal Server Error</body></html>")
}

/// The calls that are to go wrong: counted, the sooner ones first; slowness has no end.
struct CallTroubles: Sendable, Equatable {
    static let callsMax: Int64 = 1000
    static let slowDefaultMs: Int64 = 3000
    static let slowMaxMs: Int64 = 60_000

    /// So many starts fail.
    var failingStarts: Int64 = 0
    /// So many calls fail, whatever they are for.
    var failures: Int64 = 0
    var unanswered: Int64 = 0
    var slowMs: Int64 = 0

    var isEmpty: Bool { self == CallTroubles() }

    /// Takes what the next call meets; nil when it meets nothing.
    mutating func take(_ purpose: CallPurpose) -> Mishap? {
        if purpose == .start, failingStarts > 0 {
            failingStarts -= 1
            return .failure
        }
        if failures > 0 {
            failures -= 1
            return .failure
        }
        if unanswered > 0 {
            unanswered -= 1
            return .unanswered
        }
        return slowMs > 0 ? .late(slowMs) : nil
    }

    static let names = ["initiate_error", "error_500", "timeout", "slow"]

    /// The steps as texts, for listings.
    var steps: [String] {
        zip(Self.names, [failingStarts, failures, unanswered, slowMs]).filter { $1 > 0 }.map { "\($0):\($1)" }
    }

    /// Takes a step over. - Returns: whether it is one about calls.
    mutating func set(_ name: String, _ number: Int64?) throws(SandboxError) -> Bool {
        switch name {
        case "initiate_error": failingStarts = try Self.count(name, number ?? 1)
        case "error_500": failures = try Self.count(name, number ?? 2)
        case "timeout": unanswered = try Self.count(name, number ?? 1)
        case "slow":
            slowMs = number ?? Self.slowDefaultMs
            guard (0...Self.slowMaxMs).contains(slowMs) else { throw SandboxError(400, "slow takes 0 to \(Self.slowMaxMs) milliseconds") }
        default: return false
        }
        return true
    }

    static func count(_ name: String, _ number: Int64) throws(SandboxError) -> Int64 {
        guard (0...callsMax).contains(number) else { throw SandboxError(400, "\(name) takes 0 to \(callsMax) calls") }
        return number
    }
}
