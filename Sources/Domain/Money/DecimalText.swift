/// Decimal texts to minor units and back, digit by digit: exact, whatever the size.
enum DecimalText {
    static func minorUnits(of text: String, exponent: Int) throws(MoneyError) -> Int64 {
        var digits = Array(text.utf8)
        let negative = digits.first == UInt8(ascii: "-")
        if negative { digits.removeFirst() }
        let parts = digits.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, !whole.isEmpty, digits.count <= 30 else { throw .notANumber(text) }
        var fraction = parts.count == 2 ? Array(parts[1]) : []
        guard parts.count == 1 || !fraction.isEmpty, (whole + fraction).allSatisfy(isDigit) else { throw .notANumber(text) }
        while fraction.count > exponent, fraction.last == UInt8(ascii: "0") { fraction.removeLast() }
        guard fraction.count <= exponent else { throw .tooManyDecimals(text, allowed: exponent) }
        while fraction.count < exponent { fraction.append(UInt8(ascii: "0")) }
        var value: Int64 = 0
        for digit in whole + fraction {
            let (tenfold, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = tenfold.addingReportingOverflow(Int64(digit - UInt8(ascii: "0")))
            guard !overflow && !carried else { throw .outOfRange(text) }
            value = sum
        }
        return negative ? -value : value
    }

    static func text(of minorUnits: Int64, exponent: Int) -> String {
        let sign = minorUnits < 0 ? "-" : ""
        var digits = String(minorUnits.magnitude)
        guard exponent > 0 else { return sign + digits }
        while digits.count <= exponent { digits = "0" + digits }
        return sign + digits.dropLast(exponent) + "." + digits.suffix(exponent)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
