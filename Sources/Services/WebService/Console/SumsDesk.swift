import Database
import Payments

/// The sums of all payments, read in the background once somebody asks, and brought up to date while somebody goes on asking.
struct SumsDesk: Sendable {
    /// Pages wait no longer than this; the first reading of a million payments takes seconds, and later ones a day's payments.
    private static let patience = Duration.milliseconds(25)

    private let sums: KeptReading<PaymentSums>

    init(database: Database, nowMs: @escaping @Sendable () -> Int64) {
        sums = KeptReading(freshness: .seconds(10), staleness: .seconds(900)) { before in
            guard let before else { return try await PaymentSums.read(database, nowMs: nowMs()) }
            return try await before.broughtUpToDate(database, nowMs: nowMs())
        }
    }

    /// Nil while they are being read for the first time.
    func read() async throws -> PaymentSums? { try await sums.value(within: Self.patience) }

    static func away(_ words: Words) -> Markup {
        """
        <p class="quiet" role="status">\(words(
            "Les sommes se comptent : rechargez la page dans un instant.", "The sums are being counted: load the page again in a moment."))</p>
        """
    }

    /// As of when they are told.
    static func asOf(_ sums: PaymentSums, _ words: Words) -> Markup {
        "<p class=\"quiet\">\(words("Compté à", "As of")) \(ConsoleParts.time(sums.readAtMs)) UTC</p>"
    }
}
