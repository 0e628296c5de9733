import Formats

/// Finds out where a request comes from: the other end of the connection, or who a proxy that is ours says was at the other end of its own.
///
/// Anybody can write `X-Forwarded-For`. It is read from its end, which the nearest proxy wrote, and only as far as proxies are trusted.
public struct ClientAddresses: Sendable {
    private let proxies: [AddressRange]
    /// Entries of one request that are looked at.
    private static let hopsMax = 20

    /// This machine.
    public static let loopback = ["127.0.0.0/8", "::1"].compactMap(AddressRange.init(parsing:))

    /// - Parameter proxies: whose word is taken.
    public init(proxies: [AddressRange]) { self.proxies = proxies }

    /// The address as a text: of the client, or of the last proxy whose word could not be used.
    public func address(of request: HTTPRequest) -> String {
        let peer = request.remoteAddress
        guard !proxies.isEmpty, isTrusted(peer) else { return peer }
        var nearest = peer
        let hops = request.headers.values("x-forwarded-for").flatMap { $0.split(separator: ",") }.suffix(Self.hopsMax)
        for hop in hops.reversed() {
            // Some proxies write the client's port too, which changes with every connection.
            guard let address = IPAddress(parsing: hop.drop { $0 == " " }.prefix { $0 != " " }) else { return nearest }
            nearest = address.description
            guard proxies.contains(where: { $0.contains(address) }) else { return nearest }
        }
        return nearest
    }

    /// What limits count by: the address, of version 6 the first 64 bits, which one machine may have all to itself.
    public func limitKey(of request: HTTPRequest) -> String {
        let address = address(of: request)
        return IPAddress(parsing: address)?.network ?? address
    }

    private func isTrusted(_ text: String) -> Bool {
        guard let address = IPAddress(parsing: text) else { return false }
        return proxies.contains { $0.contains(address) }
    }
}
