import Database
import Formats
import HTTPServer
import JobQueue
import JobQueueRedis
import MessagePort
import Operating
import Outbox
import PaymentsService
import RedisClient
import Scheduling
import Staff
import Telemetry
import UsageSamples

/// The queues, who works on them, what was given up, and what is scheduled.
struct QueuePages: Sendable {
    let database: Database
    let queues: RedisQueues?
    let cron: CronTable?
    let dueNowMs: @Sendable () async throws -> Int64
    let rates: RatesDesk
    let frame: ConsoleFrame

    private static let path = ConsoleFrame.Part.queues.path
    private static let deadShown = 40

    var entries: [ConsoleEntry] {
        [
            ConsoleEntry("GET", "/console/queues/", .viewer, show), ConsoleEntry("GET", "/console/queues/{queue}/dead", .viewer, showDead),
            ConsoleEntry("POST", "/console/queues/{queue}/dead", .operator, changeDead),
            ConsoleEntry("POST", "/console/cron/{entry}", .operator, changeCron),
        ]
    }

    private struct Standing: Sendable {
        let name: String
        let counts: QueueCounts
        let oldestMs: Int64?
        let isPaused: Bool
        let workers: [StandingWorker]
    }

    /// What went through, by queue.
    private struct Pace: Sendable {
        let jobs: [String: JobRates]
        let events: Int64

        /// In, done and given up; nil where nobody counts.
        func of(_ queue: String, isCounted: Bool) -> (made: Int64?, finished: Int64?, buried: Int64?) {
            if queue == EventApplication.queue { return (nil, events, nil) }
            guard let found = jobs[queue] else { return isCounted ? (0, 0, 0) : (nil, nil, nil) }
            return (found.made, found.finished, found.buried)
        }
    }

    /// Queues whose bodies are no jobs with a record in SQL: what goes through them is not counted there.
    private static let uncounted: Set<String> = [EventApplication.queue, SampleBatch.queue, ReceiptPost.queue]

    private func show(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let (unfinished, now) = (try await database.read { try UnfinishedJobs.all(in: $0) }, visit.nowMs)
        let pace = Pace(jobs: try await rates.all(), events: try await rates.events())
        var standings: [Standing]?
        if let queues { standings = try? await Self.standings(queues) }
        let away: Markup =
            standings == nil ? "<p class=\"alarm\">\(words("Redis ne répond pas.", "Redis is away."))</p>" : .empty
        return frame.page(
            visit, .queues, title: words("Files et travaux", "Queues and jobs"), wide: true,
            """
            \(away)\(table(standings ?? [], unfinished, pace, now, words))
            <p class="quiet">\(words(
                "Par minute : moyenne des \(RatesDesk.minutes) dernières minutes, d’après les enregistrements en SQL ; « – » où il n’y en a pas.",
                "A minute: the mean of the last \(RatesDesk.minutes) minutes, from the records in SQL; “–” where there are none."))</p>
            <h2>\(words("Ouvriers", "Workers"))</h2>
            \(workers(standings ?? [], now, words))
            <h2>\(words("Travaux planifiés", "Scheduled work"))</h2>
            \(try await schedule(visit))
            """)
    }

    private static func standings(_ queues: RedisQueues) async throws -> [Standing] {
        try await queues.connection.connected(within: .milliseconds(300))
        var standings: [Standing] = []
        for name in ProductQueues.names {
            let driver = queues.redisDriver(of: name)
            let counts = try await driver.counts()
            let next = counts.ready > 0 ? try await driver.standing(in: .ready, order: .next, from: 0, limit: 1, holding: []).bodies.first : nil
            let workers = counts.workers > 0 ? try await QueueInspection(name, queues).workers() : []
            standings.append(
                Standing(
                    name: name, counts: counts, oldestMs: next.flatMap { StandingJob(queue: name, $0).enqueuedAtMs },
                    isPaused: try await driver.control().isPaused, workers: workers))
        }
        return standings
    }

