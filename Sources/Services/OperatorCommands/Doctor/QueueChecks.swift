import Drafts
import Formats
import Invoicing
import JobQueue
import JobQueueRedis
import Notifications
import Payments
import PaymentsService
import Plans
import RedisClient
import Scheduling
import Usage
import UsageSamples

/// The queues: how quickly Redis answers, whether its scripts are ours, whether somebody works each queue, whether what waits has a handler.
enum QueueChecks {
    /// Beyond this a step of the engine costs more than most jobs.
    private static let latencyMax = Duration.milliseconds(5)
    private static let pings = 9
    /// Bodies at the head of each queue whose kind is looked at.
    private static let looked = 100

    /// The kinds that this release's workers handle, by queue. Queues of bodies that are no jobs are not named.
    private static let kinds: [String: Set<String>] = Dictionary(
        [
            (VerifyPayment.queue, VerifyPayment.kind), (GenerateDraft.queue, GenerateDraft.kind), (ActivatePlan.queue, ActivatePlan.kind),
            (CreateInvoice.queue, CreateInvoice.kind), (SendNotification.queue, SendNotification.kind), (MeasureStorage.queue, MeasureStorage.kind),
            (CheckLimits.queue, CheckLimits.kind),
        ].map { ($0.0, [$0.1]) }, uniquingKeysWith: { $0.union($1) })

    static func findings(_ context: CommandContext) async -> [Finding] {
        let answer: RedisAnswer<[Finding]>
        do {
            answer = try await context.withRedisIfThere { queues in
                var findings = [try await latency(queues.connection), try await scripts(queues.connection)]
                findings += try await workers(queues)
                findings += try await handlers(queues)
                return findings
            }
        } catch {
            return [.fail("queues", "\(error)")]
        }
        // That Redis is away was said already.
        return answer.value ?? []
    }

    private static func latency(_ redis: RedisConnection) async throws -> Finding {
        var times: [Duration] = []
        for _ in 0..<pings {
            let began = ContinuousClock.now
            _ = try await redis.call("PING")
            times.append(began.duration(to: .now))
        }
        let median = times.sorted()[pings / 2]
        let (seconds, attoseconds) = median.components
        let micros = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        let text = "\(micros / 1000).\(micros % 1000 / 100) ms for a PING"
        guard median > latencyMax else { return .ok("Redis' latency", text) }
        return .warn("Redis' latency", "\(text): put it nearer, or look for slow commands (SLOWLOG GET)")
    }

    private static func scripts(_ redis: RedisConnection) async throws -> Finding {
        let scripts = QueueScriptListing.all
        var command = RedisCommand("SCRIPT")
        command.append("EXISTS")
        for script in scripts { command.append(script.sha1) }
        let loaded = (try await redis.perform(command).array ?? []).count { $0.int == 1 }
        // A script is loaded by its first call; after a restart of Redis none is.
        return .ok("queue scripts", loaded == 0 ? "none loaded yet: a worker loads them at its first step" : "\(loaded) of \(scripts.count) loaded")
    }

    private static func workers(_ queues: RedisQueues) async throws -> [Finding] {
        var findings: [Finding] = []
        for name in ProductQueues.names {
            let counts = try await queues.driver(of: name).counts()
            if counts.workers == 0 && counts.ready + counts.delayed > 0 {
                findings.append(.warn("queue \(name)", "\(counts.ready + counts.delayed) bodies wait and no worker is registered: start it"))
            }
            if counts.dead > 0 { findings.append(.warn("dead on \(name)", "\(counts.dead) bodies are dead: `quittance dead --by-error`")) }
        }
        return findings.isEmpty ? [.ok("queues", "nothing waits without a worker, nothing is dead")] : findings
    }

    private static func handlers(_ queues: RedisQueues) async throws -> [Finding] {
        var unknown: [String: Set<String>] = [:]
        for (name, known) in kinds {
            for body in try await queues.driver(of: name).peek(limit: looked) {
                guard let job = try? JobEnvelope(decoding: body), !known.contains(job.kind) else { continue }
                unknown[name, default: []].insert(job.kind)
            }
        }
        guard !unknown.isEmpty else { return [.ok("handlers", "every kind that waits has one")] }
        return unknown.sorted { $0.key < $1.key }.map { queue, kinds in
            .warn(
                "handlers",
                "\(queue) has jobs of kinds that no worker of this release knows: \(kinds.sorted().joined(separator: ", ")); "
                    + "deploy their worker, or delete them")
        }
    }
}

/// The scheduled entries: due and not run, or failed.
enum CronChecks {
    static func findings(_ context: CommandContext) async -> [Finding] {
        do {
            return try await context.withDatabase { database in
                let entries = try await CronCommands.table(database, context).listing(nowMs: context.nowMs())
                var findings: [Finding] = []
                for entry in entries {
                    if entry.paused { findings.append(.warn("cron \(entry.name)", "is paused: `quittance cron resume \(entry.name)`")) }
                    if entry.lastOutcome == "failed" {
                        findings.append(.warn("cron \(entry.name)", "failed at \(entry.lastTick ?? "its last tick"): \(entry.lastDetail ?? "")"))
                    }
                }
                return findings.isEmpty ? [.ok("cron", "\(entries.count) entries, none paused, none failed")] : findings
            }
        } catch {
            // The database has findings of its own.
            return []
        }
    }
}
