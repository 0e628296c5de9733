import ProgramStart
import Settings
import Telemetry

/// The program `quittance`: understands its command line, runs one command, answers with an exit code.
public enum OperatorProgram {
    /// Every command, in the order in which the help lists them.
    static let table = CommandTable(
        commands: [
            StatusCommand.command, PaymentsCommand.command, TraceCommand.command,
        ] + EventsCommands.commands + [TasksCommand.command, ReconcileCommand.command] + MoneyCommands.commands + QueuesCommands.commands
            + JobsCommands.commands + JobsChanging.commands + WorkersCommands.commands + DeadCommands.commands + [
                RefusedCommand.command
            ] + CronCommands.commands
            + AccessCommands.commands + UserCommands.commands + LinkCommands.commands + IssuerCommands.commands + EffectsCommands.commands
            + LedgerCommands.commands
            + KitCommands.commands + ProductCommands.commands + TeamCommands.commands + PlanCommands.commands
            + UsageCommands.commands + OptOutCommands.commands + CustomerCommands.commands + [InvoicesCommand.command] + SourcesCommands.commands + [
                VerifyWebhookCommand.command, DoctorCommand.command, MigrateCommand.command,
                RebuildQueuesCommand.command, BackupCommand.command, RestoreCommand.command,
            ],
        standards: [
            "events": "list", "dead": "list", "queues": "list", "jobs": "list", "workers": "list", "effects": "list", "breakers": "list",
            "cron": "list", "network": "list",
            "apikey": "list", "user": "list",
            "issuer": "show", "source": "list",
            "ledger": "balances", "team": "list", "kit": "list", "product": "list", "prompt": "list", "template": "list",
            "opt-outs": "list",
        ])

    /// Runs the program. Help needs no settings; bad settings end the program with their code.
    /// - Parameter arguments: the command line without the program's own name.
    public static func main(_ arguments: [String], output: CommandOutput = .standard) async -> Int32 {
        switch understand(arguments, output: output) {
        case .answered(let code): return code.rawValue
        case .run(let invocation):
            let (settings, log) = ProgramStart.begin("quittance", sources: .tolerating)
            let code = await carryOut(invocation, CommandContext(settings: settings, output: output, log: log))
            Log.flush()
            return code.rawValue
        }
    }

    /// Runs a command line in a context of the caller's.
    public static func run(_ arguments: [String], in context: CommandContext) async -> ExitCode {
        switch understand(arguments, output: context.output) {
        case .answered(let code): code
        case .run(let invocation): await carryOut(invocation, context)
        }
    }

    private enum Understanding {
        case run(Invocation)
        /// Help, or a misunderstanding: answered already.
        case answered(ExitCode)
    }

    private static func understand(_ arguments: [String], output: CommandOutput) -> Understanding {
        switch table.request(arguments) {
        case .run(let invocation): return .run(invocation)
        case .help(let text):
            output.text(text)
            return .answered(.ok)
        case .wrong(let fault, let usage):
            output.misunderstood(fault, usage: usage)
            return .answered(.usage)
        }
    }

    private static func carryOut(_ invocation: Invocation, _ context: CommandContext) async -> ExitCode {
        let syntax = invocation.command.syntax
        do {
            return try await invocation.command.run(invocation, context)
        } catch let error as UsageError {
            context.output.misunderstood("\(syntax.name): \(error)", usage: syntax.usage)
            return .usage
        } catch let error as CommandFailure {
            context.output.error("quittance \(syntax.name): \(error)")
            return error.code
        } catch {
            context.output.error("quittance \(syntax.name): \(error)")
            return .failed
        }
    }
}

extension CommandOutput {
    fileprivate func misunderstood(_ fault: String, usage: String) {
        error("quittance: \(fault)")
        error("Usage: \(usage)")
        error("`quittance --help` lists the commands.")
    }
}
