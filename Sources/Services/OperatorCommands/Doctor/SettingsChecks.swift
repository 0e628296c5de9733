import ProviderCatalog
import ProviderPort
import Settings

/// Providers and keys.
enum SettingsChecks {
    static func findings(_ context: CommandContext) -> [Finding] {
        let settings = context.settings
        var findings: [Finding] = []
        if settings.secretKey == nil {
            findings.append(
                .warn("SECRET_KEY", "not set: there are no download links and no capability paths; set it to $(openssl rand -hex 32)"))
        } else {
            findings.append(.ok("SECRET_KEY", "set"))
        }
        return findings + sources(settings) + providers(settings)
    }

    /// The sources file, when there is one: whether it can be used, and whether the environment contradicts it.
    private static func sources(_ settings: Settings) -> [Finding] {
        let what = "SOURCES_FILE"
        let file = SourcesFile(path: settings.sourcesFile)
        switch file.read() {
        case .absent: return []
        case .copy(_, let problem): return [.fail(what, "\(problem): its last good copy is in force, and no change of it takes effect")]
        case .unusable(let problem): return [.fail(what, "\(problem): no program that needs it starts")]
        case .good(let book):
            do { _ = try ProviderCatalog.sources(try settings.applying(book)) } catch {
                return [.fail(what, "\(file.path) breaks a rule, and what was good before is in force: \(error)")]
            }
            let differences = settings.differences(from: book)
            guard !differences.isEmpty else { return [.ok(what, file.path)] }
            return differences.map { .fail($0.variable, "\($0.fault): no program starts; \($0.example)") }
        }
    }

    private static func providers(_ settings: Settings) -> [Finding] {
        let on = settings.providers.values.filter(\.isOn).sorted { $0.name < $1.name }
        guard !on.isEmpty else { return [.warn("providers", "none is on: set PROVIDER_MODE_<NAME> to sandbox or live")] }
        let sources: [ProviderCatalog.Source]
        do { sources = try ProviderCatalog.sources(settings) } catch { return [.fail("providers", error.message)] }
        // Of those that post there is more to say: see SourceChecks.
        return on.filter { provider in sources.contains { $0.adapter.name == provider.name && !$0.adapter.capabilities.hasWebhook } }
            .map { .ok($0.name, $0.mode.rawValue) }
    }
}
