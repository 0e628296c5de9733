import Access
import Database
import Formats
import JobQueue
import Notifications
import Outbox
import Payments
import ProviderPort
import Settings
import Teams
import TestSupport
import Testing

@testable import NotificationsService
@testable import Plans

@Suite("Who is told of a period's end, and how")
struct PlanNoticeTests {
    private static func bought(_ stage: PlanStage) async throws {
        try await stage.owe()
        try await stage.tell(.captured, 1)
        #expect(try await stage.activate() == [.done])
        _ = try await stage.told()
    }

    @Test("every owner is told in their language, a member is not, and the message links to the team's page")
    func owners() async throws {
        let stage = try await PlanStage(owners: [("aicha@example.org", "fr"), ("john@example.org", "en")])
        try await Self.bought(stage)
        try stage.turn(to: "2026-02-21T10:00:00Z")
        try await stage.look()
        let reminders = try await stage.told()
        #expect(reminders.map(\.recipient) == ["aicha@example.org", "john@example.org"] && reminders.map(\.language) == ["fr", "en"])
        let endMs = try #require(Timestamp.parse("2026-02-28T10:00:00Z"))
        let link = SendNotification.Link(.team, PlanStage.team, periodEndMs: endMs)
        #expect(reminders.allSatisfy { $0.template == .planRenewal && $0.link == link })
        #expect(
            reminders.map(\.values) == [
                ["name": "Aïcha", "team": "Équipe Baobab", "plan": "Pro", "price": "3.00\u{A0}EUR", "until": "28/02/2026 à 10:00 UTC"],
                ["name": "Aïcha", "team": "Équipe Baobab", "plan": "Pro", "price": "3.00\u{A0}EUR", "until": "2026-02-28 10:00 UTC"],
            ])

        try stage.turn(to: "2026-02-28T10:00:00Z")
        try await stage.look()
        let grace = try await stage.told()
        #expect(grace.map(\.template) == [.planGrace, .planGrace])
        #expect(grace.map { $0.values["until"] } == ["07/03/2026 à 10:00 UTC", "2026-03-07 10:00 UTC"])

