/// Base64 of RFC 4648: standard and URL alphabet.
public enum Base64 {
    // MARK: Standard alphabet

    public static func encode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        encode(bytes, into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// Appends the text, padded, to `output`.
    public static func encode(_ bytes: [UInt8], into output: inout [UInt8]) {
        append(bytes, alphabet: standardAlphabet, padded: true, to: &output)
    }

    /// The bytes, or nil when the text is not Base64.
    /// - Parameter lenientPadding: accept a missing or short padding, as configuration written by hand often has. White space
    ///   and foreign characters are refused either way; strictly read, the bits behind the last byte must be zero.
    public static func decode(_ text: String, lenientPadding: Bool = false) -> [UInt8]? {
        decode(Array(text.utf8), lenientPadding: lenientPadding)
    }

    public static func decode(_ text: [UInt8], lenientPadding: Bool = false) -> [UInt8]? {
        read(text, values: standardValues, padding: lenientPadding ? .optional : .required)
    }

    // MARK: URL alphabet

    /// Without padding, as tokens are written.
    public static func urlEncode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        append(bytes, alphabet: urlAlphabet, padded: false, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// With or without padding.
    public static func urlDecode(_ text: String) -> [UInt8]? {
        read(Array(text.utf8), values: urlValues, padding: .urlStyle)
    }

    // MARK: Parts

    private enum Padding { case required, optional, urlStyle }

    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
    private static let standardAlphabet = letters + Array("+/".utf8)
    private static let urlAlphabet = letters + Array("-_".utf8)
    private static let standardValues = values(of: standardAlphabet)
    private static let urlValues = values(of: urlAlphabet)

    private static func values(of alphabet: [UInt8]) -> [UInt8] {
        var table = [UInt8](repeating: 0xFF, count: 256)
        for (value, letter) in alphabet.enumerated() { table[Int(letter)] = UInt8(value) }
        return table
    }

    private static func append(_ bytes: [UInt8], alphabet: [UInt8], padded: Bool, to output: inout [UInt8]) {
        let whole = bytes.count / 3
        let left = bytes.count % 3
        let length = whole * 4 + (left == 0 ? 0 : padded ? 4 : left + 1)
        let start = output.count
        output.append(contentsOf: repeatElement(UInt8(ascii: "="), count: length))
        output.withUnsafeMutableBufferPointer { output in
            bytes.withUnsafeBufferPointer { input in
                alphabet.withUnsafeBufferPointer { letters in
                    var at = 0
                    var place = start
                    for _ in 0..<whole {
                        let group = UInt32(input[at]) << 16 | UInt32(input[at + 1]) << 8 | UInt32(input[at + 2])
                        output[place] = letters[Int(group >> 18)]
                        output[place + 1] = letters[Int(group >> 12 & 63)]
                        output[place + 2] = letters[Int(group >> 6 & 63)]
                        output[place + 3] = letters[Int(group & 63)]
                        at += 3
                        place += 4
                    }
                    guard left > 0 else { return }
                    let group = UInt32(input[at]) << 16 | (left == 2 ? UInt32(input[at + 1]) << 8 : 0)
                    output[place] = letters[Int(group >> 18)]
                    output[place + 1] = letters[Int(group >> 12 & 63)]
                    if left == 2 { output[place + 2] = letters[Int(group >> 6 & 63)] }
                }
            }
        }
    }

    private static func read(_ text: [UInt8], values: [UInt8], padding: Padding) -> [UInt8]? {
        var length = text.count
        while length > 0, text.count - length < 2, text[length - 1] == UInt8(ascii: "=") { length -= 1 }
        let pads = text.count - length
        guard length % 4 != 1 else { return nil }
        let needed = (4 - length % 4) % 4
        switch padding {
        case .required: guard pads == needed else { return nil }
        case .urlStyle: guard pads == needed || pads == 0 else { return nil }
        case .optional: guard pads <= needed else { return nil }
        }
        var output: [UInt8] = []
        output.reserveCapacity(length / 4 * 3 + 2)
        var group: UInt32 = 0
        var bits = 0
        for place in 0..<length {
            let value = values[Int(text[place])]
            guard value != 0xFF else { return nil }
            group = group << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                output.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            }
        }
        let leftover = group & ((1 << UInt32(bits)) - 1)
        guard padding == .optional || leftover == 0 else { return nil }
        return output
    }
}

/// Hexadecimal text: lower case out, either case in.
public enum Hex {
    static let digits = Array("0123456789abcdef".utf8)

    public static func encode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        encode(bytes, into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    public static func encode(_ bytes: [UInt8], into output: inout [UInt8]) {
        output.reserveCapacity(output.count + bytes.count * 2)
        for byte in bytes {
            output.append(digits[Int(byte >> 4)])
            output.append(digits[Int(byte & 15)])
        }
    }

    /// The bytes, or nil when the length is odd or a character is no hexadecimal digit.
    public static func decode(_ text: String) -> [UInt8]? { decode(Array(text.utf8)) }

    public static func decode(_ text: [UInt8]) -> [UInt8]? {
        guard text.count % 2 == 0 else { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(text.count / 2)
        for place in stride(from: 0, to: text.count, by: 2) {
            guard let high = ASCII.hexValue(text[place]), let low = ASCII.hexValue(text[place + 1]) else { return nil }
            output.append(high << 4 | low)
        }
        return output
    }
}
