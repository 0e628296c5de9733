import ErrorReports
import EventLoop
import Settings
import Telemetry

#if canImport(Glibc)
    import Glibc
#endif

/// What every program does first and last: signals, settings, log; then its services until it is asked to stop.
public enum ProgramStart {
    /// The exit code for settings that are missing or wrong (EX_CONFIG of sysexits).
    public static let badSettings: Int32 = 78

    /// Event loops of a server: one per core, eight at most.
    public static var loops: Int { min(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))), 8) }

    /// Prepares signals, reads the settings and sets up the log. With bad settings it lists every problem and ends the program.
    /// - Parameter sources: what the program does with the sources file.
    public static func begin(_ program: String, sources: Settings.SourcesUse = .reading) -> (settings: Settings, log: Log) {
        ProcessSignals.prepare()
        do {
            let settings = try Settings.load(sources)
            let name = settings.slot > 0 ? "\(program).\(settings.slot)" : program
            Log.configure(format: settings.logFormat == .text ? .text : .json, program: name, level: level(settings.logLevel))
            ProcessMetrics.register()
            if program != "quittance" { reportErrors(settings, program: name) }
            if let problem = settings.sourcesProblem { Log().error("sources file", ["problem": .string(problem)]) }
            return (settings, Log())
        } catch {
            fail("\(program): \(error)", code: badSettings)
        }
    }

    /// Sets up error reports, tells of an earlier run that crashed, and leaves this run's own note. An operator's command needs none: its
    /// errors are read by who called it.
    private static func reportErrors(_ settings: Settings, program: String) {
        let mode = mode(of: settings)
        if let dsn = settings.sentryDSN {
            if let address = SentryAddress(dsn: dsn.value) {
                ErrorReports.configure(
                    ErrorReporter(ErrorReporter.Configuration(address: address, program: program, release: Release.text, mode: mode)))
            } else {
                Log().warning("SENTRY_DSN names no project, errors are only logged")
            }
        }
        let folder = settings.varDirectory + "/run"
        for note in CrashNote.take(folder: folder, program: program) {
            let report = note.report
            Log().error("an earlier run ended without a goodbye", ["detail": .string(report.detail ?? "")])
            ErrorReports.report(report)
        }
        CrashNote.leave(folder: folder, program: program, release: Release.text, mode: mode)
    }

    /// A program that has one provider live is live.
    private static func mode(of settings: Settings) -> String {
        let modes = settings.providers.values.map(\.mode)
        return (modes.contains(.live) ? ProviderMode.live : modes.contains(.sandbox) ? .sandbox : .off).rawValue
    }

    /// Runs services until SIGTERM or SIGINT, then ends the program with the group's exit code.
    /// - Parameter prepare: gets the group before it runs, where something other than a signal may stop it.
    public static func run(
        _ services: [any Service], settings: Settings, log: Log, prepare: (ServiceGroup) -> Void = { _ in }
    ) async -> Never {
        let group = ServiceGroup(services: services, grace: settings.shutdownGrace, log: log)
        prepare(group)
        let code = await group.run()
        await ErrorReports.flush(within: .seconds(2))
        Log.flush()
        exit(code)
    }

    /// Says why the program cannot run, and ends it.
    public static func fail(_ message: String, code: Int32 = 1) -> Never {
        let line = Array((message + "\n").utf8)
        _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
        Log.flush()
        exit(code)
    }

    private static func level(_ level: Settings.LogLevel) -> Log.Level {
        switch level {
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}