        try stage.turn(to: "2026-03-07T10:00:00Z")
        try await stage.look()
        let ended = try await stage.told()
        #expect(ended.map(\.template) == [.planEnded, .planEnded])
        #expect(ended.map { Set($0.values.keys) } == [["name", "team", "plan"], ["name", "team", "plan"]])
        for message in reminders + grace + ended {
            #expect(throws: Never.self) { try message.template.check(message.values) }
        }
    }

    @Test("a team without an owner's address: whoever paid last is told, whatever became of that payment")
    func payer() async throws {
        let stage = try await PlanStage(owners: [])
        try await Self.bought(stage)
        try stage.turn(to: "2026-02-21T10:00:00Z")
        try await stage.look()
        try await stage.tell(.refunded, 1)
        let messages = try await stage.told()
        #expect(messages.map(\.template) == [.planRenewal, .planEnded] && messages.map(\.recipient) == ["awa@example.org", "awa@example.org"])
        #expect(messages.allSatisfy { $0.values["name"] == "Awa" && $0.link?.kind == .team })
        let guarded = try await stage.database.read { connection in
            try connection.query("SELECT payment FROM outbox_jobs WHERE kind = 'notification.send' AND args LIKE '%plan_e%'")
                .compactMap { try $0.textOrNil("payment") }
        }
        #expect(guarded.isEmpty, "it is sent although the payment is paid no more")
    }

    @Test("of a team that was removed nobody is told, and its plan ends all the same")
    func removed() async throws {
        let stage = try await PlanStage()
        try await Self.bought(stage)
        _ = try await stage.database.write { try TeamStore.remove(PlanStage.team, in: $0) }
        for moment in ["2026-02-21T10:00:00Z", "2026-02-28T10:00:00Z", "2026-03-07T10:00:00Z"] {
            try stage.turn(to: moment)
            try await stage.look()
        }
        #expect(try await stage.told().isEmpty)
        #expect(try await stage.standing() == "ended Free 2026-02-28T10:00:00.000Z")
    }

    @Test("the price told is the one on sale now")
    func price() async throws {
        let stage = try await PlanStage()
        try await Self.bought(stage)
        try await stage.database.write { connection in
            try connection.execute(
                """
                INSERT INTO plans_versions SELECT plan, 2, name, 450, currency, period_months, max_teams, max_members, max_projects, max_cpu_milli,
                  max_memory_mb, max_traffic_bytes_per_month, max_storage_bytes, custom_domains, $1 FROM plans_versions WHERE plan = $2
                """, [.integer(DomainFixture.nowMs + 1), .text(Plan.pro)])
        }
        try stage.turn(to: "2026-02-21T10:00:00Z")
        try await stage.look()
        #expect(try await stage.told().map { $0.values["price"] } == ["4.50\u{A0}EUR"])
    }

    // MARK: Links

    @Test(
        "a message's link lasts to the end of the grace, or a week after it is read anew; once the period is paid on it is of no use",
        arguments: [
            // The period ends on 28 February, 10:00.
            ("2026-02-21T10:00:00Z", "2026-03-07T10:00:00.000Z"), ("2026-02-28T10:00:00Z", "2026-03-07T10:00:00.000Z"),
            ("2026-03-05T10:00:00Z", "2026-03-12T10:00:00.000Z"),
        ])
    func links(moment: String, until: String) async throws {
        let stage = try await PlanStage()
        try await Self.bought(stage)
        let endMs = try #require(Timestamp.parse("2026-02-28T10:00:00Z"))
        try stage.turn(to: moment)
        let nowMs = stage.nowMs
        func expiry() async throws -> Int64? {
            try await stage.database.read { try Subscription.linkExpiry(of: PlanStage.team, periodEndMs: endMs, nowMs: nowMs, in: $0) }
        }
        let expiresAtMs = try #require(try await expiry())
        #expect(Timestamp.rfc3339(expiresAtMs) == until)
        #expect(expiresAtMs - nowMs <= TeamLink.mailLifeMs)
        try await stage.owe()
        try await stage.tell(.captured, 2)
        _ = try await stage.activate()
        #expect(try await expiry() == nil)
    }

    @Test("the mail about a plan that is taken away on its second day links to a page that opens, and is late once the plan is bought anew")
    func earlyEnd() async throws {
        let stage = try await PlanStage()
        try await Self.bought(stage)
        try stage.turn(to: "2026-02-02T10:00:00Z")
        try await stage.tell(.refunded, 1)
        let messages = try await stage.told()
        let message = try #require(messages.first)
        #expect(messages.count == 1 && message.template == .planEnded)
        let (nowMs, secret) = (stage.nowMs, "0123456789abcdef0123456789abcdef")
        let endMs = try #require(message.link?.periodEndMs)
        func expiry() async throws -> Int64? {
            try await stage.database.read { try Subscription.linkExpiry(of: PlanStage.team, periodEndMs: endMs, nowMs: nowMs, in: $0) }
        }
        let link = TeamLink(secret: secret)
        let token = link.mailToken(for: PlanStage.team, until: try #require(try await expiry()))
        #expect(link.accepts(token.text, for: PlanStage.team, nowMs: nowMs))
        #expect(link.accepts(token.text, for: PlanStage.team, nowMs: nowMs + PlanTerms.weekMs - 1000))
        try await stage.owe()
        try await stage.tell(.captured, 2)
        #expect(try await stage.activate() == [.done])
        #expect(try await expiry() == nil)
    }

    @Test("a link in a mail lasts no longer than its page accepts, however far away the end is that it is about")
    func longestLink() async throws {
        try await MessageStage.run(channels: "email") { stage in
            let endMs = stage.nowMs + 40 * 86_400_000
            try await Self.enter("baobab", until: endMs, stage)
            let secret = "0123456789abcdef0123456789abcdef"
            let settings = try Settings(environment: ["SECRET_KEY": secret, "BASE_URL": "https://pay.example.com"])
            let link = SendNotification.Link(.team, "baobab", periodEndMs: endMs)
            let reminder = MessageStage.message(.planRenewal, cause: "far", link: link)
            #expect(try await stage.send(reminder, linking: NotificationsWorker.linking(settings, nil)) == .done)
            let mail = try #require(try await stage.mail.waitForMessages().first)
            let address = "https://pay.example.com/teams/baobab/settings?t="
            let line = try #require(mail.text?.split(whereSeparator: \.isNewline).first { $0.hasPrefix(address) })
            let token = String(line.dropFirst(address.count).dropLast("&tab=plan".count))
            #expect(TeamLink(secret: secret).accepts(token, for: "baobab", nowMs: stage.nowMs))
        }
    }

    @Test("a confirmation that was not sent before its period was taken back is never sent; the payment's new period has its own")
    func confirmations() async throws {
        let stage = try await PlanStage()
        try await stage.owe()
        try await stage.tell(.captured, 1)
        #expect(try await stage.activate() == [.done])
        #expect(try await stage.told().map { $0.values["until"] } == ["28/02/2026 à 10:00 UTC"])
        let first = try await stage.fixture.delivered("notification.send", of: stage.payment(1))
        try stage.turn(to: "2026-02-03T10:00:00Z")
        let nowMs = stage.nowMs
        try await stage.tell(.chargedBack, 1)
        // worker-notifications comes by, and leaves it off.
        let reason = PaymentState.chargedBack.skipReason
        _ = try await stage.database.write { try Outbox.finish(first, as: .skipped, detail: reason, nowMs: nowMs, in: $0) }
        try stage.turn(to: "2026-02-05T10:00:00Z")
        try await stage.tell(.captured, 1, attempt: 1)
        #expect(try await stage.activate() == [.done])
        let told = try await stage.told()
        #expect(told.map(\.template) == [.planEnded, .planConfirmed])
        #expect(told.last?.values["until"] == "05/03/2026 à 10:00 UTC")
        #expect(try await stage.fixture.record(of: first)?.outcome == .skipped)
    }

    @Test("a confirmation that was not sent before its period was moved gives way to one of the new period; one that was sent stays")
    func movedConfirmations() async throws {
        let stage = try await PlanStage()
        for _ in 0..<3 {
            try await stage.owe()
            try await stage.tell(.captured, stage.payments)
            #expect(try await stage.activate() == [.done])
        }
        #expect(try await stage.told().count == 3)
        let second = try await stage.fixture.delivered("notification.send", of: stage.payment(2))
        let nowMs = stage.nowMs
        _ = try await stage.database.write { try Outbox.finish(second, as: .done, nowMs: nowMs, in: $0) }
        try await stage.tell(.refunded, 1)
        #expect(try await stage.told().map { $0.values["until"] } == ["31/03/2026 à 10:00 UTC"])
        #expect(try await stage.fixture.record(of: second)?.outcome == .done)
        let third = try await stage.fixture.delivered("notification.send", of: stage.payment(3))
        #expect(try await stage.fixture.record(of: third)?.outcome == .skipped)
    }

    @Test("a reminder leads to the team's page where it is sent; once the next period is paid it is not sent any more")
    func sending() async throws {
        try await MessageStage.run(channels: "email") { stage in
            let endMs = stage.nowMs + 3 * 86_400_000
            try await Self.enter("baobab", until: endMs, stage)
            let secret = "0123456789abcdef0123456789abcdef"
            let settings = try Settings(environment: ["SECRET_KEY": secret, "BASE_URL": "https://pay.example.com"])
            let linking = NotificationsWorker.linking(settings, nil)
            let link = SendNotification.Link(.team, "baobab", periodEndMs: endMs)
            let reminder = MessageStage.message(.planRenewal, cause: "week", link: link)
            #expect(try await stage.send(reminder, linking: linking) == .done)
            let mail = try #require(try await stage.mail.waitForMessages().first)
            let address = "https://pay.example.com/teams/baobab/settings?t="
            let line = try #require(mail.text?.split(whereSeparator: \.isNewline).first { $0.hasPrefix(address) && $0.hasSuffix("&tab=plan") })
            let token = String(line.dropFirst(address.count).dropLast("&tab=plan".count))
            #expect(TeamLink(secret: secret).accepts(token, for: "baobab", nowMs: endMs + PlanTerms.graceMs - 1000))
            #expect(!TeamLink(secret: secret).accepts(token, for: "baobab", nowMs: endMs + PlanTerms.graceMs))

            try await Self.enter("baobab", until: endMs + 30 * 86_400_000, stage)
            let again = MessageStage.message(.planRenewal, cause: "day", link: link)
            #expect(try await stage.send(again, job: "job_2", linking: linking) == .skipped(reason: "too late: the plan of baobab is paid on"))
            #expect(try await stage.record(again).state == "late")
            #expect(try stage.mail.received().count == 1)
        }
    }

    private static func enter(_ team: String, until endMs: Int64, _ stage: MessageStage) async throws {
        try await stage.domain.database.write { connection in
            _ = try connection.execute(
                """
                INSERT INTO plans_subscriptions VALUES ($1, 'pay_as_you_go', 1, 'active', 0, $2, 1, 0) ON CONFLICT (team) DO UPDATE SET renews_at = $2
                """, [.text(team), .integer(endMs)])
        }
    }

    @Test("a link in a message lasts for days, one that was asked for an hour; neither passes for another team or for the other kind")
    func tokens() {
        let secret = "0123456789abcdef0123456789abcdef"
        let (link, now) = (TeamLink(secret: secret), DomainFixture.nowMs)
        let dayMs: Int64 = 86_400_000
        let mailed = link.mailToken(for: "baobab", until: now + 14 * dayMs)
        #expect(mailed.expiresAtMs == now + 14 * dayMs)
        #expect(link.accepts(mailed.text, for: "baobab", nowMs: now) && link.accepts(mailed.text, for: "baobab", nowMs: mailed.expiresAtMs - 1))
        #expect(!link.accepts(mailed.text, for: "baobab", nowMs: mailed.expiresAtMs) && !link.accepts(mailed.text, for: "acacia", nowMs: now))
        // Nobody makes them that long.
        #expect(!link.accepts(link.mailToken(for: "baobab", until: now + 16 * dayMs).text, for: "baobab", nowMs: now))
        let given = link.token(for: "baobab", nowMs: now)
        #expect(link.accepts(given.text, for: "baobab", nowMs: now) && given.text != link.mailToken(for: "baobab", until: given.expiresAtMs).text)
        // An hour's token that says it lasts a day is signed with the wrong key for that.
        #expect(!link.accepts(link.token(for: "baobab", nowMs: now + dayMs).text, for: "baobab", nowMs: now))
        #expect(!TeamLink(secret: secret + "0").accepts(mailed.text, for: "baobab", nowMs: now))
        // While the secret is exchanged both are good.
        #expect(TeamLink(secret: "fedcba9876543210fedcba9876543210 " + secret).accepts(mailed.text, for: "baobab", nowMs: now))
    }
}
