import Database
import Formats
import JobQueue
import OperatorCommands
import Outbox
import Payments
import TestSupport
import Testing

@Suite("quittance cron and reconcile")
struct CommandCronTests {
    static let freshTable = """
        entry            schedule     zone  catch up  overlap  paused  last tick  last outcome  last detail  next                 summary
        reconcile        */5 * * * *  UTC   latest    allow    no      -          -             -            2026-11-21 08:05:00  ask providers \
        about payments that wait, after 2, 5, 15 and 60 minutes, 6 hours and a day
        reconcile-books  40 2 * * *   UTC   latest    allow    no      -          -             -            2026-11-22 02:40:00  compare what is \
        booked of two days with what providers list
        outbox-sweep     * * * * *    UTC   latest    allow    no      -          -             -            2026-11-21 08:01:00  publish jobs left \
        behind by programs that went away
        purge            * * * * *    UTC   latest    allow    no      -          -             -            2026-11-21 08:01:00  remove job \
        records, events, answers, ticks and effects when their time is over
        unmatched        * * * * *    UTC   latest    allow    no      -          -             -            2026-11-21 08:01:00  ask providers \
        whose the references are that lead to no payment
        attachments      25 3 * * *   UTC   latest    skip     no      -          -             -            2026-11-22 03:25:00  remove files \
        of inquiries that nobody paid for
        usage-storage    0 4 * * *    UTC   latest    allow    no      -          -             -            2026-11-22 04:00:00  measure the \
        storage of every project: Docker and folders
        usage-limits     0 6 * * *    UTC   latest    allow    no      -          -             -            2026-11-22 06:00:00  compare what \
        every team used with its plan, and tell its people
        plans-renewal    */5 * * * *  UTC   latest    allow    no      -          -             -            2026-11-21 08:05:00  remind of the \
        end of paid periods, and end those that nobody paid on

        """

    private static let done = #"{"entry":"reconcile","tick":"2026-11-21T08:05Z","result":"done","detail":"0 asked, 0 given up"}"# + "\n"
    private static let again = #"{"entry":"reconcile","tick":"2026-11-21T08:05Z","result":"already done","detail":null}"# + "\n"

