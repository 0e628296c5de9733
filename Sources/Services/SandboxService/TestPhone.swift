import Formats

/// Numbers of customers who always decide alike, so that a payment can be played by its phone number: by the last six digits.
enum TestPhone: String, Sendable {
    /// Pays at once, without anybody pressing anything.
    case pays = "000000"
    case lacksFunds = "000001"
    case cancels = "000002"
    /// Never answers: the payment stays as it is until it expires.
    case neverAnswers = "000003"

    /// - Parameter number: however it is written; nil for the number of an ordinary customer.
    init?(_ number: String) {
        guard let end = Self.end(of: number) else { return nil }
        self.init(rawValue: end)
    }

    private static func end(of number: String) -> String? {
        let digits = number.utf8.filter { (0x30...0x39).contains($0) }
        guard digits.count >= 8 else { return nil }
        return String(decoding: digits.suffix(6), as: UTF8.self)
    }

    // MARK: Starts that go wrong

    /// Numbers with which a start always goes wrong, whoever they belong to: at the provider itself.
    private static let mishaps: [String: Mishap] = [
        "000004": .failure, "000005": .unanswered, "000006": .late(CallTroubles.slowDefaultMs),
    ]
    /// Where starts name the customer's number: CinetPay, FeexPay by network and KKiaPay, FeexPay by card and iCount, Wave.
    private static let fields = ["customer_phone_number", "phoneNumber", "phone", "restrict_payer_mobile"]

    /// What a start meets by the number in it.
    static func mishap(ofStart body: [UInt8]) -> Mishap? {
        guard let json = try? JSON(parsing: body) else { return nil }
        for field in fields {
            guard let value = json[field], let number = value.string ?? value.numberText else { continue }
            if let mishap = end(of: number).flatMap({ mishaps[$0] }) { return mishap }
        }
        return nil
    }
}
