import Formats

/// What metering and the storage measurement are told.
public struct UsageSettings: Sendable, Equatable {
    /// Who may post samples.
    public struct Source: Sendable, Equatable {
        public let name: String
        public let key: Secret

        public init(name: String, key: Secret) {
            self.name = name
            self.key = key
        }
    }
    /// A folder that is a project's storage.
    public struct Folder: Sendable, Equatable {
        public let project: String
        public let path: String
    }

    /// A name may stand several times, each with another key.
    public var sources: [Source] = []
    /// Whether a team is told when a limit is reached, besides 80 % and 95 % of it.
    public var alertsOverLimit = true
    /// The unix socket of the Docker Engine API; nil measures no volumes and images.
    public var dockerSocket: String?
    public var projectLabel = "quittance.project"
    /// Its sub-folders are named by project.
    public var storageRoot: String?
    public var storageFolders: [Folder] = []

    public init() {}
}

extension SettingsReader {
    private enum Switch: String, CaseIterable { case on, off }

    static let sourceKeyLengthMin = 24

    mutating func usage() -> UsageSettings {
        var usage = UsageSettings()
        usage.sources = usageSources()
        usage.alertsOverLimit = choice("USAGE_ALERT_OVER_LIMIT", Switch.self) == .on
        usage.dockerSocket = path("DOCKER_SOCKET")
        usage.projectLabel = value("DOCKER_PROJECT_LABEL") ?? usage.projectLabel
        usage.storageRoot = path("STORAGE_ROOT")
        usage.storageFolders = storageFolders()
        return usage
    }

    private mutating func usageSources() -> [UsageSettings.Source] {
        let name = "USAGE_SOURCE_KEYS"
        var sources: [UsageSettings.Source] = []
        for word in words(name) {
            let parts = word.split(separator: ":", maxSplits: 1).map(String.init)
            if parts.count == 2, Slug.isValid(parts[0], most: 100), parts[1].utf8.count >= Self.sourceKeyLengthMin,
                parts[1].utf8.allSatisfy({ (0x21...0x7E).contains($0) })
            {
                sources.append(UsageSettings.Source(name: parts[0], key: Secret(parts[1])))
            } else {
                problem(
                    name, "a word of it is not name:key", "name:key, where the key has at least \(Self.sourceKeyLengthMin) visible ASCII characters",
                    "\(name)=gateway-1:$(openssl rand -hex 24)")
            }
        }
        // One key names one source.
        if Set(sources.map(\.key.value)).count < sources.count {
            problem(name, "a key stands in it twice", "a key of its own for each source", "\(name)=gateway-1:$(openssl rand -hex 24)")
        }
        return sources
    }

    private mutating func storageFolders() -> [UsageSettings.Folder] {
        let name = "STORAGE_FOLDERS"
        return words(name).compactMap { word in
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2, Slug.isValid(parts[0], most: 100), parts[1].hasPrefix("/") {
                return UsageSettings.Folder(project: parts[0], path: Settings.withoutSlash(parts[1]))
            }
            problem(name, "a word of it is not project=/path", "project=/path, the path absolute and without blanks", "\(name)=shop=/srv/shop")
            return nil
        }
    }

    /// An absolute path; nil when none is set.
    mutating func path(_ name: String) -> String? {
        guard let text = raw(name) else { return nil }
        if text.hasPrefix("/"), !text.utf8.contains(0) { return Settings.withoutSlash(text) }
        problem(name, "it is not a path", "an absolute path", "\(name)=/srv/…")
        return nil
    }
}
