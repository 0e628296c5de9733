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
        let digits = number.utf8.filter { (0x30...0x39).contains($0) }
        guard digits.count >= 8 else { return nil }
        self.init(rawValue: String(decoding: digits.suffix(6), as: UTF8.self))
    }
}
