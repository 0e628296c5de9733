import HTTPClient
import PrivateFiles

/// Why an object could not be stored, read or sent.
public struct ObjectStorageError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable, Equatable {
        /// Not a key that objects are kept under.
        case invalidKey = "invalid_key"
        case notFound = "not_found"
        /// Larger than the caller allows.
        case tooLarge = "too_large"
        /// The disk or the quota is used up.
        case full
        /// The service refuses our key, or the bucket does not exist: somebody has to change the settings.
        case refused
        /// The disk or the service does not answer as it should.
        case unavailable
        /// The caller's task was cancelled.
        case cancelled
    }
    public let code: Code
    /// Names the key and what happened, never content or secrets.
    public let message: String
    /// Whether the same call may succeed later.
    public let isTransient: Bool

    public init(code: Code, message: String, isTransient: Bool) {
        self.code = code
        self.message = message
        self.isTransient = isTransient
    }

    public var description: String { message }

    init(_ error: PrivateFilesError) {
        switch error.code {
        case .invalidPath: self.init(code: .invalidKey, message: error.message, isTransient: false)
        case .notFound: self.init(code: .notFound, message: error.message, isTransient: false)
        case .tooLarge: self.init(code: .tooLarge, message: error.message, isTransient: false)
        case .system: self.init(code: error.isFull ? .full : .unavailable, message: error.message, isTransient: error.isTransient)
        }
    }

    init(_ error: HTTPClientError, _ key: String) {
        let code: Code =
            switch error.code {
            case .tooLarge: .tooLarge
            case .cancelled: .cancelled
            default: .unavailable
            }
        self.init(code: code, message: "\(key): \(error.message)", isTransient: error.isTransient)
    }
}
