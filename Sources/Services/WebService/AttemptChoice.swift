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
        phone = fields.phone()
        otp = fields.text("otp", limit: 12)
        if let otp, !otp.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { fields.fault("otp", "must be digits") }
        returnURL = fields.url("return_url")
        cancelURL = fields.url("cancel_url")
        try fields.check()
    }

    /// - Parameter fixed: the method where the caller has no choice of it.
    func plan(
        at provider: String, actor: String, claim: IdempotentCalls.Claim?, method fixed: String? = nil
    ) -> AttemptStart.Plan {
        AttemptStart.Plan(
            provider: provider, method: fixed ?? method, phone: phone, cancelURL: cancelURL, network: network, otp: otp, returnURL: returnURL,
            actor: actor,
            claim: claim)
    }
}

extension FieldReader {
    /// A phone number in international form.
    mutating func phone(_ name: String = "phone") -> String? {
        let phone = text(name, limit: 20)
        if let phone, !PhoneNumber.isE164(phone) { fault(name, PhoneNumber.rule) }
        return phone
    }
}
