import EventLoop
import Formats
import JobQueue
import JobQueueRedis
import JobQueueTestKit
import RedisClient
import TestSupport
import Testing

private struct Cleanup: JobParameters {
    static let kind = "cleanup"
    static let queue = "housekeeping"
    var room = "cellar"
}

private struct CleanupJob: AsyncJob {
    let diary: Diary
    var retryStrategy: RetryPolicy { .fixed(.seconds(1), attemptsMax: 5) }

    func dequeue(_ context: JobContext, _ payload: Cleanup) async throws {
        diary.write("\(payload.room) \(context.attempt)\(context.isLastAttempt ? " last" : "")")
        if payload.room == "attic" { throw Unlucky() }
    }
}

private struct Receipt: PaidOnlyParameters {
    static let kind = "receipt"
    static let queue = "housekeeping"
}

private struct ReceiptJob: AsyncJob {
    func dequeue(_ context: JobContext, _ payload: Receipt) async throws {}
}

@Suite("Scheduled jobs, and the names that users of other libraries know", .timeLimit(.minutes(2)))
struct ScheduleTests {
    private static let spoken: [(String, @Sendable (ScheduleBuilder) -> Void)] = [
        ("* * * * *", { $0.minutely() }),
        ("30 * * * *", { $0.hourly().at(30) }),
        ("13 15 * * *", { $0.daily().at("3:13pm") }),
        ("5 0 * * *", { $0.daily().at(0, 5) }),
        ("0 12 * * 1", { $0.weekly().on(.monday).at(.noon) }),
        ("13 15 * * 0", { $0.weekly().on(.sunday).at("15:13") }),
        ("0 0 31 * *", { $0.monthly().on(31).at(.midnight) }),
        ("30 6 23 5 *", { $0.yearly().in(.may).on(23).at("6:30") }),
    ]

    @Test("a schedule that reads as English is the crontab that it says", arguments: spoken.indices)
    func builder(_ index: Int) throws {
        let service = JobService(queues: InMemoryQueues())
        let (crontab, speak) = Self.spoken[index]
        speak(service.schedule(Cleanup()))
        #expect(service.scheduler?.jobs.map(\.schedule.description) == [crontab])
        #expect(service.scheduler?.jobs.map(\.name) == ["cleanup"] && service.scheduler?.jobs.map(\.queue) == ["housekeeping"])
    }

    @Test("a time of day is read in both ways of writing it")
    func timeOfDay() {
        let good: [(String, Int, Int)] = [
            ("3:13pm", 15, 13), ("3:13 PM", 15, 13), ("12:00am", 0, 0), ("12:30pm", 12, 30), ("11:59pm", 23, 59), ("0:00", 0, 0), ("23:59", 23, 59),
            ("7:05am", 7, 5),
        ]
        for (text, hour, minute) in good {
            let time = ScheduleBuilder.TimeOfDay(parsing: text)
            #expect(time?.hour == hour && time?.minute == minute, "\(text)")
        }
        for text in ["", "3pm", "24:00", "13:00pm", "0:30am", "7:5", "7:60", "+7:00", "a:00", "7:00:00", "-1:00"] {
            #expect(ScheduleBuilder.TimeOfDay(parsing: text) == nil, "\(text)")
        }
    }

    @Test("schedules have the names of swift-jobs, by the clocks of a zone")
    func names() throws {
        let paris = try TimeZoneFolder.system.zone("Europe/Paris")
        #expect(try CronSchedule.crontab("0 4 * * sun", timeZone: "Europe/Paris").description == "0 4 * * sun Europe/Paris")
        #expect(CronSchedule.hourly(minute: 5).description == "5 * * * *")
        #expect(CronSchedule.daily(hour: 4, timeZone: paris).description == "0 4 * * * Europe/Paris")
        #expect(CronSchedule.weekly(day: .friday, hour: 4, minute: 30).description == "30 4 * * 5")
        #expect(CronSchedule.monthly(date: 1, hour: 0).description == "0 0 1 * *")
        #expect(throws: CronError.self) { try CronSchedule.crontab("0 4 * * sun", timeZone: "Europe/Nowhere") }
        let service = JobService(queues: InMemoryQueues())
        service.schedule(Cleanup(), name: "paris", timeZone: paris).daily().at("4:00")
        service.addScheduledJob(Cleanup(room: "attic"), schedule: .every(.seconds(30)), accuracy: .all(max: 3), overlap: .skip)
        #expect(service.scheduler?.jobs.map(\.schedule.description) == ["0 4 * * * Europe/Paris", "every 30000 ms"])
        #expect(service.scheduler?.jobs.map(\.catchUp) == [.latest, .all(max: 3)] && service.scheduler?.jobs.map(\.overlap) == [.allow, .skip])
    }

