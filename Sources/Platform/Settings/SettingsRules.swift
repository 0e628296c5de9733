import Formats

/// The rules of single variables that no other variable shares.
extension SettingsReader {
    mutating func queuePrefix() -> String {
        let name = "QUEUE_PREFIX"
        let text = value(name) ?? ""
        let isPlain = text.utf8.allSatisfy { byte in
            ASCII.isDigit(byte) || (0x61...0x7A).contains(ASCII.lowercase(byte)) || "_-.:".utf8.contains(byte)
        }
        // Braces would move every key of a queue to another place of a cluster.
        if isPlain, text.utf8.count <= 64 { return text }
        problem(name, "it holds other signs, or too many", "at most 64 letters, digits and _-.: signs", "\(name)=quittance:")
        return "quittance:"
    }

    /// The address with the slot added to its port.
    mutating func metricsAddress(slot: Int) -> SocketAddress? {
        guard let address = address("METRICS_ADDRESS") else { return nil }
        // Port 0 takes a free one, whatever the slot.
        guard address.port > 0 else { return address }
        guard address.port + slot <= 65535 else {
            problem(
                "METRICS_ADDRESS", "port \(address.port) plus SLOT \(slot) is beyond 65535", "host:port, where port plus SLOT is at most 65535",
                "METRICS_ADDRESS=127.0.0.1:9100")
            return nil
        }
        return SocketAddress(address.host, address.port + slot)
    }

    mutating func baseURL(webAddress: SocketAddress) -> String {
        let name = "BASE_URL"
        guard let text = raw(name) else { return "http://\(webAddress)" }
        if let parts = URLParts(text), ["http", "https"].contains(parts.scheme), !parts.host.isEmpty, parts.query == nil, parts.user == nil {
            return Settings.withoutSlash(text)
        }
        problem(name, "it is not such an address", "http:// or https:// and a host, nothing behind ? or #", "\(name)=https://pay.example.com")
        return "http://\(webAddress)"
    }

    mutating func secretKey() -> Secret? {
        guard let text = raw("SECRET_KEY") else { return nil }
        if text.utf8.count >= 32 { return Secret(text) }
        problem(
            "SECRET_KEY", "it has \(text.utf8.count) characters only", "at least 32 characters nobody can guess", "SECRET_KEY=$(openssl rand -hex 32)"
        )
        // Told once: it is not missing, it is short.
        return Secret(text)
    }

    mutating func mailFrom() -> String {
        let name = "MAIL_FROM"
        let text = value(name) ?? ""
        let address = text.hasSuffix(">") ? text.drop { $0 != "<" }.dropFirst().dropLast() : text[...]
        let sides = address.split(separator: "@", omittingEmptySubsequences: false)
        let isAddress = sides.count == 2 && sides.allSatisfy { !$0.isEmpty && !$0.contains { $0.isWhitespace || $0 == "<" || $0 == ">" } }
        if isAddress, !text.utf8.contains(where: { $0 < 0x20 }) { return text }
        problem(name, "it is not a sender", "an address, or a name and an address in < >", "\(name)=Quittance <no-reply@example.com>")
        return text
    }

    /// - Returns: the address in `MAIL_FROM` unless another is set.
    mutating func staffEmail(mailFrom: String) -> String {
        let name = "STAFF_EMAIL"
        guard let text = raw(name) else {
            return mailFrom.hasSuffix(">") ? String(mailFrom.drop { $0 != "<" }.dropFirst().dropLast()) : mailFrom
        }
        let sides = text.split(separator: "@", omittingEmptySubsequences: false)
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"<>,;".utf8.contains($0) }
        if sides.count == 2, sides.allSatisfy({ !$0.isEmpty }), isPlain { return text }
        problem(name, "it is not an address", "one mail address without a name", "\(name)=staff@example.com")
        return text
    }

    /// What real money asks for beyond the provider's own secret.
    mutating func checkLive(_ live: [String], baseURL: String, hasSecretKey: Bool, redis: RedisAddress) {
        guard !live.isEmpty else { return }
        let names = live.joined(separator: ", ")
        if !baseURL.hasPrefix("https://") {
            problem(
                "BASE_URL", "it is not https, and live is \(names)", "customers and providers reach a live installation over https only",
                "BASE_URL=https://pay.example.com")
        }
        if redis.tls?.verifiesServer == false {
            problem(
                "REDIS_VERIFY", "it is no, and live is \(names)", "a live installation knows whom it talks to", "REDIS_VERIFY=yes")
        }
        if !hasSecretKey {
            problem(
                "SECRET_KEY", "it is not set, and live is \(names)", "a live installation has a key of at least 32 characters nobody can guess",
                "SECRET_KEY=$(openssl rand -hex 32)")
        }
    }
}
