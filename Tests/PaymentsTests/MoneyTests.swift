import Money
import Testing

@Suite("Money")
struct MoneyTests {
    @Test(
        "Decimal texts are read exactly",
        arguments: [
            ("5000", "XOF", 5000), ("249.90", "ILS", 24_990), ("249.9", "ILS", 24_990), ("3", "EUR", 300), ("0.01", "EUR", 1),
            ("5000.00", "XOF", 5000),
            ("-1.50", "USD", -150), ("9223372036854775807", "XOF", Int64.max),
        ] as [(String, String, Int64)])
    func reads(_ text: String, _ code: String, _ units: Int64) throws {
        #expect(try Money(parsing: text, currency: Currency(code: code)).minorUnits == units)
    }

    @Test(
        "What is no plain decimal number is refused",
        arguments: ["", ".", "1.", ".5", "1e3", "1,5", " 5", "+5", "0x10", "5 000", "NaN", "१२", "--1", "1.2.3"])
    func refuses(_ text: String) {
        #expect(throws: MoneyError.notANumber(text)) { try Money(parsing: text, currency: .eur) }
    }

    @Test("Decimals that the currency does not have are refused, not rounded")
    func refusesDecimals() {
        #expect(throws: MoneyError.tooManyDecimals("12.5", allowed: 0)) { try Money(parsing: "12.5", currency: .xof) }
        #expect(throws: MoneyError.tooManyDecimals("0.001", allowed: 2)) { try Money(parsing: "0.001", currency: .eur) }
        #expect(throws: MoneyError.outOfRange("9223372036854775808")) { try Money(parsing: "9223372036854775808", currency: .xof) }
        #expect(throws: MoneyError.unknownCurrency("CFA")) { try Currency(code: "CFA") }
    }

    @Test(
        "Amounts are written for people",
        arguments: [
            (12_500, Currency.xof, "12 500 XOF"), (100, .xof, "100 XOF"), (1_234_567, .xaf, "1 234 567 XAF"), (300, .eur, "3.00 EUR"),
            (124_990, .ils, "1 249.90 ILS"), (-150_000, .usd, "-1 500.00 USD"),
        ] as [(Int64, Currency, String)])
    func writes(_ units: Int64, _ currency: Currency, _ text: String) {
        #expect(Money(units, currency).description.map { $0 == "\u{00A0}" ? " " : $0 } == Array(text))
    }

    @Test(
        "Rates are applied in whole numbers, half away from zero",
        arguments: [
            (12_500, 10_000, 11_800, 10_593), (1, 1, 2, 1), (-1, 1, 2, -1), (5, 1, 10, 1), (4, 1, 10, 0), (Int64.max, 1, 1, Int64.max),
        ] as [(Int64, Int64, Int64, Int64)])
    func rates(_ units: Int64, _ numerator: Int64, _ denominator: Int64, _ result: Int64) {
        #expect(units.scaled(by: numerator, over: denominator) == result)
    }
}
