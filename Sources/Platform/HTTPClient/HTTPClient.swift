import CCurl
import EventLoop
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Sends HTTP requests from one loop; connections are kept and used again.
///
/// Safe by default: certificates are verified, only http and https are spoken, redirections are answers like others, each
/// request has a deadline and a largest answer. Cancelling the waiting task aborts the transfer. To be closed before its loop
/// is stopped, else transfers under way would never end.
public final class HTTPClient: Sendable {
    public struct Request: Sendable {
        public var method: String
        public var url: String
        public var headers: HTTPHeaders
        public var body: [UInt8]
        /// For everything, from resolving the name to the last byte.
        public var timeout: Duration
        public var connectTimeout: Duration
        /// Bytes of the answer's body at most; more is an error, not a cut.
        public var responseLimit: Int
        /// Follows up to five redirections, within http and https. `Authorization` and `Cookie` are not sent to another host,
        /// other headers are.
        public var followRedirects: Bool
        /// A unix socket to connect to in place of the URL's host.
        public var unixSocket: String?
        /// Never on a kept connection. When a kept connection turns out dead curl sends the request again on a new one; the
        /// caller of something that must not arrive twice asks for a fresh one.
        public var freshConnection: Bool

        public init(
            method: String = "GET", url: String, headers: HTTPHeaders = [:], body: [UInt8] = [], timeout: Duration = .seconds(30),
            connectTimeout: Duration = .seconds(10), responseLimit: Int = 1 << 20, followRedirects: Bool = false, unixSocket: String? = nil,
            freshConnection: Bool = false
        ) {
            self.method = method
            self.url = url
            self.headers = headers
            self.body = body
            self.timeout = timeout
            self.connectTimeout = connectTimeout
            self.responseLimit = responseLimit
            self.followRedirects = followRedirects
            self.unixSocket = unixSocket
            self.freshConnection = freshConnection
        }
    }

    public struct Response: Sendable {
        public var status: Int
        public var headers: HTTPHeaders
        public var body: [UInt8]

        public init(status: Int, headers: HTTPHeaders = [:], body: [UInt8] = []) {
            self.status = status
            self.headers = headers
            self.body = body
        }
    }

    private let multi: CurlMulti
    private let userAgent: String
    private let trustedCertificates: String?

    /// - Parameters:
    ///   - trustedCertificates: a PEM file to trust in place of the system's certificates.
    ///   - connectionsPerHostMax: requests beyond wait for a connection, within their deadline.
    public init(loop: EventLoop, userAgent: String = "Quittance", trustedCertificates: String? = nil, connectionsPerHostMax: Int = 32) {
        multi = CurlMulti(loop: loop, connectionsPerHostMax: connectionsPerHostMax)
        self.userAgent = userAgent
        self.trustedCertificates = trustedCertificates
    }

    deinit { multi.loop.execute { [multi] in multi.close() } }

    /// Sends a request and gives its answer, whatever the status.
    public func send(_ request: Request) async throws(HTTPClientError) -> Response {
        try HTTPTransfer.check(request)
        let result: Result<Response, HTTPClientError> = await Cancellable.run(on: multi) { [self] done in
            HTTPTransfer.make(request, userAgent: userAgent, trustedCertificates: trustedCertificates, done)
        }
        ClientMetrics.count(request, result)
        return try result.get()
    }

    /// Aborts what is under way and closes all connections; requests from now on fail as cancelled.
    public func close() async {
        await multi.loop.run { [multi] in multi.close() }
    }
}

/// Joins a task's cancellation to a transfer that begins on another thread.
enum Cancellable {
    /// `@unchecked Sendable`: touched on the loop's thread only.
    private final class Ticket: @unchecked Sendable {
        var transfer: CurlTransfer?
        var isCancelled = false
    }

    /// - Parameter make: makes the transfer, on the loop, from the completion that it is to call.
    static func run<Value: Sendable>(
        on multi: CurlMulti, _ make: @escaping @Sendable (_ done: @escaping (Value) -> Void) -> CurlTransfer?
    ) async -> Value {
        let ticket = Ticket()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                multi.loop.execute {
                    guard let transfer = make({ continuation.resume(returning: $0) }) else { return }
                    if ticket.isCancelled {
                        transfer.complete(.aborted)
                    } else if let refused = transfer.refusedOption {
                        transfer.complete(.finished(refused))
                    } else {
                        ticket.transfer = transfer
                        multi.add(transfer)
                    }
                }
            }
        } onCancel: {
            multi.loop.execute {
                ticket.isCancelled = true
                if let transfer = ticket.transfer { multi.abort(transfer) }
            }
        }
    }
}
