import Database
import Formats
import Payments
import ProviderPort
import TestSupport
import Testing

/// What must hold wherever a customer pays: each test is a row, each provider that starts payments a column.
@Suite("Every provider")
struct EveryProviderTests {
    private func expectPaidOnce(_ stage: ProvidersStage, _ payment: String, _ column: ProviderColumn) async throws {
        try await stage.expectPaidOnce(payment, column)
    }

    @Test("started, paid, told, asked: paid, and the purpose's jobs are there, once", arguments: ProviderColumn.all)
    func paid(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let attempt = try await stage.start(payment, column)
            #expect(try await stage.standing(of: payment).state == "pending")
            #expect(try await stage.standing(of: payment).work.isEmpty)
            try await stage.play("pay", attempt, column)
            try await expectPaidOnce(stage, payment, column)
        }
    }

    @Test("a refusal starts no work, and a second attempt pays", arguments: ProviderColumn.posting)
    func refused(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let first = try await stage.start(payment, column)
            try await stage.play("refuse", first, column)
            try await stage.becomes(column.refused, payment)
            #expect(try await stage.standing(of: payment).work.isEmpty)
            #expect(try await stage.standing(of: payment).ledger.isEmpty)
            let second = try await stage.start(payment, column, again: true)
            #expect(second.id != first.id)
            try await stage.play("pay", second, column)
            try await expectPaidOnce(stage, payment, column)
        }
    }

    @Test("the same post fifty times at once changes what one changes", arguments: ProviderColumn.posting)
    func fiftyTimes(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let (payment, post) = try await stage.told(column)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<50 { group.addTask { try await stage.again(post) } }
                for try await status in group { #expect(status == 200) }
            }
            try await expectPaidOnce(stage, payment, column)
            try await stage.settles()
            let standing = try await stage.standing(of: payment)
            #expect(try await stage.again(post) == 200)
            try await stage.settles()
            #expect(try await stage.standing(of: payment) == standing)
        }
    }

    @Test("in whichever order the provider's posts come, they end in the same", arguments: ProviderColumn.posting)
    func everyOrder(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            var ends: Set<String> = []
            var number = 0
            var orders = 1
            while number < orders {
                let payment = try await stage.order(column)
                let posts = try await tellAll(stage, payment, column)
                let permutations = Self.permutations(of: posts)
                orders = permutations.count
                for post in permutations[number] { #expect(try await stage.again(post) == 200) }
                try await expectPaidOnce(stage, payment, column)
                try await stage.settles()
                let end = try await stage.standing(of: payment)
                ends.insert("\(end.state) \(end.work) \(end.ledger) \(end.tasks)")
                number += 1
            }
            #expect(ends.count == 1)
        }
    }

    /// Has an attempt refused and the next one paid, and keeps from ingest what is posted of it: waiting, failed and paid, as far as the
    /// provider tells them.
    private func tellAll(_ stage: ProvidersStage, _ payment: String, _ column: ProviderColumn) async throws -> [PlainIngest.Post] {
        stage.ingest.hold(true)
        stage.ingest.forget()
        let first = try await stage.start(payment, column)
        try await stage.play("refuse", first, column)
        let before = column.tellsRefusals ? try await stage.posts(1).count : 0
        let second = try await stage.start(payment, column, again: true)
        try await stage.play("pay", second, column, steps: ["reordered"])
        let posts = try await stage.posts(before + (column.tellsWaiting ? 2 : 1))
        stage.ingest.hold(false)
        return posts
    }

    private static func permutations<Element>(of elements: [Element]) -> [[Element]] {
        guard elements.count > 1 else { return [elements] }
        return elements.indices.flatMap { index in
            var rest = elements
            let first = rest.remove(at: index)
            return permutations(of: rest).map { [first] + $0 }
        }
    }

    @Test("told twice that the customer is at it, then twice that it is paid: paid once", arguments: ProviderColumn.posting)
    func waiting(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let attempt = try await stage.start(payment, column)
            try await stage.play("pay", attempt, column, steps: column.tellsWaiting ? ["early_waiting", "duplicate"] : ["duplicate"])
            _ = try await stage.posts(column.tellsWaiting ? 4 : 2)
            try await expectPaidOnce(stage, payment, column)
        }
    }

    @Test("another amount than is owed pays nothing", arguments: ProviderColumn.all)
    func wrongAmount(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let attempt = try await stage.start(payment, column)
            try await stage.play("pay", attempt, column, steps: ["wrong_amount"])
            if column.statesAmount {
                try await stage.becomes("conflicted", payment)
                #expect(try await stage.standing(of: payment).tasks == ["conflicted"])
            } else {
                // What states no amount is asked with ours, and says no.
                try await eventually("the question is refused") { !stage.jobs.troubles.isEmpty }
                #expect(try await stage.standing(of: payment).state == "pending")
            }
            #expect(try await stage.standing(of: payment).work.isEmpty)
        }
    }

    @Test("another currency than is owed pays nothing", arguments: ProviderColumn.posting.filter(\.statesCurrency))
    func wrongCurrency(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let attempt = try await stage.start(payment, column)
            try await stage.play("pay", attempt, column, steps: ["wrong_currency"])
            try await stage.becomes("conflicted", payment)
            let standing = try await stage.standing(of: payment)
            #expect(standing.work.isEmpty && standing.tasks == ["conflicted"])
        }
    }

    @Test("a forged proof is refused and changes nothing; the true one then pays", arguments: ProviderColumn.posting)
    func forged(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let (payment, post) = try await stage.told(column)
            let before = try await stage.standing(of: payment)
            #expect(try await stage.again(column.forged(post)) == 401)
            if !column.asksUnproven { #expect(try await stage.again(column.bare(post)) == 401) }
            try await stage.settles()
            #expect(try await stage.standing(of: payment) == before)
            #expect(try await stage.again(post) == 200)
            try await expectPaidOnce(stage, payment, column)
        }
    }

    @Test("a claim without a proof is believed only as far as the provider confirms it", arguments: ProviderColumn.posting.filter(\.asksUnproven))
    func unproven(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let (payment, post) = try await stage.told(column, steps: ["wrong_amount"])
            #expect(try await stage.again(column.bare(post)) == 200)
            try await stage.settles()
            let standing = try await stage.standing(of: payment)
            #expect(standing.state != "paid" && standing.work.isEmpty)
        }
    }

    @Test("the post of a paid order with another order's names in it pays the other nothing", arguments: ProviderColumn.posting)
    func renamed(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let (paid, unpaid) = (try await stage.order(column), try await stage.order(column))
            let (mine, yours) = (try await stage.start(paid, column), try await stage.start(unpaid, column))
            let post = try await stage.told(of: mine, column)
            let forged = post.with(body: try await stage.renamed(post.body, from: mine, to: yours))
            #expect(forged.body != post.body)
            for attempt in [forged, column.bare(forged)] {
                let status = try await stage.again(attempt)
                #expect(status == 200 || status == 401)
            }
            try await stage.askedOnce()
            let untouched = try await stage.standing(of: unpaid)
            #expect(["pending", "processing"].contains(untouched.state), "\(untouched)")
            #expect(untouched.work.isEmpty && untouched.ledger.isEmpty)
            #expect(try await stage.standing(of: paid).ledger.isEmpty)
            // Neither order has lost its way to be paid.
            #expect(try await stage.again(post) == 200)
            try await expectPaidOnce(stage, paid, column)
            try await stage.play("pay", yours, column)
            try await expectPaidOnce(stage, unpaid, column)
        }
    }

    @Test("a provider that is down proves nothing: nothing is assumed, and it is asked until it answers", arguments: ProviderColumn.posting)
    func down(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let attempt = try await stage.start(payment, column)
            stage.transport.set(.failing(ProviderError(.unavailable, "refused", code: "connect")))
            try await stage.play("pay", attempt, column)
            if try stage.capabilities(of: column).proofCoversMoney {
                // Its signature states the money: there is nothing left to ask.
                try await expectPaidOnce(stage, payment, column)
            } else {
                try await eventually("the question waits") { stage.jobs.waiting > 0 }
                for _ in 0..<3 { await stage.jobs.tryAgain() }
                #expect(try await stage.standing(of: payment).state == "pending")
                #expect(try await stage.standing(of: payment).work.isEmpty)
            }
            stage.transport.set(.open)
            try await expectPaidOnce(stage, payment, column)
        }
    }

    @Test("a provider that answers 503 for a while is asked again, then paid", arguments: ProviderColumn.posting)
    func unavailable(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let attempt = try await stage.start(payment, column)
            try await stage.play("pay", attempt, column, steps: ["status_unavailable:2"])
            try await expectPaidOnce(stage, payment, column)
            if try !stage.capabilities(of: column).proofCoversMoney { #expect(stage.jobs.troubles.count >= 2) }
        }
    }

    @Test("a notice that never came is made up for by asking, where the attempt can be asked about", arguments: ProviderColumn.posting)
    func lost(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let attempt = try await stage.start(payment, column)
            try await stage.play("pay", attempt, column, steps: ["dropped"])
            try await stage.reconcile()
            let known = try await stage.database.read { Set(try PaymentStore.references(of: attempt.id, in: $0).map(\.kind)) }
            if try stage.capabilities(of: column).statusReferenceKinds.contains(where: { known.contains($0) }) {
                try await expectPaidOnce(stage, payment, column)
            } else {
                try await eventually("the question waits") { stage.jobs.waiting > 0 }
                #expect(try await stage.standing(of: payment).state == "pending")
            }
            #expect(stage.ingest.posts.isEmpty)
        }
    }

    @Test("money that comes after the attempt had expired is a conflict with a task, and starts no work", arguments: ProviderColumn.posting)
    func late(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let attempt = try await stage.start(payment, column)
            let patience = try stage.capabilities(of: column).giveUpAfterMs ?? ReconciliationLadder.giveUpAfterMs
            stage.turnClock(by: patience + 60_000)
            try await stage.reconcile()
            try await stage.becomes("expired", payment)
            try await stage.play("pay", attempt, column)
            try await stage.becomes("conflicted", payment)
            let standing = try await stage.standing(of: payment)
            #expect(standing.tasks.contains("conflicted") && standing.work.isEmpty)
            #expect(standing.ledger.allSatisfy { $0.contains("suspense") })
        }
    }

    @Test("money that comes by an attempt that was replaced is a conflict with a task, and starts no work", arguments: ProviderColumn.posting)
    func replaced(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let first = try await stage.start(payment, column)
            let second = try await stage.start(payment, column, again: true)
            #expect(second.id != first.id)
            try await stage.play("pay", first, column)
            try await stage.becomes("conflicted", payment)
            let standing = try await stage.standing(of: payment)
            #expect(standing.tasks == ["conflicted"] && standing.work.isEmpty)
            #expect(standing.ledger.count == 1 && standing.ledger.allSatisfy { $0.contains("suspense") })
        }
    }

    @Test(
        "given back: by a call where the provider has one, else by staff with its reference; an old post changes nothing after that",
        arguments: ProviderColumn.all)
    func refunded(_ column: ProviderColumn) async throws {
        try await ProvidersStage.with { stage in
            let payment = try await stage.order(column)
            let attempt = try await stage.start(payment, column)
            try await stage.play("pay", attempt, column)
            try await expectPaidOnce(stage, payment, column)
            try await stage.settles()
            let path = "/api/v1/payments/\(payment)/refund/"
            let calls = try stage.capabilities(of: column).refunds != .none
            let asked = try await stage.post(path, ["reason": "changed mind"])
            #expect(asked.status == (calls ? 201 : 422), "\(asked.text)")
            #expect(!calls || asked.string("way") == "call")
            if !calls {
                let recorded = try await stage.post(path, ["reason": "changed mind", "provider_reference": "BACK-1"])
                #expect(recorded.status == 201 && recorded.string("way") == "staff", "\(recorded.text)")
            }
            try await stage.becomes("refunded", payment)
            try await stage.settles()
            let standing = try await stage.standing(of: payment)
            #expect(standing.work == ProvidersStage.work && standing.ledger.count == 2 && standing.tasks.isEmpty)
            #expect(try await stage.mails() == 2, "one that confirms and one of the refund")
            #expect(try await stage.post(path, ["amount": "1", "reason": "once more", "provider_reference": "B"]).status == 422)

            for post in stage.ingest.posts { #expect(try await stage.again(post) == 200) }
            try await stage.settles()
            #expect(try await stage.standing(of: payment) == standing)
            #expect(try await stage.mails() == 2)
        }
    }
}
