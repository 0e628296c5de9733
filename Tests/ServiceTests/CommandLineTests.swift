import Database
import OperatorCommands
import Settings
import TestSupport
import Testing

@Suite("The command line of quittance")
struct CommandLineTests {
    private func run(_ arguments: [String]) async throws -> CommandResult { try await CommandStage.make(migrated: false).run(arguments) }

    @Test("the help lists every command and every exit code")
    func help() async throws {
        let result = try await run(["--help"])
        #expect(
            result
                == CommandResult(
                    code: .ok,
                    out: """
                        Usage: quittance COMMAND [OPTION …]

                        The operator's command of Quittance. Results go to standard output, logs and errors to standard error.

                          status               where everything stands: payments, events, jobs, queues, tasks, spool, usage, scheduled work
                          payments             the newest payments
                          trace                the whole life of a payment: attempts, events, states, ledger, jobs, documents, messages, tasks
                          events list          the newest events that matched nothing or could not be believed
                          events replay        take archived events up again: match them, read them, ask about them anew
                          tasks                what a person has to look at
                          reconcile            ask the providers about payments that wait
                          refunds list         the refunds of a payment, and where each stands
                          refunds settle       end a refund that does not come to an end, by what was found out at the provider
                          held list            money of a payment that came in and cannot be counted as it stands
                          held settle          decide about such money: it went back, or counts as an amount of what is owed
                          queues list          what waits on each queue, what is in hand, what is dead, and how many workers there are
                          queues show          one queue: what stands where, what operators have said, how old the next job is
                          queues pause         hand nothing over, or no job of a kind, until it is resumed; what runs is finished
                          queues resume        go on; jobs that were put aside come back to the head of the queue
                          queues limit         let all workers of a queue together hold at most so many jobs
                          queues drain         wait until everything that stands on a queue now has come to its end
                          queues clear         delete every job that stands on a queue; their records in SQL say why
                          jobs list            the jobs that stand on the queues, in the order in which they will be claimed
                          jobs show            one job: where it stands, its record, its failed attempts
                          jobs cancel          leave jobs off: what waits is gone, what runs is stopped within about a second
                          jobs retry           try jobs now: what is delayed goes to the head of its queue, what is dead goes back as new
                          jobs move            move jobs to another queue, with their due time and history
                          jobs delete          delete jobs that stand on a queue; their records in SQL say why
                          workers list         the workers of every queue, with what they have in hand
                          dead list            what was given up, the latest first, with its reason
                          dead show            one that was given up: why, its failed attempts, its body with what is sensitive hidden
                          dead replay          put what was given up back on its queue, as new
                          dead delete          forget what was given up; its record in SQL stays
                          replay               put what was given up back on its queue, as new
                          refused              posts that ingest refused, the latest first: why, from where, what they looked like
                          cron list            the scheduled entries with their last and next tick, UTC
                          cron next            when an entry is due next, by UTC and by the clocks of its zone
                          cron run             run the latest tick of an entry that is due and did not run yet
                          cron pause           let an entry rest until it is resumed
                          cron resume          let a paused entry run again; ticks missed meanwhile do not come back
                          apikey create        make an API key; its text is shown this once
                          apikey list          API keys, without their text
                          apikey revoke        end an API key, at once and for good
                          user add             let somebody sign in to the console
                          user list            who may sign in to the console
                          user disable         end what somebody may do, their sessions too
                          user enable          let somebody sign in again, with the password and the codes they had
                          user reset-password  give somebody a new password; their sessions end
                          link make            make a payment link: a page where whoever has it can pay
                          link send            send the customer a payment link, by the channel that reaches them
                          link revoke          take back every link that was made to a payment
                          issuer show          who issues invoices, per mode
                          issuer set           set who issues the invoices of a mode
                          issuer example       set an example issuer for the sandbox, unless there is one
                          effects list         calls to the outside, the latest first, with what is known of them
                          effects settle       say what became of a call that nobody knows the result of
                          breakers list        the dependencies that were called within the last day, and which of them are ill
                          breakers reset       let calls to a dependency pass again
                          ledger balances      what stands on each account, debits minus credits
                          ledger entries       the entries of one payment
                          ledger verify        compare every payment with its entries
                          kit list             inquiries, newest first
                          kit show             an inquiry with its drafts, finals, attachments, what it cost and what was done to it
                          kit edit             correct texts of an inquiry; drafts that are there stay as they are
                          kit regenerate       have another version of the draft made; those before it stay
                          kit attach           make a Word or PDF document the final of a kit; one of before stays as an older version
                          kit publish          let the customer download the final, and tell them
                          kit revoke           take a publication back: its links are over
                          kit reissue          send the customer another link in place of the last one
                          product list         what is sold, at which price
                          product set          change a product, or enter a new one
                          prompt list          what the AI is told when it writes drafts, every version
                          prompt add           add a version and have drafts written by it from now on
                          prompt use           have drafts written by a version of before
                          template list        the installed templates of the document
                          template check       look into a template and fill it once; install nothing
                          template add         check a template, fill it once, and have drafts made with it from now on
                          template use         have drafts made with a version of before
                          team list            the teams with their plans
                          team show            a team with its plan, what it may use and what it uses, its people and projects
                          team put             enter a team or change it
                          team member          enter a person of a team, or change one
                          team project         enter a project of a team, or change one
                          team plans           how a team's plan has moved, the latest first
                          team end             let a team fall back to Free when its period ends
                          team keep            let a team's plan go on after its period, if it is paid, where it was to end
                          usage show           what a team and its projects used in a UTC month
                          usage top            the teams that use most this month
                          usage runs           what the scheduled runs did, the latest first
                          usage alerts         what teams were told, the latest first
                          usage rejected       samples that were not counted, the latest first
                          usage origins        where storage is measured, when it last was, and whether that is too long ago
                          usage forget         forget where storage is measured no more, with its figures
                          usage key            make a random key for a source of samples, and print the word for USAGE_SOURCE_KEYS
                          opt-outs list        who does not want to be written to, and on which channel
                          opt-outs add         write to an address or a number no more, on one channel
                          opt-outs remove      write to an address or a number again
                          customer export      everything that is held of a person, as JSON
                          customer erase       overwrite everything personal that is held of a person; books and invoices stay
                          invoices verify      prove that no invoice number is missing or given twice
                          source list          the providers: mode, proof of their webhooks, paths
                          source on            take a provider's webhooks, in the mode it was given
                          source off           take nothing more from a provider
                          source mode          whether a provider's money is real
                          source trust         what a provider's webhooks are taken for
                          source ranges        where a provider's webhooks come from, and what becomes of those from elsewhere
                          source rotate        give a provider a new secret beside its old one, or retire the old one
                          source import        take what the environment says of the sources into the sources file
                          network list         the ways to pay of each provider that is on, with their limits, and those that are off
                          network off          offer a way to pay to nobody, and refuse it
                          network on           offer a way to pay again
                          verify-webhook       say whether a post would be believed, and why, without sending it
                          doctor               look at everything this installation stands on, and say what to do
                          migrate              bring the database to this program's version and make the folders it needs
                          rebuild-queues       fill an emptied Redis again: unfinished jobs from SQL, events and samples from ingest's journals
                          backup               back up the database, private files, sources and journals, while everything runs
                          restore              put a backup in place, once each of its files is proved to be what was backed up

                        `quittance COMMAND --help` explains one. Listings take --json.

                        Exit codes: 0 done, 1 failed, 2 command line not understood, 3 already done or nothing to do, 4 not found, 5 still at work, 78 bad settings.

                        """, err: ""))
        #expect(try await run(["help"]) == result)
        #expect(try await run(["-h"]) == result)
    }

    @Test(
        "the help of one command explains its words", arguments: [["cron", "run", "--help"], ["help", "cron", "run"], ["cron", "run", "x", "-h"]])
    func helpOfCommand(arguments: [String]) async throws {
        #expect(
            try await run(arguments)
                == CommandResult(
                    code: .ok,
                    out: """
                        Usage: quittance cron run ENTRY [--now] [--wait SECONDS]

                        Run the latest tick of an entry that is due and did not run yet.

                          ENTRY           a name that `quittance cron list` shows
                          --now           an extra tick with a name of its own, whatever is due
                          --wait SECONDS  where the tick adds a job: wait so long for the job's end
                          --help          print this text

                        Prints one line of JSON: entry, tick, result (done, already done, failed, skipped, nothing due), detail; for usage-storage \
                        and usage-limits also run: what their job did (outcome, items, errors, duration_ms, detail), null until it begins. The same \
                        tick never runs twice, whoever runs it. What is due is for Redis' clock to say.

                        Exit codes: 0 done, 1 the tick or its job failed, 3 already done, skipped or nothing due, 5 the job is still at work after the wait.

                        """, err: ""))
    }

    @Test("the help of a group lists its commands", arguments: [["dead", "--help"], ["help", "dead"]])
    func helpOfGroup(arguments: [String]) async throws {
        #expect(
            try await run(arguments)
                == CommandResult(
                    code: .ok,
                    out: """
                        Usage:
                          quittance dead list [--queue QUEUE] [--kind KIND] [--payment PAYMENT] [--error ERROR] [--older-than AGE] [--limit N] \
                        [--by-error] [--json]
                          quittance dead show ID [--queue QUEUE] [--json]
                          quittance dead replay [ID] [--all] [--kind KIND] [--payment PAYMENT] [--error ERROR] [--older-than AGE] [--limit N] \
                        [--queue QUEUE] [--json]
                          quittance dead delete [ID] [--all] [--kind KIND] [--payment PAYMENT] [--error ERROR] [--older-than AGE] [--limit N] \
                        [--queue QUEUE] [--json]

                          dead list    what was given up, the latest first, with its reason
                          dead show    one that was given up: why, its failed attempts, its body with what is sensitive hidden
                          dead replay  put what was given up back on its queue, as new
                          dead delete  forget what was given up; its record in SQL stays

                        """, err: ""))
    }

    @Test(
        "what is wrong with a command line is said, with the usage that helps",
        arguments: [
            ([], "a command is missing", "COMMAND [OPTION …]"),
            (["reconile"], "unknown command 'reconile'; did you mean reconcile?", "COMMAND [OPTION …]"),
            (["frobnicate"], "unknown command 'frobnicate'", "COMMAND [OPTION …]"),
            (["help", "nothing"], "there is no command 'nothing'", "COMMAND [OPTION …]"),
            (["dead", "rplay"], "dead has no 'rplay'; did you mean replay?", "dead list|show|replay|delete"),
            (["invoices"], "invoices needs a further word", "invoices verify"),
            (["trace"], "trace: PAYMENT is missing", "trace PAYMENT [--json]"),
            (["trace", "a", "b"], "trace: there is one word too many: 'b'", "trace PAYMENT [--json]"),
            (["trace", "a", "--jsn"], "trace: unknown option --jsn; did you mean --json?", "trace PAYMENT [--json]"),
            (["tasks", "--json", "--json"], "tasks: --json is given twice", "tasks [--json]"),
            (["tasks", "--json=yes"], "tasks: --json takes no value", "tasks [--json]"),
            (
                ["reconcile", "--min-age"], "reconcile: --min-age needs a value: --min-age MINUTES",
                "reconcile [--min-age MINUTES] [--dry-run] [--json]"
            ),
            (
                ["reconcile", "--min-age", "--dry-run"], "reconcile: --min-age needs a value: --min-age MINUTES",
                "reconcile [--min-age MINUTES] [--dry-run] [--json]"
            ),
            (
                ["reconcile", "--min-age", "soon"], "reconcile: --min-age takes a whole number from 0 to 525600, not 'soon'",
                "reconcile [--min-age MINUTES] [--dry-run] [--json]"
            ),
            (["apikey", "create"], "apikey create: --name NAME is missing", "apikey create --name NAME [--scope SCOPE …] [--json]"),
            (
                ["payments", "--state", "payed"],
                "payments: --state takes one of created, pending, processing, authorised, paid, partially_paid, failed, cancelled, expired, "
                    + "conflicted, partially_refunded, refunded, charged_back, not 'payed'",
                "payments [--state STATE] [--limit N] [--json]"
            ),
        ])
    func misunderstood(arguments: [String], fault: String, usage: String) async throws {
        let expected = CommandResult(
            code: .usage, out: "", err: "quittance: \(fault)\nUsage: quittance \(usage)\n`quittance --help` lists the commands.\n")
        #expect(try await run(arguments) == expected)
    }

    @Test("before the first migration every command that reads SQL says what to do")
    func needsMigration() async throws {
        let stage = try await CommandStage.make(migrated: false)
        for arguments in [["status"], ["payments"], ["trace", "x"], ["cron"], ["apikey"], ["issuer"], ["ledger"], ["reconcile"]] {
            let result = await stage.run(arguments)
            #expect(result.code == .failed && result.out == "")
            #expect(result.err.hasSuffix(": there is no database at \(stage.databasePath) yet: run `quittance migrate`\n"), "\(result.err)")
        }
        #expect(!fileExists(stage.databasePath))
    }
}

