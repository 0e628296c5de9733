/// Counts what the client did, by host and outcome.
enum ClientMetrics {
    static func count(_ request: HTTPClient.Request, _ result: Result<HTTPClient.Response, HTTPClientError>) {}
}
