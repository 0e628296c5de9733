import EventLoop
import Formats
import HTTPClient
import TestSupport

/// The server `http_peer.py` and a client of it, for one test.
final class HTTPClientPeer: Sendable {
    let process: ProcessFixture
    let client: HTTPClient
    let base: String
    let unixSocket: String?
    private let loop: EventLoop
    private let folder: TemporaryFolder

    enum Place { case tcp, unix, tls(TestCertificate, trusted: Bool) }

    static func start(_ place: Place = .tcp) async throws -> HTTPClientPeer {
        let folder = try TemporaryFolder("quittance-peer")
        var arguments = [fixture("http_peer.py")]
        var scheme = "http"
        var trusted: String?
        switch place {
        case .tcp: break
        case .unix: arguments += ["--unix", folder.file("peer.sock")]
        case .tls(let certificate, let isTrusted):
            arguments += ["--certificate", certificate.certificatePath, "--key", certificate.keyPath]
            scheme = "https"
            if isTrusted { trusted = certificate.certificatePath }
        }
        let process = try await ProcessFixture.start("python3", arguments)
        let line = try await process.waitForLine(containing: "listening", within: .seconds(60))
        let port = try JSON(parsing: Array(line.utf8))["port"]?.int ?? 0
        let loop = try EventLoop.started(name: "client")
        let client = HTTPClient(loop: loop, trustedCertificates: trusted)
        let socket: String? = if case .unix = place { folder.file("peer.sock") } else { nil }
        return HTTPClientPeer(process, client, "\(scheme)://localhost:\(port)", socket, loop, folder)
    }

    private init(_ process: ProcessFixture, _ client: HTTPClient, _ base: String, _ socket: String?, _ loop: EventLoop, _ folder: TemporaryFolder) {
        self.process = process
        self.client = client
        self.base = base
        unixSocket = socket
        self.loop = loop
        self.folder = folder
    }

    deinit { process.end() }

    func request(_ path: String, method: String = "GET", headers: HTTPHeaders = [:], body: [UInt8] = []) -> HTTPClient.Request {
        HTTPClient.Request(method: method, url: base + path, headers: headers, body: body, timeout: .seconds(60), unixSocket: unixSocket)
    }

    /// What the server saw of a request to `/echo`.
    func echo(_ request: HTTPClient.Request) async throws -> JSON {
        let response = try await client.send(request)
        return try JSON(parsing: response.body)
    }

    /// Sends what is expected to fail.
    func failure(_ request: HTTPClient.Request) async throws -> HTTPClientError {
        do {
            let response = try await client.send(request)
            throw FixtureError("\(request.url) was answered with \(response.status)")
        } catch let error as HTTPClientError {
            return error
        }
    }
}
