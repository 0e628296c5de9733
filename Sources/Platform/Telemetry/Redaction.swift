import Formats

/// Masks what nobody may read in logs, listings and stored headers: secrets, telephone numbers, card numbers, e-mail
/// addresses. Meant as a net below the rule that such values are not logged at all.
public enum Redaction {
    public static let mark = "[redacted]"

    /// Whether a field, header or variable of that name holds a secret by its name.
    public static func isSecretName(_ name: String) -> Bool {
        isSecretName(Array(name.utf8)[...])
    }

    static func isSecretName(_ name: ArraySlice<UInt8>) -> Bool {
        let plain = name.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : ASCII.lowercase($0) }
        if plain == Self.pass || plain == Self.signatureShort || plain.suffix(5).elementsEqual(Self.passEnding) { return true }
        return secretWords.contains { plain.holds($0) }
    }

    /// A header's value as it may be kept: whole, masked in parts, or not at all.
    public static func headerValue(name: String, value: String) -> String {
        isSecretName(name) ? mark : text(value)
    }

    /// A log field's value. Identifiers keep their digits, or nothing could be traced; fields named after a telephone are
    /// masked whatever their form.
    static func field(name: String, value: String) -> String {
        if isSecretName(name) { return mark }
        if identifiers.contains(name) { return String(decoding: SecretText.mask(Array(value.utf8)), as: UTF8.self) }
        let plain = name.utf8.map(ASCII.lowercase)
        guard telephoneWords.contains(where: { plain.holds($0) }) else { return text(value) }
        let digits = value.utf8.reduce(0) { $0 + (ASCII.isDigit($1) ? 1 : 0) }
        return digits >= 6 ? telephone(value) : text(value)
    }

    /// Free text with everything masked that is recognised. Telephone numbers keep their beginning and last two digits,
    /// `+22507******11`; cards their last four; addresses their first letter and host.
    public static func text(_ text: String) -> String {
        var bytes = Array(text.utf8)
        var digits = 0
        var hasAt = false
        var mayHoldSecret = false
        for byte in bytes {
            if ASCII.isDigit(byte) { digits += 1 }
            if byte == UInt8(ascii: "@") { hasAt = true }
            // Every secret we recognise in text stands after one of these.
            if byte == UInt8(ascii: "=") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: " ")
                || byte == UInt8(ascii: "-")
            {
                mayHoldSecret = true
            }
        }
        guard digits >= 8 || hasAt || mayHoldSecret else { return text }
        if mayHoldSecret { bytes = SecretText.mask(bytes) }
        if hasAt { bytes = PersonalText.maskAddresses(bytes) }
        if digits >= 8 { bytes = PersonalText.maskNumbers(bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A telephone number, whatever its separators: `+22507******11`, `07******11`.
    public static func telephone(_ number: String) -> String {
        let digits = number.utf8.filter(ASCII.isDigit)
        return String(decoding: PersonalText.masked(digits, plus: number.utf8.first == UInt8(ascii: "+")), as: UTF8.self)
    }

    private static let secretWords: [[UInt8]] = [
        "secret", "token", "password", "passwd", "authorization", "apikey", "api_key", "signature", "cookie", "whsec", "private_key",
        "credential", "merchant_key",
    ].map { Array($0.utf8) }
    private static let pass = Array("pass".utf8)
    private static let passEnding = Array("_pass".utf8)
    private static let signatureShort = Array("sig".utf8)
    private static let telephoneWords: [[UInt8]] = ["phone", "msisdn", "cel_num", "mobile"].map { Array($0.utf8) }
    private static let identifiers: Set<String> = [
        "payment", "inquiry_id", "order_id", "provider", "provider_ref", "job", "trace", "event", "worker", "queue", "kind", "invoice", "id",
    ]
}

/// Secrets inside free text: `whsec_…`, `Bearer …`, `token=…`, `"password":"…"`, `://user:password@`.
enum SecretText {
    static func mask(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var at = 0
        while at < bytes.count {
            if at == 0 || !isWord(bytes[at - 1]), let kept = knownPrefix(bytes, at) {
                output.append(contentsOf: bytes[at..<(at + kept)])
                at = append(&output, maskFrom: at + kept, in: bytes)
            } else if let (start, end) = namedValue(bytes, at) {
                output.append(contentsOf: bytes[at..<start])
                output.append(contentsOf: Redaction.mark.utf8)
                at = end
            } else if let end = urlCredentials(bytes, at) {
                output.append(contentsOf: "://".utf8)
                output.append(contentsOf: Redaction.mark.utf8)
                at = end
            } else {
                output.append(bytes[at])
                at += 1
            }
        }
        return output
    }

    private static let prefixes: [(text: [UInt8], kept: Int)] = ["whsec_", "sk-", "sk_", "Bearer ", "bearer ", "Basic ", "basic "].map {
        (Array($0.utf8), $0.hasSuffix(" ") ? $0.utf8.count : 0)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        ASCII.isDigit(byte) || (0x61...0x7A).contains(ASCII.lowercase(byte)) || byte == UInt8(ascii: "_")
    }

    /// Where a known kind of secret starts: how many bytes of it may be shown (the scheme's name).
    private static func knownPrefix(_ bytes: [UInt8], _ at: Int) -> Int? {
        // Most bytes begin none of them.
        guard bytes[at] == UInt8(ascii: "w") || bytes[at] == UInt8(ascii: "s") || bytes[at] | 0x20 == UInt8(ascii: "b") else { return nil }
        for prefix in prefixes where bytes[at...].starts(with: prefix.text) {
            let length = secretLength(bytes, from: at + prefix.text.count)
            // After a scheme's name a short word may be plain language.
            if length >= (prefix.kept > 0 ? 16 : 8) { return prefix.kept }
        }
        return nil
    }

    private static func secretLength(_ bytes: [UInt8], from start: Int) -> Int {
        var at = start
        while at < bytes.count, isSecretByte(bytes[at]) { at += 1 }
        return at - start
    }

    private static func isSecretByte(_ byte: UInt8) -> Bool {
        isWord(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "=")
            || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "~")
    }

    private static func append(_ output: inout [UInt8], maskFrom start: Int, in bytes: [UInt8]) -> Int {
        output.append(contentsOf: Redaction.mark.utf8)
        return start + secretLength(bytes, from: start)
    }

    /// `name=value` or `"name":"value"` with a secret's name, the cursor on the `=` or `:`: the value's range.
    private static func namedValue(_ bytes: [UInt8], _ at: Int) -> (start: Int, end: Int)? {
        let isPair = bytes[at] == UInt8(ascii: "=")
        guard isPair || bytes[at] == UInt8(ascii: ":") else { return nil }
        var nameEnd = at
        if !isPair {
            while nameEnd > 0, bytes[nameEnd - 1] == 0x20 { nameEnd -= 1 }
            guard nameEnd > 0, bytes[nameEnd - 1] == UInt8(ascii: "\"") else { return nil }
            nameEnd -= 1
        }
        var nameStart = nameEnd
        while nameStart > 0, nameEnd - nameStart < 64, isWord(bytes[nameStart - 1]) || bytes[nameStart - 1] == UInt8(ascii: "-") { nameStart -= 1 }
        guard nameStart < nameEnd, Redaction.isSecretName(bytes[nameStart..<nameEnd]) else { return nil }
        var start = at + 1
        while !isPair, start < bytes.count, bytes[start] == 0x20 { start += 1 }
        let isQuoted = start < bytes.count && bytes[start] == UInt8(ascii: "\"")
        if isQuoted { start += 1 }
        var end = start
        while end < bytes.count, isQuoted ? bytes[end] != UInt8(ascii: "\"") : !endsBareValue(bytes[end]) {
            end += isQuoted && bytes[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        end = min(end, bytes.count)
        return end > start ? (start, end) : nil
    }

    private static func endsBareValue(_ byte: UInt8) -> Bool {
        byte <= 0x20 || byte == UInt8(ascii: "&") || byte == UInt8(ascii: ",") || byte == UInt8(ascii: ";") || byte == UInt8(ascii: "}")
    }

    /// The end of `user:password` in `://user:password@host`, the cursor on the colon. A password may hold an unescaped `@`.
    private static func urlCredentials(_ bytes: [UInt8], _ at: Int) -> Int? {
        guard bytes[at] == UInt8(ascii: ":"), bytes[at...].starts(with: "://".utf8) else { return nil }
        let authority = bytes[(at + 3)...].prefix { $0 > 0x20 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\"") }
        guard let end = authority.lastIndex(of: UInt8(ascii: "@")), end > at + 3 else { return nil }
        return end
    }
}

extension [UInt8] {
    /// Whether `word` stands somewhere in these bytes.
    fileprivate func holds(_ word: [UInt8]) -> Bool {
        guard let first = word.first, count >= word.count else { return false }
        for start in 0...(count - word.count) where self[start] == first {
            if self[start..<(start + word.count)].elementsEqual(word) { return true }
        }
        return false
    }
}
