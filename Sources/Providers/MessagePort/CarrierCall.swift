import ProviderPort

extension ProviderTransport {
    /// Calls a carrier.
    /// - Returns: the answer, or what comes of there being none.
    public func carry(_ call: ProviderCall) async -> Result<ProviderAnswer, UnansweredCall> {
        do throws(ProviderError) { return .success(try await send(call)) } catch { return .failure(UnansweredCall(error: error)) }
    }
}

/// A call that got no answer.
public struct UnansweredCall: Error {
    public let error: ProviderError
    public var outcome: CarrierOutcome { .unanswered(error) }
}
