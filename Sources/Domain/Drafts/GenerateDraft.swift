import Formats
import JobQueue

/// `draft.generate`: has the AI write the text of a paid inquiry and fills the document with it. Paid-only.
public struct GenerateDraft: PaidOnlyParameters {
    public static let kind = "draft.generate"
    public static let queue = "drafts"
    public let inquiry: String
    /// Nil for the first version, the one that the payment starts.
    public let version: Int64?

    public init(inquiry: String, version: Int64? = nil) {
        self.inquiry = inquiry
        self.version = version
    }

    /// The version of the draft that a job is to make, by its arguments.
    package static func version(of job: JobEnvelope) -> Int64 { job.args["version"]?.int ?? 1 }

    /// The job of a version. There is one of each, whoever asks.
    package static func request(inquiry: String, version: Int64, payment: String) throws -> JobRequest {
        let isFirst = version == 1
        return try JobRequest(
            GenerateDraft(inquiry: inquiry, version: isFirst ? nil : version), payment: payment,
            unique: "\(kind):\(payment)" + (isFirst ? "" : ":v\(version)"))
    }

    /// The seed's rule: exponential, capped at 900 s.
    public static let retry = RetryPolicy.exponential(base: .seconds(5), factor: 2, cap: .seconds(900), jitter: .equal, attemptsMax: 12)
}
