import Drafts
import Formats
import Invoicing
import JobQueue
import JobQueueRedis
import Notifications
import Operating
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
            (VerifyPayment.queue, VerifyPayment.kind), (IdentifyReference.queue, IdentifyReference.kind), (GenerateDraft.queue, GenerateDraft.kind),
            (ActivatePlan.queue, ActivatePlan.kind),
            (CreateInvoice.queue, CreateInvoice.kind), (SendNotification.queue, SendNotification.kind), (MeasureStorage.queue, MeasureStorage.kind),
            (CheckLimits.queue, CheckLimits.kind), (MakeBackup.queue, MakeBackup.kind), (PurgeAttachments.queue, PurgeAttachments.kind),
        ].map { ($0.0, [$0.1]) }, uniquingKeysWith: { $0.union($1) })

    static func findings(_ context: CommandContext) async -> [Finding] {
        let answer: RedisAnswer<[Finding]>
        do {
            answer = try await context.withRedisIfThere { queues in
                var findings = [try await latency(queues.connection), try await scripts(queues)]
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

    /// A script is loaded by its first call, and a worker that gives signs of life calls `renew` every second: where there are such
    /// workers and this release's version of it is not loaded, they are another release's, which may read keys otherwise.
    private static func scripts(_ queues: RedisQueues) async throws -> Finding {
        let scripts = QueueScriptListing.all
        var command = RedisCommand("SCRIPT")
        command.append("EXISTS")
        for script in scripts { command.append(script.sha1) }
        let answers = try await queues.connection.perform(command).array ?? []
        let loaded = Set(zip(scripts, answers).filter { $0.1.int == 1 }.map(\.0.name))
        var workers = 0
        for name in ProductQueues.names { workers += try await queues.driver(of: name).counts().workers }
        if workers > 0 && !loaded.contains("renew") {
            return .fail(
                "queue scripts", "\(workers) workers are registered and never called this release's: they are of another release, restart them")
        }
        guard !loaded.isEmpty else { return .ok("queue scripts", "none loaded yet: a worker loads them at its first step") }
        return .ok("queue scripts", "\(loaded.count) of \(scripts.count) loaded")
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
            // A worker that meets a kind it does not know puts the job off.
            let driver = queues.redisDriver(of: name)
            let putOff = try await queues.connection.call("ZRANGE", driver.keys.delayed, 0, looked - 1).array ?? []
            for body in try await driver.peek(limit: looked) + putOff.compactMap(\.bytes) {
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
                    if entry.nextMs == nil {
                        findings.append(.warn("cron \(entry.name)", "is never due by '\(entry.expression)': correct its schedule"))
                    }
                    if entry.paused { findings.append(.warn("cron \(entry.name)", "is paused: `quittance cron resume \(entry.name)`")) }
                    if entry.lastOutcome == "failed" {
                        findings.append(
                            .warn(
                                "cron \(entry.name)",
                                "failed at \(entry.lastTick ?? "its last tick"): \(entry.lastDetail ?? ""); cure the cause, then "
                                    + "`quittance cron run \(entry.name) --now`"))
                    }
                }
                return findings.isEmpty ? [.ok("cron", "\(entries.count) entries, none paused, none failed")] : findings
            }
        } catch let error as CronError {
            return [.fail("cron", "\(error): no scheduler starts; install the package tzdata, or correct the entry")]
        } catch {
            // The database has findings of its own.
            return []
        }
    }
}