@Suite("The program quittance as a process")
struct CommandProcessTests {
    private func process(_ stage: CommandStage, _ arguments: [String], _ more: [String: String] = [:]) async throws -> ProcessFixture {
        var environment = ["VAR_DIRECTORY": stage.folder.file("var"), "REDIS_URL": stage.redis?.url ?? CommandStage.nowhere, "PATH": "/usr/bin:/bin"]
        environment.merge(more) { $1 }
        let process = try await ProcessFixture.start(try builtProduct("quittance"), arguments, environment: environment)
        try await process.waitForExit(within: .seconds(60))
        return process
    }

    @Test("results are on standard output, logs on standard error, the exit code tells")
    func streams() async throws {
        let stage = try await CommandStage.make(redis: true)
        let process = try await process(stage, ["cron", "run", "outbox-sweep", "--now"])
        #expect(process.ending == .exited(0))
        #expect(process.output.count == 1)
        #expect(process.output.first?.contains(#""result":"done","detail":"0 jobs of 0 slots published"}"#) == true)
    }

    @Test("bad settings end it with 78 and every problem")
    func badSettings() async throws {
        let stage = try await CommandStage.make()
        let process = try await process(stage, ["status"], ["REDIS_URL": "redis+sentinel://x/y", "PROVIDER_MODE_CINETPAY": "maybe"])
        #expect(process.ending == .exited(78))
        #expect(process.output == [])
        #expect(process.errors.contains { $0.hasPrefix("- REDIS_URL: ") })
        #expect(process.errors.contains { $0.hasPrefix("- PROVIDER_MODE_CINETPAY: ") })
    }

    @Test("help and misunderstandings need no settings")
    func helpWithoutSettings() async throws {
        let stage = try await CommandStage.make()
        let bad = ["REDIS_URL": "nonsense"]
        #expect(try await process(stage, ["--help"], bad).ending == .exited(0))
        #expect(try await process(stage, ["nonsense"], bad).ending == .exited(2))
        #expect(try await process(stage, [], bad).ending == .exited(2))
    }

    @Test("two processes that run the same tick at once run it once")
    func oneTick() async throws {
        let stage = try await CommandStage.make(redis: true)
        #expect(await stage.run("cron", "list").code == .ok)
        // Installed long ago, so that a tick is due for certain.
        try await stage.write { connection in
            try connection.execute("INSERT INTO scheduling_entries (name, expression, created_at) VALUES ('purge', '30 3 * * *', 0)")
        }
        let endings = try await withThrowingTaskGroup(of: ProcessFixture.Ending?.self) { group in
            for _ in 0..<3 { group.addTask { try await process(stage, ["cron", "run", "purge"]).ending } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(endings.filter { $0 == .exited(0) }.count == 1)
        #expect(endings.filter { $0 == .exited(3) }.count == 2)
    }
}
