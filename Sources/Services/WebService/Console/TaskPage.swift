import Database
import Drafts
import Formats
import HTTPServer
import JobQueue
import JobQueueRedis
import Operating
import Outbox
import Payments
import Publication
import RedisClient
import Staff
import Telemetry

/// What waits for a person, each with the one button that ends it.
struct TaskPage: Sendable {
    let database: Database
    let queues: RedisQueues?
    let frame: ConsoleFrame

    static let path = ConsoleFrame.Part.tasks.path
    /// More of each kind are not shown at once.
    static let most = 40
    /// Bytes of tasks that a page shows; the rest comes up when these are done.
    private static let bytesMax = 48_000

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/tasks/", .viewer, show), ConsoleEntry("POST", "/console/tasks/{task}/settle", .staff, settle),
            ConsoleEntry("POST", "/console/effects/settle", .operator, settleEffect),
        ]
    }

    private struct Content: Sendable {
        let requests: [RefundRequest]
        let tasks: [PaymentTask]
        let effects: [EffectRecord]
        let events: [EventRecord]
        /// Published, and the customer has no link that opens.
        let lost: [Publication.LostLink]
        /// Kits that another link can be sent of, by the payment of the task that asks for it.
        let reissuable: [String: String]
        /// The payments of refunds whose call is doubtful, by the refund.
        let refunded: [String: String]
        var dead: [StandingJob] = []
        var isRedisAway = false
    }

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        var content = try await database.read { connection in
            let tasks = try PaymentTask.open(limit: Self.most, in: connection).filter { $0.id != nil }
            let reissuable = try Self.reissuable(tasks, in: connection)
            // A kit that a task asks another link for is not listed twice.
            let lost = try Publication.lostLinks(limit: Self.most, nowMs: visit.nowMs, in: connection).filter {
                !reissuable.values.contains($0.inquiry)
            }
            let effects = try EffectTable.list(EffectFilter(doubtfulOnly: true, limit: Self.most), in: connection)
            return Content(
                requests: try RefundRequest.waiting(limit: Self.most, in: connection),
                tasks: tasks,
                effects: effects,
                events: try [PaymentEvents.Outcome.unmatched, .quarantined].flatMap {
                    try EventArchive.page(outcome: $0, limit: Self.most, in: connection)
                }, lost: lost, reissuable: reissuable,
                refunded: try Self.refunded(effects, in: connection))
        }
        if let queues {
            do {
                content.dead = try await DeadLetters(queues: queues).newest(most: Self.most)
            } catch {
                content.isRedisAway = true
            }
        }
        let items =
            content.requests.map { request($0, visit) } + content.tasks.map { task($0, content.reissuable, visit) }
            + content.effects.map { effect($0, content.refunded, visit) }
            + content.lost.map { lost($0, visit) } + content.events.map { event($0, visit) } + content.dead.map { dead($0, visit) }
        let away: Markup =
            content.isRedisAway
            ? "<p class=\"alarm\">\(words("Redis ne répond pas : les travaux abandonnés manquent.", "Redis is away: dead jobs are missing here."))</p>"
            : .empty
        let shown = Self.fitting(items)
        let rest: Markup =
            shown.count < items.count
            ? "<p class=\"quiet\">\(words("D’autres attendent derrière celles-ci.", "More wait behind these."))</p>" : .empty
        let list: Markup =
            items.isEmpty ? "<p>\(words("Rien à faire.", "Nothing to do."))</p>" : "<ul class=\"tasks\">\n\(shown)</ul>\(rest)"
        return frame.page(visit, .tasks, title: words("Tâches", "Tasks"), "\(away)\(list)")
    }

    /// Of the tasks that want another link, those whose kit is published and paid still.
    private static func reissuable(_ tasks: [PaymentTask], in connection: Connection) throws -> [String: String] {
        var found: [String: String] = [:]
        for task in tasks where task.kind == PaymentTask.reissueLink {
            guard let id = task.payment, let payment = try PaymentStore.find(id, in: connection), payment.state.allowsPaidWork,
                payment.purpose == KitPurpose.name, try InquiryStore.find(payment.subject, in: connection)?.state == .published
            else { continue }
            found[id] = payment.subject
        }
        return found
    }

    /// Of doubtful refunds, whose money it was.
    private static func refunded(_ effects: [EffectRecord], in connection: Connection) throws -> [String: String] {
        var found: [String: String] = [:]
        for effect in effects where effect.identity.name == RefundSending.effect {
            found[effect.identity.key] = try Refund.find(effect.identity.key, in: connection)?.payment
        }
        return found
    }

    private static func fitting(_ items: [Markup]) -> [Markup] {
        var left = bytesMax
        return Array(
            items.prefix { item in
                left -= item.text.utf8.count
                return left >= 0
            })
    }

    // MARK: One of each kind

    private func item(_ kind: String, _ colour: String, _ text: Markup, _ atMs: Int64?, _ button: Markup) -> Markup {
        "<li><p>\(ConsoleParts.badge(kind, colour)) \(text)<br/><span class=\"quiet\">\(ConsoleParts.time(atMs))</span></p>\(button)</li>\n"
    }

    private func request(_ request: RefundRequest, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let sum = ConsoleParts.money(request.amount, words)
        return item(
            words("remboursement", "refund"), "warn",
            """
            \(ConsoleParts.paymentLink(request.payment)) – \(words("\(request.requestedBy) demande \(sum)", "\(request.requestedBy) asks for \(sum)")): \
            \(request.reason)
            """, request.requestedAtMs, RequestButtons(visit: visit, request: request, back: Self.path).markup)
    }

    private func task(_ task: PaymentTask, _ reissuable: [String: String], _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let isStanding = PaymentState(rawValue: task.kind) != nil
        let button: Markup
        if isStanding, let payment = task.payment {
            button = "<a class=\"button main\" href=\"\(ConsolePath.payment(payment))#decide\">\(words("Trancher", "Decide"))</a>"
        } else if task.kind == PaymentTask.reissueLink, let inquiry = task.payment.flatMap({ reissuable[$0] }) {
            button = reissueButton(inquiry, visit, reason: "the link did not go out in time")
        } else if let id = task.id, visit.may(.staff) {
            button = ConsoleParts.button(
                visit, "/console/tasks/\(String(id))/settle", words("C’est réglé", "Dealt with"), about: task.kind, style: "main", back: Self.path)
        } else {
            button = .empty
        }
        return item(
            task.kind, isStanding ? "bad" : "warn", "\(ConsoleParts.paymentLink(task.payment)) – \(String(task.detail.prefix(400)))",
            task.createdAtMs,
            button)
    }

    private func lost(_ lost: Publication.LostLink, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let told = words("le client n’a pas de lien qui s’ouvre", "the customer has no link that opens")
        return item(
            words("lien perdu", "lost link"), "warn",
            "<a href=\"\(ConsolePath.kit(lost.inquiry))\">\(lost.inquiry)</a> – \(lost.organizationName): \(told)", lost.expiredAtMs,
            reissueButton(lost.inquiry, visit, reason: "the link ran out unused"))
    }

    /// Sends the customer another link; its task is closed by that.
    private func reissueButton(_ inquiry: String, _ visit: ConsoleVisit, reason: String) -> Markup {
        guard visit.may(.staff) else { return .empty }
        return ConsoleParts.button(
            visit, ConsolePath.kit(inquiry) + "reissue", visit.words("Renvoyer un lien", "Send another link"), about: inquiry, style: "main",
            back: Self.path, fields: [("reason", reason)])
    }

    private func effect(_ effect: EffectRecord, _ refunded: [String: String], _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        func button(_ outcome: String, _ text: String) -> Markup {
            ConsoleParts.button(
                visit, "/console/effects/settle", text, about: "\(effect.identity)",
                confirm: words("C’est vérifié là-bas ?", "Have you checked there?"),
                back: Self.path,
                fields: [
                    ("name", effect.identity.name), ("key", effect.identity.key), ("fence", String(effect.fence)), ("outcome", outcome),
                ])
        }
        let decide = refunded[effect.identity.key].map { payment -> Markup in
            "<a class=\"button main\" href=\"\(ConsolePath.payment(payment))\">\(words("Trancher sur le paiement", "Decide on the payment"))</a>"
        }
        let settle: Markup =
            visit.may(.operator)
            ? "\(button("done", words("C’est fait", "It was done")))\(button("not-done", words("Ce n’est pas fait", "It was not done")))" : .empty
        let buttons = effect.identity.name == RefundSending.effect ? decide ?? .empty : settle
        let asked = words(
            "Personne ne sait si cet appel a eu lieu : vérifiez là-bas.", "Nobody knows whether this call was carried out: find out there.")
        return item(
            words("appel douteux", "doubtful call"), "bad", "<code>\("\(effect.identity)")</code> – \(asked) \(effect.detail ?? "")",
            effect.changedAtMs,
            buttons)
    }

    private func event(_ event: EventRecord, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let button: Markup =
            visit.may(.operator)
            ? ConsoleParts.button(
                visit, ConsolePath.event(event.id) + "replay", words("Reprendre", "Take up again"), about: event.id, style: "main", back: Self.path)
            : .empty
        return item(
            event.outcome, event.outcome == "quarantined" ? "bad" : "warn",
            "\(event.provider) <a href=\"\(ConsolePath.event(event.id))\">\(event.id)</a> – \(event.detail ?? "")", event.receivedAtMs, button)
    }

    private func dead(_ job: StandingJob, _ visit: ConsoleVisit) -> Markup {
        let words = visit.words
        let button: Markup =
            visit.may(.operator)
            ? ConsoleParts.button(
                visit, ConsolePath.dead(job.queue), words("Réessayer", "Retry"), about: job.id, style: "main", back: Self.path,
                fields: [("job", job.id), ("deed", "retry")]) : .empty
        return item(
            words("abandonné", "dead"), "bad",
            "\(job.kind ?? "–") \(job.id) \(ConsoleParts.paymentLink(job.payment)) – \(Redaction.text(String((job.reason ?? "").prefix(400))))",
            job.sinceMs, button)
    }

    // MARK: Deeds

    private func settle(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        guard let id = Int64(visit.call.value("task")) else { throw WebProblem.notFound("there is no such task") }
        let reason = try visit.text("reason") ?? "dealt with"
        try await database.write { connection in
            try PaymentTask.settle(id, reason: reason, actor: visit.actor, nowMs: visit.nowMs, in: connection)
            try visit.record("task.settle", of: String(id), detail: reason, in: connection)
        }
        return visit.done(.settled, Self.path)
    }

    private func settleEffect(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let identity = EffectIdentity(try visit.required("name", limit: 100), key: try visit.required("key", limit: 300))
        guard let outcome = visit.fields["outcome"], ["done", "not-done"].contains(outcome) else {
            throw WebProblem.invalid("outcome", "must be done or not-done")
        }
        // A refund has sums and a second person to go by: settled here its record would say less than it must.
        guard identity.name != RefundSending.effect else {
            throw WebProblem.conflict("nothing was changed: a refund is decided on its payment's page, where it says done or failed")
        }
        // The one that the page showed, under the owner that it showed: what was settled and tried again since is another one.
        guard let fence = visit.fields["fence"].flatMap({ Int64($0) }) else { throw WebProblem.invalid("fence", "must be a number") }
        let result: JSON? = outcome == "done" ? .object(JSONObject()) : nil
        try await database.write { connection in
            let found = try EffectTable.update(identity, in: connection) { record -> (EffectRecord?, Bool) in
                let found = record
                guard let found, found.state == .doubtful, found.fence == fence else { return (found, false) }
                return (found, EffectRecord.settle(&record, result: result, by: visit.actor, nowMs: visit.nowMs))
            }
            guard found.1 else { throw Self.stale(found.0, identity) }
            try visit.record("effect.settle", of: "\(identity)", detail: outcome, in: connection)
        }
        return visit.done(.settled, Self.path)
    }

    /// Why what a page showed as doubtful cannot be settled any more.
    private static func stale(_ record: EffectRecord?, _ identity: EffectIdentity) -> WebProblem {
        guard let record else { return .notFound("there is no call \(identity)") }
        let now =
            switch record.state {
            case .pending: "it is being tried again"
            case .doubtful: "it was tried again since, and is doubtful anew"
            case .done: "it is settled: it was done"
            case .withdrawn: "it is settled: it was not done"
            }
        return .conflict("the page is out of date, and nothing was changed: \(now). Load the tasks again")
    }
}

/// What was given up on the queues.
struct DeadLetters: Sendable {
    let queues: RedisQueues

    /// Over all queues, so many of each at most; the latest first.
    func newest(most: Int) async throws -> [StandingJob] {
        try await queues.connection.connected(within: .milliseconds(300))
        var found: [StandingJob] = []
        for name in ProductQueues.names {
            guard try await queues.redisDriver(of: name).counts().dead > 0 else { continue }
            found += try await of(name, most: most)
        }
        return Array(found.sorted { ($0.sinceMs ?? 0) > ($1.sinceMs ?? 0) }.prefix(most))
    }

    func of(_ queue: String, most: Int) async throws -> [StandingJob] {
        try await QueueInspection(queue, queues).jobs(in: [.dead], limit: most) { _ in true }
    }

    /// - Throws: ``WebProblem`` 404.
    func find(_ id: String, on queue: String) async throws -> StandingJob {
        guard let found = try await QueueInspection(queue, queues).jobs(in: [.dead], limit: 1, where: { $0.id == id }).first else {
            throw WebProblem.notFound("nothing dead has the id '\(id.prefix(80))'")
        }
        return found
    }
}
