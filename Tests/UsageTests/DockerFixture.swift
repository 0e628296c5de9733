import EventLoop
import Formats
import HTTPClient
import StorageMetering
import TestSupport

/// Something on a unix socket that answers as it was told to, and an engine that asks it.
final class DockerFixture: Sendable {
    struct Answer: Sendable {
        var status = 200
        var version: String?
        var isPodman = false
        var body = ""
        var delay = 0.0

        static func json(_ body: String) -> Answer { Answer(body: body) }
        static func error(_ status: Int, _ message: String) -> Answer {
            Answer(status: status, body: JSON.object(["message": .string(message)]).text)
        }
        static func ping(_ version: String?, isPodman: Bool = false) -> Answer { Answer(version: version, isPodman: isPodman, body: "OK") }

        var script: JSON {
            var headers: JSONObject = [:]
            if let version { headers["Api-Version"] = .string(version) }
            if isPodman { headers["Libpod-API-Version"] = "5.0.0" }
            return ["status": .int(Int64(status)), "headers": .object(headers), "body": .string(body), "delay": .number("\(delay)")]
        }
    }

    let socket: String
    private let folder: TemporaryFolder
    private let process: ProcessFixture
    private let loop: EventLoop
    let client: HTTPClient

    /// - Parameter answers: by method and path without query, such as `GET /v1.44/volumes`; used in order, the last one for ever.
    static func start(_ answers: [String: [Answer]]) async throws -> DockerFixture {
        let folder = try TemporaryFolder("quittance-engine")
        let script = JSON.object(JSONObject(answers.map { ($0.key, .array($0.value.map(\.script))) }))
        try folder.write(script.text, to: "script.json")
        let socket = folder.file("engine.sock")
        let process = try await ProcessFixture.start("python3", [fixture("docker/engine.py"), socket, folder.file("script.json")])
        try await process.waitForLine(containing: "listening", within: .seconds(60))
        return DockerFixture(socket: socket, folder: folder, process: process, loop: try EventLoop.started(name: "engine"))
    }

    private init(socket: String, folder: TemporaryFolder, process: ProcessFixture, loop: EventLoop) {
        self.socket = socket
        self.folder = folder
        self.process = process
        self.loop = loop
        client = HTTPClient(loop: loop)
    }

    deinit { process.end() }

    func engine(_ options: DockerEngine.Options = DockerEngine.Options()) -> DockerEngine {
        DockerEngine(socket: socket, client: client, options: options)
    }

    /// Methods and targets asked for so far.
    func requests() async throws -> [String] {
        // A mark of our own: what came before it has been read by the time it is.
        let mark = "/mark/\(ULID.make())"
        _ = try await client.send(HTTPClient.Request(url: "http://docker\(mark)", unixSocket: socket))
        try await process.waitForLine(containing: mark)
        let lines = try process.output.dropFirst().map { try JSON(parsing: Array($0.utf8))["line"]?.string ?? "" }
        return lines.filter { !$0.contains("/mark/") }
    }

    /// The failure of a question that is expected to fail.
    func failure(_ options: DockerEngine.Options = DockerEngine.Options()) async throws -> DockerEngineError {
        do throws(DockerEngineError) { _ = try await engine(options).inventory(label: "quittance.project") } catch { return error }
        throw FixtureError("the engine was measured")
    }

    /// Answers of an engine of that version, with the paths that it is then asked for.
    static func usual(
        _ version: String, volumes: String = #"{"Volumes":[]}"#, images: String = "[]", usage: String = "{}"
    ) -> [String: [Answer]] {
        [
            "HEAD /_ping": [.ping(version)], "GET /v\(version)/volumes": [.json(volumes)], "GET /v\(version)/images/json": [.json(images)],
            "GET /v\(version)/system/df": [.json(usage)],
        ]
    }
}
