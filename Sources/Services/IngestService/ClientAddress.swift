import Formats
import HTTPServer
import Settings

/// Finds out where a post comes from: the other end of the connection, or who a proxy that is ours says was at the other end of its own.
///
/// Anybody can write `X-Forwarded-For`. It is read from its end, which the nearest proxy wrote, and only as far as proxies are trusted.
struct ClientAddresses: Sendable {
    let proxies: [AddressRange]
    /// Entries of one post that are looked at.
    private static let hopsMax = 20

    /// The address as a text: of the client, or of the last proxy whose word could not be used.
    func address(of request: HTTPRequest) -> String {
        let peer = request.remoteAddress
        guard !proxies.isEmpty, isTrusted(peer) else { return peer }
        var nearest = peer
        let hops = request.headers.values("x-forwarded-for").flatMap { $0.split(separator: ",") }.suffix(Self.hopsMax)
        for hop in hops.reversed() {
            let text = String(hop.drop { $0 == " " }.prefix { $0 != " " })
            guard IPAddress(parsing: text) != nil else { return nearest }
            nearest = text
            guard isTrusted(text) else { return text }
        }
        return nearest
    }

    private func isTrusted(_ text: String) -> Bool {
        guard let address = IPAddress(parsing: text) else { return false }
        return proxies.contains { $0.contains(address) }
    }
}

/// Where the posts of a source come from, and what becomes of those from elsewhere.
struct SourceAddresses: Sendable {
    let ranges: [AddressRange]
    let check: AddressCheck

    enum Finding: Sendable { case unchecked, listed, unlisted }

    func finding(_ address: String) -> Finding {
        guard check != .off else { return .unchecked }
        guard let address = IPAddress(parsing: address) else { return .unlisted }
        return ranges.contains { $0.contains(address) } ? .listed : .unlisted
    }
}
