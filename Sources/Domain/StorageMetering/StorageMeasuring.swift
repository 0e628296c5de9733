import Database
import DiskUsage
import Formats
import HTTPClient
import Telemetry
import Usage

/// What a run of the storage measurement did.
public struct StorageReport: Sendable, Equatable {
    /// An origin of which nothing could be measured; its earlier figures stand.
    public struct Failure: Sendable, Equatable {
        public let origin: String
        public let reason: String
        public let isTransient: Bool
    }

    /// Volumes, images and folders that were looked at.
    public var items = 0
    /// Failed origins, bad labels and names, folders that could not be read.
    public var errors = 0
    public var durationMs: Int64 = 0
    /// One sentence for each origin.
    public var detail = ""
    public var failures: [Failure] = []
    /// How many projects each origin has something of.
    public var projects: [String: Int] = [:]

    /// Whether running again may bring what this run could not.
    public var isWorthRetrying: Bool { failures.contains(where: \.isTransient) }
}

/// Measures the storage of all projects wherever it is configured to be, and records it: the body of the daily job.
///
/// Running it twice is harmless: figures are replaced, never added.
public struct StorageMeasuring: Sendable {
    public struct Configuration: Sendable {
        /// The unix socket of the Docker Engine API; nil measures no volumes and images.
        public var dockerSocket: String?
        /// The label that names the projects of a volume or image.
        public var projectLabel: String
        /// A folder whose sub-folders are named by project.
        public var root: String?
        public var folders: [StorageFolder]
        public var docker: DockerEngine.Options

        public init(
            dockerSocket: String? = nil, projectLabel: String = "quittance.project", root: String? = nil, folders: [StorageFolder] = [],
            docker: DockerEngine.Options = DockerEngine.Options()
        ) {
            self.dockerSocket = dockerSocket
            self.projectLabel = projectLabel
            self.root = root
            self.folders = folders
            self.docker = docker
        }

        /// The names under which figures are recorded.
        public var origins: [String] {
            (dockerSocket == nil ? [] : [Origin.docker]) + (root == nil && folders.isEmpty ? [] : [Origin.folders])
        }
    }

    enum Origin {
        static let docker = "docker"
        static let folders = "folders"
    }

    private let configuration: Configuration
    private let database: Database
    private let client: HTTPClient
    private let diskUsage: DiskUsage
    private let log: Log
    private let metrics: StorageMetrics

    public init(
        configuration: Configuration, database: Database, client: HTTPClient, diskUsage: DiskUsage, log: Log = Log("storage"),
        registry: MetricRegistry = .shared
    ) {
        self.configuration = configuration
        self.database = database
        self.client = client
        self.diskUsage = diskUsage
        self.log = log
        metrics = StorageMetrics(registry: registry)
    }

    /// Measures each configured origin by itself. One that fails keeps its figures, is marked, and does not stop the others.
    ///
    /// Figures are of the moment at which their origin began to be measured.
    /// - Throws: when figures could not be recorded, or the task was cancelled.
    public func run(tick: String, job: String, nowMs: @Sendable () -> Int64) async throws -> StorageReport {
        let started = ContinuousClock.now
        let log = log.with(["tick": .string(tick), "job": .string(job)])
        var report = StorageReport()
        var sentences: [String] = []
        for origin in configuration.origins {
            let beganMs = nowMs()
            do {
                let found = try await (origin == Origin.docker ? measureDocker() : measureFolders())
                try Task.checkCancellation()
                if found.items.allSatisfy({ $0.count == 0 }), try await database.read({ try StorageGauges.hasFigures(origin: origin, in: $0) }) {
                    throw NothingFound()
                }
                let measurement = StorageMeasurement(origin: origin, measuredAtMs: beganMs, projects: found.projects)
                report.projects[origin] = try await database.write { try StorageGauges.record(measurement, in: $0) }
                report.items += found.items.reduce(0) { $0 + $1.count }
                report.errors += found.errors
                metrics.note(origin, items: found.items, unknown: found.unknown)
                sentences.append("\(origin): \(found.sentence)")
                for problem in found.problems { log.warning("storage item is not counted as it stands", ["reason": .string(problem)]) }
            } catch {
                try Task.checkCancellation()
                guard let failure = Self.failure(of: origin, error) else { throw error }
                try await note(failure, nowMs: nowMs())
                report.failures.append(failure)
                report.errors += 1
                sentences.append("\(origin): failed, \(failure.reason)")
                log.error("storage could not be measured", ["origin": .string(origin), "reason": .string(failure.reason)])
            }
        }
        for origin in try await leftBehind() { sentences.append("\(origin): no longer configured, its figures stand until it is forgotten") }
        let elapsed = ContinuousClock.now - started
        metrics.noteRun(elapsed)
        report.durationMs = Int64(elapsed / .milliseconds(1))
        report.detail = sentences.isEmpty ? "nothing is configured to be measured" : sentences.joined(separator: "; ")
        return report
    }

