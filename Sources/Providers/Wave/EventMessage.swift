import Formats
import ProviderPort

/// Reads an event: `{"id": "EV_…", "type": "…", "data": {…}}`.
enum EventMessage {
    /// - Throws: ``ProviderError`` `unreadable` when the body does not have this shape.
    static func notice(of body: [UInt8]) throws(ProviderError) -> ProviderNotice {
        let message: JSON
        do { message = try JSON(parsing: body) } catch { throw ProviderError(.unreadable, "the body is not JSON: \(error)") }
        guard let type = message["type"]?.string, !type.isEmpty else { throw ProviderError(.unreadable, "field 'type' is missing or not a text") }
        switch type {
        case "checkout.session.completed": return try completed(try session(message))
        case "checkout.session.payment_failed": return try failed(try session(message))
        // Money that reached the wallet by another way than our checkout, trials, and whatever comes to be: nothing of ours.
        default: return ProviderNotice(references: [], claim: .unknown, errorText: "events of type '\(type.prefix(80))' are not used")
        }
    }

    private static func session(_ message: JSON) throws(ProviderError) -> CheckoutSession {
        guard let data = message["data"], data.object != nil else { throw ProviderError(.unreadable, "field 'data' is missing or not an object") }
        return try CheckoutSession(data)
    }

    /// Where type and session contradict each other, neither is believed: the session is asked about.
    private static func completed(_ session: CheckoutSession) throws(ProviderError) -> ProviderNotice {
        session.notice(session.claim == .captured ? .captured : .unknown)
    }

    /// A try failed. The session stays open and may be paid by a second one, so the attempt goes on: only the error is kept.
    private static func failed(_ session: CheckoutSession) throws(ProviderError) -> ProviderNotice {
        let said = session.notice(.pending)
        return ProviderNotice(
            references: said.references, claim: .pending, errorCode: said.errorCode ?? "payment_failed", errorText: said.errorText)
    }

    /// The event's id, the same however often it is posted; nil when it is none.
    static func identity(of body: [UInt8]) -> String? {
        guard let message = try? JSON(parsing: body, depthLimit: 16), let id = message["id"]?.string, (1...100).contains(id.utf8.count),
            id.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { return nil }
        return id
    }
}
