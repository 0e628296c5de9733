import Formats
import Settings

/// `quittance doctor`: looks at everything this installation stands on.
enum DoctorCommand {
    static let command = Command(
        CommandSyntax(
            "doctor", "look at everything this installation stands on, and say what to do",
            options: [.flag("--settings", "show every setting, not only those that are set"), .json],
            notes: [
                "Each line is ok, warn or fail. Secrets are never shown. Of each source that is on: mode and policy, the address to enter at the "
                    + "provider, where its secret goes, the last event accepted and refused.",
                "Exit codes: 0 nothing fails, 1 something does.",
            ])
    ) { invocation, context in
        let settings = context.settings.describe().filter { $0.isSet || invocation.has("--settings") }
        var findings = SettingsChecks.findings(context)
        findings += await SourceChecks.findings(context)
        findings += FolderChecks.findings(context)
        findings += await StorageChecks.findings(context)
        findings += await DatabaseChecks.findings(context)
        findings += await RedisChecks.findings(context)
        findings += await QueueChecks.findings(context)
        findings += await CronChecks.findings(context)
        findings += BackupChecks.findings(context)
        findings += DraftChecks.findings(context)
        findings += await MailChecks.findings(context)
        findings += await MessageChecks.findings(context)
        findings += await UsageChecks.findings(context)
        let failures = findings.filter { $0.level == .fail }.count
        let warnings = findings.filter { $0.level == .warn }.count
        if invocation.wantsJSON {
            let described = settings.map { JSON.object(["name": .string($0.name), "value": .string($0.value), "set": .bool($0.isSet)]) }
            context.output.json([
                "ok": .bool(failures == 0), "settings": .array(described), "findings": .array(findings.map(\.json)),
            ])
        } else {
            context.output.line("Settings")
            for line in Columns.lines(settings.map { ($0.name, $0.value.isEmpty ? "-" : $0.value) }) { context.output.line(line.onOneLine) }
            if settings.isEmpty { context.output.line("  none is set: the standard values count") }
            context.output.line("")
            let rows = Columns.lines(findings.map { ($0.what, $0.text.onOneLine) })
            for (finding, row) in zip(findings, rows) {
                context.output.line(finding.level.rawValue + (finding.level == .ok ? "  " : "") + row)
            }
            context.output.line("")
            context.output.line("\(findings.count - failures - warnings) ok, \(warnings) warn, \(failures) fail")
        }
        return failures == 0 ? .ok : .failed
    }
}
