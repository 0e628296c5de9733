import ProviderPort

/// A country with its rule for phone numbers.
struct FeexPayCountry: Sendable, Equatable {
    /// ISO 3166.
    let iso: String
    let name: String
    let callingCode: String
    /// Digits behind the calling code.
    let digits: Int

    static let benin = FeexPayCountry(iso: "BJ", name: "Benin", callingCode: "229", digits: 10)
    static let togo = FeexPayCountry(iso: "TG", name: "Togo", callingCode: "228", digits: 8)
    static let ivoryCoast = FeexPayCountry(iso: "CI", name: "Ivory Coast", callingCode: "225", digits: 10)
    static let senegal = FeexPayCountry(iso: "SN", name: "Senegal", callingCode: "221", digits: 9)
    static let congo = FeexPayCountry(iso: "CG", name: "Congo", callingCode: "242", digits: 9)
    static let burkinaFaso = FeexPayCountry(iso: "BF", name: "Burkina Faso", callingCode: "226", digits: 8)

    var rule: String {
        self == .benin
            ? "phone must be a number of Benin: +229, then 01 and 8 digits, or the 8 digits alone"
            : "phone must be a number of \(name): +\(callingCode) and \(digits) digits"
    }

    /// The number as FeexPay takes it: calling code and number, no plus.
    /// - Throws: ``ProviderError`` `rejected` with the rule, never with the number.
    func number(_ phone: String?) throws(ProviderError) -> String {
        guard let phone, let all = Self.digits(ofE164: phone), all.hasPrefix(callingCode) else { throw ProviderError(.rejected, rule) }
        let national = all.dropFirst(callingCode.count)
        if self == .benin {
            // Benin put 01 before its eight digits in 2024; who still tells eight means the same phone.
            if national.count == 8 { return callingCode + "01" + national }
            guard national.count == digits, national.hasPrefix("01") else { throw ProviderError(.rejected, rule) }
            return all
        }
        guard national.count == digits else { throw ProviderError(.rejected, rule) }
        return all
    }

    /// A number of any country, for cards.
    static func anyNumber(_ phone: String?) throws(ProviderError) -> String {
        guard let phone, let all = digits(ofE164: phone) else {
            throw ProviderError(.rejected, "phone is required to pay by card: a plus sign, the country's code and the number")
        }
        return all.hasPrefix(benin.callingCode) ? try benin.number(phone) : all
    }

    /// The digits of `+229 97 00 00 00`; nil when it is no such number.
    private static func digits(ofE164 phone: String) -> String? {
        let plain = phone.filter { $0 != " " }
        guard plain.hasPrefix("+") else { return nil }
        let digits = plain.dropFirst()
        guard (8...15).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), digits.first != "0" else { return nil }
        return String(digits)
    }
}

/// Phone numbers as they may be shown and logged.
enum MaskedPhone {
    /// `+229********00`
    static func of(_ number: String) -> String {
        guard number.count > 5 else { return "+***" }
        return "+" + number.prefix(3) + String(repeating: "*", count: number.count - 5) + number.suffix(2)
    }

    /// A text with every run of digits that could be a phone number masked: operators repeat the number in what they answer.
    static func inText(_ text: some StringProtocol) -> String {
        var masked = ""
        var run = ""
        for character in text {
            if character.isASCII && character.isNumber {
                run.append(character)
                continue
            }
            masked += Self.shown(run)
            run = ""
            masked.append(character)
        }
        return masked + shown(run)
    }

    private static func shown(_ run: String) -> String { run.count < 7 ? run : String(repeating: "*", count: run.count - 2) + run.suffix(2) }
}
