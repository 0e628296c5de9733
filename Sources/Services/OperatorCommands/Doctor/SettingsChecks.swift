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
        return findings + providers(settings)
    }

    private static func providers(_ settings: Settings) -> [Finding] {
        let on = settings.providers.values.filter(\.isOn).sorted { $0.name < $1.name }
        guard !on.isEmpty else { return [.warn("providers", "none is on: set PROVIDER_MODE_<NAME> to sandbox or live")] }
        let sources: [ProviderCatalog.Source]
        do { sources = try ProviderCatalog.sources(settings) } catch { return [.fail("providers", error.message)] }
        return on.map { provider in
            guard sources.contains(where: { $0.adapter.name == provider.name }) else {
                return .warn(provider.name, "is \(provider.mode.rawValue), but has no adapter yet: set its mode to off")
            }
            if provider.hasProof && provider.secrets.isEmpty {
                return .warn(provider.name, "\(provider.mode.rawValue), without a secret: every webhook of it is refused")
            }
            return .ok(provider.name, provider.mode.rawValue)
        }
    }
}
