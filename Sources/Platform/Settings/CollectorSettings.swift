import Formats

/// What the program that follows access logs is told.
public struct CollectorSettings: Sendable, Equatable {
    /// How a gateway writes a line.
    public enum LogFormat: String, Sendable, Equatable, CaseIterable {
        /// nginx with a `log_format … escape=json`.
        case nginxJSON = "nginx-json"
        case traefikJSON = "traefik-json"
        /// nginx' combined form with the host in front and `$bytes_sent` in the place of the body's bytes.
        case combined
        /// Traefik's common log format, which names the router and no host.
        case traefikCLF = "traefik-clf"
    }

    /// A log that is followed.
    public struct File: Sendable, Equatable {
        public let format: LogFormat
        public let path: String

        public init(_ format: LogFormat, _ path: String) {
            self.format = format
            self.path = path
        }
    }

    /// Whose traffic a host, a router or a service is.
    public struct Assignment: Sendable, Equatable {
        public let key: String
        public let project: String

        public init(_ key: String, _ project: String) {
            self.key = key
            self.project = project
        }
    }

    /// Where a log is begun that was never followed before.
    public enum Beginning: String, Sendable, CaseIterable { case end, beginning }

    public var files: [File] = []
    public var assignments: [Assignment] = []
    /// More of them, one a line.
    public var assignmentsFile: String?
    /// Without a slash at its end.
    public var ingestURL = "http://127.0.0.1:8080"
    public var key: Secret?
    public var beginning = Beginning.end
    /// How long lines are gathered before they are sent.
    public var interval = Duration.seconds(2)
    /// Where it keeps how far it has come.
    public var folder = "var/collector"

    public init() {}
}

extension Settings {
    static let collectorVariables: [SettingVariable] = [
        SettingVariable(
            "COLLECTOR_FILES", in: "collector", sample: "nginx-json=/var/log/nginx/quittance.log",
            "The access logs that quittance-collector follows: format=/path, several separated by blanks. Formats: nginx-json, combined, "
                + "traefik-json, traefik-clf (docs/collector.md)."),
        SettingVariable(
            "COLLECTOR_PROJECTS", in: "collector", sample: "shop.example.com=shop *.blog.example.com=blog router:shop@docker=shop",
            "Whose traffic it is: host=project, several separated by blanks; *.host for the hosts below it; router:, service: and label: in front "
                + "of what Traefik or the log's label says. What is not in it is listed, never guessed."),
        SettingVariable(
            "COLLECTOR_PROJECTS_FILE", in: "collector", sample: "/etc/quittance/projects",
            "The same in a file, one host=project a line, read anew when it changes."),
        SettingVariable(
            "COLLECTOR_INGEST_URL", in: "collector", sample: "http://127.0.0.1:8080", .mayHoldPassword,
            "Where the collector posts samples; ingest at INGEST_ADDRESS unless set."),
        SettingVariable(
            "COLLECTOR_KEY", in: "collector", sample: "...", .secret, "Its key: one of USAGE_SOURCE_KEYS, without the name in front."),
        SettingVariable(
            "COLLECTOR_START", in: "collector", standard: "end",
            "Where a log is begun that was never followed before: end or beginning. What comes later is always read whole."),
        SettingVariable(
            "COLLECTOR_INTERVAL", in: "collector", standard: "2s", "How long lines are gathered before they are sent, at most 1m."),
        SettingVariable(
            "COLLECTOR_STATE", in: "collector", sample: "/var/lib/quittance/collector",
            "The folder where the collector keeps how far it has come; collector in VAR_DIRECTORY unless set."),
    ]
}

extension SettingsReader {
    mutating func collector(varDirectory: String, ingestAddress: SocketAddress) -> CollectorSettings {
        var collector = CollectorSettings()
        collector.files = collectorFiles()
        collector.assignments = collectorAssignments()
        collector.assignmentsFile = path("COLLECTOR_PROJECTS_FILE")
        collector.ingestURL = "http://\(ingestAddress)"
        if raw("COLLECTOR_INGEST_URL") != nil { collector.ingestURL = url("COLLECTOR_INGEST_URL", schemes: ["http", "https"]) ?? "" }
        collector.key = raw("COLLECTOR_KEY").map { Secret($0) }
        collector.beginning = choice("COLLECTOR_START", CollectorSettings.Beginning.self)
        collector.interval = duration("COLLECTOR_INTERVAL", most: .seconds(60))
        collector.folder = raw("COLLECTOR_STATE").map(Settings.withoutSlash) ?? "\(varDirectory)/collector"
        return collector
    }

    private mutating func collectorFiles() -> [CollectorSettings.File] {
        let name = "COLLECTOR_FILES"
        var files: [CollectorSettings.File] = []
        for word in words(name) {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2, let format = CollectorSettings.LogFormat(rawValue: parts[0]), parts[1].hasPrefix("/"), !parts[1].hasSuffix("/"),
                !files.contains(where: { $0.path == parts[1] })
            {
                files.append(CollectorSettings.File(format, parts[1]))
            } else {
                let formats = CollectorSettings.LogFormat.allCases.map(\.rawValue).joined(separator: ", ")
                problem(
                    name, "\"\(word.prefix(80))\" is not format=/path", "one of \(formats), and an absolute path without blanks, each path once",
                    "\(name)=nginx-json=/var/log/nginx/quittance.log")
            }
        }
        return files
    }

    private mutating func collectorAssignments() -> [CollectorSettings.Assignment] {
        let name = "COLLECTOR_PROJECTS"
        return words(name).compactMap { word in
            if let assignment = CollectorSettings.Assignment(parsing: word) { return assignment }
            problem(
                name, "\"\(word.prefix(80))\" is not host=project",
                "host=project, *.host=project, router:name=project, service:name=project or "
                    + "label:name=project", "\(name)=shop.example.com=shop")
            return nil
        }
    }
}

extension CollectorSettings.Assignment {
    static let kinds = ["router:", "service:", "label:"]

    /// Reads `key=project`; nil when it is none.
    public init?(parsing text: String) {
        guard let equals = text.lastIndex(of: "=") else { return nil }
        let (key, project) = (text[..<equals].trimmed, text[text.index(after: equals)...].trimmed)
        guard Slug.isValid(project, most: 100) else { return nil }
        if let kind = Self.kinds.first(where: { key.hasPrefix($0) }) {
            let length = key.utf8.count - kind.utf8.count
            guard (1...200).contains(length), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
            self.init(key, project)
        } else {
            let host = key.lowercased()
            guard Self.isHost(host.hasPrefix("*.") ? host.dropFirst(2) : host[...]) else { return nil }
            self.init(host, project)
        }
    }

    /// Names and addresses as they stand in a Host header, without a port.
    private static func isHost(_ text: Substring) -> Bool {
        (1...253).contains(text.utf8.count) && !text.hasPrefix(".") && !text.hasSuffix(".")
            && text.utf8.allSatisfy { ASCII.isDigit($0) || (0x61...0x7A).contains($0) || "-._[]:".utf8.contains($0) }
    }
}