    @Test("list shows every entry with its last and next tick")
    func list() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("cron", "list") == CommandResult(code: .ok, out: Self.freshTable, err: ""))
        #expect(await stage.run("cron") == CommandResult(code: .ok, out: Self.freshTable, err: ""))
        _ = await stage.run("cron", "run", "purge")
        stage.turn(byMs: 20 * 60 * 60_000)
        _ = await stage.run("cron", "run", "purge")
        let json = try await stage.json("cron", "list", "--json")
        #expect(
            json[3] == [
                "entry": "purge", "schedule": "* * * * *", "zone": "UTC", "catch_up": "latest", "overlap": "allow", "paused": false,
                "last_tick": "2026-11-22T04:00Z", "last_outcome": "done",
                "last_detail": "0 jobs, 0 events, 0 answers, 0 ticks, 0 effects, 0 idempotent calls, 0 usage rows removed",
                "next": "2026-11-22T04:01:00.000Z",
                "summary": "remove job records, events, answers, ticks and effects when their time is over",
            ])
    }

    @Test("next tells when an entry is due")
    func next() async throws {
        let stage = try await CommandStage.make()
        #expect(
            await stage.run("cron", "next", "purge", "2")
                == CommandResult(
                    code: .ok,
                    out: """
                        tick               at                   local                       zone
                        2026-11-21T08:01Z  2026-11-21 08:01:00  2026-11-21 08:01:00 +00:00  UTC
                        2026-11-21T08:02Z  2026-11-21 08:02:00  2026-11-21 08:02:00 +00:00  UTC

                        """, err: ""))
        #expect(await stage.run("cron", "next", "purge", "--count", "2").out == (await stage.run("cron", "next", "purge", "2")).out)
        #expect(try await stage.json("cron", "next", "purge", "--json").array?.count == 10)
        #expect(await stage.run("cron", "next", "purge", "0").code == .usage)
        #expect(await stage.run("cron", "next", "purge", "--count", "1001").code == .usage)
        #expect(await stage.run("cron", "next", "purge", "2", "--count", "2").code == .usage)
        let missing = CommandResult(
            code: .notFound, out: "",
            err:
                "quittance cron next: there is no entry 'x'; the entries are reconcile, reconcile-books, outbox-sweep, purge, unmatched, attachments, "
                + "usage-storage, usage-limits, plans-renewal\n")
        #expect(await stage.run("cron", "next", "x") == missing)
    }

    @Test("a tick runs once: done, then already done")
    func once() async throws {
        let stage = try await CommandStage.make()
        // The first call makes the entry known; ticks from before that were never due.
        stage.turn(byMs: 2 * 60_000)
        let nothing = #"{"entry":"reconcile","tick":null,"result":"nothing due","detail":null}"# + "\n"
        #expect(await stage.run("cron", "run", "reconcile") == CommandResult(code: .nothingDue, out: nothing, err: ""))
        stage.turn(byMs: 4 * 60_000)
        #expect(await stage.run("cron", "run", "reconcile") == CommandResult(code: .ok, out: Self.done, err: ""))
        #expect(await stage.run("cron", "run", "reconcile") == CommandResult(code: .nothingDue, out: Self.again, err: ""))
        let extra = await stage.run("cron", "run", "reconcile", "--now")
        #expect(extra.code == .ok && extra.out.contains(#""tick":"manual-"#))
    }

    @Test("of several runs at the same moment one is done")
    func concurrently() async throws {
        let stage = try await CommandStage.make()
        _ = await stage.run("cron", "run", "reconcile")
        stage.turn(byMs: 5 * 60_000)
        let results = await withTaskGroup(of: CommandResult.self) { group in
            for _ in 0..<6 { group.addTask { await stage.run("cron", "run", "reconcile") } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.filter { $0 == CommandResult(code: .ok, out: Self.done, err: "") }.count == 1)
        #expect(results.filter { $0 == CommandResult(code: .nothingDue, out: Self.again, err: "") }.count == 5)
    }

    @Test("a failed tick says so with exit code 1, and may be run again")
    func failed() async throws {
        let stage = try await CommandStage.make()
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        stage.turn(byMs: 60_000)
        // Jobs wait to be published, and Redis is away.
        let result = await stage.run("cron", "run", "outbox-sweep")
        #expect(
            result
                == CommandResult(
                    code: .failed,
                    out: #"{"entry":"outbox-sweep","tick":"2026-11-21T08:01Z","result":"failed","detail":"\#(CommandTraceTests.redisIsAway)"}"#
                        + "\n",
                    err: ""))
        #expect(await stage.run("cron", "run", "outbox-sweep") == result)
    }

    @Test("what is due is for Redis' clock to say, not for the caller's")
    func redisTime() async throws {
        let stage = try await CommandStage.make(redis: true, asksRedisForTheTime: true)
        stage.turn(byMs: 400 * 24 * 60 * 60_000)
        // Makes the entry known, by Redis' time: by the caller's it would never be due.
        _ = await stage.run("cron", "resume", "purge")
        let since = try await stage.write { try $0.first("SELECT created_at FROM scheduling_entries WHERE name = 'purge'")?.int("created_at") ?? 0 }
        #expect(abs(since - WallClock.nowMs) < 60_000)
        try await stage.write { _ = try $0.execute("UPDATE scheduling_entries SET created_at = created_at - 120000", []) }
        let ran = await stage.run("cron", "run", "purge")
        #expect(ran.code == .ok, "\(ran)")
        let tick = try JSON(parsing: Array(ran.out.utf8))["tick"]?.string.flatMap { Timestamp.parse($0.replacing("Z", with: ":00Z")) } ?? 0
        #expect((WallClock.nowMs - 120_000...WallClock.nowMs).contains(tick), "\(ran.out)")
        let next = try await stage.json("cron", "next", "purge", "1", "--json")
        #expect(abs((next[0]?["at"]?.string.flatMap { Timestamp.parse($0) } ?? 0) - WallClock.nowMs) < 120_000)
    }

    @Test("without Redis nobody knows what is due: nothing is entered, and the look ahead goes by this machine's clock")
    func redisAway() async throws {
        let stage = try await CommandStage.make(asksRedisForTheTime: true)
        for words in [["run", "purge"], ["run", "purge", "--now"], ["pause", "purge"], ["resume", "purge"]] {
            let result = await stage.run(["cron"] + words)
            #expect(result.code == .failed && result.err.contains(CommandTraceTests.redisIsAway), "\(words): \(result)")
        }
        #expect(try await stage.write { try $0.query("SELECT name FROM scheduling_entries", []) }.isEmpty)
        #expect(await stage.run("cron", "list").out == Self.freshTable)
        #expect(await stage.run("cron", "next", "purge", "1").code == .ok)
    }

    @Test("a sweep publishes what was left behind")
    func sweep() async throws {
        let stage = try await CommandStage.make(redis: true)
        let kit = try await stage.orderKit()
        try await stage.notify(kit)
        stage.turn(byMs: 60_000)
        let result = await stage.run("cron", "run", "outbox-sweep")
        #expect(result.out.contains(#""result":"done","detail":"3 jobs of 1 slots published""#))
        #expect(try await stage.withQueue("drafts") { try await $0.counts().ready } == 1)
    }

    @Test("a paused entry rests until it is resumed")
    func pause() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("cron", "pause", "purge") == CommandResult(code: .ok, out: "purge is now paused\n", err: ""))
        #expect(await stage.run("cron", "pause", "purge") == CommandResult(code: .nothingDue, out: "purge was already paused\n", err: ""))
        stage.turn(byMs: 20 * 60 * 60_000)
        #expect(await stage.run("cron", "run", "purge").code == .nothingDue)
        #expect(try await stage.json("cron", "--json")[3]?["next"] == .null)
        #expect(await stage.run("cron", "resume", "purge") == CommandResult(code: .ok, out: "purge is now running\n", err: ""))
        #expect(await stage.run("cron", "run", "purge").code == .ok)
    }

    // MARK: Reconcile

    @Test("reconcile gives up an order that has waited for sixty days, and leaves the young alone")
    func reconcile() async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("reconcile") == CommandResult(code: .nothingDue, out: "Nothing waits.\n0 asked, 0 given up\n", err: ""))
        let kit = try await stage.orderKit()
        stage.turn(byMs: 10 * 60_000)
        #expect(await stage.run("reconcile").code == .nothingDue)
        stage.turn(byMs: 73 * 60 * 60_000)
        _ = await stage.run("reconcile")
        #expect(try await stage.json("payments", "--json")[0]?["state"] != "expired")
        stage.turn(byMs: 57 * 24 * 60 * 60_000)
        let table = """
            payment                         attempt                   provider           waits for  action
            \(kit.payment)  \(kit.attempt)  standard-webhooks  60 days    give_up

            """
        #expect(await stage.run("reconcile", "--dry-run") == CommandResult(code: .ok, out: table, err: ""))
        #expect(await stage.run("reconcile") == CommandResult(code: .ok, out: table + "0 asked, 1 given up\n", err: ""))
        #expect(await stage.run("reconcile").code == .nothingDue)
        #expect(try await stage.json("payments", "--json")[0]?["state"] == "expired")
    }

    @Test("reconcile asks through a job on the queue; without Redis the job waits for the sweep")
    func asks() async throws {
        let cinetPay = [
            "PROVIDER_MODE_CINETPAY": "sandbox", "CINETPAY_API_KEY": "k", "CINETPAY_SITE_ID": "1", "CINETPAY_WEBHOOK_SECRET": "s",
        ]
        for wantsRedis in [true, false] {
            let stage = try await CommandStage.make(redis: wantsRedis, cinetPay)
            let kit = try await stage.orderKit()
            let nowMs = stage.nowMs
            try await stage.write { connection in
                let payment = try PaymentStore.require(kit.payment, in: connection)
                _ = try PaymentStore.startAttempt(
                    of: payment, provider: "cinetpay", mode: "sandbox", method: nil, nowMs: nowMs, in: connection)
            }
            stage.turn(byMs: 60 * 60_000)
            let result = await stage.run("reconcile", "--min-age", "30", "--json")
            #expect(result.code == .ok)
            #expect(try JSON(parsing: Array(result.out.utf8))["asked"] == 1)
            let job = try await stage.job("payment.verify", of: kit.payment)
            if wantsRedis {
                #expect(result.err == "")
                #expect(try await stage.withQueue("payments") { try await $0.counts().ready } == 1)
                #expect(job.publishedAtMs != nil)
            } else {
                #expect(
                    result.err == "quittance reconcile: the questions wait for the scheduler's sweep: \(CommandTraceTests.redisIsAway)\n")
                #expect(job.publishedAtMs == nil)
            }
        }
    }
}
