import Formats

/// What the staff console is told.
public struct ConsoleSettings: Sendable, Equatable {
    /// A sum as it is written, in units of its currency.
    public struct Sum: Sendable, Equatable {
        public let amount: String
        public let currency: String

        public init(amount: String, currency: String) {
            self.amount = amount
            self.currency = currency
        }
    }

    /// The largest refund of a currency that needs one person only.
    public var refundLimits: [Sum] = []
    public var idleMinutes = 30
    public var sessionHours = 12

    public init() {}
}

extension SettingsReader {
    mutating func console() -> ConsoleSettings {
        var console = ConsoleSettings()
        console.refundLimits = refundLimits()
        console.idleMinutes = whole("CONSOLE_IDLE_MINUTES", 5...480)
        console.sessionHours = whole("CONSOLE_SESSION_HOURS", 1...72)
        return console
    }

    private mutating func refundLimits() -> [ConsoleSettings.Sum] {
        let name = "CONSOLE_REFUND_LIMIT"
        var sums: [ConsoleSettings.Sum] = []
        for part in (value(name) ?? "").split(separator: ",") {
            let words = part.split(whereSeparator: \.isWhitespace).map(String.init)
            if words.count == 2, Self.isPlainAmount(words[0]), words[1].utf8.count == 3, words[1].utf8.allSatisfy({ (0x41...0x5A).contains($0) }),
                !sums.contains(where: { $0.currency == words[1] })
            {
                sums.append(ConsoleSettings.Sum(amount: words[0], currency: words[1]))
            } else {
                problem(
                    name, "\"\(part.prefix(40))\" is not such a sum", "an amount and a currency, each currency once, separated by commas",
                    "\(name)=100000 XOF, 150 EUR")
            }
        }
        return sums
    }

    /// Digits, with a point and at most three more.
    private static func isPlainAmount(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), (1...12).contains(parts[0].utf8.count), parts.dropFirst().allSatisfy({ (1...3).contains($0.utf8.count) })
        else { return false }
        return parts.allSatisfy { $0.utf8.allSatisfy(ASCII.isDigit) }
    }
}