    private func table(_ standings: [Standing], _ unfinished: [UnfinishedJobs], _ pace: Pace, _ nowMs: Int64, _ words: Words) -> Markup {
        let rows: [[Markup]] = standings.map { standing in
            let counts = standing.counts
            let records = unfinished.first { $0.queue == standing.name }
            let dead: Markup =
                counts.dead > 0 ? "<a href=\"\(ConsolePath.dead(standing.name))\">\(String(counts.dead))</a>" : "0"
            let went = pace.of(standing.name, isCounted: !Self.uncounted.contains(standing.name))
            let pause: Markup = standing.isPaused ? ConsoleParts.badge(words("suspendue", "paused"), "warn") : .empty
            return [
                "\(standing.name) \(pause)", "\(String(counts.ready))",
                "\(ConsoleParts.age(standing.oldestMs.map { nowMs - $0 }, words))", "\(String(counts.delayed))",
                "\(String(counts.inFlight))", "\(RatesDesk.perMinute(went.made, words))", "\(RatesDesk.perMinute(went.finished, words))",
                "\(RatesDesk.perMinute(went.buried, words))", dead, "\(String(counts.workers))", "\(String(records?.count ?? 0))",
                "\(String(records?.unpublished ?? 0))",
            ]
        }
        return ConsoleParts.table(
            words("Ce qui attend et ce qui est en main", "What waits and what is in hand"),
            [
                words("File", "Queue"), "#\(words("Prêts", "Ready"))", "#\(words("Le plus ancien", "Oldest"))", "#\(words("Différés", "Delayed"))",
                "#\(words("En main", "In hand"))", "#\(words("Entrés/min", "In/min"))", "#\(words("Finis/min", "Done/min"))",
                "#\(words("Abandonnés/min", "Given up/min"))", "#\(words("Abandonnés", "Dead"))", "#\(words("Ouvriers", "Workers"))",
                "#\(words("Inachevés (SQL)", "Unfinished (SQL)"))", "#\(words("Non publiés", "Unpublished"))",
            ], rows, none: words("Aucune file visible.", "No queue can be seen."))
    }

    private func workers(_ standings: [Standing], _ nowMs: Int64, _ words: Words) -> Markup {
        let rows: [[Markup]] = standings.flatMap(\.workers).map { worker in
            ["\(worker.queue)", "\(worker.name)", "\(String(worker.inHand))"]
        }
        return ConsoleParts.table(
            words("Qui travaille", "Who works"), [words("File", "Queue"), words("Nom", "Name"), "#\(words("En main", "In hand"))"], rows,
            none: words("Aucun ouvrier.", "No workers."))
    }

    // MARK: Cron

    private func schedule(_ visit: ConsoleVisit) async throws -> Markup {
        let words = visit.words
        guard let cron else { return "<p class=\"quiet\">\(words("Rien n’est planifié ici.", "Nothing is scheduled here."))</p>" }
        let rows: [[Markup]] = try await cron.listing(nowMs: visit.nowMs).map { entry in
            let path = "/console/cron/\(PercentEncoding.encodePathSegment(entry.name))"
            let buttons: Markup =
                visit.may(.operator)
                ? """
                \(ConsoleParts.button(visit, path, words("Lancer", "Run now"), about: entry.name, fields: [("deed", "run")]))
                \(ConsoleParts.button(
                    visit, path, entry.paused ? words("Reprendre", "Resume") : words("Suspendre", "Pause"), about: entry.name,
                    fields: [("deed", entry.paused ? "resume" : "pause")]))
                """ : .empty
            return [
                "\(entry.name)", "<code>\(entry.expression)</code> \(entry.zone)",
                entry.paused ? ConsoleParts.badge(words("suspendue", "paused"), "warn") : ConsoleParts.time(entry.nextMs),
                "\(entry.lastTick ?? "–") \(entry.lastOutcome ?? "")", "\(String((entry.lastDetail ?? "").prefix(200)))", buttons,
            ]
        }
        return ConsoleParts.table(
            words("Entrées", "Entries"),
            [
                words("Entrée", "Entry"), words("Quand", "When"), words("Prochaine", "Next"), words("Dernière", "Last"), words("Détail", "Detail"),
                words("Action", "Action"),
            ], rows, none: words("Rien n’est planifié.", "Nothing is scheduled."))
    }

