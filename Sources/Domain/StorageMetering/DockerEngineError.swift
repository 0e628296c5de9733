import HTTPClient

/// Why an engine could not be measured.
public struct DockerEngineError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// Nobody listens on the socket, or it may not be opened.
        case unreachable
        case timeout
        /// Something answers, but not the Docker Engine API.
        case notDockerAPI = "not_docker_api"
        /// It speaks no version that we speak.
        case version
        /// The engine, or a filter before it, refuses the question.
        case refused
        /// It is computing its disk usage for somebody else.
        case busy
        /// The engine's own failure.
        case failed
        case tooLarge = "too_large"
        /// The answer is not what the API promises.
        case unreadable
        case cancelled
    }
    public let code: Code
    public let message: String

    public init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    /// Whether the same question may succeed later without anybody doing something about it.
    public var isTransient: Bool {
        switch code {
        case .unreachable, .timeout, .busy, .failed, .cancelled: true
        case .notDockerAPI, .version, .refused, .tooLarge, .unreadable: false
        }
    }

    public var description: String { message }

    init(_ error: HTTPClientError, socket: String) {
        message = "the engine at \(socket): \(error.message)"
        code =
            switch error.code {
            case .timeout: .timeout
            case .tooLarge: .tooLarge
            case .cancelled: .cancelled
            case .connect, .resolve: .unreachable
            case .protocolError where error.isTransient: .unreachable
            case .protocolError, .tls, .invalidRequest: .notDockerAPI
            case .other: .unreachable
            }
    }
}
