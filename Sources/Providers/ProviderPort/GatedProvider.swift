import Formats

/// What every call of an adapter passes before it goes out.
public protocol CallGate: Sendable {
    /// Makes the call, or keeps it back.
    /// - Throws: ``ProviderError`` of kind `held` when the call was not made; what the call throws.
    func pass(_ call: @escaping @Sendable () async throws(ProviderError) -> ProviderAnswer) async throws(ProviderError) -> ProviderAnswer
}

/// An adapter all of whose calls pass a gate, whoever makes them.
public struct GatedProvider: PaymentProvider {
    private let adapter: any PaymentProvider
    private let gate: any CallGate

    public init(_ adapter: any PaymentProvider, gate: any CallGate) {
        self.adapter = adapter
        self.gate = gate
    }

    public var name: String { adapter.name }
    public var capabilities: ProviderCapabilities { adapter.capabilities }
    public var offer: ProviderOffer { adapter.offer }
    public func ways(method: String?, network: String?) -> [ProviderOffer.Choice] { adapter.ways(method: method, network: network) }
    public var addressSigner: CapabilitySigner? { adapter.addressSigner }

    public func verifyWebhook(_ webhook: IncomingWebhook, nowMs: Int64) -> WebhookVerdict { adapter.verifyWebhook(webhook, nowMs: nowMs) }
    public func parse(body: [UInt8], contentType: String) throws(ProviderError) -> ProviderNotice {
        try adapter.parse(body: body, contentType: contentType)
    }

    public func initiate(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        try await adapter.initiate(order, over: gated(transport))
    }
    public func status(of question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try await adapter.status(of: question, over: gated(transport))
    }
    public func identify(_ reference: ProviderReference, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try await adapter.identify(reference, over: gated(transport))
    }
    public func refund(_ order: RefundOrder, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try await adapter.refund(order, over: gated(transport))
    }
    public func cancel(_ question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        try await adapter.cancel(question, over: gated(transport))
    }
    public func history(_ query: HistoryQuery, over transport: any ProviderTransport) async throws(ProviderError) -> HistoryPage {
        try await adapter.history(query, over: gated(transport))
    }

    private func gated(_ transport: any ProviderTransport) -> GatedTransport { GatedTransport(gate: gate, transport: transport) }
}

private struct GatedTransport: ProviderTransport {
    let gate: any CallGate
    let transport: any ProviderTransport

    func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
        try await gate.pass { () async throws(ProviderError) -> ProviderAnswer in try await transport.send(call) }
    }
}
