/// moto's S3 in a process of its own, with an empty bucket, for one test. It checks no signature.
public final class S3Server: Sendable {
    public static let bucket = "quittance-files"

    /// Scheme, host and port.
    public let endpoint: String
    private let process: ProcessFixture

    public static func start() async throws -> S3Server {
        let process = try await ProcessFixture.start(repositoryRoot + "/.venv/bin/python", [fixture("storage/s3_server.py"), bucket])
        let line = try await process.waitForLine(containing: "listening ", within: Duration.seconds(60).stretched)
        guard let port = line.split(separator: " ").last else { throw FixtureError(line) }
        return S3Server(process, "http://127.0.0.1:\(port)")
    }

    private init(_ process: ProcessFixture, _ endpoint: String) {
        self.process = process
        self.endpoint = endpoint
    }

    deinit { process.end() }
}
