import HTTPClient
import ProviderPort

/// Carriers' calls over the HTTP client. Each goes on a connection of its own: on a kept one that turns out dead the client would send it again,
/// and carriers know no keys by which a second one is seen.
public struct MessageTransport: ProviderTransport {
    private let client: HTTPClient
    private let timeout: Duration

    /// - Parameter timeout: of a whole call.
    public init(_ client: HTTPClient, timeout: Duration = .seconds(20)) {
        self.client = client
        self.timeout = timeout
    }

    /// - Throws: ``ProviderError`` of kind `held` for a call that did not leave, `unavailable` for one that was not answered.
    public func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
        let request = HTTPClient.Request(
            method: call.method, url: call.url, headers: call.headers, body: call.body, timeout: timeout, freshConnection: true)
        do {
            let response = try await client.send(request)
            return ProviderAnswer(status: response.status, headers: response.headers, body: response.body)
        } catch {
            if error.code == .invalidRequest { throw ProviderError(.misconfigured, error.message, code: error.code.rawValue) }
            throw ProviderError(error.mayHaveReachedServer ? .unavailable : .held, error.message, code: error.code.rawValue)
        }
    }
}
