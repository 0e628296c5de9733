import ProviderPort

/// What is kept of an attempt's start; empty when it was only found out later that it was started.
struct KeptInitiation: Codable, Sendable {
    private struct Reference: Codable, Sendable {
        let kind: String
        let value: String
    }

    private var paymentURL: String?
    private var qrCode: String?
    private var references: [Reference] = []
    private var expiresAtMs: Int64?
    private var stepKind: String?
    private var stepFields: [String: String]?
    /// What the provider said at once.
    private var claim: String?
    private var errorCode: String?
    private var errorText: String?

    init() {}

    init(_ initiation: Initiation) {
        paymentURL = initiation.paymentURL
        qrCode = initiation.qrCode
        references = initiation.references.map { Reference(kind: $0.kind, value: $0.value) }
        expiresAtMs = initiation.expiresAtMs
        stepKind = initiation.step.kind.rawValue
        stepFields = initiation.step.fields
        claim = initiation.notice?.claim.rawValue
        errorCode = initiation.notice?.errorCode
        errorText = initiation.notice?.errorText
    }

    /// A success at once is not taken at its word: the status call tells.
    private var notice: ProviderNotice? {
        guard let claim = claim.flatMap({ ProviderClaim(rawValue: $0) }), [.failed, .cancelled, .expired, .processing].contains(claim) else {
            return nil
        }
        return ProviderNotice(references: [], claim: claim, errorCode: errorCode, errorText: errorText)
    }

    var initiation: Initiation? {
        paymentURL.map { url in
            Initiation(
                paymentURL: url, qrCode: qrCode, references: references.map { ProviderReference($0.kind, $0.value) }, expiresAtMs: expiresAtMs,
                step: CustomerStep(stepKind.flatMap { CustomerStep.Kind(rawValue: $0) } ?? .redirect, stepFields ?? [:]),
                notice: notice)
        }
    }
}
