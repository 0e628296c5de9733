import Formats
import Money
import ProviderPort

/// The kinds of reference that iCount gives.
enum ICountReference {
    static let confirmationKind = "confirmation"
    static let documentKind = "document"
    static let saleKind = "sale"

    /// The acquirer's voucher of a charge.
    static func confirmation(_ code: String) -> ProviderReference { ProviderReference(confirmationKind, code) }
}

/// A document is known by its type and its number together.
struct ICountDocument: Sendable, Equatable {
    let type: String
    let number: String

    init?(type: JSON?, number: JSON?) {
        guard let type = FieldText.of(type), let number = FieldText.of(number), !type.contains(":"), number != "0" else { return nil }
        self.type = type
        self.number = number
    }

    /// Reads `invrec:3006`.
    init?(_ reference: ProviderReference) {
        let parts = reference.value.split(separator: ":", maxSplits: 1)
        guard reference.kind == ICountReference.documentKind, parts.count == 2 else { return nil }
        (type, number) = (String(parts[0]), String(parts[1]))
    }

    var reference: ProviderReference { ProviderReference(ICountReference.documentKind, "\(type):\(number)") }

    /// Numbers are told as numbers and as texts; sent as they are.
    var numberField: JSON { Int64(number).map { String($0) == number ? .int($0) : .string(number) } ?? .string(number) }
}

/// Values of iCount's, which come as texts or as numbers.
enum FieldText {
    static let lengthMax = 64

    /// A word of visible ASCII signs, as codes and numbers are; nil for anything else.
    static func of(_ value: JSON?) -> String? {
        guard let text = value?.string ?? value?.numberText else { return nil }
        let word = text.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        guard (1...lengthMax).contains(word.utf8.count), word.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else { return nil }
        return word
    }

    /// An amount with its currency, exactly as it is written.
    static func money(_ sum: JSON?, currency: JSON?) -> (amount: Money?, problem: String?) {
        guard let digits = of(sum) else { return (nil, nil) }
        // The number of a currency differs from account to account: only its code says which one it is.
        guard let code = of(currency) else { return (nil, "an amount without a currency's code") }
        do throws(MoneyError) {
            let amount = try Money(parsing: digits, currency: try Currency(code: code))
            return amount.isPositive ? (amount, nil) : (nil, "an amount that is not positive")
        } catch {
            return (nil, error.description)
        }
    }
}
