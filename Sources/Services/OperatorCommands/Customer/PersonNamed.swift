import Drafts

/// Who is meant by WHO on the command line.
enum PersonNamed: Sendable, Equatable {
    /// In small letters.
    case email(String)
    /// The digits of the international form.
    case phone(String)
    /// The id of a payment or an inquiry.
    case record(String)

    /// - Throws: ``UsageError`` for what is a piece of an address or a number, which would mean many people at once.
    init(_ text: String) throws(UsageError) {
        if text.contains("@") {
            guard let email = Self.address(text) else { throw UsageError("'\(text.onOneLine)' is not a whole e-mail address") }
            self = .email(email)
        } else if text.allSatisfy({ $0.isNumber || $0.isWhitespace || "+-.()/".contains($0) }) {
            guard let digits = Self.digits(text) else {
                throw UsageError(text.allSatisfy(\.isWhitespace) ? "WHO is empty" : "a phone number \(PhoneNumber.rule), not '\(text.onOneLine)'")
            }
            self = .phone(digits)
        } else {
            self = .record(text)
        }
    }

    /// An address in small letters; nil for what is none.
    static func address(_ text: String) -> String? { EmailAddress.isPlausible(text) ? text.lowercased() : nil }

    /// The digits of a number in international form, grouped or not; nil for what is none.
    static func digits(_ text: String) -> String? {
        let plain = text.filter { !" -.()/".contains($0) }
        return PhoneNumber.isE164(plain) ? String(plain.dropFirst()) : nil
    }
}
