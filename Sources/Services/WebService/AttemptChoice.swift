import Access
import Drafts
import Formats

/// How a caller wants an attempt to be made.
struct AttemptChoice: Sendable {
    private let method: String?
    private let network: String?
    private let phone: String?
    private let otp: String?
    private let returnURL: String?
    private let cancelURL: String?

    /// - Throws: ``WebProblem`` 422 with every field that breaks a rule, those noted before among them.
    init(_ fields: inout FieldReader) throws(WebProblem) {
        method = fields.text("method", limit: 40)
        network = fields.text("network", limit: 40)
        phone = fields.text("phone", limit: 20)
        if let phone, !PhoneNumber.isE164(phone) { fields.fault("phone", "must be in international form, such as +2290166000000") }
        otp = fields.text("otp", limit: 12)
        if let otp, !otp.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { fields.fault("otp", "must be digits") }
        returnURL = fields.url("return_url")
        cancelURL = fields.url("cancel_url")
        try fields.check()
    }

    func plan(at provider: String, actor: String, claim: IdempotentCalls.Claim?) -> AttemptStart.Plan {
        AttemptStart.Plan(
            provider: provider, method: method, phone: phone, cancelURL: cancelURL, network: network, otp: otp, returnURL: returnURL, actor: actor,
            claim: claim)
    }
}
