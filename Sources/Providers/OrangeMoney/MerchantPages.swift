import ProviderPort

/// Where Orange sends notifications and browsers: as the order says, or by `OM_NOTIFY_URL` and `OM_RETURN_URL`, which the Kit has of old.
struct MerchantPages: Sendable {
    static let ownReturnPath = "/payments/orange-money/return/"
    static let ownNotifyPath = "/webhooks/orange-money"

    private let notifyBase: String?
    private let returnBase: String?

    init(notifyURL: String?, returnURL: String?) {
        notifyBase = notifyURL.flatMap { $0.isEmpty ? nil : $0 }
        returnBase = returnURL.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// With a capability the path has to stay as it was made: of `OM_NOTIFY_URL` only the host counts then.
    func notifyURL(for order: PaymentOrder) -> String {
        guard let notifyBase else { return order.notifyURL }
        let (origin, path) = Self.parts(of: order.notifyURL)
        guard path.hasPrefix(Self.ownNotifyPath) else { return origin.isEmpty ? notifyBase : order.notifyURL }
        return path == Self.ownNotifyPath ? notifyBase : Self.parts(of: notifyBase).origin + path
    }

    func returnURL(for order: PaymentOrder) -> String { own(order.returnURL, order) }
    func cancelURL(for order: PaymentOrder) -> String { own(order.cancelURL, order) }

    /// Our own page gives way to `OM_RETURN_URL`; a page that the merchant's program named does not.
    private func own(_ url: String, _ order: PaymentOrder) -> String {
        guard let returnBase, Self.parts(of: url).path.hasPrefix(Self.ownReturnPath) else { return url }
        return "\(returnBase)\(returnBase.contains("?") ? "&" : "?")transaction_id=\(order.attempt)"
    }

    /// Whether the host is a name that the world can look up.
    static func isPublic(_ url: String) -> Bool {
        let authority = parts(of: url).origin.split(separator: "/").last ?? ""
        let host = authority.split(separator: "@").last?.split(separator: ":").first ?? ""
        guard !authority.contains("["), host.contains("."), let top = host.split(separator: ".").last else { return false }
        return !host.hasSuffix(".localhost") && !top.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    /// `https://host:port` and the path with what follows.
    private static func parts(of url: String) -> (origin: String, path: String) {
        let pieces = url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        guard pieces.count >= 3, pieces[0].hasSuffix(":"), pieces[1].isEmpty else { return ("", url) }
        return (pieces.prefix(3).joined(separator: "/"), pieces.count == 4 ? "/" + pieces[3] : "")
    }
}
