import Formats
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Any process may be killed", .timeLimit(.minutes(4)))
struct KillTests {
    private static let programs = [
        "ingest", "sandbox", "scheduler", "worker-payments", "worker-drafts", "worker-plans", "worker-invoices", "worker-notifications",
    ]

    @Test("kill -9 of every process, and of Redis, under a stream of events: nothing accepted is lost, nothing happens twice")
    func killEverything() async throws {
        try await Stage.run(Self.programs, Instance.Configuration(hasMail: true, hasTemplate: true)) { stage in
            let payments =
                try await stage.seed(.kit, 4, email: "kit@example.org") + stage.seed(.plan, 15, email: "team@example.org") + stage.seed(.order, 60)
            let posts = Posts(payments)
            let stream = EventStream.start(port: stage.ingestPort, lines: 3, pause: .milliseconds(8)) { posts.next() }
            // Twice what holds the events, once everything else; each time with work under way.
            for victim in [
                "worker-payments", "ingest", "worker-drafts", "worker-invoices", "redis", "worker-plans", "worker-notifications", "scheduler",
                "worker-payments", "ingest",
            ] {
                let soFar = stream.tally.accepted.count
                try await eventually(within: .seconds(30), "events go on before \(victim) is killed") { stream.tally.accepted.count > soFar + 80 }
                try await Self.killAndRestart(victim, stage)
            }
            posts.finish()
            try await eventually(within: .seconds(60), "every payment's event was posted") { stream.isIdle }
            let tally = stream.tally
            #expect(tally.refused.isEmpty)
            #expect(tally.statuses.keys.allSatisfy { [0, 200, 503].contains($0) }, "\(tally.statuses)")

            let accounting = try await stage.settle(tally.accepted)
            #expect(accounting.dead.isEmpty)
            #expect(accounting.archived["unmatched"]?.count == posts.strangers)
            try await stage.requirePaidOnce(payments)
            try await stage.awaitJobs(within: .seconds(90))
            try await stage.requireEffectsOnce(payments)
            try await Self.requireMails(stage)
        }
    }

    /// Rounds of the test below: `QUITTANCE_CHAOS_ROUNDS`, none unless set.
    private static let rounds = getenv("QUITTANCE_CHAOS_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 0

    @Test("kills and standstills of anything, in any order, for many rounds", .enabled(if: rounds > 0))
    func chaos() async throws {
        try await Stage.run(Self.programs, Instance.Configuration(hasMail: true, hasTemplate: true)) { stage in
            let payments =
                try await stage.seed(.kit, 4, email: "kit@example.org") + stage.seed(.plan, 15, email: "team@example.org")
                + stage.seed(.order, Self.rounds * 20)
            let posts = Posts(payments)
            let stream = EventStream.start(port: stage.ingestPort, lines: 3, pause: .milliseconds(8)) { posts.next() }
            for round in 0..<Self.rounds {
                let victim = (Self.programs + ["redis", "redis", "redis stands still"]).filter { $0 != "sandbox" }.randomElement() ?? "redis"
                let soFar = stream.tally.accepted.count
                try await eventually(within: .seconds(30), "events go on in round \(round), before \(victim)") {
                    stream.tally.accepted.count > soFar + Int.random(in: 10...100)
                }
                if victim == "redis stands still" {
                    stage.instance.redis.pause()
                    try await Task.sleep(for: .milliseconds(.random(in: 100...5000)))
                    stage.instance.redis.resume()
                } else {
                    try await Self.killAndRestart(victim, stage)
                }
            }
            posts.finish()
            try await eventually(within: .seconds(90), "every payment's event was posted") { stream.isIdle }
            try await stage.settle(stream.tally.accepted, within: .seconds(90))
            try await stage.requirePaidOnce(payments)
            try await stage.awaitJobs(within: .seconds(150))
            try await stage.requireEffectsOnce(payments)
            try await Self.requireMails(stage)
        }
    }

    private static func killAndRestart(_ victim: String, _ stage: Stage) async throws {
        guard victim != "redis" else {
            try await stage.instance.redis.kill9()
            return try await stage.instance.redis.restart()
        }
        if victim == "worker-drafts" {
            try await eventually(within: .seconds(30), "a draft is being made, or all are") {
                let running = try await stage.count("SELECT COUNT(*) FROM drafts_inquiries WHERE processing_state = 'IA_RUNNING'")
                let done = try await stage.count("SELECT COUNT(*) FROM drafts_generated")
                return running > 0 || done == 4
            }
        }
        try await stage.instance.kill9(victim)
        try await stage.instance.start(victim)
    }

    /// Every message that SQL holds for sent was received; one that came twice came under one Message-ID.
    private static func requireMails(_ stage: Stage) async throws {
        let mail = try #require(stage.instance.mail)
        let sent = try await stage.texts("SELECT message_id FROM notifications_messages WHERE state = 'sent'")
        let all = try await stage.count("SELECT COUNT(*) FROM notifications_messages")
        #expect(sent.count == all)
        // Two for each customer with an address, one to staff for each draft.
        #expect(all == 2 * (4 + 15) + 4)
        // What the server says of its last messages may still be on its way to us.
        try await eventually("what was sent was received, and nothing else") {
            Set(try mail.received().compactMap { $0.header("message-id") }) == Set(sent)
        }
    }

    /// Payments' events among others, and at the end all that are left of them.
    private final class Posts: Sendable {
        private struct State {
            var rest: [Message]
            var count = 0
            var strangers = 0
            var finishing = false
        }
        private let state: Mutex<State>

        init(_ payments: [SeededPayment]) {
            let messages = payments.flatMap { payment in
                [
                    Message.payment("payment.pending", order: payment.attempt, amount: payment.amountText, currency: payment.currency),
                    Message.paid(payment), Message.paid(payment),
                ]
            }
            state = Mutex(State(rest: messages.shuffled()))
        }

        func next() -> Message? {
            state.withLock { state in
                state.count += 1
                if state.finishing || state.count.isMultiple(of: 4), let message = state.rest.popLast() { return message }
                if state.finishing { return nil }
                state.strangers += 1
                return .unmatched()
            }
        }

        func finish() { state.withLock { $0.finishing = true } }
        var strangers: Int { state.withLock { $0.strangers } }
    }
}