    @Test("a scheduled job runs at its times, in a kit by its turned clock")
    func scheduled() async throws {
        let diary = Diary()
        let kit = JobTestKit { jobs in
            jobs.add(CleanupJob(diary: diary))
            jobs.addScheduledJob(Cleanup(), schedule: .hourly())
        }
        try await kit.drain()
        #expect(diary.all.isEmpty)
        for _ in 0..<3 { try await kit.turn(by: .seconds(3600)) }
        #expect(diary.all == ["cellar 1", "cellar 1", "cellar 1"])
        await kit.shutDown()
    }

    @Test("of several services each tick's job is one, and all of them end with their tasks")
    func several() async throws {
        let loop = try EventLoop.started(name: "schedules")
        let server = try await SharedRedis.server()
        let prefix = uniqueQueue() + ":"
        let diary = Diary()
        let every = CronSchedule.every(.milliseconds(50))
        let directories = (0..<3).map { RedisQueues(loop: loop, address: server.address, prefix: prefix, name: "schedules-\($0)") }
        let running = directories.map { queues in
            let service = JobService(queues: queues, configuration: .init(grace: .seconds(5)))
            service.registerJob(parameters: Cleanup.self) { _, context in diary.write(context.job.id) }
            service.addScheduledJob(Cleanup(), schedule: every, accuracy: .all(max: 1000))
            return Task { try await service.run() }
        }
        try await eventually("ticks come") { diary.all.count >= 20 }
        for task in running {
            task.cancel()
            try await task.value
        }
        let ticks = diary.all.compactMap { Timestamp.parse(String($0.dropFirst("cron:cleanup:".count))) }.sorted()
        #expect(ticks.count == diary.all.count && zip(ticks.dropFirst(), ticks).allSatisfy { $0 - $1 == 50 }, "\(diary.all)")
        for queues in directories { queues.close() }
        try await BlockingPool(name: "schedules-end", threads: 1).run { loop.stop() }
    }

    @Test("dispatch is push: later when asked, and tried no more often than the job or its kind allows")
    func dispatch() async throws {
        let diary = Diary()
        let queues = InMemoryQueues()
        let service = JobService(queues: queues)
        service.add(CleanupJob(diary: diary))
        try await service.dispatch(CleanupJob.self, Cleanup(room: "attic"), maxRetryCount: 0)
        try await service.dispatch(CleanupJob.self, Cleanup(room: "cellar"), delayUntil: .now + .seconds(3600))
        let receipt = try await service.dispatch(ReceiptJob.self, Receipt(), payment: "pay_1", delayUntil: JobTime(unixMs: 1))
        let driver = queues.memoryDriver(of: "housekeeping")
        let jobs = try await driver.peek(limit: 10).map { try JobEnvelope(decoding: $0) }
        #expect(jobs.map(\.kind) == ["cleanup", "receipt"] && jobs[1].id == receipt && jobs[1].payment == "pay_1")
        #expect(jobs.map(\.attemptsMax) == [1, nil])
        #expect(try await driver.counts().delayed == 1)
        try await service.start()
        try await eventually("the one without retries is buried") { try await driver.counts().dead == 1 }
        #expect(diary.all == ["attic 1 last"])
        await service.stop(by: .now + .seconds(5))
    }

    @Test("a job asks for fewer attempts than its kind allows, never for more", arguments: [(1, 2), (3, 4), (9, 5)])
    func maxRetryCount(asked: Int, attempts: Int) async throws {
        let diary = Diary()
        let kit = JobTestKit { $0.add(CleanupJob(diary: diary)) }
        try await kit.push(Cleanup(room: "attic"), options: JobOptions(maxRetryCount: asked))
        try await kit.drain(turning: .seconds(3600))
        #expect(diary.all == (1...attempts).map { $0 == attempts ? "attic \($0) last" : "attic \($0)" })
        #expect(try await kit.queues.dead(on: "housekeeping").count == 1)
        await kit.shutDown()
    }

    @Test("a moment counts from the push, or is a unix time")
    func moments() async throws {
        let later: [(JobTime, (Int64) -> Int64)] = [
            (.now + .seconds(60), { $0 + 60_000 }), (JobTime(unixMs: 2_000_000_000_005), { _ in 2_000_000_000_005 }),
            (JobTime(timeIntervalSince1970: 2_000_000_000.5) + .seconds(1), { _ in 2_000_000_001_500 }),
        ]
        for (time, dueMs) in later {
            let kit = JobTestKit { $0.registerJob(parameters: Cleanup.self) { _, _ in } }
            try await kit.push(Cleanup(), options: .delayUntil(time))
            #expect(kit.queues.memoryDriver(of: Cleanup.queue).nextDueMs == dueMs(kit.clock.nowMs))
            await kit.shutDown()
        }
    }
}
