import Database
import EventLoop
import Formats
import HTTPClient
import PaymentsService
import Settings
import Usage

/// What metering stands on. What is not set is not looked at.
enum UsageChecks {
    private static let patience = Duration.seconds(5)

    static func findings(_ context: CommandContext) async -> [Finding] {
        let usage = context.settings.usage
        var findings: [Finding] = []
        if !usage.sources.isEmpty {
            findings.append(.ok("USAGE_SOURCE_KEYS", Set(usage.sources.map(\.name)).sorted().joined(separator: ", ")))
        }
        if let socket = usage.dockerSocket { findings.append(await docker(socket)) }
        if let root = usage.storageRoot { findings.append(folder("STORAGE_ROOT", root)) }
        for folder in usage.storageFolders { findings.append(Self.folder("STORAGE_FOLDERS", "\(folder.path)", project: folder.project)) }
        let measures = usage.dockerSocket != nil || usage.storageRoot != nil || !usage.storageFolders.isEmpty
        return findings + (await gauges(context, measures: measures))
    }

    private static func folder(_ what: String, _ path: String, project: String? = nil) -> Finding {
        let whose = project.map { "\($0): " } ?? ""
        guard Folders.mode(of: path)?.isFolder == true else { return .fail(what, "\(whose)\(path) is no folder: its storage cannot be measured") }
        guard let names = Folders.names(in: path) else { return .fail(what, "\(whose)\(path) cannot be read by this user") }
        return .ok(what, project == nil ? "\(path), \(names.count) folders" : "\(whose)\(path)")
    }

    // MARK: Docker

    /// The engine says its version to whoever pings it; a filtering proxy in front must let `/_ping` through.
    private static func docker(_ socket: String) async -> Finding {
        let what = "DOCKER_SOCKET"
        guard Folders.exists(socket) else { return .fail(what, "\(socket) is not there: start the engine, or correct DOCKER_SOCKET") }
        do {
            let answer = try await ping(socket)
            guard answer.status == 200, let version = answer.headers["api-version"] else {
                return .fail(what, "\(socket) answers \(answer.status) and is no Docker Engine API")
            }
            return .ok(what, "\(socket) speaks the Docker Engine API \(version)")
        } catch {
            return .fail(what, "\(socket): \(error): may this user open it?")
        }
    }

    private static func ping(_ socket: String) async throws -> HTTPClient.Response {
        let loop = try EventLoop.started(name: "doctor")
        let client = HTTPClient(loop: loop)
        let request = HTTPClient.Request(method: "HEAD", url: "http://docker/_ping", timeout: patience, connectTimeout: patience, unixSocket: socket)
        let result: Result<HTTPClient.Response, any Error>
        do { result = .success(try await client.send(request)) } catch { result = .failure(error) }
        await client.close()
        // Joining a thread blocks: not on Swift's own.
        let ending = BlockingPool(name: "doctor end", threads: 1)
        try? await ending.run { loop.stop() }
        ending.close()
        return try result.get()
    }

    // MARK: Gauges

    private static func gauges(_ context: CommandContext, measures: Bool) async -> [Finding] {
        guard let path = context.databasePath, Folders.exists(path) else { return [] }
        let nowMs = context.nowMs()
        let origins: [StorageOrigin]
        do {
            origins = try await context.withDatabase { database in try await database.read { try StorageGauges.origins(in: $0) } }
        } catch {
            // What is wrong with the database is said elsewhere.
            return []
        }
        let scheduled = origins.filter(\.isWhole)
        if measures && scheduled.isEmpty {
            return [.warn("storage", "was never measured: is worker-usage running? `quittance cron run usage-storage --now --wait 60` tries it")]
        }
        return scheduled.map { origin in
            let age = origin.measuredAtMs.map { "measured \(PlainTime.age(nowMs - $0)) ago" } ?? "never measured"
            guard origin.isStale(nowMs: nowMs) else { return .ok("storage", "\(origin.name): \(age)") }
            return .warn(
                "storage", "\(origin.name): \(age), so no storage limit is judged by it" + (origin.error.map { "; last error: \($0)" } ?? ""))
        }
    }
}
