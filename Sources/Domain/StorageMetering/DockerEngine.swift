import Formats
import HTTPClient

/// Asks a Docker Engine, or Podman's imitation of it, what its volumes and images take: by its unix socket, with GET and HEAD only.
public struct DockerEngine: Sendable {
    public struct Options: Sendable {
        public var pingTimeout: Duration
        public var listTimeout: Duration
        /// `/system/df` walks every volume, which takes minutes where they are large.
        public var usageTimeout: Duration
        /// Bytes of one answer at most.
        public var responseLimit: Int

        public init(
            pingTimeout: Duration = .seconds(10), listTimeout: Duration = .seconds(60), usageTimeout: Duration = .seconds(1800),
            responseLimit: Int = 64 << 20
        ) {
            self.pingTimeout = pingTimeout
            self.listTimeout = listTimeout
            self.usageTimeout = usageTimeout
            self.responseLimit = responseLimit
        }
    }

    /// What a ping tells.
    struct Greeting: Sendable {
        /// Nil when the engine does not say.
        let newest: DockerAPIVersion?
        let isPodman: Bool

        /// The version to speak.
        var agreed: DockerAPIVersion { min(newest ?? .usual, .highest) }
    }

    public let socket: String
    private let client: HTTPClient
    private let options: Options

    /// - Parameter socket: the path of the unix socket.
    public init(socket: String, client: HTTPClient, options: Options = Options()) {
        self.socket = socket
        self.client = client
        self.options = options
    }

    /// The volumes and images with their sizes and their projects.
    ///
    /// Both lists are asked for just before the sizes: what comes or goes meanwhile is of unknown size, or nobody's.
    /// - Parameter label: the label that names the projects of an item.
    public func inventory(label: String) async throws(DockerEngineError) -> DockerInventory {
        let greeting = try await greet()
        var conversation = Conversation(version: greeting.agreed)
        guard conversation.version >= .lowest else { throw tooOld(conversation.version) }
        let volumes = try VolumeList(
            parsing: try await get("volumes", options.listTimeout, &conversation), label: label, limit: options.responseLimit)
        let images = try ImageList(
            parsing: try await get("images/json?all=false&shared-size=true", options.listTimeout, &conversation), label: label,
            limit: options.responseLimit)
        let usage = try await usage(label: label, &conversation)
        return DockerInventory(
            usage: usage, volumes: volumes, images: images, version: conversation.version, isPodman: greeting.isPodman)
    }

    // MARK: Version

    /// Asks for the engine's newest version: by HEAD, by GET where HEAD is not answered so.
    func greet() async throws(DockerEngineError) -> Greeting {
        let brief = try await send("HEAD", "_ping", options.pingTimeout)
        let response = brief.status == 200 && Self.newest(brief) != nil ? brief : try await send("GET", "_ping", options.pingTimeout)
        guard response.status == 200 else { throw failure(of: response, "_ping") }
        return Greeting(newest: Self.newest(response), isPodman: response.headers.contains("Libpod-API-Version"))
    }

    private static func newest(_ response: HTTPClient.Response) -> DockerAPIVersion? {
        response.headers["Api-Version"].flatMap { DockerAPIVersion($0) }
    }

    private func tooOld(_ version: DockerAPIVersion) -> DockerEngineError {
        DockerEngineError(
            code: .version, message: "the engine at \(socket) speaks API \(version); at least \(DockerAPIVersion.lowest) is needed")
    }

    // MARK: Questions

    /// What is remembered from one question to the next.
    struct Conversation: Sendable {
        var version: DockerAPIVersion
        /// A version found to be too new is lowered once.
        var isLowered = false
    }

    /// The disk usage, asked for a second time only where the first answer counted items without naming them.
    private func usage(label: String, _ conversation: inout Conversation) async throws(DockerEngineError) -> DiskUsageAnswer {
        var query: [String] = []
        if conversation.version >= .withTypes { query += ["type=volume", "type=image"] }
        let verbose = conversation.version >= .withVerbose
        let first = try await usage(query + (verbose ? ["verbose=1"] : []), label: label, &conversation)
        guard first.lacksItems, !verbose else { return first }
        return try await usage(query + ["verbose=1"], label: label, &conversation)
    }

    private func usage(_ query: [String], label: String, _ conversation: inout Conversation) async throws(DockerEngineError) -> DiskUsageAnswer {
        let path = query.isEmpty ? "system/df" : "system/df?\(query.joined(separator: "&"))"
        return try DiskUsageAnswer(parsing: try await get(path, options.usageTimeout, &conversation), label: label, limit: options.responseLimit)
    }

    /// The body of a 200 answer under the version's prefix.
    private func get(_ path: String, _ timeout: Duration, _ conversation: inout Conversation) async throws(DockerEngineError) -> [UInt8] {
        var response = try await send("GET", "v\(conversation.version)/\(path)", timeout)
        if let lower = try await lowered(conversation, response) {
            conversation = Conversation(version: lower, isLowered: true)
            response = try await send("GET", "v\(conversation.version)/\(path)", timeout)
        }
        guard response.status == 200 else { throw failure(of: response, path) }
        return response.body
    }

    /// The version to speak instead, when the engine found ours too new for the first time.
    private func lowered(_ conversation: Conversation, _ response: HTTPClient.Response) async throws(DockerEngineError) -> DockerAPIVersion? {
        guard response.status == 400, !conversation.isLowered else { return nil }
        let message = Self.message(response)
        guard message.contains("too new") else { return nil }
        let named = DockerAPIVersion.named(in: message).filter { $0 < conversation.version }.max()
        let lower: DockerAPIVersion
        if let named {
            lower = named
        } else if let newest = try await greet().newest, newest < conversation.version {
            lower = newest
        } else {
            return nil
        }
        guard lower >= .lowest else { throw tooOld(lower) }
        return lower
    }

    private func send(_ method: String, _ path: String, _ timeout: Duration) async throws(DockerEngineError) -> HTTPClient.Response {
        let request = HTTPClient.Request(
            method: method, url: "http://docker/\(path)", timeout: timeout, connectTimeout: .seconds(10), responseLimit: options.responseLimit,
            unixSocket: socket)
        do throws(HTTPClientError) { return try await client.send(request) } catch { throw DockerEngineError(error, socket: socket) }
    }

    // MARK: Refusals

    /// What an answer other than 200 means.
    private func failure(of response: HTTPClient.Response, _ path: String) -> DockerEngineError {
        let message = Self.message(response)
        let place = "the engine at \(socket), asked for /\(path.prefix { $0 != "?" }): \(response.status)\(message.isEmpty ? "" : ", \(message)")"
        let code: DockerEngineError.Code =
            switch response.status {
            case 400 where message.contains("too new") || message.contains("too old"): .version
            case 404: .notDockerAPI
            case 408, 409, 429: .busy
            case _ where message.contains("already running"): .busy
            case 400..<500: .refused
            case 500..<600: .failed
            default: .notDockerAPI
            }
        return DockerEngineError(code: code, message: code == .notDockerAPI ? "this is not a Docker API: \(place)" : place)
    }

    /// The engine's own sentence, shortened.
    private static func message(_ response: HTTPClient.Response) -> String {
        let json = try? JSON(parsing: response.body, sizeLimit: 1 << 16)
        let text = json?["message"]?.string ?? String(decoding: response.body.prefix(200), as: UTF8.self)
        return String(text.prefix(300).map { $0.isNewline ? " " : $0 })
    }
}
