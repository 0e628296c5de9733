import Formats
import HTTPClient
import ProviderPort

/// Adapters' calls over the HTTP client.
public struct CurlTransport: ProviderTransport {
    private let client: HTTPClient
    private let timeout: Duration

    /// - Parameter timeout: of a whole call. Providers answer within seconds or not at all.
    public init(_ client: HTTPClient, timeout: Duration = .seconds(20)) {
        self.client = client
        self.timeout = timeout
    }

    public func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
        let request = HTTPClient.Request(
            method: call.method, url: call.url, headers: call.headers, body: call.body, timeout: timeout, freshConnection: call.mustArriveOnce)
        do {
            let response = try await client.send(request)
            return ProviderAnswer(status: response.status, headers: response.headers, body: response.body)
        } catch {
            throw ProviderError(.unavailable, error.message, code: error.code.rawValue)
        }
    }
}
