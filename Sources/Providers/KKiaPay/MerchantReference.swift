import Formats

/// Finds our attempt in what comes back of the widget's `data` and `partnerId`: the only tie between a transaction of KKiaPay and an order.
///
/// Both are set in the customer's browser. They say which attempt a transaction means to pay, never what it costs.
enum MerchantReference {
    /// Members of `data` that name the attempt, best first: what we write, and what shops write by habit.
    static let members = ["attempt", "order_id"]
    static let lengthMax = 64
    /// `data` comes back as it was given, or as JSON text, or as JSON text in JSON text.
    static let decodingsMax = 2
    static let textMax = 16 * 1024

    /// The one attempt that a transaction names: what `state` says counts, and `partnerId` only where `state` says nothing. One rule for
    /// every reader, so that no transaction can name two attempts.
    static func attempt(state: JSON?, partnerID: JSON?) -> String? {
        state.flatMap { named(in: $0) } ?? partnerID.flatMap { plain($0) }
    }

    private static func named(in state: JSON) -> String? {
        var value = state
        for _ in 0..<decodingsMax {
            guard let text = value.string, text.utf8.count <= textMax, let decoded = try? JSON(parsing: text, depthLimit: 16),
                decoded.object != nil || decoded.string != nil
            else { break }
            value = decoded
        }
        guard value.object != nil else { return plain(value) }
        for member in members { if let name = value[member].flatMap({ plain($0) }) { return name } }
        return nil
    }

    private static func plain(_ value: JSON) -> String? {
        guard let text = value.string ?? value.int.map({ String($0) }), !text.isEmpty, text.utf8.count <= lengthMax,
            text.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else { return nil }
        return text
    }
}
