import Formats
import ProviderPort

/// A post that is proven as its provider proves it, with one thing altered: it must not be believed any more.
struct ForgedTarget: FuzzTarget {
    /// What is done to the post; each number of an input is one of them.
    private enum Alteration: Int, CaseIterable {
        case setByte, removeByte, insertByte, cutBody, setProof, cutProof, otherSecret, otherTime, noProof
    }

    private let providers: [any PaymentProvider]
    private let secret: String
    private let otherSecret: String

    init() throws {
        (secret, otherSecret) = (PostingProviders.freshSecret(), PostingProviders.freshSecret())
        providers = try PostingProviders.make(secret: secret)
    }

    func run(_ input: [UInt8]) {
        let post = PostedInput(input)
        let provider = PostingProviders.choose(post.provider, of: providers)
        forgeAddress(post, provider)
        let contentType = provider.name == "cinetpay" ? "application/x-www-form-urlencoded" : post.contentType
        guard let proofs = try? Proof.all(of: provider.name, body: post.body, secret: secret) else { finding("no proof can be made") }
        for proof in proofs {
            let good = verdict(provider, post.body, contentType, proof)
            // CinetPay's and iCount's posts must also be readable.
            let readsFirst = ["cinetpay", "icount"].contains(provider.name)
            require(readsFirst || good.trust != nil, "\(provider.name) does not believe its own provider: \(good)")
            guard good.trust != nil, good.trust != .unproven else { continue }
            forge(post, provider, contentType, proof)
        }
    }

    private func verdict(
        _ provider: any PaymentProvider, _ body: [UInt8], _ contentType: String, _ proof: Proof, lateMs: Int64 = 0
    ) -> WebhookVerdict {
        let headers = HTTPHeaders(proof.headers.map { ($0.name, $0.value) } + [("content-type", contentType)])
        return provider.verifyWebhook(IncomingWebhook(method: "POST", headers: headers, body: body), nowMs: PostingProviders.nowMs + lateMs)
    }

    private func forge(_ post: PostedInput, _ provider: any PaymentProvider, _ contentType: String, _ proof: Proof) {
        let kinds = Alteration.allCases
        let kind = kinds[post.number(2) % kinds.count]
        var (body, altered, lateMs) = (post.body, proof, Int64(0))
        switch kind {
        case .setByte, .removeByte, .insertByte, .cutBody:
            guard proof.coversBody, alter(&body, kind, post), isForged(post.body, body, provider.name) else { return }
        case .setProof, .cutProof:
            guard alter(&altered, kind, post) else { return }
        case .otherSecret:
            guard let other = try? Proof.all(of: provider.name, body: body, secret: otherSecret) else { return }
            altered = other.first { $0.headers.map(\.name) == proof.headers.map(\.name) } ?? Proof(headers: [], coversBody: false, hasClock: false)
        case .otherTime:
            guard proof.hasClock else { return }
            lateMs = Int64(301 + post.number(4)) * 1000 * (post.number(3) % 2 == 0 ? 1 : -1)
        case .noProof: altered.headers = []
        }
        let verdict = verdict(provider, body, contentType, altered, lateMs: lateMs)
        require(
            verdict.trust == nil || verdict.trust == .unproven, "\(provider.name) believes a forgery (\(kind), \(altered.headers.map(\.name)))")
    }

    private func isForged(_ original: [UInt8], _ body: [UInt8], _ provider: String) -> Bool {
        guard body != original else { return false }
        guard provider == "cinetpay" else { return true }
        let token = CinetPayForm.joined(original)
        return CinetPayForm.isForm(body) && CinetPayForm.joined(body) != token && CinetPayForm.joinedAsPosted(body) != token
    }

    private func alter(_ body: inout [UInt8], _ kind: Alteration, _ post: PostedInput) -> Bool {
        let value = UInt8(truncatingIfNeeded: post.number(4))
        if kind == .insertByte {
            body.insert(value, at: post.number(3) % (body.count + 1))
            return true
        }
        guard !body.isEmpty else { return false }
        let place = post.number(3) % body.count
        switch kind {
        case .setByte: body[place] = value
        case .removeByte: body.remove(at: place)
        default: body.removeSubrange(place...)
        }
        return true
    }

    private func alter(_ proof: inout Proof, _ kind: Alteration, _ post: PostedInput) -> Bool {
        let header = post.number(3) % proof.headers.count
        let original = proof.headers[header].value
        var value = Array(original.utf8)
        guard !value.isEmpty else { return false }
        let place = post.number(3) / proof.headers.count % value.count
        // What a header can hold.
        if kind == .setProof { value[place] = UInt8(33 + post.number(4) % 94) } else { value.removeSubrange(place...) }
        proof.headers[header].value = String(decoding: value, as: UTF8.self)
        return !proof.isSame(original, proof.headers[header].value)
    }

    /// An address made for one payment is good for this one, this attempt and this provider.
    private func forgeAddress(_ post: PostedInput, _ provider: any PaymentProvider) {
        guard let signer = provider.addressSigner else { return }
        let number = Int64(1 + post.number(4))
        let payment = "pay_\(post.number(2))"
        guard let capability = signer.capability(provider: provider.name, payment: payment, attemptNumber: number) else { return }
        require(signer.verify(capability, provider: provider.name, payment: payment)?.attemptNumber == number, "\(provider.name) forgets its address")
        require(signer.verify(capability, provider: provider.name, payment: payment + "0") == nil, "an address serves another payment")
        require(signer.verify(capability, provider: "other", payment: payment) == nil, "an address serves another provider")
        var bytes = Array(capability.utf8)
        bytes[post.number(3) % bytes.count] = UInt8(33 + post.number(2) % 94)
        let altered = String(decoding: bytes, as: UTF8.self)
        require(altered == capability || signer.verify(altered, provider: provider.name, payment: payment) == nil, "an altered address is taken")
    }
}
