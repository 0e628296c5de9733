import Formats
import HTTPClient
import Settings

/// What became of a post.
enum PostOutcome: String, CaseIterable, Sendable {
    case accepted
    /// Ingest does not take it as it is: another key, or a setting, has to be mended first.
    case refused
    case throttled
    /// Ingest answers, and can keep nothing now.
    case unavailable
    /// Nobody answered; ingest may have it or not.
    case unreachable
}

/// Posts batches to ingest. A batch may be posted as often as one likes: ingest and worker-usage know it by its name.
struct IngestPost: Sendable {
    struct Answer: Sendable, Equatable {
        var outcome: PostOutcome
        /// In seconds, where ingest says when to come again.
        var retryAfter: Int64?
        /// For staff.
        var detail = ""
    }

    let http: HTTPClient
    let url: String
    let key: Secret
    /// For everything, from connecting to the answer.
    private static let timeout = Duration.seconds(20)

    init(http: HTTPClient, url: String, key: Secret) {
        self.http = http
        self.url = url + "/usage"
        self.key = key
    }

    func send(_ batch: Checkpoint.Pending) async -> Answer {
        let request = HTTPClient.Request(
            method: "POST", url: url,
            headers: ["authorization": "Bearer \(key.value)", "content-type": "application/x-ndjson", "idempotency-key": batch.id],
            body: Array(batch.body.utf8), timeout: Self.timeout, connectTimeout: .seconds(5), responseLimit: 64 << 10)
        do throws(HTTPClientError) {
            return Self.answer(try await http.send(request))
        } catch {
            return Answer(outcome: .unreachable, detail: error.message)
        }
    }

    static func answer(_ response: HTTPClient.Response) -> Answer {
        let retryAfter = response.headers["retry-after"].flatMap { RetryAfter.seconds($0) }
        let outcome: PostOutcome =
            switch response.status {
            case 200: .accepted
            case 429: .throttled
            case 500...: .unavailable
            default: .refused
            }
        guard outcome != .accepted else { return Answer(outcome: .accepted) }
        let json = try? JSON(parsing: response.body)
        let detail = json?["detail"]?.string ?? json?["title"]?.string ?? ""
        return Answer(outcome: outcome, retryAfter: retryAfter, detail: "\(response.status) \(detail)")
    }
}

/// Pauses that double from half a second to half a minute.
struct PostBackoff {
    static let first = Duration.milliseconds(500)
    static let longest = Duration.seconds(30)
    private var current = first

    /// - Parameters:
    ///   - seconds: what ingest asks for; it is obeyed as far as the longest pause goes.
    ///   - random: in 0..<1; so that many collectors do not come back at the same moment.
    mutating func next(after seconds: Int64?, random: Double) -> Duration {
        defer { current = min(current * 2, Self.longest) }
        let own = current * (1 - random / 2)
        return min(Self.longest, max(own, .seconds(seconds ?? 0)))
    }
}
