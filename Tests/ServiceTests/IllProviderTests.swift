import Database
import Formats
import JobQueue
import Outbox
import Payments
import ProviderPort
import TestSupport
import Testing

/// Providers whose calls answer 500, late or never: each test is a row, each provider a column.
@Suite("Every provider, when its calls go wrong", .timeLimit(.minutes(4)))
struct IllProviderTests {
    /// What a call to a provider may take where the sandbox leaves one without an answer.
    private static var patience: Duration { Duration.seconds(2).stretched }

    /// Wave's adapter asks by itself after a start that was not answered: so many calls.
    private func silentCalls(of column: ProviderColumn) -> Int { column.name == "wave" ? 2 : 1 }

    /// Has a start go wrong so that nobody knows what became of it, and looks that none can follow.
    /// - Returns: the attempt.
    private func startIll(_ stage: ProvidersStage, _ payment: String, _ column: ProviderColumn, _ step: String) async throws -> PaymentAttempt {
        // The attempt is ten minutes old by the providers' clocks: lists that are behind count for something.
        stage.turnClock(by: -600_000)
        try await stage.sandbox("/sandbox/scenario", ["next": true, "steps": [.string(step)]])
        let ill = try await stage.tryStart(payment, column)
        #expect(ill.status == 502 && ill.string("title") == "Outcome unknown", "\(ill.text)")
        let attempt = try #require(try await attempts(stage, payment).first)
        #expect(attempt.isOpen && attempt.errorCode != nil)
        for again in [false, true] {
            let blocked = try await stage.tryStart(payment, column, again: again)
            #expect(blocked.status == 409 && blocked.string("attempt") == attempt.id, "\(blocked.text)")
        }
        #expect(try await attempts(stage, payment).count == 1)
        #expect(try await stage.standing(of: payment).work.isEmpty)
        return attempt
    }

    private func attempts(_ stage: ProvidersStage, _ payment: String) async throws -> [PaymentAttempt] {
        try await stage.database.read { try PaymentStore.attempts(of: payment, in: $0) }
    }

    /// Finds out what became of a start: by asking, or by a person's word that nothing did.
    private func decide(_ stage: ProvidersStage, _ attempt: PaymentAttempt, _ column: ProviderColumn) async throws {
        stage.turnClock(by: AttemptIntent.callMaxMs + 1000)
        guard column.doubt == .isAsked else {
            return try await stage.database.write { connection in
                try EffectTable.update(EffectIdentity(AttemptIntent.effect, key: attempt.id), in: connection) { record in
                    _ = EffectRecord.settle(&record, result: nil, by: "staff", nowMs: WallClock.nowMs)
                }
            }
        }
        try await stage.reconcile()
        try await eventually("it is known what became of \(attempt.id)") {
            try await stage.database.read { try !AttemptIntent.isUndecided(attempt.id, in: $0) }
        }
    }

    @Test(
        "a start that answers 500 leaves nobody knowing, and blocks the next one until somebody does; that one pays once",
        arguments: ProviderColumn.called)
    func failingStart(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let first = try await startIll(stage, payment, column, "initiate_error:1")
            try await decide(stage, first, column)
            let second = try await stage.start(payment, column, again: true)
            #expect(second.id != first.id)
            try await stage.play("pay", second, column)
            try await stage.expectPaidOnce(payment, column)
        }
    }

    @Test("a start without an answer blocks the next one until its status is known", arguments: ProviderColumn.called)
    func silentStart(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with(patience: Self.patience) { stage in
            let payment = try await stage.order(column)
            let first = try await startIll(stage, payment, column, "timeout:\(silentCalls(of: column))")
            #expect(first.errorCode == "timeout")
            guard column.doubt != .isTold else {
                // It was carried out all the same: its customer pays, and the provider says so.
                try await stage.play("pay", first, column)
                try await stage.expectPaidOnce(payment, column)
                #expect(try await stage.tryStart(payment, column).status == 409)
                return
            }
            try await decide(stage, first, column)
            let second = try await stage.start(payment, column, again: true)
            try await stage.play("pay", second, column)
            try await stage.expectPaidOnce(payment, column)
            #expect(try await attempts(stage, payment).count == 2)
        }
    }

    @Test("answers that are slow, but come in time, pay as ever", arguments: ProviderColumn.posting)
    func slow(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            try await stage.sandbox("/sandbox/scenario", ["provider": .string(column.name), "steps": ["slow:300"]])
            let begun = ContinuousClock.now
            let attempt = try await stage.start(payment, column)
            #expect(column.doubt == .none || ContinuousClock.now - begun >= .milliseconds(300))
            try await stage.play("pay", attempt, column)
            try await stage.expectPaidOnce(payment, column)
            #expect(!stage.jobs.troubles.contains { $0.contains("timeout") })
        }
    }

    static let illAnswers = ProviderColumn.posting.flatMap { column in ["timeout:2", "error_500:2"].map { (column, $0) } }

    @Test("questions that are not answered, or by 500, are asked again: paid once", arguments: illAnswers)
    func illStatus(_ column: ProviderColumn, _ step: String) async throws {
        try await ProvidersStage.with(patience: Self.patience) { stage in
            let payment = try await stage.order(column)
            let attempt = try await stage.start(payment, column)
            try await stage.play("pay", attempt, column, steps: [step])
            try await stage.expectPaidOnce(payment, column)
            guard try !stage.capabilities(of: column).proofCoversMoney else { return }
            let word = step.hasPrefix("timeout") ? "timeout" : "unavailable"
            #expect(stage.jobs.troubles.count { $0.contains(word) } >= 2, "\(stage.jobs.troubles)")
        }
    }
}