    private func changeCron(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let name = visit.call.value("entry")
        guard let cron, let entry = cron.entries.first(where: { $0.name == name }) else {
            throw WebProblem.notFound("there is no entry '\(name.prefix(80))'")
        }
        let now: Int64
        do { now = try await dueNowMs() } catch { throw WebProblem.conflict("what is due is for Redis' clock to say, and Redis is away") }
        guard let deed = visit.fields["deed"], let note = Self.cronNotes[deed] else {
            throw WebProblem.invalid("deed", "must be run, pause or resume")
        }
        try await cron.install(nowMs: now)
        try await visit.recording("cron.\(deed)", of: name, in: database) {
            guard deed == "run" else {
                _ = try await cron.setPaused(deed == "pause", entry: name, nowMs: now)
                return
            }
            let result = try await cron.runNow(entry, nowMs: now)
            if case .failed(_, let error) = result { throw WebProblem.conflict("the entry failed: \(error)") }
        }
        return visit.done(note, Self.path)
    }

    /// What may be done to an entry, and what is told after it.
    private static let cronNotes: [String: ConsoleNote] = ["run": .ran, "pause": .paused, "resume": .resumed]

    // MARK: What was given up

    private func queue(_ visit: ConsoleVisit) throws -> (String, RedisQueues) {
        let name = visit.call.value("queue")
        guard ProductQueues.names.contains(name) else { throw WebProblem.notFound("there is no queue '\(name.prefix(60))'") }
        guard let queues else { throw WebProblem.conflict("there is no Redis here") }
        return (name, queues)
    }

    private func showDead(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let words = visit.words
        let (name, queues) = try queue(visit)
        let path = ConsolePath.dead(name)
        let rows: [[Markup]] = try await DeadLetters(queues: queues).of(name, most: Self.deadShown).map { job in
            let buttons: Markup =
                visit.may(.operator)
                ? """
                \(ConsoleParts.button(visit, path, words("Réessayer", "Retry"), about: job.id, fields: [("job", job.id), ("deed", "retry")]))
                \(ConsoleParts.button(
                    visit, path, words("Oublier", "Bury"), about: job.id, style: "danger", confirm: words("Oublier ce travail ?", "Forget this job?"),
                    fields: [("job", job.id), ("deed", "bury")]))
                """ : .empty
            return [
                ConsoleParts.time(job.sinceMs), "\(job.kind ?? "–")", "<code>\(job.id)</code>", ConsoleParts.paymentLink(job.payment),
                "\(Redaction.text(String((job.reason ?? "").prefix(300))))", buttons,
            ]
        }
        return frame.page(
            visit, .queues, title: words("Abandonnés de \(name)", "Dead of \(name)"), wide: true,
            ConsoleParts.table(
                words("Les \(Self.deadShown) derniers au plus", "The latest \(Self.deadShown) at most"),
                [
                    words("Depuis", "Since"), words("Sorte", "Kind"), words("Travail", "Job"), words("Paiement", "Payment"),
                    words("Raison", "Reason"),
                    words("Action", "Action"),
                ], rows, none: words("Rien n’est abandonné.", "Nothing is dead.")))
    }

    /// Puts a dead job back, or forgets it. Its record in SQL is opened again first, so that it may have its effect.
    private func changeDead(_ visit: ConsoleVisit) async throws -> HTTPResponse {
        let (name, queues) = try queue(visit)
        let (id, deed) = (try visit.required("job", limit: 100), visit.fields["deed"])
        let found = try await DeadLetters(queues: queues).find(id, on: name)
        guard let record = found.record else { throw WebProblem.notFound("nothing dead has the id '\(id.prefix(80))'") }
        guard let deed, ["retry", "bury"].contains(deed) else { throw WebProblem.invalid("deed", "must be retry or bury") }
        let desk = JobDesk(redis: queues, database: database, nowMs: { visit.nowMs })
        try await visit.recording("job.\(deed)", of: id, detail: "\(name): \(Redaction.text(record.reason))", in: database) {
            if deed == "retry" { try await desk.reopen(record) }
            let driver = desk.driver(of: found)
            let isDone = deed == "retry" ? try await driver.replayDead(record) : try await driver.deleteDead(record)
            guard isDone else { throw WebProblem.conflict("job \(id) was taken by somebody quicker") }
        }
        return visit.done(deed == "retry" ? .retried : .buried, ConsolePath.dead(name))
    }
}
