import Database
import Formats
import JobQueue
import Ledger
import Money
import Outbox
import Payments
import ProviderPort
import Synchronization
import Telemetry
import TestSupport
import Testing

/// What is so at the providers, whatever we are told of it.
final class PropertyWorld: Sendable {
    private let back = Mutex<[String: Int64]>([:])
    private let crash = Mutex<Effects.Step?>(nil)
    private let mood = Mutex(0)

    var givenBack: [String: Int64] { back.withLock { $0 } }
    func giveBack(_ units: Int64, of attempt: String) { back.withLock { $0[attempt, default: 0] += units } }
    func setMood(_ number: Int, crash step: Effects.Step?) {
        mood.withLock { $0 = number }
        crash.withLock { $0 = step }
    }
    var currentMood: Int { mood.withLock { $0 } }
    var crashing: Effects.Step? { crash.withLock { $0 } }
}

/// Gives money back as the world's mood is: at once, later, not at all, or with an answer that is lost.
struct MoodyProvider: PaymentProvider {
    let offer = ProviderOffer([])
    let name: String
    let world: PropertyWorld
    let capabilities = ProviderCapabilities(hasProof: true, proofCoversMoney: true, hasInitiate: false, hasStatus: true, refunds: .partial)

    func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { .refused(reason: "not played") }
    func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        try PlayedProvider().parse(body: body, contentType: contentType)
    }

    func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        if world.currentMood == 7 { throw ProviderError(.misconfigured, "the keys have changed") }
        let back = world.givenBack[question.attempt] ?? 0
        let units = back > 0 ? back : question.amount.minorUnits
        return ProviderNotice(references: [], claim: back > 0 ? .refunded : .captured, amount: Money(units, .xof))
    }

    func refund(_ order: RefundOrder, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let before = world.givenBack[order.question.attempt] ?? 0
        guard before + order.amount.minorUnits <= order.captured else { throw ProviderError(.rejected, "so much is not there") }
        switch world.currentMood {
        case 1: throw ProviderError(.rejected, "not now")
        case 2: throw ProviderError(.unavailable, "nothing came back")
        case 3, 4: world.giveBack(order.amount.minorUnits, of: order.question.attempt)
        default:
            world.giveBack(order.amount.minorUnits, of: order.question.attempt)
            return ProviderNotice(references: [], claim: world.currentMood == 5 ? .pending : .refunded)
        }
        throw ProviderError(world.currentMood == 3 ? .unavailable : .unreadable, "the answer was lost")
    }
}

/// One database with its room, and two providers.
struct PropertyStage: Sendable {
    let folder: TemporaryFolder
    let database: Database
    let facts: PaymentFacts
    let events: PaymentEvents
    let world = PropertyWorld()
    let deposits: Bool

    init(deposits: Bool) throws {
        self.deposits = deposits
        folder = try TemporaryFolder()
        database = try Database.open(.sqlite(path: folder.path + "/payments.db"))
        _ = try database.migrate([Outbox.migrations, Ledger.migrations, PaymentStore.migrations])
        facts = PaymentFacts(purposes: PurposeRegistry([PlayedPurpose(allowsDeposits: deposits)]), outbox: Outbox(slot: "test.0"), log: .quiet)
        let providers = ["one", "two"].map { [world] in (MoodyProvider(name: $0, world: world) as any PaymentProvider, "sandbox") }
        events = PaymentEvents(facts: facts, providers: ProviderRegistry(providers))
    }

    var refunds: Refunds { Refunds(facts: facts, providers: events.providers) }

    static func facts(of payment: String, in connection: Connection) throws -> [PaymentFact] {
        try connection.query("SELECT * FROM payments_facts WHERE payment = $1", [.text(payment)]).map { row in
            let currency = try row.textOrNil("currency").map { try Currency(code: $0) }
            let units = try row.intOrNil("amount")
            let amount: Money? = if let units, let currency { Money(units, currency) } else { nil }
            let claim = try #require(FactClaim(rawValue: try row.text("claim")))
            return PaymentFact(
                attempt: try row.text("attempt"), claim: claim, amount: amount, amountProblem: try row.textOrNil("problem"),
                kept: try row.intOrNil("kept"), id: try row.int("id"), about: try row.intOrNil("about"))
        }
    }

    /// What attempts ask for that ask for a part.
    static func parts(of payment: String, in connection: Connection) throws -> [String: Int64] {
        try PaymentStore.attempts(of: payment, in: connection).reduce(into: [:]) { parts, attempt in parts[attempt.id] = attempt.amount }
    }

    /// What we hold to have gone back of each attempt that brought something.
    func givenBack() async throws -> [String: Int64] {
        try await database.read { connection in
            var found: [String: Int64] = [:]
            for payment in try PaymentStore.list(limit: 1000, in: connection) {
                let attempts = try PaymentStore.attempts(of: payment.id, in: connection).map(\.id)
                let facts = try Self.facts(of: payment.id, in: connection)
                let standing = PaymentFold.standing(of: facts, owed: payment.amount, allowsDeposits: deposits, attempts: attempts)
                for capture in standing.captures { found[capture.attempt] = capture.refunded }
            }
            return found
        }
    }
}

extension Log {
    private struct Silence: LogDestination {
        let level = Log.Level.error
        let format = Log.Format.text
        let program = "test"
        func write(_ line: [UInt8]) {}
    }

    /// Thousands of moves are no reading matter.
    static let quiet = Log("test", destination: Silence())
}
