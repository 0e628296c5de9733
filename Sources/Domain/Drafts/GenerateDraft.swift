import JobQueue

/// `draft.generate`: has the AI write the text of a paid inquiry and fills the document with it. Paid-only.
public struct GenerateDraft: PaidOnlyParameters {
    public static let kind = "draft.generate"
    public static let queue = "drafts"
    public let inquiry: String
    public init(inquiry: String) { self.inquiry = inquiry }

    /// The seed's rule: exponential, capped at 900 s.
    public static let retry = RetryPolicy.exponential(base: .seconds(5), factor: 2, cap: .seconds(900), jitter: .equal, attemptsMax: 12)
}
