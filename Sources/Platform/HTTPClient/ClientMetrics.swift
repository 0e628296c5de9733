import Synchronization
import Telemetry

/// Counts what the client did, by host and outcome.
enum ClientMetrics {
    /// Hosts that get a series of their own. URLs can come from outside, series stay for ever.
    private static let hostsMax = 64
    private static let hosts = Mutex<Set<String>>([])

    static func count(_ request: HTTPClient.Request, _ result: Result<HTTPClient.Response, HTTPClientError>) {
        let outcome =
            switch result {
            case .success(let response): "\(response.status)"
            case .failure(let error): error.code.rawValue
            }
        let host = SafeURL.host(request.url).lowercased()
        let known = hosts.withLock { hosts in
            guard hosts.count < hostsMax else { return hosts.contains(host) }
            hosts.insert(host)
            return true
        }
        MetricRegistry.shared.counter(
            "http_client_requests_total", help: "Requests sent, by host and by status or failure.",
            labels: [("host", known ? host : "other"), ("status", outcome)]
        ).add()
    }

    static func countMail(_ result: Result<Void, SMTPError>) {
        let outcome =
            switch result {
            case .success: "accepted"
            case .failure(let error): error.code.map(String.init) ?? error.kind.rawValue
            }
        MetricRegistry.shared.counter("smtp_messages_total", help: "Messages handed to the mail server, by outcome.", labels: [("status", outcome)])
            .add()
    }
}
