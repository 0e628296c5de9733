import Formats
import Money
import ProviderPort

/// Any post at all: never a crash, never believed, read the same twice, and never read as something that the rest of the product cannot hold.
struct WebhookTarget: FuzzTarget {
    private let providers: [any PaymentProvider]

    init() throws { providers = try PostingProviders.make(secret: PostingProviders.freshSecret()) }

    func run(_ input: [UInt8]) {
        let post = PostedInput(input)
        let provider = PostingProviders.choose(post.provider, of: providers)
        let webhook = IncomingWebhook(method: post.method, headers: post.headers, body: post.body)
        let verdict = provider.verifyWebhook(webhook, nowMs: PostingProviders.nowMs)
        require(verdict.trust == nil || verdict.trust == .unproven, "\(provider.name) believes a post without its secret")
        require(verdict == provider.verifyWebhook(webhook, nowMs: PostingProviders.nowMs), "\(provider.name) judges the same post differently")
        if let payment = post.words.last.map(String.init) {
            let capability = String(decoding: post.body.prefix(64), as: UTF8.self)
            let grant = provider.addressSigner?.verify(capability, provider: provider.name, payment: payment)
            require(grant == nil, "\(provider.name) takes an address for its own")
        }
        read(post, provider)
        read(post, PostingProviders.choose(post.words.last ?? "", of: providers))
    }

    private func read(_ post: PostedInput, _ provider: any PaymentProvider) {
        guard let notice = try? provider.parse(body: post.body, contentType: post.contentType) else { return }
        require((try? provider.parse(body: post.body, contentType: post.contentType)) == notice, "\(provider.name) reads the same body differently")
        require(notice.amount == nil || notice.amountProblem == nil, "\(provider.name) reads an amount and why there is none")
        if let amount = notice.amount { require(amount.minorUnits >= 0, "\(provider.name) reads a negative amount") }
        let isNamed = notice.references.allSatisfy { !$0.kind.isEmpty && !$0.value.isEmpty }
        require(isNamed, "\(provider.name) reads an empty reference")
    }
}
