/// An amount in whole minor units of one currency: 12 500 XOF is `Money(12_500, .xof)`, 3.00 EUR is `Money(300, .eur)`.
///
/// Never a floating-point number, and never multiplied by 100 by habit: XOF and XAF have no minor unit.
public struct Money: Sendable, Hashable {
    /// Minor units; negative only for what is given back.
    public let minorUnits: Int64
    public let currency: Currency

    public init(_ minorUnits: Int64, _ currency: Currency) {
        self.minorUnits = minorUnits
        self.currency = currency
    }

    /// Reads a decimal text such as `5000`, `249.90` or `249.9` exactly.
    ///
    /// - Throws: ``MoneyError`` when the text is no plain decimal number, has more decimals than the currency (zeros excepted)
    ///   or does not fit 64 bits.
    public init(parsing text: String, currency: Currency) throws(MoneyError) {
        self.init(try DecimalText.minorUnits(of: text, exponent: currency.exponent), currency)
    }

    /// The decimal text without grouping: `12500` for XOF, `249.90` for ILS.
    public var decimalText: String { DecimalText.text(of: minorUnits, exponent: currency.exponent) }

    public var isPositive: Bool { minorUnits > 0 }
    public var negated: Money { Money(-minorUnits, currency) }

    /// The sum. - Throws: ``MoneyError`` for two currencies or an overflow.
    public func adding(_ other: Money) throws(MoneyError) -> Money {
        guard currency == other.currency else { throw .currencyMismatch(currency, other.currency) }
        let (sum, overflow) = minorUnits.addingReportingOverflow(other.minorUnits)
        guard !overflow else { throw .outOfRange(decimalText) }
        return Money(sum, currency)
    }
}

extension Money: CustomStringConvertible {
    /// Grouped by thousands with a no-break space, the currency's code behind: `12 500 XOF`, `1 249.90 ILS`.
    public var description: String {
        let parts = decimalText.split(separator: ".", maxSplits: 1)
        let negative = parts[0].hasPrefix("-")
        let digits = Array(negative ? parts[0].dropFirst() : parts[0])
        var grouped = ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { grouped.append("\u{00A0}") }
            grouped.append(digit)
        }
        let fraction = parts.count == 2 ? "." + parts[1] : ""
        return (negative ? "-" : "") + grouped + fraction + "\u{00A0}" + currency.code
    }
}

/// A currency that Quittance takes, with its ISO 4217 code and number of decimals.
public struct Currency: Sendable, Hashable, CustomStringConvertible {
    /// Three capital letters.
    public let code: String
    /// Decimals of the minor unit: 0 for XOF, XAF, GNF; 2 for EUR, USD, ILS, CDF.
    public let exponent: Int

    public static let xof = Currency(known: "XOF", 0)
    public static let xaf = Currency(known: "XAF", 0)
    public static let gnf = Currency(known: "GNF", 0)
    public static let cdf = Currency(known: "CDF", 2)
    public static let eur = Currency(known: "EUR", 2)
    public static let usd = Currency(known: "USD", 2)
    public static let ils = Currency(known: "ILS", 2)

    public static let all: [Currency] = [.xof, .xaf, .gnf, .cdf, .eur, .usd, .ils]

    private init(known code: String, _ exponent: Int) {
        self.code = code
        self.exponent = exponent
    }

    /// The currency of an ISO code, in capitals. - Throws: ``MoneyError/unknownCurrency(_:)``.
    public init(code: String) throws(MoneyError) {
        guard let known = Currency.all.first(where: { $0.code == code }) else { throw .unknownCurrency(code) }
        self = known
    }

    public var description: String { code }
}

/// Why a text is no amount. A retry never helps.
public enum MoneyError: Error, Equatable, CustomStringConvertible {
    case notANumber(String)
    case tooManyDecimals(String, allowed: Int)
    case outOfRange(String)
    case unknownCurrency(String)
    case currencyMismatch(Currency, Currency)

    public var description: String {
        switch self {
        case .notANumber(let text): "amount '\(text.prefix(40))' is not a plain decimal number"
        case .tooManyDecimals(let text, let allowed): "amount '\(text.prefix(40))' has more than \(allowed) decimals"
        case .outOfRange(let text): "amount '\(text.prefix(40))' is out of range"
        case .unknownCurrency(let code): "currency '\(code.prefix(10))' is not one of \(Currency.all.map(\.code).joined(separator: ", "))"
        case .currencyMismatch(let one, let other): "amounts in \(one) and \(other) cannot be added"
        }
    }
}
