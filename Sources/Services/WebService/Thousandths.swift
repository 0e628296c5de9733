/// Decimals of at most three places, as CPUs are counted: `0.3` is 300 thousandths. Exact, digit by digit.
enum Thousandths {
    /// Nil for what is no plain decimal that is not negative, has more than three places (zeros excepted) or is too large.
    static func parse(_ text: String) -> Int64? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, (1...12).contains(whole.count), text.utf8.count <= 30 else { return nil }
        var fraction = parts.count == 2 ? Array(parts[1]) : []
        guard parts.count == 1 || !fraction.isEmpty, (whole + fraction).allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        while fraction.count > 3, fraction.last == 0x30 { fraction.removeLast() }
        guard fraction.count <= 3 else { return nil }
        fraction += [UInt8](repeating: 0x30, count: 3 - fraction.count)
        return (whole + fraction).reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }

    /// As short as it can be written: `0.3`, `4`, `-1`.
    static func text(_ value: Int64) -> String {
        let (whole, rest) = value.magnitude.quotientAndRemainder(dividingBy: 1000)
        let sign = value < 0 ? "-" : ""
        guard rest > 0 else { return "\(sign)\(whole)" }
        var places = String(rest + 1000).dropFirst()
        while places.last == "0" { places = places.dropLast() }
        return "\(sign)\(whole).\(places)"
    }
}