    /// An engine that has lost everything at once has more likely lost its disk or its own store: what was known is kept.
    private struct NothingFound: Error {}

    /// Origins of earlier runs that no setting names now. A setting may be missing by mistake: people decide.
    private func leftBehind() async throws -> [String] {
        let origins = try await database.read { try StorageGauges.origins(in: $0) }
        return origins.filter { $0.isWhole && !configuration.origins.contains($0.name) }.map(\.name)
    }

    private func note(_ failure: StorageReport.Failure, nowMs: Int64) async throws {
        try await database.write { connection in
            try StorageGauges.recordFailure(origin: failure.origin, error: failure.reason, nowMs: nowMs, in: connection)
        }
    }

    /// Nil for what is no origin's failure, such as one of the database.
    private static func failure(of origin: String, _ error: any Error) -> StorageReport.Failure? {
        switch error {
        case let error as DockerEngineError: .init(origin: origin, reason: error.message, isTransient: error.isTransient)
        case is NothingFound: .init(origin: origin, reason: "nothing at all is there, where there was something before", isTransient: true)
        case let error as FolderStorage.Failure: .init(origin: origin, reason: error.description, isTransient: error.isTransient)
        default: nil
        }
    }

    // MARK: Origins

    /// What one origin was found to have.
    private struct Found: Sendable {
        var projects: [String: StorageMeasurement.Part]
        var items: [(kind: String, count: Int)]
        var unknown: Int
        var errors: Int
        var problems: [String]
        var sentence: String
    }

    private func measureDocker() async throws(DockerEngineError) -> Found {
        let engine = DockerEngine(socket: configuration.dockerSocket ?? "", client: client, options: configuration.docker)
        let inventory = try await engine.inventory(label: configuration.projectLabel)
        let shares = StorageAttribution(inventory)
        var sentence = "\(shares.volumes) volumes and \(shares.images) images of \(shares.projects.count) projects"
        if shares.unknownItems > 0 { sentence += ", \(shares.unknownItems) of unknown size" }
        if shares.unattributedItems > 0 { sentence += ", \(shares.unattributedItems) of nobody with \(shares.unattributedBytes) bytes" }
        if let shared = shares.sharedLayerBytes, shared > 0 { sentence += ", \(shared) bytes of layers in common" }
        if shares.labelErrors > 0 { sentence += ", \(shares.labelErrors) bad labels" }
        if inventory.warnings > 0 { sentence += ", \(inventory.warnings) warnings of the engine" }
        return Found(
            projects: shares.projects, items: [("volume", shares.volumes), ("image", shares.images)], unknown: shares.unknownItems,
            errors: shares.labelErrors + inventory.warnings, problems: shares.examples, sentence: sentence)
    }

    private func measureFolders() async throws -> Found {
        let folders = FolderStorage(root: configuration.root, folders: configuration.folders, diskUsage: diskUsage)
        let figures = try await folders.measure()
        let unknown = figures.projects.values.reduce(0) { $0 + $1.unknownItems }
        var sentence = "\(figures.folders) folders of \(figures.projects.count) projects"
        if unknown > 0 { sentence += ", \(unknown) entries of unknown size" }
        if !figures.problems.isEmpty { sentence += ", \(figures.problems.count) problems" }
        return Found(
            projects: figures.projects, items: [("folder", figures.folders)], unknown: unknown, errors: figures.problems.count,
            problems: Array(figures.problems.prefix(StorageAttribution.examplesMax)), sentence: sentence)
    }
}

/// What the measurement tells of itself.
struct StorageMetrics: Sendable {
    let registry: MetricRegistry

    func noteRun(_ elapsed: Duration) {
        registry.gauge("storage_run_seconds", help: "How long the last measurement of all storage took.").set(elapsed / .seconds(1))
    }

    func note(_ origin: String, items: [(kind: String, count: Int)], unknown: Int) {
        for (kind, count) in items {
            registry.gauge("storage_items", help: "What was measured last, by origin and kind.", labels: [("origin", origin), ("kind", kind)])
                .set(Double(count))
        }
        registry.gauge("storage_unknown_items", help: "Of it, what has no known size and is in no sum.", labels: [("origin", origin)])
            .set(Double(unknown))
    }
}
