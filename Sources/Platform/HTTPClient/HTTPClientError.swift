import CCurl

/// Why a request got no answer. An answer with a bad status is no error of this kind.
///
/// The message names method, host and path; never the query, user info, headers or body, where secrets travel.
public struct HTTPClientError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// No (whole) answer in time.
        case timeout
        case resolve
        case connect
        case tls
        /// The answer is larger than the request allows.
        case tooLarge = "too_large"
        /// The Swift task was cancelled or the client closed.
        case cancelled
        /// The connection broke or what came is not HTTP.
        case protocolError = "protocol"
        /// The request itself cannot be sent as it is.
        case invalidRequest = "invalid_request"
        case other
    }
    public let code: Code
    public let message: String
    /// Whether the same request may succeed later.
    public let isTransient: Bool
    /// Whether any byte of the request left for the server: then it may have had its effect.
    public let mayHaveReachedServer: Bool

    public init(code: Code, message: String, isTransient: Bool, mayHaveReachedServer: Bool) {
        self.code = code
        self.message = message
        self.isTransient = isTransient
        self.mayHaveReachedServer = mayHaveReachedServer
    }

    public var description: String { message }

    static func invalid(_ message: String) -> HTTPClientError {
        HTTPClientError(code: .invalidRequest, message: message, isTransient: false, mayHaveReachedServer: false)
    }
}

/// curl's result codes, put into the few classes that callers decide by.
enum CurlFailure {
    static func classify(_ code: CURLcode) -> (code: HTTPClientError.Code, isTransient: Bool) {
        switch code {
        case CURLE_OPERATION_TIMEDOUT: (.timeout, true)
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: (.resolve, true)
        case CURLE_COULDNT_CONNECT, CURLE_INTERFACE_FAILED: (.connect, true)
        // The handshake broke, which a network does too.
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_SHUTDOWN_FAILED: (.tls, true)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_INVALIDCERTSTATUS, CURLE_USE_SSL_FAILED:
            (.tls, false)
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_HTTP2, CURLE_HTTP2_STREAM:
            (.protocolError, true)
        case CURLE_WEIRD_SERVER_REPLY, CURLE_TOO_MANY_REDIRECTS, CURLE_BAD_CONTENT_ENCODING:
            (.protocolError, false)
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: (.invalidRequest, false)
        case CURLE_OUT_OF_MEMORY: (.other, true)
        default: (.other, false)
        }
    }
}
